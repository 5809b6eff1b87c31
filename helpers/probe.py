"""A function that notes who calls it, and can hold its calls back until they meet.

The exercises' checks hand it to a learner's code. A worker process that starts fresh
imports this file, so it imports nothing outside the standard library.
"""

import itertools
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep, thread_time
from typing import Any, NamedTuple

from helpers.trace import Span


class Call(NamedTuple):
    """A call of a probe.

    Attributes:
        item: what it was called with, the last argument, as `item_of` writes it.
        span: who ran it, and when; from its arrival, the waiting at the gate included.
        trip: 0 where the function itself was called; in each copy that was sent to a
            worker, another number. A chunk or batch of tasks shares a copy.
        failed: whether it raised.
        noted: what the probe `notes` of it, if it didn't.
    """

    item: str
    span: Span
    trip: int
    failed: bool
    noted: int = 0


class Probe:
    """A function whose calls are noted in a folder, whoever makes them.

    It travels wherever the function does, and nowhere else, and takes its arguments.
    Each worker writes into a file of its own, so that none waits for another. While
    the gate is shut, calls wait at it, but for those of the `caller`, the one thread
    that nobody works beside: so tasks that can run at the same time do, however slow
    the machine.

    Args:
        function: what is called.
        meet: how many calls should be at the gate before it opens; 1: it is open.
        fails: an input for which the call raises a ValueError with FAILED in it; None:
            no call fails.
        pause: how long each call waits before it begins, in seconds.
        notes: gives a number, what else to note of each call that has been made.
    """

    FAILED = "this task failed on purpose"
    caller: tuple[int, int] | None = None
    folder = ""
    trip = 0

    def __init__(
        self,
        function: Callable[..., Any],
        meet: int = 1,
        fails: Any = None,
        pause: float = 0.0,
        notes: Callable[[], int] | None = None,
    ) -> None:
        self.function = function
        self.meet = meet
        self.fails = None if fails is None else item_of(fails)
        self.pause = pause
        self.notes = notes

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.trip = next(_trips)

    def __call__(self, *args: Any, **options: Any) -> Any:
        item = item_of(*args, *options.values())
        start, failed, noted = perf_counter(), True, 0
        self._wait(item)
        sleep(self.pause)
        cpu = thread_time()
        try:
            if item == self.fails:
                raise ValueError(self.FAILED)
            result = self.function(*args, **options)
            noted = self.notes() if self.notes else 0
            failed = False
            return result
        finally:
            cpu, end = thread_time() - cpu, perf_counter()
            line = f"{start} {end} {cpu} {self.trip} {failed:d} {noted} {item}\n"
            with suppress(OSError), self._file("calls").open("a") as file:
                file.write(line)

    def begin(self, folder: str | Path) -> None:
        """Note all further calls in folder, and shut the gate if they are to meet."""
        Path(folder).mkdir()
        self.folder = str(folder)
        if self.meet <= 1:
            self.release()

    def waiting(self) -> list[tuple[int, str]]:
        """Return (process, item) of each call that waits at the gate."""
        marks = Path(self.folder).glob("*.waits")
        found = [(int(mark.name.split("-")[0]), mark.read_text()) for mark in marks]
        return [(pid, item) for pid, item in found if item]

    def release(self, item: str | None = None) -> None:
        """Open the gate: for the call with that item, or for all from now on."""
        if item is None:
            Path(self.folder, "open").touch()
            return
        for mark in Path(self.folder).glob("*.waits"):
            if mark.read_text() == item:
                mark.unlink()

    def calls(self) -> list[Call]:
        """Return the calls that have ended so far, in the order of their arrival."""
        found = []
        for file in Path(self.folder).glob("*.calls"):
            pid, thread = map(int, file.stem.split("-"))
            for line in file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # a worker may have been ended while it wrote
                    *numbers, item = line[:-1].split(" ", 6)
                    start, end, cpu = map(float, numbers[:3])
                    trip, failed, noted = map(int, numbers[3:])
                    span = Span(0, pid, thread, start, end, cpu)
                    found.append(Call(item, span, trip, bool(failed), noted))
        found.sort(key=lambda call: call.span.start)
        return [
            call._replace(span=call.span._replace(task=number))
            for number, call in enumerate(found)
        ]

    def _wait(self, item: str) -> None:
        gate = Path(self.folder, "open")
        if worker() == self.caller or gate.exists():
            return
        mark = self._file("waits")
        mark.write_text(item)
        while mark.exists() and not gate.exists():
            sleep(0.003)

    def _file(self, kind: str) -> Path:
        pid, thread = worker()
        return Path(self.folder, f"{pid}-{thread}.{kind}")


_trips = itertools.count(1)


def item_of(*arguments: Any) -> str:
    """Return what a task is told from others by: its last argument, written out."""
    return ascii(arguments[-1:])


def worker() -> tuple[int, int]:
    """Return the process and the thread that run this."""
    return os.getpid(), threading.get_ident()
