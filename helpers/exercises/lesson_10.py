"""The exercises of lesson 10: the rest is kept, the time too, and the log arrives."""

import gc
import logging
import multiprocessing
import os
import random
import sys
from ast import literal_eval
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager
from functools import wraps
from logging.handlers import QueueListener
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition, Thread
from time import perf_counter, sleep, thread_time
from types import FrameType
from typing import Any, NamedTuple
from unittest.mock import patch

from helpers.exercises import attempt as attempts
from helpers.exercises.attempt import Attempt, Steering, attempt, meeting, soon
from helpers.exercises.exercise import WORDS, Answer, Exercise
from helpers.exercises.verdict import (
    Line,
    failed_on_purpose,
    judged_calls,
    judged_closing,
    judged_error,
    judged_meeting,
    judged_processes,
    judged_results,
    together,
)
from helpers.exercises.watch import PATIENCE, Started, raise_in
from helpers.machine import start_methods
from helpers.probe import Call, Probe, item_of, worker
from helpers.said import say
from helpers.trace import Span
from helpers.workers import scratch_folder
from helpers.workloads import told

# Who has done nothing for so long waits for something, in seconds.
AT_REST = 0.15


class KeepTheRest(Exercise):
    name, lesson = "keep_the_rest", "10"
    takes = ("run_all",)
    hints = (
        "map gives up at the first error, and with it all that comes after. Use "
        "submit: each input gets a future of its own, and its own error.",
        "A dictionary from inputs to futures keeps the order of the inputs, and tells "
        "whose error it is. result() raises what the task raised.",
        "Ask each future in a `try`: append the result. `except Exception as error:` "
        "keeps the error under the input, and lets Stop out.",
        "The end of `with` waits for all that was handed in, after Stop too. "
        "pool.shutdown(cancel_futures=True) in a `finally` cancels what waits.",
    )
    moral = "what is good is kept, what is bad has a name, and Stop still works."
    # For Stop: so many that most wait for their turn.
    MANY = 48

    def judge(self, answer: Answer) -> Iterator[Line]:
        items = _some_bad()
        tried = attempt(answer, Probe(int, meet=2), items)
        (calls,) = tried.calls
        kept = [*_judged_rest(tried, items)]
        yield from kept
        right = all(line.right for line in kept)
        if right:
            yield from judged_calls(calls, items)
        if calls and not tried.failure:
            yield judged_meeting(tried, calls, 2)
        stopped = []
        if right and together(calls) > 1:
            many = _some_bad(self.MANY)
            stopped = [attempt(answer, Probe(int, meet=2), many, steer=_press_stop)]
            yield _judged_stop(stopped[0], many)
        yield from judged_closing(tried, *stopped)

    def try_out(self, answer: Answer) -> Attempt:
        items = [*map(str, random.sample(range(100, 1000), 11))]
        items.insert(5, random.choice(WORDS))
        tried = attempt(answer, Probe(int, pause=0.05), items)
        if rest := _rest(tried.results):
            results, errors = map(len, rest)
            say(f"Inputs: {len(items)}. Results: {results}. Errors: {errors}")
        return tried


def _some_bad(size: int = 12) -> list[Any]:
    """Return inputs for `int`, of which two raise errors, of two kinds."""
    items: list[Any] = [*map(str, random.sample(range(100, 1000), size - 2))]
    items.insert(3, random.choice(WORDS))
    items.insert(8, None)
    return items


def _sorted_out(items: list[Any]) -> tuple[list[int], dict[Any, Exception]]:
    """Return what an answer should."""
    results, errors = list[int](), dict[Any, Exception]()
    for item in items:
        try:
            results.append(int(item))
        except Exception as error:
            errors[item] = error
    return results, errors


def _rest(returned: Any) -> tuple[list[Any], dict[Any, Any]] | None:
    """Return the list and the dictionary that an answer returned, if it did."""
    match returned:
        case [list() as results, dict() as errors]:
            return results, errors
    return None


def _judged_rest(tried: Attempt, items: list[Any]) -> Iterator[Line]:
    good, bad = _sorted_out(items)
    rest = _rest(tried.results)
    if tried.failure:
        yield Line(False, _why_none(tried, [*bad.values()]))
    elif rest:
        fault = _fault_in_results(rest[0], good)
        yield Line(not fault, fault or "The good results came back, in their order")
        fault = _fault_in_errors(rest[1], bad)
        yield Line(not fault, fault or "Each bad input has the error that it led to")
    elif tried.results is None:
        yield Line(False, "Your function returned nothing")
    elif tried.results == good:
        yield Line(False, "The errors are gone: return them too, under their inputs")
    else:
        words = "Return two things: the list of results, and a dictionary of errors"
        yield Line(False, words)


