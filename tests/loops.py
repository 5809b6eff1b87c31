"""Loops for `advise`, each with the ways that are right for it: workers import them."""

import hashlib
import random
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from helpers.machine import gil_enabled
from helpers.workloads import (
    count_tokens,
    countdown,
    library_files,
    nap,
    nap_async,
)

seen: list[int] = []
counter = 0


def hashed(size: int) -> str:
    return hashlib.sha256(bytes(size)).hexdigest()


def compressed(seed: int) -> int:
    return len(zlib.compress(random.Random(seed).randbytes(500_000), 9))


def add(x: int) -> int:
    return x + 1


def total(array: Any) -> float:
    return float(array.sum())


def remembers(x: int) -> None:
    seen.append(x)
    countdown(50_000)


def counts(x: int) -> int:
    global counter
    counter += 1
    return counter


def sorts(values: list[int]) -> int:
    values.sort()
    return sum(values)


def raises(x: int) -> int:
    if x % 7 == 3:
        raise ValueError(f"no {x}")
    return countdown(100_000)


def locked(x: int) -> str:
    with threading.Lock():
        time.sleep(0.02)
    return str(x)


setting = 1


def uses_setting(x: int) -> int:
    countdown(400_000)
    return setting * x


def collects(x: int, kept: list[int] = []) -> int:  # noqa: B006
    kept.append(x)
    return countdown(50_000)


class Own:
    """A result that can't be pickled."""

    def __init__(self, x: int) -> None:
        self.x, self.lock = x, threading.Lock()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self.x == other.x


def owned(x: int) -> Own:
    time.sleep(0.02)
    return Own(x)


def dice(rolls: int) -> float:
    return sum(random.random() for _ in range(rolls))


def numpys_dice(rolls: int) -> float:
    countdown(200_000)
    return float(np.random.rand(rolls).sum())


def multiplied(rows: int) -> float:
    ones = np.ones((rows, rows))
    return float((ones @ ones).sum())


def both(x: int) -> int:
    time.sleep(0.02)
    return countdown(200_000)


def now(x: int) -> float:
    countdown(100_000)
    return time.time()


def multiplied_by(factor: int) -> Callable[[int], int]:
    def multiply(x: int) -> int:
        countdown(1_000_000)
        return factor * x

    return multiply


class Loop(NamedTuple):
    """A function, its inputs, and the ways that are right where there are cores."""

    function: Callable[[Any], Any]
    inputs: list[Any]
    right: set[str]


ALONE = {"serial"}
THREADS = {"threads"}
IN_PROCESSES = {"processes", "joblib", "multiprocessing_pool", "interpreters"}
if not gil_enabled():  # then threads compute side by side
    IN_PROCESSES |= THREADS
CLOSURES = IN_PROCESSES & {"joblib", "threads"}

LOOPS = {
    "computing": Loop(countdown, [1_500_000] * 120, IN_PROCESSES),
    "uneven": Loop(countdown, [40_000 * n for n in range(1, 80)], IN_PROCESSES),
    "files": Loop(count_tokens, list(library_files(300)), IN_PROCESSES),
    "random": Loop(dice, [200_000] * 200, IN_PROCESSES),
    "NumPy's random": Loop(numpys_dice, [100] * 600, IN_PROCESSES),
    "long": Loop(countdown, [1_000_000] * 3000, IN_PROCESSES),
    "a closure": Loop(multiplied_by(3), list(range(150)), CLOSURES),
    "waiting": Loop(nap, [0.05] * 80, THREADS),
    "waiting long": Loop(nap, [0.05] * 2000, THREADS),
    "waiting with a lock": Loop(locked, list(range(200)), THREADS),
    "what can't come back": Loop(owned, list(range(200)), THREADS),
    "waiting and computing": Loop(both, list(range(150)), THREADS | IN_PROCESSES),
    "hashing": Loop(hashed, [8_000_000] * 400, THREADS | IN_PROCESSES),
    "compressing": Loop(compressed, list(range(200)), THREADS | IN_PROCESSES),
    "coroutine": Loop(nap_async, [0.05] * 100, {"asyncio"}),
    "tiny": Loop(add, list(range(300_000)), ALONE),
    "few": Loop(countdown, [10_000] * 5, ALONE),
    "one": Loop(countdown, [3_000_000], ALONE),
    "none": Loop(countdown, [], ALONE),
    "cargo": Loop(total, [np.ones(3_000_000)] * 60, ALONE | THREADS),
    "threads inside": Loop(multiplied, [1200] * 40, ALONE),
    "keeps in a default": Loop(collects, list(range(100)), ALONE),
    "remembers": Loop(remembers, list(range(100)), ALONE),
    "counts": Loop(counts, list(range(100)), ALONE),
    "changes its input": Loop(sorts, [[3, 1, 2] * 10_000] * 100, ALONE),
    "raises": Loop(raises, list(range(100)), ALONE),
    "the time": Loop(now, list(range(100)), ALONE),
}
