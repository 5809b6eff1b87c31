"""What this machine and this Python really offer."""

import functools
import math
import multiprocessing
import os
import platform
import re
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import NamedTuple

from helpers.pythons import pythons

# What a reader asks for is here, wherever it is written.
__all__ = [
    "ceiling",
    "connections",
    "cores",
    "describe",
    "gil_enabled",
    "pythons",
    "start_methods",
]

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


# ProcessPoolExecutor refuses more: Windows can't wait for more handles at a time.
MOST_PROCESSES_ON_WINDOWS = 61
# A loop there looks at so many sockets at a time (asyncio's documentation, "Platform
# Support").
MOST_SOCKETS_ON_WINDOWS = 512
# Files that a kernel has open besides, with some to spare.
OTHER_FILES = 100


class Cores(NamedTuple):
    """How many cores there are: logical (all of them) and allowed (to this Python)."""

    logical: int
    allowed: int


def cores() -> Cores:
    """Return the number of cores, and of those that this Python may use.

    `os.cpu_count()` counts them all. joblib knows of the affinity that `taskset` or a
    batch system sets, and of the quota of a container; the least of them counts. A
    Python without joblib knows of the affinity only.
    """
    logical = os.cpu_count() or 1
    try:
        import joblib
    except ImportError:
        return Cores(logical, min(logical, len(_allowed_cpus() or range(logical))))
    return Cores(logical, max(1, min(logical, joblib.cpu_count())))


def _allowed_cpus() -> set[int] | None:
    """Return the numbers of the cores that this Python may use; None: nobody knows."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def check_workers(workers: int, processes: bool = False) -> None:
    """Raise ValueError, in one line, unless workers is a number that can be started.

    Args:
        workers: how many.
        processes: whether they are processes.
    """
    limited = processes and sys.platform == "win32"
    most = MOST_PROCESSES_ON_WINDOWS if limited else None
    whole = isinstance(workers, int) and not isinstance(workers, bool)
    if not whole or workers < 1 or (most and workers > most):
        allowed = f"from 1 to {most}" if most else "from 1 up"
        raise ValueError(
            f"workers must be a whole number {allowed}, not {workers!r}; "
            f"this machine has {cores().allowed} for you"
        )


def check_rounds(rounds: int) -> None:
    """Raise ValueError, in one line, unless something can be measured so often."""
    if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1:
        raise ValueError(f"rounds must be a whole number from 1 up, not {rounds!r}")


def check_seconds(seconds: float) -> None:
    """Raise ValueError, in one line, unless something can take so long."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be a number above 0, not {seconds!r}")


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


def idle_seconds() -> float | None:
    """Return for how long the allowed cores have been idle, in seconds, added up.

    It counts from the start of the system. What a core idles while something runs shows
    how much of the machine was free. None where nobody counts it: it takes psutil, or
    Linux.
    """
    counted, allowed = _idle_of_each(), _allowed_cpus()
    if counted is None:
        return None
    if allowed is None or max(allowed) >= len(counted):
        allowed = set(range(len(counted)))  # numbered otherwise, in some containers say
    return sum(idle for cpu, idle in enumerate(counted) if cpu in allowed)


def _idle_of_each() -> list[float] | None:
    """Return for how long each core has been idle, in seconds."""
    with suppress(ImportError):
        import psutil

        found = psutil.cpu_times(percpu=True)
        return [times.idle + getattr(times, "iowait", 0.0) for times in found]
    # Another Python has no psutil; on Linux the system tells anybody (proc(5), stat).
    with suppress(OSError, ValueError):
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        cores = [line.split() for line in lines if re.match(r"cpu\d", line)]
        ticks = os.sysconf("SC_CLK_TCK")
        return [(int(core[4]) + int(core[5])) / ticks for core in cores]
    return None


def cpu_seconds(others: bool = True) -> dict[int, float] | None:
    """Return the CPU time used so far by this process, and by those it started.

    Args:
        others: whether to look at those it started, and those that they started.

    Returns:
        Seconds, by the number of the process. None where nobody counts them: of others
        it takes psutil.
    """
    found = {os.getpid(): process_time()}
    if not others:
        return found
    try:
        import psutil
    except ImportError:
        return None
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended just now
            times = child.cpu_times()
            found[child.pid] = times.user + times.system
    return found


def memory_in_use() -> int | None:
    """Return how many bytes of memory this process uses now; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil.Process().memory_info().rss


def give_back_memory() -> None:
    """Have the C library give back what it kept of memory that is free again.

    Else a task may fill that once more, and the process doesn't grow. It is glibc's to
    do (malloc_trim(3)); elsewhere nothing happens, and a free-threaded Python has an
    allocator of its own, which nobody can ask.
    """
    import ctypes

    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def connections(wanted: int = 1000) -> int:
    """Return how many connections this Python may have open at once, of those wanted.

    Each is an open file, and a system lets a program have so many of them: 256 by
    default on macOS. Where it lets a program ask for more, this does. Processes that
    are started afterwards have the same limit.
    """
    if sys.platform == "win32":
        return min(wanted, MOST_SOCKETS_ON_WINDOWS - OTHER_FILES)
    import resource

    wished = wanted + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = {resource.RLIM_INFINITY}
    if soft not in unlimited and soft < wished:
        soft = wished if hard in unlimited else min(wished, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft in unlimited else min(wanted, max(1, soft - OTHER_FILES))


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
    """A speed-up, measured; `cores_free` is how many cores the machine had for it.

    That is unknown, nan, where nobody counts idle time.
    """

    cores_free: float = math.nan


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

    Raises:
        ValueError: no such number of workers, seconds or rounds; in one line.
    """
    workers = cores().allowed if workers is None else workers
    check_workers(workers)
    check_seconds(seconds)
    check_rounds(rounds)
    steps = int(seconds * _steps_per_second())
    alone, together = [], []
    for _ in range(rounds):
        alone.append(_count_apart(1, steps))
        together.append(_count_apart(workers, steps))
    (single, _), (wall, free) = min(alone), min(together)
    measured = Ceiling(workers * single / wall)
    measured.cores_free = min(free, cores().allowed)  # nan stays nan
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
    pipe = subprocess.PIPE
    counters = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        for _ in range(workers)
    ]
    try:
        before = idle_seconds()
        for counter in counters:
            print(steps, file=counter.stdin, flush=True)
        times = [_told(counter) for counter in counters]
        after = idle_seconds()
    finally:
        for counter in counters:
            counter.kill()
            counter.communicate()
    starts, ends, busy = zip(*times, strict=True)
    wall = max(ends) - min(starts)
    idle = math.nan if before is None or after is None else after - before
    return wall, (sum(busy) + idle) / wall


def _told(counter: subprocess.Popen[str]) -> list[float]:
    """Return the numbers that a counter prints at its end."""
    assert counter.stdout
    return [float(word) for word in counter.stdout.readline().split()]
