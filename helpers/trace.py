"""What a worker notes while it works: a Span for each task.

A worker process that starts fresh imports this file, so it imports nothing outside
the standard library.
"""

import os
import threading
from collections.abc import Awaitable, Callable, Generator
from time import perf_counter, thread_time
from typing import Any, NamedTuple


class Span(NamedTuple):
    """One task on one worker.

    Attributes:
        task: the position of its input, from 0.
        pid: the process that ran it.
        thread: the thread that ran it.
        start, end: wall time in seconds (`perf_counter`: one clock for all processes
            of a machine).
        cpu: seconds of CPU time that its thread used (`thread_time`); of many tasks
            under way in one thread, each its own steps and an even share of the rest.
        stretches: the stretches it ran without a break, where it watched them.
    """

    task: int
    pid: int
    thread: int
    start: float
    end: float
    cpu: float
    stretches: tuple[tuple[float, float], ...] = ()

    @property
    def worker(self) -> tuple[int, int]:
        """What tells one worker from another: its process and its thread."""
        return self.pid, self.thread


class Stretches(tuple):
    """(start, end) of each stretch that a task ran without a break, in seconds."""

    __slots__ = ()


class Traced:
    """A function that reports what a Span is made of along with its result.

    It takes (position, input), as `enumerate` yields them. It returns the result, and a
    plain tuple of a Span's fields: sent by the thousand, that costs half as much.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, numbered: tuple[int, Any]) -> tuple[Any, tuple[Any, ...]]:
        task, item = numbered
        start, cpu = perf_counter(), thread_time()
        result = self.function(item)
        cpu, end = thread_time() - cpu, perf_counter()
        stretches = result if isinstance(result, Stretches) else ()
        thread = threading.get_ident()
        return result, (task, os.getpid(), thread, start, end, cpu, stretches)


class TracedCoroutine:
    """The same for a function of `async def`: what it returns is awaited.

    The CPU time is that of the coroutine's own steps: others run between them.

    Attributes:
        cpu: seconds that the thread used from the first call to the last end, for all
            that the loop does.
    """

    def __init__(self, function: Callable[[Any], Awaitable[Any]]) -> None:
        self.function = function
        self.cpu = 0.0
        self._before: float | None = None

    async def __call__(self, numbered: tuple[int, Any]) -> tuple[Any, tuple[Any, ...]]:
        task, item = numbered
        if self._before is None:
            self._before = thread_time()
        start, steps = perf_counter(), _Steps(self.function(item))
        result = await steps
        end, thread = perf_counter(), threading.get_ident()
        self.cpu = thread_time() - self._before
        return result, (task, os.getpid(), thread, start, end, steps.cpu, ())


class _Steps:
    """Awaits something, and adds up the CPU time of the steps in which it runs."""

    def __init__(self, awaited: Awaitable[Any]) -> None:
        self._awaited = awaited
        self.cpu = 0.0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaited.__await__()
        error: BaseException | None = None
        while True:
            cpu = thread_time()
            try:
                waits_for = next(steps) if error is None else steps.throw(error)
            except StopIteration as done:
                return done.value
            finally:
                # An error that its own frames hold would stay until it is collected.
                error = None
                self.cpu += thread_time() - cpu
            try:
                yield waits_for
            except BaseException as thrown:  # it is cancelled, or closed
                error = thrown


def watched_countdown(n: int, gap: float = 0.0005) -> Stretches:
    """Count n down like `countdown`, and notice when the counting stands still.

    It notes the clock at every thousandth step, that is every few hundredths of a
    millisecond. Two notes further apart than gap mean that it did not run between:
    it waited for the GIL, or the system gave its core to another program.

    Args:
        n: how many steps to count.
        gap: the longest time between two notes that is not a break, in seconds.

    Returns:
        The stretches between the breaks.
    """
    stretches = []
    begin = last = perf_counter()
    while n > 0:
        n -= 1
        if n % 1000 == 0:
            now = perf_counter()
            if now - last > gap:
                stretches.append((begin, last))
                begin = now
            last = now
    stretches.append((begin, last))
    return Stretches(stretches)