def _why_none(tried: Attempt, bad: list[Exception]) -> str:
    """Return why there are no results, where the errors of bad inputs may come out."""
    first, *others = (_are_same(tried.error, each) for each in bad)
    if tried.stopped or not (first or any(others)):
        return tried.failure
    if first:
        return "The error of one bad input came out, and all results are lost"
    kind = type(tried.error).__name__
    return f"A {kind} came out: an error of any kind belongs under its input"


def _are_same(one: Any, other: Exception) -> bool:
    """Return whether they are the same error; from a worker comes a copy."""
    return type(one) is type(other) and str(one) == str(other)


def _fault_in_results(results: list[Any], good: list[int]) -> str:
    """Return what is wrong with the list of results; empty if nothing is."""
    if results == good:
        return ""
    if [each for each in results if isinstance(each, int)] == good:
        return "Something stands in the list for a bad input: leave it out"
    if results == good[: len(results)]:
        return "What comes after the first error is lost: not computed, or not kept"
    return judged_results(results, good).sentence


def _fault_in_errors(errors: dict[Any, Any], bad: dict[Any, Exception]) -> str:
    """Return what is wrong with the dictionary of errors; empty if nothing is."""
    if not errors:
        return "The errors are gone: nobody can know which inputs were bad"
    if not errors.keys() & bad.keys():
        return "The errors stand under something else: put each under its input"
    if bad.keys() - errors.keys():
        return "A bad input has no error in the dictionary"
    if errors.keys() - bad.keys():
        return "An input that is good stands among the errors"
    if not all(isinstance(each, BaseException) for each in errors.values()):
        return "Keep the error itself: what stands under a bad input is none"
    if not all(_are_same(errors[item], bad[item]) for item in bad):
        return "An error is not the one that work raised for that input"
    return ""


def _press_stop(work: Probe, pools: list[Started]) -> Steering:
    """Interrupt the answer while it waits for its tasks, and hands none in.

    The gate stays shut until nobody waits for a turn: all were cancelled, or handed
    over to a worker. If some go on waiting, they have their turn after all.
    """

    def nobody_waits() -> bool:
        futures = [future for started in pools for future in started.futures]
        return bool(futures) and all(map(_has_begun, futures))

    yield from meeting(work, pools)
    yield from soon(_rests(work, pools))
    if work.caller:
        _interrupt(work.caller[1])
    yield from soon(nobody_waits)
    work.release()


def _has_begun(future: Future) -> bool:
    return future.running() or future.done()


def _interrupt(thread: int) -> None:
    """Raise KeyboardInterrupt in a thread, and wake it if it waits for a condition."""
    raise_in(thread, KeyboardInterrupt)
    frame = sys._current_frames().get(thread)
    while frame:
        if frame.f_code is Condition.wait.__code__:
            condition = frame.f_locals["self"]
            with condition:
                condition.notify_all()
        frame = frame.f_back


def _rests(work: Probe, pools: list[Started]) -> Callable[[], bool]:
    """Return what tells whether the answer has been at one and the same place."""
    place, since = None, perf_counter()

    def rests() -> bool:
        nonlocal place, since
        frame = sys._current_frames().get(work.caller[1]) if work.caller else None
        handed_in = sum(len(started.futures) for started in pools)
        now = id(frame), frame and frame.f_lasti, handed_in
        if now != place or _hands_in(frame):
            place, since = now, perf_counter()
        return perf_counter() - since > AT_REST

    return rests


def _hands_in(frame: FrameType | None) -> bool:
    """Return whether a thread hands a task in: that takes long on a busy machine."""
    while frame:
        if frame.f_code.co_name in ("submit", "start"):
            return True
        frame = frame.f_back
    return False


