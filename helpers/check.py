"""An answer to an exercise, run while its workers are watched, and judged.

It is judged by its results and by who worked beside whom, never by the time it took.
"""

import ctypes
import inspect
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from time import perf_counter
from types import FrameType
from typing import Any, NamedTuple

import joblib

from helpers.figures import timeline
from helpers.machine import gil_enabled
from helpers.probe import Call, Probe, item_of, worker
from helpers.runs import Run
from helpers.travel import name_of
from helpers.workers import begin_quietly

# An answer that takes longer is stopped, in seconds.
LIMIT = 30.0
# How long a call waits in vain for another: where all workers are there, and where
# some processes may still be starting.
SOON, LATE = 1.0, 10.0


class Line(NamedTuple):
    """One sentence of a verdict, and whether the answer is right so far."""

    right: bool
    sentence: str


@dataclass
class Started:
    """A pool that an answer started, or a call of joblib's `Parallel`.

    Attributes:
        pool: what was started.
        size: how many workers it has.
        method: how its processes start; None if they are threads, or joblib's own.
        waited: whether each task was handed in after the one before it had ended.
        futures: of the tasks that were handed in one by one.
        workers: of a `multiprocessing.Pool`, those that it began with.
    """

    pool: Executor | Pool | joblib.Parallel
    size: int
    method: str | None = None
    waited: bool = False
    futures: list[Future] = field(default_factory=list)
    workers: list[Any] = field(default_factory=list)

    # Pools have no public name for what follows: whether they are closed, how many
    # workers they have, and who these are.

    @property
    def is_open(self) -> bool:
        if isinstance(self.pool, Pool):
            return self.pool._state == "RUN"
        return not (
            isinstance(self.pool, joblib.Parallel)
            or getattr(self.pool, "_shutdown", False)
            or getattr(self.pool, "_shutdown_thread", False)
        )

    @property
    def lost_a_worker(self) -> bool:
        """Whether a worker of a `multiprocessing.Pool` died: it then waits for ever."""
        return self.is_open and any(worker.exitcode for worker in self.workers)

    @property
    def expected(self) -> int:
        """How many of its workers should have a task by now."""
        if isinstance(self.pool, Executor):
            handed_in = sum(not future.done() for future in self.futures)
        elif isinstance(self.pool, joblib.Parallel):
            sent = getattr(self.pool, "n_dispatched_tasks", 0)
            handed_in = sent - getattr(self.pool, "n_completed_tasks", 0)
        else:
            handed_in = 1 if self.waited else self.size
        return min(self.size, handed_in)

    def note(self, future: Future) -> None:
        after_the_last = bool(self.futures) and self.futures[-1].done()
        self.waited = after_the_last and (self.waited or len(self.futures) == 1)
        self.futures.append(future)

    def end(self) -> None:
        """End its workers, whatever they do, and whoever waits for them."""
        if isinstance(self.pool, Executor):
            processes = list((getattr(self.pool, "_processes", None) or {}).values())
            for process in processes:
                process.terminate()
            self.pool.shutdown(wait=False, cancel_futures=True)
            patience = perf_counter() + 1
            for each in processes or getattr(self.pool, "_threads", ()):
                each.join(max(0.0, patience - perf_counter()))
        elif isinstance(self.pool, Pool):
            # terminate() waits for a lock that a dead worker may have held.
            ending = threading.Thread(target=self.pool.terminate, daemon=True)
            ending.start()
            ending.join(0.5)
            for process in {*self.workers, *self.pool._pool}:
                if process.is_alive() and not isinstance(self.pool, ThreadPool):
                    process.kill()
                    process.join(1)
            for job in list(self.pool._cache.values()):
                job._number_left = 1
                job._set(getattr(job, "_index", 0), (False, TimeoutError()))


