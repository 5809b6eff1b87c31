"""What workers do in a pool in which something goes wrong (see `faults`).

Each task notes in a file that it is still there, so that it is known of what died how
far it came. Workers that start fresh import this file: the standard library only.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep, thread_time
from typing import IO, NamedTuple

TASKS, WORKERS = 8, 2
# Seconds that a task sleeps, and that one sleeps which is late.
NAP, LATE = 0.1, 2.0
# Seconds from one sign of life to the next.
STEP = 0.005
# Seconds that a worker waits for the others, and for what is to be done to it.
PATIENCE = 15.0
# The file that says that what comes from outside has come.
STRUCK = "struck"


class Task(NamedTuple):
    """What workers do with a number: sleep, and return it; one of them goes wrong.

    Attributes:
        fault: what goes wrong.
        moment: with which number.
        folder: where each task has a file, and notes there that it is still there.
    """

    fault: str
    moment: int
    folder: str

    def __call__(self, number: int) -> int:
        cpu = thread_time()
        with Path(self.folder, str(number)).open("a", buffering=1) as notes:
            _note(notes, "began", os.getpid(), threading.get_ident())
            _nap(NAP / 2, notes)
            if number == self.moment:
                _note(notes, "fault")
                ACTS[self.fault](notes)
            _nap(NAP / 2, notes)
            _note(notes, "done", thread_time() - cpu)
        return number


class Odd(Exception):
    """An error that can be packed, and not unpacked: that would take two arguments."""

    def __init__(self, place: str, number: int) -> None:
        super().__init__(f"{place}: {number}")


def _note(notes: IO[str], word: str, *facts: float) -> None:
    print(word, perf_counter(), *facts, file=notes)


def _nap(seconds: float, notes: IO[str]) -> None:
    until = perf_counter() + seconds
    while (left := until - perf_counter()) > 0:
        sleep(min(STEP, left))
        _note(notes, "there")


def _await(notes: IO[str]) -> None:
    """Go on when it has come from outside: by then the worker may be gone."""
    until = perf_counter() + PATIENCE
    while not Path(notes.name).with_name(STRUCK).exists() and perf_counter() < until:
        _nap(STEP, notes)


def _error(notes: IO[str]) -> None:
    raise ValueError("this input is bad")


def _odd_error(notes: IO[str]) -> None:
    raise Odd("line", 3)


def _crash(notes: IO[str]) -> None:
    os._exit(1)


ACTS: dict[str, Callable[[IO[str]], object]] = {
    "error": _error,
    "odd error": _odd_error,
    "sys.exit": lambda notes: sys.exit("this is no place to go on"),
    "crash": _crash,
    "kill": _await,
    "interrupt": _await,
    "late": lambda notes: _nap(LATE - NAP, notes),
}


class Meet(NamedTuple):
    """What workers do first: wait until all are there, each with a file of its own."""

    folder: str

    def __call__(self, number: int) -> int:
        Path(self.folder, f"worker{number}").touch()
        until = perf_counter() + PATIENCE
        while len(list(Path(self.folder).glob("worker*"))) < WORKERS:
            if perf_counter() > until:
                raise TimeoutError("the workers did not start")
            sleep(STEP)
        return number
