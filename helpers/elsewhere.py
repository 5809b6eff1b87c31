"""Measure in another Python, which can be stopped.

A thread that computes can't be stopped from outside, and would share the GIL with the
kernel that draws the widgets. So a second Python measures, and sends each run as soon
as it is made. Stopping ends that Python with all its workers, whatever they do. It may
be another one than this: it needs its path only, and nothing installed. What goes there
and comes back is JSON.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

from helpers import measure
from helpers.jobs import Job, runs_of
from helpers.pythons import PythonFailed, Talk, end
from helpers.runs import Run, as_message, from_message
from helpers.travel import found_at

# A process that measures, and that nobody has asked anything for so long, ends.
PATIENCE = 60.0
# What such a process ends with, so that it is told from one that can't measure.
GAVE_UP = 75


class Elsewhere:
    """Another Python that measures for this one; started when it is first needed.

    Args:
        heard: called from another thread with the number of a job and, as it comes,
            each of its runs; then with None when the job is done, or with a line that
            says what failed. Of a job that was stopped or replaced one more run may
            come: its number tells.
        python: the path of the Python that measures.
    """

    def __init__(
        self,
        heard: Callable[[int, Run | str | None], None],
        python: str = sys.executable,
    ) -> None:
        self._heard, self._python = heard, python
        self._talk: Talk | None = None
        self._number = 0
        self._job: Job | None = None
        self._lock = threading.Lock()

    def ask(self, job: Job) -> int:
        """Measure job, in place of the one under way if any; return its number.

        Raises:
            PythonFailed: no process could be started.
        """
        with self._lock:
            self._number, self._job = self._number + 1, job
            self._send()
            return self._number

    def stop(self) -> None:
        """End what is measured, and every process that takes part, within a second."""
        with self._lock:
            self._number += 1
            talk, self._talk = self._talk, None
        if talk is not None:
            end(talk.process)

    def _send(self) -> None:
        talk = self._talk
        if talk is None or talk.process.poll() is not None:
            talk = self._talk = Talk(self._python)
            threading.Thread(target=self._listen, args=[talk], daemon=True).start()
        talk.ask([self._number, self._job])

    def _listen(self, talk: Talk) -> None:
        ended = 0  # the last job that was heard to its end
        for number, answer in _answers_of(talk):
            if not isinstance(answer, Run):
                ended = number
            if number == self._number:
                self._heard(number, answer)
        gave_up_waiting = talk.ended() == GAVE_UP
        with self._lock:
            if talk is not self._talk:  # it was stopped
                return
            self._talk, number = None, self._number
            if ended == number:
                return
            if gave_up_waiting:  # just as it was asked for this
                with suppress(PythonFailed):
                    self._send()
                    return
        self._heard(number, talk.last_words())


def _answers_of(talk: Talk) -> Iterator[tuple[int, Run | str | None]]:
    """Yield (number of the job, answer) as the process sends them, until it ends."""
    for answer in talk.answers():
        try:
            number, said = answer
            yield number, from_message(said) if isinstance(said, dict) else said
        except (ValueError, TypeError):
            talk.refuse()
            return


# What the other Python does.

# What is asked for, by its number: a job's fields, or a call's name and arguments.
Asked = queue.SimpleQueue[tuple[int, Any]]
CALLS: dict[str, Callable[..., Any]] = {
    "run": measure.run,
    "race": measure.race,
    "sweep": measure.sweep,
}


def serve() -> None:
    """Measure what standard input asks for; end when it closes or stays silent."""
    # Workers inherit the standard streams: these two are ours alone.
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    asked: Asked = queue.SimpleQueue()
    threading.Thread(target=_read, args=[questions, asked], daemon=True).start()
    while True:
        try:
            number, question = asked.get(timeout=PATIENCE)
        except queue.Empty:
            sys.exit(GAVE_UP)
        while asked.qsize():  # only the last of several counts
            number, question = asked.get()
        for answer in _answers(question, asked):
            print(json.dumps([number, answer]), file=answers, flush=True)


def _read(questions: IO[str], asked: Asked) -> None:
    with suppress(ValueError, OSError):
        for line in questions:
            number, question = json.loads(line)
            asked.put((number, question))
    # Whoever asked is gone. The workers end too: each watches for that.
    os._exit(0)


def _answers(question: Any, asked: Asked) -> Iterator[dict[str, Any] | str | None]:
    """Yield the runs that are asked for as data, until done or asked for others."""
    try:
        for run in _runs_of(question):
            yield as_message(run)
            if asked.qsize():
                return
        yield None
    except Exception as error:
        yield f"{type(error).__name__}: {error}"


def _runs_of(question: Any) -> Iterator[Run]:
    """Yield the runs of a job, or of a call of `run`, `race` or `sweep`."""
    if isinstance(question, list):
        yield from runs_of(Job(*question))
        return
    call, (function, *first) = question["call"], map(found_at, question["functions"])
    options = question["options"] | ({"first": first[0]} if first else {})
    made = CALLS[call](function, question["inputs"], **options)
    yield from made.values() if isinstance(made, dict) else [made]
