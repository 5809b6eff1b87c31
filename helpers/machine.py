"""What this machine and this Python really offer."""

import functools
import multiprocessing
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from helpers.measure import Run

# What each interpreter of the ceiling runs: count when told to, and print when the
# counting began and ended. It imports nothing, so that it starts fast anywhere.
_COUNTER = """
import sys, time
n = int(input())
start = time.perf_counter()
while n > 0:
    n -= 1
print(start, time.perf_counter(), time.thread_time())
"""


# A machine that has less of its cores left, or gives less of them to interpreters that
# compete for nothing else, is too busy for claims about them.
FREE, GIVEN = 0.9, 0.8


class Cores(NamedTuple):
    """How many cores there are: logical (all of them) and allowed (to this Python)."""

    logical: int
    allowed: int


def cores() -> Cores:
    """Return the number of cores, and of those that this Python may use.

    `os.cpu_count()` counts them all. joblib knows of the affinity that `taskset` or a
    batch system sets, and of the quota of a container; the least of them counts.
    """
    import joblib

    logical = os.cpu_count() or 1
    return Cores(logical, max(1, min(logical, joblib.cpu_count())))


def gil_enabled() -> bool:
    """Return whether this Python runs with its GIL (always so before 3.13)."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def start_methods() -> list[str]:
    """Return the ways to start a process on this system, the default first."""
    # joblib adds some of its own to the list, which only its own pool can use.
    known = multiprocessing.get_all_start_methods()
    return [method for method in known if not method.startswith("loky")]


def start_method() -> str:
    """Return how this Python starts processes if nobody says: fork, forkserver, spawn.

    Unlike `multiprocessing.get_start_method()`, asking doesn't settle the matter.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or start_methods()[0]


def idle_seconds() -> float:
    """Return for how long the cores have been idle since the system started, added up.

    What a core idles while something runs shows how much of the machine was free.
    """
    times = psutil.cpu_times()
    return times.idle + getattr(times, "iowait", 0.0)


def facts() -> dict[str, str | int | bool]:
    """Return what a run notes about where it was made; no name of host or user."""
    return {
        "python": platform.python_version(),
        "free-threaded build": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "gil": gil_enabled(),
        "start method": start_method(),
        "system": platform.system(),
        "processor": platform.machine(),
        "logical cores": cores().logical,
        "allowed cores": cores().allowed,
    }


def describe() -> None:
    """Print what this machine and this Python offer, a line each."""
    known = facts()
    gil = "on" if known["gil"] else "off"
    lines = {
        "Python": f"{known['python']} on {known['system']} ({known['processor']})",
        "GIL": f"{gil}, so {'one thread' if known['gil'] else 'many threads'} "
        "at a time can run Python code",
        "start method": f"{known['start method']}, when a process pool starts workers",
        "logical cores": f"{known['logical cores']}, as the system counts them",
        "allowed cores": f"{known['allowed cores']}, for this Python",
    }
    for name, value in lines.items():
        print(f"{name:>13}: {value}")


class Ceiling(float):
    """A speed-up, measured; `cores_free` is how many cores the machine had for it."""

    cores_free: float


def ceiling(
    workers: int | None = None, seconds: float = 0.3, rounds: int = 5
) -> Ceiling:
    """Measure how many times one interpreter's work separate interpreters get done.

    The interpreters share nothing and send nothing, so no pool on this machine can do
    better: hyper-threads, turbo clocks, quotas and other programs are all in it.

    Args:
        workers: how many interpreters; None for as many as there are allowed cores.
        seconds: how long each counts, about.
        rounds: how often it is measured, one interpreter and all of them in turn; the
            best of each counts.

    Returns:
        The speed-up over one interpreter: at most about `workers`.
    """
    workers = workers or cores().allowed
    steps = int(seconds * _steps_per_second())
    alone, together = [], []
    for _ in range(rounds):
        alone.append(_count_apart(1, steps))
        together.append(_count_apart(workers, steps))
    (single, _), (wall, free) = min(alone), min(together)
    measured = Ceiling(workers * single / wall)
    measured.cores_free = min(free, cores().allowed)
    return measured


@functools.cache
def _steps_per_second() -> float:
    steps = 1_000_000
    return steps / min(_count_apart(1, steps)[0] for _ in range(3))


def _count_apart(workers: int, steps: int) -> tuple[float, float]:
    """Let as many interpreters count.

    Returns:
        The seconds from the first start to the last end, and how many cores the
        machine had for them: those that counted, and those that were idle.
    """
    command = [sys.executable, "-I", "-S", "-c", _COUNTER]
    counters = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(workers)
    ]
    try:
        idle = idle_seconds()
        for counter in counters:
            counter.stdin.write(f"{steps}\n")
            counter.stdin.flush()
        times = [
            [float(word) for word in counter.stdout.readline().split()]
            for counter in counters
        ]
        idle = idle_seconds() - idle
    finally:
        for counter in counters:
            counter.kill()
            counter.communicate()
    starts, ends, busy = zip(*times, strict=True)
    wall = max(ends) - min(starts)
    return wall, (sum(busy) + idle) / wall


def fewer_cores_than(
    wanted: int, *runs: "Run | Ceiling"
) -> str | Callable[[], str | None]:
    """Return why a claim that needs that many cores can't be tested here.

    Args:
        wanted: how many cores the claim needs.
        runs: what was measured with them.

    Returns:
        The reason, where this Python may use fewer cores. Else a function for `claim`
        to ask if the claim does not hold. It returns a reason only if other programs
        clearly took too much: while the runs were made, by what they noted, or now,
        by measuring.
    """
    allowed = cores().allowed
    if allowed < wanted:
        return "one core" if allowed == 1 else f"{allowed} cores"
    return functools.partial(_busy, wanted, runs)


def _busy(wanted: int, runs: "tuple[Run | Ceiling, ...]") -> str | None:
    free = min((run.cores_free for run in runs), default=float(wanted))
    if free < FREE * wanted:
        return _too_busy(free, wanted)
    given = ceiling(wanted, seconds=0.2)
    return _too_busy(given, wanted) if given < GIVEN * wanted else None


def _too_busy(given: float, wanted: int) -> str:
    return f"this machine is giving the lab {given:.1f} of {wanted} cores"


def coarse_clock() -> str | None:
    """Return why turns of a few milliseconds can't be told apart here, or None."""
    # Windows lets a thread wait for ticks of about 16 ms; see time.get_clock_info.
    windows = sys.platform == "win32"
    return "this system's clock ticks too coarsely" if windows else None


def gil_off() -> str | None:
    """Return why a claim about the GIL can't be tested here; None if it can."""
    return None if gil_enabled() else "this Python runs without its GIL"
