"""An answer to an exercise, run once while its workers are watched."""

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import PicklingError
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep
from typing import Any

from helpers.exercises.watch import Started, Watch, stop
from helpers.probe import Call, Probe, worker
from helpers.runs import Run
from helpers.travel import name_of
from helpers.workers import scratch_folder

# An answer that takes longer is stopped, in seconds.
LIMIT = 30.0
# How long a call waits in vain for another: where all workers are there, and where
# some processes may still be starting.
SOON, LATE = 1.0, 10.0


@dataclass
class Attempt:
    """What one run of an answer came to.

    Attributes:
        name: the function's.
        results: what it returned, an iterator read to its end.
        error: what it raised.
        stopped: why it was stopped, if it was.
        left: what it left open or running, in a sentence; empty if nothing.
        calls: of each watched function, in order.
        pools: all that it started.
        caller: the process and the thread that called the answer.
        over: set when the answer has returned, or raised.
        began, wall: when it began, and how long it took, in seconds.
    """

    name: str
    results: Any = None
    error: BaseException | None = None
    stopped: str = ""
    left: str = ""
    calls: list[list[Call]] = field(default_factory=list)
    pools: list[Started] = field(default_factory=list)
    caller: tuple[int, int] = (0, 0)
    over: Event = field(default_factory=Event)
    began: float = 0.0
    wall: float = 0.0

    @property
    def failure(self) -> str:
        """Why there are no results, in a sentence; empty if there are."""
        if self.stopped:
            return self.stopped
        if isinstance(self.error, BrokenExecutor):
            return (
                "The pool broke: a worker ended, as one does that can't find what it "
                "was sent"
            )
        kinds = (PicklingError, AttributeError, TypeError)
        words = ("pickle", "local object")
        if isinstance(self.error, kinds) and any(w in repr(self.error) for w in words):
            return (
                "Something could not be sent to a worker: it has no name that a "
                "worker could import"
            )
        if self.error is not None:
            return f"Your function raised {in_words(self.error)}"
        return ""

    def was_elsewhere(self, call: Call) -> bool:
        """Whether another process ran it, or at least another interpreter."""
        return call.span.pid != self.caller[0] or call.trip > 0

    def run(self) -> Run:
        """Return what its workers did, as a run to draw."""
        spans = tuple(call.span for calls in self.calls for call in calls)
        workers = {span.worker for span in spans}
        if any(started.is_joblib for started in self.pools):
            strategy = "joblib"
        elif any(pid != self.caller[0] for pid, _ in workers):
            strategy = "processes"
        else:
            strategy = "serial" if workers == {self.caller} else "threads"
        hired = len(workers - {self.caller}) or 1
        made = Run(self.name, strategy, hired, 0.0, self.began, self.wall, spans)
        if strategy == "serial" and len(made.lanes) > 1:
            return replace(made, strategy="asyncio", workers=len(made.lanes))
        return made


def in_words(error: BaseException) -> str:
    """Return the error's type and the first line of what it says."""
    said = next(iter(str(error).splitlines()), "")
    kind = type(error).__name__
    return f"{kind}: {said}" if said else kind


# What opens the gate of a watched function: it is advanced every few milliseconds.
Steering = Generator[None, None, None]


def attempt(
    answer: Callable[..., Any],
    *arguments: Any,
    steer: Callable[[Probe, list[Started]], Steering] | None = None,
) -> Attempt:
    """Call answer(*arguments) once, in a thread of its own, and watch its workers.

    It ends after LIMIT seconds at the latest, and leaves no worker behind but those
    that joblib keeps. So does an interrupt.

    Args:
        answer: a learner's function.
        arguments: what it takes, the watched functions among them.
        steer: opens the gate of each of them. By default the gate opens when the calls
            have met, or when it is clear that they will not.
    """
    tried = Attempt(name_of(answer))
    watched = [each for each in arguments if isinstance(each, Probe)]
    caller = Thread(target=_call, args=(tried, watched, answer, arguments), daemon=True)
    watch = Watch(caller)
    tried.pools = watch.pools
    here = scratch_folder()
    with TemporaryDirectory(dir=here, ignore_cleanup_errors=True) as folder, watch.on():
        for number, each in enumerate(watched):
            each.begin(Path(folder, str(number)))
        steps = [(steer or _meet)(each, tried.pools) for each in watched]
        caller.start()
        try:
            tried.stopped = _until_done(tried.over, steps, tried.pools)
            # While the gates are shut, none can end that nobody waits for.
            tried.left = "" if tried.stopped else watch.left()
        finally:
            for each in watched:
                each.release()
            stuck = not tried.over.is_set()
            watch.end(stuck)
            if stuck:
                stop(caller)
        tried.calls = [each.calls() for each in watched]
    return tried


def _call(
    tried: Attempt,
    watched: list[Probe],
    answer: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    """Call the answer, and note what comes of it."""
    tried.caller = worker()
    for each in watched:
        each.caller = worker()
    tried.began = perf_counter()
    try:
        answered = answer(*arguments)
        lazy = isinstance(answered, Iterator)
        tried.results = list(answered) if lazy else answered
    except BaseException as error:
        tried.error = error
    finally:
        tried.wall = perf_counter() - tried.began
        tried.over.set()


def _until_done(over: Event, steps: list[Steering], pools: list[Started]) -> str:
    """Wait for the answer; return why it has to be stopped, if so.

    It sleeps: in Python 3.11 and 3.12 a thread whose join() is interrupted counts as
    ended, though it runs, and would not be stopped.
    """
    patience = perf_counter() + LIMIT
    while not over.is_set():
        for step in steps:
            next(step, None)
        if any(started.lost_a_worker for started in pools):
            return (
                "No answer, for ever: the workers ended, as they do when they can't "
                "find what they were sent"
            )
        if perf_counter() > patience:
            return f"Your function had not returned after {LIMIT:g} seconds"
        sleep(0.005)
    return ""


def meeting(watched: Probe, pools: list[Started]) -> Steering:
    """Wait until as many calls are at the gate as should meet, or no more can come."""
    seen, since = None, perf_counter()
    while len(here := watched.waiting()) < watched.meet:
        state = len(here), sum(len(started.futures) for started in pools)
        if state != seen:
            seen, since = state, perf_counter()
        starting = any(len(here) < started.expected for started in pools) and any(
            pid != os.getpid() for pid, _ in here
        )
        if here and perf_counter() - since > (LATE if starting else SOON):
            break
        yield


def one_by_one(
    watched: Probe,
    pools: list[Started],
    chosen: Callable[[list[str]], str | None] = min,
) -> Steering:
    """Let one call end at a time, so that it is seen who begins next.

    Args:
        watched: whose calls they are.
        pools: what the answer has started.
        chosen: which of the items at the gate is let through; None: no more are.
    """
    seen = 0

    def another() -> bool:
        return len(watched.waiting()) + len(watched.calls()) > seen

    yield from meeting(watched, pools)
    while (here := [item for _, item in watched.waiting()]) and another():
        if (item := chosen(here)) is None:
            break
        seen = len(here) + len(watched.calls())
        watched.release(item)
        yield from soon(another)


def soon(condition: Callable[[], bool]) -> Steering:
    """Wait until the condition holds, or for as long as calls wait for each other."""
    began = perf_counter()
    while not condition() and perf_counter() - began < SOON:
        yield


def _meet(watched: Probe, pools: list[Started]) -> Steering:
    yield from meeting(watched, pools)
    watched.release()
