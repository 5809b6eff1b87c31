"""Functions and classes for workers that misbehave: what the tests send to pools."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

from helpers.workloads import countdown


class Picky(Exception):
    """An exception that can't be rebuilt from its arguments alone."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class Locked:
    """An object that can't be pickled, for the lock in it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def double(self, x: int) -> int:
        return 2 * x


class Trap:
    """An object that can be pickled, but not read back."""

    def __reduce__(self) -> tuple:
        return int, ("this is no number",)


def double(x: int) -> int:
    return 2 * x


def whose(x: int) -> int:
    """Return the process that ran this; long enough for the other worker to come."""
    time.sleep(0.05)
    return os.getpid()


def stay_on(sign: str) -> None:
    """Leave a sign, and go on for longer than any test."""
    Path(sign).touch()
    time.sleep(600)


def remainder(x: int) -> int:
    return 100 % x


def picky(x: int) -> int:
    raise Picky(x, "no")


def lock(x: int) -> object:
    return threading.Lock()


def trap(x: int) -> Trap:
    return Trap()


def large(x: int) -> bytes:
    """Return 50 MB, which takes a while to send; fail at 0."""
    if x == 0:
        time.sleep(0.3)
        raise ValueError("none for 0")
    return bytes(50_000_000)


def first_fails(x: int) -> int:
    if x == 0:
        raise ValueError("none for 0")
    time.sleep(4)
    return x


def die(x: int) -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def work(sign: str) -> str:
    """Write a sign that the work began, and nap for 4 seconds."""
    Path(sign).write_text(str(os.getpid()))
    time.sleep(4)
    return sign


def hold(megabytes: int) -> int:
    """Hold so much memory for a moment."""
    held = bytearray(1_000_000 * megabytes)
    time.sleep(0.1)
    return len(held)


def slow_length(data: bytes) -> int:
    """Return how many bytes there are, after four seconds."""
    time.sleep(4)
    return len(data)


# Their twins, for asyncio.


async def double_async(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


async def remainder_async(x: int) -> int:
    await asyncio.sleep(0)
    return 100 % x


async def picky_async(x: int) -> int:
    raise Picky(x, "no")


async def work_async(sign: str) -> str:
    """Write a sign that the work began, nap for 4 seconds; write one at any end."""
    Path(sign).write_text("began")
    try:
        await asyncio.sleep(4)
    finally:
        Path(sign).write_text("ended")
    return sign


async def block_async(sign: str) -> str:
    """The same, but in a way that lets nobody else run."""
    return work(sign)


the_lock = threading.Lock()


def count_with_the_lock(n: int) -> int:
    """All of it needs one lock, so threads do it one at a time."""
    with the_lock:
        return countdown(n)