def _judged_stop(tried: Attempt, items: list[Any]) -> Line:
    if tried.stopped:
        return Line(False, tried.stopped)
    if isinstance(tried.error, KeyboardInterrupt):
        # A pool of processes has handed over a task for each worker, and one more.
        begun = 1 + 2 * max((started.size for started in tried.pools), default=0)
        if len(tried.calls[0]) == len(items) > begun:
            words = "After Stop, all that waited was run: cancel it in a `finally`"
            return Line(False, words)
        return Line(True, "Stop ends your function")
    rest = _rest(tried.results)
    if rest and any(isinstance(each, KeyboardInterrupt) for each in rest[1].values()):
        words = "took it for the error of an input: `except Exception` lets it out"
    else:
        words = "did not end: `except Exception` lets it out"
    return Line(False, f"Stop was pressed, and your function {words}")


class Stoppable(Probe):
    """Work that looks at an event: a quick one has ended by then, others go on.

    These are noted here, and in no folder: an event is for the threads of one process.

    Args:
        quick: the inputs whose work ends by itself, after the `pause`; None: all.
        others: as those of a probe.

    Attributes:
        told: when an event was seen that was set, by `perf_counter`; 0: never.
        values: what was returned, for each input whose work had begun in time.
        late: the inputs whose turn came when their event had been set.
        running: how many still ran when the answer had returned.
        cancelled: whether a task was.
        busy: how much CPU time the answer's thread has used, in seconds.
    """

    # How much of its result a task has that is told to stop.
    PART = 2
    told = busy = 0.0
    running, cancelled = 0, False

    def __init__(
        self, *others: Any, quick: Sequence[str] | None = None, **named: Any
    ) -> None:
        super().__init__(*others, **named)
        self.quick = quick

    def __call__(self, item: str, stop: Any) -> Any:
        start, late = perf_counter(), stop.is_set()
        self._events.append(stop)
        self._inside[worker()] = item
        failed = True
        try:
            if item_of(item) == self.fails:
                raise ValueError(self.FAILED)
            whole = not late and self._goes_on(item, stop)
            value = self.function(item)[: None if whole else self.PART]
            failed = False
        finally:
            del self._inside[worker()]
            span = Span(0, *worker(), start, perf_counter(), 0.0)
            self._noted.append(Call(item_of(item), span, 0, failed))
        if late:
            self.late.add(item)
        else:
            self.values[item] = value
        return value

    def __reduce__(self) -> str:
        raise TypeError("an event is for the threads of one process: use threads")

    def _goes_on(self, item: str, stop: Any) -> bool:
        """Work; return whether that came to its end."""
        if worker() == self.caller:
            return True
        if self.quick is None or item in self.quick:
            return not stop.wait(self.pause)
        while not (self._open or stop.is_set()):
            sleep(0.003)
        if self._to_the_end:
            return True
        self.told = self.told or perf_counter()
        while not (self._open or self._may_end):
            sleep(0.003)
        return False

    def begin(self, folder: str | Path) -> None:
        self._noted: list[Call] = []
        self._inside: dict[tuple[int, int], str] = {}
        self._open = self._may_end = self._to_the_end = False
        self.values: dict[str, Any] = {}
        self.told = 0.0
        self.late: set[str] = set()
        self._events: list[Any] = []

    def waiting(self) -> list[tuple[int, str]]:
        inside = list(self._inside.items())
        return [(pid, item_of(item)) for (pid, _), item in inside]

    def release(self, item: str | None = None) -> None:
        """Let all end: they come to their end, if nobody has told them to stop.

        So does whoever waits for an event that nobody sets.
        """
        self._to_the_end = not any(each.is_set() for each in self._events)
        self._open = True
        for each in self._events:
            each.set()

    def let_end(self) -> None:
        """Let those end that have been told to."""
        self._may_end = True

    def calls(self) -> list[Call]:
        return sorted(self._noted, key=lambda call: call.span.start)