@dataclass
class Attempt:
    """What one run of an answer came to.

    Attributes:
        name: the function's.
        results: what it returned, an iterator read to its end.
        error: what it raised.
        stopped: why it was stopped, if it was.
        calls: of each watched function, in order.
        pools: all that it started.
        left_open: whether it left a pool open, or processes running.
        caller: the process and the thread that called the answer.
        began, wall: when it began, and how long it took, in seconds.
    """

    name: str
    results: Any = None
    error: BaseException | None = None
    stopped: str = ""
    calls: list[list[Call]] = field(default_factory=list)
    pools: list[Started] = field(default_factory=list)
    left_open: bool = False
    caller: tuple[int, int] = (0, 0)
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
        if any(word in repr(self.error) for word in ("pickle", "local object")):
            return (
                "Something could not be sent to a worker: it has no name that a "
                "worker could import"
            )
        if self.error is not None:
            words = next(iter(str(self.error).splitlines()), "")
            return f"Your function raised {type(self.error).__name__}: {words}"
        return ""

    def was_elsewhere(self, call: Call) -> bool:
        """Whether another process ran it, or at least another interpreter."""
        return call.span.pid != self.caller[0] or call.trip > 0

    def run(self) -> Run:
        """Return what its workers did, as a run to draw."""
        spans = tuple(call.span for calls in self.calls for call in calls)
        workers = {span.worker for span in spans}
        if any(isinstance(started.pool, joblib.Parallel) for started in self.pools):
            strategy = "joblib"
        elif any(pid != self.caller[0] for pid, _ in workers):
            strategy = "processes"
        else:
            strategy = "serial" if workers == {self.caller} else "threads"
        return Run(self.name, strategy, len(workers), 0.0, self.began, self.wall, spans)


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
        steer: opens the gate of one of them: a generator that is advanced every few
            milliseconds. By default the gate opens when the calls have met, or when
            it is clear that they will not.
    """
    tried = Attempt(name_of(answer))
    watched = [each for each in arguments if isinstance(each, Probe)]

    def call() -> None:
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
        tried.wall = perf_counter() - tried.began

    before = set(multiprocessing.active_children())
    caller = threading.Thread(target=call, daemon=True)
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        _watched_pools() as tried.pools,
    ):
        for number, each in enumerate(watched):
            each.begin(Path(folder, str(number)))
        steps = [(steer or _meet)(each, tried.pools) for each in watched]
        caller.start()
        try:
            tried.stopped = _until_done(caller, steps, tried.pools)
        finally:
            for each in watched:
                each.release()
            tried.left_open = any(started.is_open for started in tried.pools)
            _end(caller, tried.pools)
            tried.left_open |= _ended(set(multiprocessing.active_children()) - before)
        tried.calls = [each.calls() for each in watched]
    return tried


def _until_done(
    caller: threading.Thread, steps: list[Steering], pools: list[Started]
) -> str:
    """Wait for the answer; return why it has to be stopped, if so."""
    patience = perf_counter() + LIMIT
    while caller.is_alive():
        caller.join(0.01)
        for step in steps:
            next(step, None)
        if any(started.lost_a_worker for started in pools):
            return (
                "No answer, for ever: the workers ended, as they do when they can't "
                "find what they were sent"
            )
        if perf_counter() > patience:
            return f"Your function had not returned after {LIMIT:g} seconds"
    return ""


def _end(caller: threading.Thread, pools: list[Started]) -> None:
    stuck = caller.is_alive()
    for started in pools:
        if stuck or started.is_open:
            started.end()
    if stuck:
        stop = ctypes.py_object(SystemExit)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller.ident), stop)
        caller.join(0.5)


def _ended(processes: Iterable[Any]) -> bool:
    """End the processes, all but those that joblib keeps; return if any still ran."""
    alive = False
    for each in processes:
        if type(each).__module__.startswith("joblib"):
            continue
        each.join(1)
        alive |= each.is_alive()
        each.kill()
        each.join(1)
    return alive


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


def _meet(watched: Probe, pools: list[Started]) -> Steering:
    yield from meeting(watched, pools)
    watched.release()


def _has_threads(pool: Any) -> bool:
    return isinstance(pool, ThreadPoolExecutor | ThreadPool)


@contextmanager
def _watched_pools() -> Iterator[list[Started]]:
    """Yield a list to which every pool is added that is started meanwhile."""
    pools: list[Started] = []
    known: dict[int, Started] = {}

    def start(original: Callable, pool: Any, *args: Any, **options: Any) -> None:
        if _within_joblib(inspect.currentframe()):
            return original(pool, *args, **options)
        bound = inspect.signature(original).bind(pool, *args, **options)
        given, method = bound.arguments, None
        if not _has_threads(pool):
            context = given.get("mp_context") or given.get("context") or multiprocessing
            method = context.get_start_method()
            if given.get("initializer") is None:
                given["initializer"] = begin_quietly
        original(*bound.args, **bound.kwargs)
        if isinstance(pool, Pool):
            started = Started(pool, pool._processes, method, workers=[*pool._pool])
        else:
            started = Started(pool, pool._max_workers, method)
        known[id(pool)] = started
        pools.append(started)

    def submit(original: Callable, pool: Any, *args: Any, **options: Any) -> Future:
        future = original(pool, *args, **options)
        if id(pool) in known:
            known[id(pool)].note(future)
        return future

    def apply(original: Callable, pool: Any, *args: Any, **options: Any) -> Any:
        if id(pool) in known:
            known[id(pool)].waited = True
        return original(pool, *args, **options)

    def parallel(original: Callable, call: Any, *args: Any, **options: Any) -> Any:
        pools.append(Started(call, joblib.effective_n_jobs(call.n_jobs)))
        return original(call, *args, **options)

    with ExitStack() as stack:
        for owner, name, instead in (
            (ThreadPoolExecutor, "__init__", start),
            (ProcessPoolExecutor, "__init__", start),
            (Pool, "__init__", start),
            (ThreadPoolExecutor, "submit", submit),
            (ProcessPoolExecutor, "submit", submit),
            (Pool, "apply", apply),
            (joblib.Parallel, "__call__", parallel),
        ):
            stack.enter_context(_replaced(owner, name, instead))
        yield pools


@contextmanager
def _replaced(owner: type, name: str, instead: Callable) -> Iterator[None]:
    original = vars(owner)[name]

    @wraps(original)
    def method(*args: Any, **options: Any) -> Any:
        return instead(original, *args, **options)

    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _within_joblib(frame: FrameType | None) -> bool:
    """Return whether joblib itself starts this pool: its calls are noted instead."""
    while frame:
        if frame.f_globals.get("__name__", "").startswith("joblib."):
            return True
        frame = frame.f_back
    return False


# The verdict.


def judged_results(results: Any, expected: Any) -> Line:
    """Judge what an answer returned: a list in the order of the inputs, or a total."""
    if results is None:
        return Line(False, "Your function returned nothing")
    if not isinstance(expected, list):
        if results == expected:
            return Line(True, "The total is right")
        small = isinstance(results, int | float) and 0 < results < expected
        lost = "The total is too small: additions got lost"
        return Line(False, lost if small else "The total is not that of the loop")
    if not isinstance(results, list | tuple):
        kind = type(results).__name__
        return Line(False, f"Your function returned no list but {kind}")
    if list(results) == expected:
        return Line(True, "The results are right, and in order")
    if Counter(map(repr, results)) == Counter(map(repr, expected)):
        return Line(False, "Right results in the wrong order")
    return Line(False, "The results are not those of the loop")


def judged_calls(calls: Sequence[Call], items: Sequence[Any]) -> Iterator[Line]:
    """Say so if the tasks were not run, or more often than once."""
    ran = Counter(call.item for call in calls)
    wanted = Counter(map(item_of, items))
    if wanted - ran:
        yield Line(
            False, "Some tasks were never run: the results did not come from them"
        )
    elif ran - wanted:
        yield Line(False, "Some tasks were run more than once")


def judged_meeting(
    tried: Attempt, calls: Sequence[Call], meet: int, tasks: str = "tasks"
) -> Line:
    """Judge whether as many calls ran at the same time as should meet."""
    if together(calls) >= meet:
        share = "All" if meet == len(calls) else "Several"
        return Line(True, f"{share} {tasks} ran at the same time")
    return Line(False, _why_apart(tried, calls, tasks))


def _why_apart(tried: Attempt, calls: Sequence[Call], tasks: str) -> str:
    workers = {call.span.worker for call in calls}
    here = workers == {tried.caller}
    in_turn = f"The {tasks} ran one after the other"
    if here and not tried.pools:
        return f"{in_turn}, in the notebook's own thread: there was no pool"
    if not tried.pools:
        return f"{in_turn}: start all the workers before you wait for one"
    if len(tried.pools) >= len(calls) > 1:
        return "A new pool for each item: start one, before the loop"
    if all(started.size == 1 for started in tried.pools):
        return "A pool of one worker: nothing can run beside it"
    if tried.caller in workers and not any(map(tried.was_elsewhere, calls)):
        return f"{in_turn}, in the notebook itself: no worker did any"
    if any(started.waited for started in tried.pools):
        return "Each result was waited for before the next task was handed in"
    if together(calls) > 1:
        return (
            f"Only some of the {tasks} ran at the same time: there were fewer workers "
            f"than {tasks}"
        )
    if len(workers) == 1:
        return f"One worker did all the {tasks}, and the others none"
    return f"{in_turn}: something held the other workers back, a lock perhaps"


def together(calls: Iterable[Call]) -> int:
    """Return how many calls at most ran at the same time."""
    spans = [call.span for call in calls]
    edges = sorted([(s.start, 1) for s in spans] + [(s.end, -1) for s in spans])
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


def judged_processes(tried: Attempt, calls: Sequence[Call]) -> Iterator[Line]:
    """Judge whether tasks that compute had processes, where a GIL makes them differ."""
    workers = {call.span.worker for call in calls}
    if not gil_enabled() or tried.caller in workers:
        return
    if all(map(tried.was_elsewhere, calls)):
        yield Line(True, "Processes did the work")
    else:
        words = "Threads did the work, in turns: it computes, so use processes"
        yield Line(False, words)


def judged_closing(*attempts: Attempt) -> Iterator[Line]:
    """Judge whether every pool was closed, also after an error."""
    if any(tried.stopped for tried in attempts):
        return
    if any(tried.left_open for tried in attempts):
        yield Line(False, "The pool was left open: use `with`")
    elif any(
        not isinstance(started.pool, joblib.Parallel)
        for tried in attempts
        for started in tried.pools
    ):
        yield Line(True, "The pool was closed")


def judged_error(tried: Attempt) -> Line:
    """Judge whether the error that a task raised came out."""
    if tried.stopped:
        return Line(False, "One task raised an error, and your function never returned")
    error = tried.error
    while error is not None:
        if Probe.FAILED in str(error):
            return Line(True, "An error in a task comes out of your function")
        error = error.__cause__ or error.__context__
    return Line(False, "One task raised an error, and your function hid it")


class Exercise:
    """An exercise: `show` draws an answer's run, `check` judges it, `hint` helps.

    Attributes:
        name: the variable that a notebook imports.
        lesson: the number of its lesson: "01".
        hints: from the first nudge to nearly the answer.
        moral: what a right answer has shown.
        stub, solution: the bodies of these functions are what a notebook shows; a
            comment that begins with %% stands for a cell magic.
    """

    name: str
    lesson: str
    hints: tuple[str, ...]
    moral: str
    stub: Callable[[], Any]
    solution: Callable[[], Any]

    def __init__(self) -> None:
        self._hints_given = 0

    def hint(self) -> None:
        """Print one more hint; after the last, begin again."""
        number = self._hints_given % len(self.hints)
        self._hints_given += 1
        print(f"Hint {number + 1} of {len(self.hints)}: {self.hints[number]}")

    def check(self, *answer: Any, **more: Any) -> None:
        """Print what is right so far, ✓, and what is not yet, ○."""
        lines = list(self.judge(*answer, **more))
        for line in lines:
            print("✓" if line.right else "○", line.sentence)
        if all(line.right for line in lines):
            print(f"All right: {self.moral}")
        else:
            print(f"For a hint: {self.name}.hint()")

    def show(self, *answer: Any) -> None:
        """Draw the answer's own run, right or wrong."""
        tried = self.try_out(*answer)
        if tried.failure:
            print(tried.failure)
        if any(tried.calls):
            timeline(tried.run())
        else:
            print("No task has run: there is nothing to draw")

    def judge(self, *answer: Any, **more: Any) -> Iterator[Line]:
        """Yield the lines of the verdict."""
        raise NotImplementedError

    def try_out(self, *answer: Any) -> Attempt:
        """Return an attempt with inputs that are good to look at."""
        raise NotImplementedError


def cell(source: Callable[[], Any]) -> str:
    """Return the text of a notebook's cell: the body of the function source."""
    lines = inspect.getsource(source).splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if line.endswith(":\n"))
    return dedent("".join(lines[start + 1 :])).replace("# %%", "%%").strip()
