"""Who measures now: one explorer at a time, and none while a cell runs.

Each would slow the other down. All explorers share one process that measures.
"""

import sys
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from IPython import get_ipython

from helpers.elsewhere import Elsewhere
from helpers.jobs import Job
from helpers.pythons import PythonFailed
from helpers.runs import Run

# How long after a cell the measuring waits for the next one before it begins again.
PAUSE = 0.3
# Seconds of work in a round beyond which a job that has to make room is ended, with its
# process: to start a new one takes as long. A shorter one ends its round by itself.
LONG = 0.5


class Asker(Protocol):
    """Who asks for measuring, and is told, from any thread, what becomes of it."""

    def begun(self, job: Job) -> None:
        """The job begins, or begins again: none of its runs is there yet."""

    def came(self, run: Run) -> None:
        """One of the job's runs has been made."""

    def ended(self, why: str) -> None:
        """The job has ended: done, or a line says what failed."""

    def put_off(self) -> None:
        """The job waits until the cell that runs has ended."""

    def stopped(self) -> None:
        """The job has made room for that of another asker."""


@dataclass
class Turn:
    """A job that is measured, under that number; or, with 0, waits for a cell's end."""

    asker: Asker
    job: Job
    number: int = 0


class Conductor:
    """Lets one asker measure at a time, and none while a cell runs.

    Args:
        lock: held while an asker is told something. Askers hold it too while they
            draw.

    Attributes:
        gives_way: whether nothing is measured while a cell runs. A benchmark that is
            itself a cell sets it to False.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self.gives_way = True
        self._python = ""
        self._elsewhere = Elsewhere(partial(self._heard, ""))
        self._turn: Turn | None = None
        self._cell_runs = False

    def job_of(self, asker: Asker) -> Job | None:
        """Return what is measured for the asker, or waits for a cell's end."""
        turn = self._turn
        return turn.job if turn and turn.asker is asker else None

    def measure(self, asker: Asker, job: Job) -> None:
        """Measure the job, in place of the one under way, whoever asked for that."""
        with self._lock:
            before, self._turn = self._turn, Turn(asker, job)
            if before and before.job.tasks * before.job.seconds > LONG:
                self._elsewhere.stop()
            if before and before.asker is not asker:
                before.asker.stopped()
            self._begin(self._turn)

    def stop(self, asker: Asker) -> bool:
        """End the asker's job, and every process that takes part, within a second.

        Returns:
            Whether there was one. If nobody has one the process that waits for more to
            do ends.
        """
        with self._lock:
            had_one = self.job_of(asker) is not None
            if had_one or self._turn is None:
                self._turn = None
                self._elsewhere.stop()
            return had_one

    def _begin(self, turn: Turn) -> None:
        if self._cell_runs:
            turn.asker.put_off()
            return
        turn.asker.begun(turn.job)
        self._turn_to(turn.job.python)
        try:
            turn.number = self._elsewhere.ask(turn.job)
        except (OSError, PythonFailed) as error:
            self._turn = None
            turn.asker.ended(f"no process could be started: {error}")

    def _turn_to(self, python: str) -> None:
        """Let that Python measure; the one that did so far ends."""
        if python != self._python:
            self._elsewhere.stop()
            heard = partial(self._heard, python)
            self._python = python
            self._elsewhere = Elsewhere(heard, python or sys.executable)

    def _heard(self, python: str, number: int, answer: Run | str | None) -> None:
        with self._lock:
            turn = self._turn
            if turn is None or (turn.job.python, turn.number) != (python, number):
                return
            if isinstance(answer, Run):
                turn.asker.came(answer)
            else:
                self._turn = None
                turn.asker.ended(answer or "")

    def watch_cells(self) -> None:
        """Give way to the cells of this kernel from now on, if this is one."""
        shell = get_ipython()
        if shell is None:
            return
        events = {"pre_run_cell": self._cell_begins, "post_run_cell": self._cell_ends}
        for event, react in events.items():
            if react not in shell.events.callbacks[event]:
                shell.events.register(event, react)

    def _cell_begins(self, info: Any) -> None:
        with self._lock:
            self._cell_runs = self.gives_way
            turn = self._turn
            if self._cell_runs and turn and turn.number:
                turn.number = 0
                self._elsewhere.stop()
                turn.asker.put_off()

    def _cell_ends(self, result: Any) -> None:
        with self._lock:
            self._cell_runs = False
            if self._turn and not self._turn.number:
                timer = threading.Timer(PAUSE, self._take_up_again)
                timer.daemon = True
                timer.start()

    def _take_up_again(self) -> None:
        with self._lock:
            if self._turn and not self._turn.number and not self._cell_runs:
                self._begin(self._turn)