class StopInTime(Exercise):
    name, lesson = "stop_in_time", "10"
    takes = ("run_for",)
    hints = (
        "A thread can't be ended. What could each task be told, and who tells it?",
        "When the time is up, stop.set() tells those that run. Those that wait for "
        "their turn: pool.shutdown(wait=False, cancel_futures=True).",
        "A future that was cancelled is done, and result() raises CancelledError: ask "
        "those only that are not cancelled(). And ask them after the `with`.",
    )
    moral = "who ran was told, who waited was cancelled, and all that was done is here."
    SECONDS, AMPLE = 0.4, 2.0
    QUICK, ITEMS = 4, 12
    # Who waits asleep needs next to no CPU time; who asks again and again, all he gets.
    ASLEEP = 0.1

    def judge(self, answer: Answer) -> Iterator[Line]:
        items = random.sample([*WORDS, *(word[::-1] for word in WORDS)], self.ITEMS)
        work = Stoppable(str.upper, quick=items[: self.QUICK])
        tried = self._tried(answer, work, items, self.SECONDS)
        (calls,) = tried.calls
        fault = _fault_in_time(tried, work)
        yield Line(not fault, fault or "All that was done came back")
        if len(calls) > len({call.item for call in calls}):
            yield Line(False, "Some tasks were run more than once")
        if calls:
            yield judged_meeting(tried, calls, 2)
        if together(calls) > 1 and not tried.stopped:
            yield self._judged_end(tried, work)
            if work.busy > self.ASLEEP * tried.wall:
                words = "Your function asked again and again while it waited: let it "
                yield Line(False, f"{words}sleep, as `wait` does")
        if tried.failure:
            yield from judged_closing(tried)
            return
        ample = Stoppable(str.upper, fails=items[-1])
        failed = self._tried(answer, ample, items, self.AMPLE)
        if failed.wall > self.AMPLE * 0.9:
            yield Line(False, "All was done early, and your function waited on")
        yield from judged_closing(tried, failed)
        yield judged_error(failed)

    def _tried(
        self, answer: Answer, work: Stoppable, items: list[str], seconds: float
    ) -> Attempt:
        """Return an attempt; note what still ran at its end, and how busy it was."""

        @wraps(answer)
        def timed(*arguments: Any) -> Any:
            before = thread_time()
            try:
                return answer(*arguments)
            finally:
                work.busy = thread_time() - before
                work.running = len(work.waiting())

        tried = attempt(timed, work, items, seconds, steer=self._steer)
        until = perf_counter() + PATIENCE
        while work.waiting() and perf_counter() < until:  # for those nobody waits for
            sleep(0.003)
        tried.calls = [work.calls()]
        return tried

    def _steer(self, work: Any, pools: list[Started]) -> Steering:
        """Let those that were told end when nobody else can begin; or let all end."""

        def nobody_waits() -> bool:
            futures = [future for started in pools for future in started.futures]
            work.cancelled = any(future.cancelled() for future in futures)
            return all(future.running() or future.done() for future in futures)

        patience = perf_counter() + self.SECONDS + 1.5 * attempts.SOON
        while not work.told and perf_counter() < patience:
            yield
        nobody_waits()
        if work.told:
            yield from soon(nobody_waits)
            # Whoever doesn't wait for them returns meanwhile.
            moment = perf_counter() + 0.1
            while perf_counter() < moment:
                yield
            work.let_end()
        else:
            work.release()

    def _judged_end(self, tried: Attempt, work: Stoppable) -> Line:
        if not work.told:
            words = _why_untold(work)
        elif work.told - tried.began < self.SECONDS / 2:
            words = "The event was set long before the time was up"
        elif work.running:
            words = "Tasks still ran when your function had returned: wait for them"
        elif work.late:
            words = "Tasks began when the time was up: cancel those that wait"
        else:
            words = "When the time was up, who ran was told, and nobody else began"
            return Line(True, words)
        return Line(False, words)

    def try_out(self, answer: Answer) -> Attempt:
        items = [f"{word}-{number}" for number, word in enumerate(WORDS + WORDS[:4])]
        work = Stoppable(str.upper, pause=0.2)
        tried = attempt(answer, work, items, 0.5, steer=_never)
        if isinstance(tried.results, dict):
            say(f"{len(tried.results)} of {len(items)} inputs came back")
        return tried


def _why_untold(work: Stoppable) -> str:
    if work.running:
        return "Tasks went on when your function had returned: nobody told them"
    if work.cancelled:
        return "Who waited was cancelled, but nobody told those who ran to stop"
    return "The time was up, and all went on to their end: nobody told them"


def _never(work: Probe, pools: list[Started]) -> Steering:
    """Tell nobody to stop."""
    yield


def _fault_in_time(tried: Attempt, work: Stoppable) -> str:
    """Return what is wrong with what came back in time; empty if nothing is."""
    if isinstance(tried.error, CancelledError):
        return "A task that was cancelled has no result: leave it out"
    if isinstance(tried.error, TimeoutError):
        return "TimeoutError came out, and all that was done is lost"
    if tried.failure:
        return tried.failure
    found = tried.results
    if found is None:
        return "Your function returned nothing"
    if not isinstance(found, dict):
        return f"Your function returned no dictionary but {type(found).__name__}"
    if any(value is None for value in found.values()):
        return "There is a None for an input that was not done: leave it out"
    lost = [item for item in work.values if item not in found]
    if any(len(work.values[item]) > work.PART for item in lost):
        return "What was done in time is lost"
    if lost:
        return "What a task had when it was told is lost: its part counts too"
    if any(found[item] != value for item, value in work.values.items()):
        return "The results are not those of the tasks"
    if len(found) > len(work.values) + len(work.late):
        return "There are results of tasks that never ran"
    return ""


class Record(NamedTuple):
    """A record that came to a handler.

    Attributes:
        here: in which process it did.
        process, name: of which process it told.
        message: what it said.
    """

    here: int
    process: int
    name: str
    message: str


class Kept(logging.Handler):
    """Writes what comes into a file, in whichever process it comes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        of_whom = os.getpid(), record.process, record.processName
        with self.path.open("a") as file:
            file.write(f"{(*of_whom, record.getMessage())!a}\n")

    def records(self) -> list[Record]:
        """Return what has come so far."""
        text = self.path.read_text() if self.path.exists() else ""
        # A worker may have been ended while it wrote the last line.
        return [Record(*literal_eval(line)) for line in text.split("\n")[:-1]]


class Listening:
    """Sees when an answer's listeners start and stop, and ends those that go on.

    Attributes:
        pools: those of the answer.
        early: whether one was stopped while a pool was open.
        left: whether one still ran when the answer had returned.
        records: what had come by then.
    """

    def __init__(self) -> None:
        self.pools: list[Started] = []
        self.early = self.left = False
        self.records: list[Record] = []
        self._running: list[QueueListener] = []

    def steer(self, work: Probe, pools: list[Started]) -> Steering:
        self.pools = pools
        yield from meeting(work, pools)
        work.release()

    def note(self, records: list[Record]) -> None:
        """Note what there is when the answer has returned."""
        self.left, self.records = bool(self._running), records

    @contextmanager
    def on(self) -> Iterator[None]:
        """See them as long as the `with` lasts, and put the logging back after it."""
        start, stop = QueueListener.start, QueueListener.stop

        def started(listener: QueueListener) -> None:
            start(listener)
            self._running.append(listener)

        def stopped(listener: QueueListener) -> None:
            self.early |= any(each.is_open for each in self.pools)
            stop(listener)
            if listener in self._running:
                self._running.remove(listener)

        root = logging.getLogger()
        with ExitStack() as stack:
            stack.callback(root.setLevel, root.level)
            for owner, name, instead in (
                (QueueListener, "start", started),
                (QueueListener, "stop", stopped),
                (root, "handlers", root.handlers[:]),
                # Of what has no handler the verdict tells.
                (logging, "lastResort", logging.NullHandler()),
            ):
                stack.enter_context(patch.object(owner, name, instead))
            try:
                yield
            finally:
                for listener in self._running:
                    ending = Thread(target=stop, args=(listener,), daemon=True)
                    ending.start()
                    ending.join(PATIENCE)


class GetTheLog(Exercise):
    name, lesson = "get_the_log", "10"
    takes = ("run_all",)
    hints = (
        "Each worker must call begin(queue) before its first task. Which arguments of "
        "ProcessPoolExecutor see to that?",
        "initializer=begin, initargs=(queue,). And nothing comes out of the queue "
        "before listener.start().",
        "A worker sends its last records when it ends. So call listener.stop() after "
        "the `with`, and in a `finally`, as a task may raise an error.",
    )
    moral = "each record came once, and said which worker it is from."

    def judge(self, answer: Answer) -> Iterator[Line]:
        try:
            yield from self._judged(answer)
        finally:
            gc.collect()  # the thread of a queue ends with it; an error may keep both

    def _judged(self, answer: Answer) -> Iterator[Line]:
        items = [*random.sample(WORDS, 6)]
        tried, listening = self._tried(answer, Probe(told, meet=2), items)
        if tried.failure:
            yield Line(False, _unsent(tried))
            yield from judged_closing(tried)
            return
        (calls,) = tried.calls
        yield judged_results(tried.results, [item.upper() for item in items])
        wrong = [*judged_calls(calls, items)]
        yield from wrong
        if calls:
            yield judged_meeting(tried, calls, 2)
        yield from judged_processes(tried, calls)
        with _fresh_workers():
            fails = Probe(told, fails=items[-1])
            failed, later = self._tried(answer, fails, items)
        yield from _judged_log(tried, listening, failed, later)
        yield from judged_closing(tried, failed)
        if not wrong and (failed_on_purpose(failed.error) or not failed.error):
            yield judged_error(failed)

    def _tried(
        self, answer: Answer, work: Probe, items: list[str]
    ) -> tuple[Attempt, Listening]:
        listening = Listening()
        with TemporaryDirectory(dir=scratch_folder()) as folder, listening.on():
            kept = Kept(Path(folder, "records"))

            @wraps(answer)
            def noted(*arguments: Any) -> Any:
                try:
                    return answer(*arguments)
                finally:
                    listening.note(kept.records())

            tried = attempt(noted, work, items, kept, steer=listening.steer)
        return tried, listening

    def try_out(self, answer: Answer) -> Attempt:
        tried, listening = self._tried(answer, Probe(told, pause=0.05), [*WORDS])
        came = [each for each in listening.records if each.here == os.getpid()]
        lines = [f"{each.name}: {each.message}" for each in came]
        say(*(lines or ["No record came to the handler"]))
        return tried


@contextmanager
def _fresh_workers() -> Iterator[None]:
    """Let processes that start without a word on how start fresh."""
    before = multiprocessing.get_start_method(allow_none=True)
    fresh = [each for each in start_methods() if each != "fork"]
    multiprocessing.set_start_method(
        "forkserver" if "forkserver" in fresh else fresh[0], force=True
    )
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def _unsent(tried: Attempt) -> str:
    """Return why there are no results; a lock is a part of handlers and queues."""
    if isinstance(tried.error, TypeError) and "lock" in str(tried.error).lower():
        words = "can't be sent to a worker: send it a queue of `multiprocessing`"
        return f"A handler, or a queue for threads, {words}"
    return tried.failure


def _judged_log(
    tried: Attempt, listening: Listening, failed: Attempt, later: Listening
) -> Iterator[Line]:
    """Judge the records of both attempts, and say what is wrong with one of them."""
    fault = _fault_in_log(tried, listening)
    if fault:
        yield Line(False, fault)
        return
    if failed.failure and not failed_on_purpose(failed.error):
        yield Line(False, f"Where workers start fresh: {_unsent(failed)}")
    elif failed.left:
        return  # of a pool that was left open the verdict tells
    elif later.left:
        words = "After an error the listener was left running: stop it in a `finally`"
        yield Line(False, words)
    elif fault := _fault_in_log(failed, later):
        yield Line(False, f"Where workers start fresh: {fault}")
    else:
        words = "Each record came to your handler once, with its worker's name"
        yield Line(True, words)


def _fault_in_log(tried: Attempt, listening: Listening) -> str:
    """Return what is wrong with the records that came; empty if nothing is."""
    if listening.left:
        return "The listener was left running: stop() waits for the last record"
    if listening.early:
        words = "what a worker sends at its end is lost"
        return f"The listener was stopped while the pool was open: {words}"
    (calls,) = tried.calls
    sent = Counter(call.item for call in calls if not call.failed)
    here = [each for each in listening.records if each.here == os.getpid()]
    if not here and listening.records:
        return "Your handler wrote in a forked worker's copy of the notebook, not here"
    if not here:
        return "No record came to your handler: nothing leads there from a worker"
    pids = {call.span.pid for call in calls}
    telling = [each for each in here if any(_tells(each, item) for item in sent)]
    if any(each.process not in pids for each in telling):
        return "A record doesn't say which worker it is from: it was made anew"
    came, ours = (
        Counter(item for each in records for item in sent if _tells(each, item))
        for records in (listening.records, here)
    )
    if came - sent:
        return "A record came more than once: it has two ways to your handler"
    if missing := (sent - ours).total():
        return f"{missing} of {sent.total()} records were lost"
    return ""


def _tells(record: Record, item: str) -> bool:
    """Return whether a record is of that input; a handler may have added to it."""
    return literal_eval(item)[0] in record.message


keep_the_rest = KeepTheRest()
stop_in_time = StopInTime()
get_the_log = GetTheLog()
