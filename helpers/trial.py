"""A loop on trial: what its function does, and how long each way takes for a few tasks.

`helpers.advice` says what follows from it.
"""

import inspect
import math
import pickle
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from statistics import fmean, stdev
from time import perf_counter, process_time, thread_time
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from helpers.machine import cores, start_method, start_methods
from helpers.measure import growth, race, run
from helpers.runs import Run, best_of
from helpers.said import say
from helpers.strategies import is_async
from helpers.travel import name_of

# So many inputs are tried one by one at most, in this share of the budget; and each way
# gets so many tasks, for a first look.
ONE_BY_ONE, FIRST, FEW = 200, 0.15, 100
# As many threads as ThreadPoolExecutor starts at most, if nobody says how many (its
# documentation): a server has to bear them.
MOST_WAITING = 32
# A chunk should last so long, in seconds: sending one costs some tenths of a ms.
CHUNK = 0.02
# A task that is shorter than this takes less than noting who did it, in seconds.
TINY = 5e-5
# The race: so many tasks and rounds at most, and not much longer than the loop itself
# takes, but so many seconds in any case.
MOST_TASKS, ROUNDS, LEAST = 20_000, 2, 4.0
# Copies of inputs take no more memory than this, in bytes, as long as that is enough.
MOST_COPIED = 5e8
# A way that takes so many times as long as the best for a few tasks isn't raced.
HOPELESS = 4
# A task that computes for less than this share of its time.
MOSTLY_WAITS = 0.3
# Worker processes start in so many seconds at best; a shorter loop is over by then.
START = 0.2
# Of the free memory, what workers may fill.
FILLED = 0.8


@dataclass(frozen=True)
class Found:
    """What was found out about a loop.

    Attributes:
        tasks: how many inputs it has.
        tried: how many of them were tried one by one.
        calls: how often its function was called in all, here or in a worker, at most.
        spent: seconds that the trial took.
        seconds, spread: mean and standard deviation of a task's time.
        computing: the share of a task in which its own thread computes, 0 to 1.
        cores: how many cores the plain loop keeps busy: over 1 with threads inside.
        sent, returned: bytes of an input and of a result, pickled; None: they can't be.
        memory: bytes by which the process grew meanwhile, at most.
        travels: why the function can't be sent to a process that starts in that way,
            by the start method; "" if it can.
        alone: why nothing but the plain loop is right; "" if something is.
    """

    tasks: int
    tried: int = 0
    calls: int = 0
    spent: float = 0.0
    seconds: float = 0.0
    spread: float = 0.0
    computing: float = 1.0
    cores: float = 1.0
    sent: int | None = None
    returned: int | None = None
    memory: int = 0
    travels: Mapping[str, str] = field(default_factory=dict)
    alone: str = ""


class Trial:
    """A loop, and what has been found out about it so far.

    Args:
        function: takes one input.
        inputs: all that the loop goes over.
        budget: how long the trial may take, in seconds from now.

    Attributes:
        found: what is known.
        picks, results: which inputs were tried one by one, and what they gave.
        random: whether the results rest on random numbers.
        ways: the ways that give what the loop gives, each with its workers.
        refused: why other ways don't, by their first word.
        tight: why there are no more workers, if memory is the reason.
        runs: the best run of each way over the same inputs, the loop's among them.
        bare: seconds of a task where nobody notes who did it; 0 where that's the same.
    """

    def __init__(
        self, function: Callable[[Any], Any], inputs: list[Any], budget: float
    ) -> None:
        self.function, self.inputs, self.budget = function, inputs, budget
        self.began, self.awaits = perf_counter(), is_async(function)
        self.found = Found(len(inputs))
        self.picks, self.results, self.random = list[int](), list[Any](), False
        self.ways, self.refused = dict[str, int](), dict[str, str]()
        self.runs, self.tight, self.bare = dict[str, Run](), "", 0.0

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - (perf_counter() - self.began)

    def held(self) -> None:
        """Find out what there is to find out, within the budget."""
        with suppress(OutOfTime), time_limit(self.budget):
            self.look()
            if not self.found.alone:
                self.look_again()
            # Else it is over before any worker were there.
            if not self.found.alone and self.loop > 2 * CHUNK:
                race_ways(self, try_ways(self))
        if not self.found.tried and not self.found.alone:
            words = f"one task takes longer than the budget of {self.budget:g} s"
            self.note(alone=words)
        self.note(spent=perf_counter() - self.began)

    @property
    def loop(self) -> float:
        """Seconds that the whole loop would take, by what is known so far."""
        return self.found.seconds * self.found.tasks

    def note(self, **facts: Any) -> None:
        """Note what was found."""
        self.found = replace(self.found, **facts)

    def copies(self, picks: Sequence[int], calls: int = 1) -> list[Any]:
        """Return copies of the inputs at those positions, for so many calls of each.

        What can't be copied is taken as it is.
        """
        self.note(calls=self.found.calls + calls * len(picks))
        found = []
        for item in (self.inputs[pick] for pick in picks):
            with suppress(Exception):
                item = deepcopy(item)
            found.append(item)
        return found

    def look(self) -> None:
        """Call the function on some of the inputs, one by one, and see what it does."""
        if not self.inputs:
            self.note(alone="it has nothing to go over")
            return
        before, clocks = outside(self.function), list[Clocks]()
        with growth() as grown:
            self.call_one_by_one(clocks)
        self.note(tried=len(clocks), memory=max(grown, default=0))
        # The first call may have had to load something.
        self.note(**told_by(clocks[1:] or clocks), **self.cargo())
        after = outside(self.function)
        changed = [name for name, was in before.items() if after.get(name) != was]
        if changed and not self.found.alone:
            self.note(alone=f"it changes {changed[0]!r}, which stands outside of it")

    def cargo(self) -> dict[str, int | None]:
        """Return what an input and a result weigh."""
        inputs = [pickled(self.inputs[pick]) for pick in self.picks[:3]]
        results = [pickled(result) for result in self.results[:3]]
        return {"sent": heaviest(inputs), "returned": heaviest(results)}

    def call_one_by_one(self, clocks: "list[Clocks]") -> None:
        """Add the clocks of one call after the other, while they tell something."""
        for pick in spread(len(self.inputs), ONE_BY_ONE):
            (item,) = self.copies([pick])
            packed = pickled(item)
            try:
                result, clock = called(self.function, item)
            except Exception as error:
                what = next(iter(str(error).splitlines()), "")
                kind = type(error).__name__
                self.note(alone=f"its task {pick} raises {kind}: {what}")
                return
            clocks.append(clock)
            self.picks.append(pick)
            self.results.append(result)
            if packed is not None and packed != pickled(item):
                self.note(alone="it changes its input: a process would change a copy")
                return
            if sum(each[0] for each in clocks) > FIRST * self.budget:
                return

    def look_again(self) -> None:
        """See whether the same inputs give the same results once more."""
        few = int(FIRST / 3 * self.budget / max(1e-9, self.found.seconds))
        picks = self.picks[: max(1, few)]
        dice = random.getstate(), np.random.get_state()
        first = [called(self.function, item)[0] for item in self.copies(picks)]
        if not self.differ(first):
            return
        with rolled(*dice):
            second = [called(self.function, item)[0] for item in self.copies(picks)]
        self.random = all(map(same, first, second))
        if not self.random:
            self.note(alone="the same input gives another result when called again")

    def differ(self, results: Sequence[Any]) -> bool:
        """Return whether results of the first picks differ from those of the loop."""
        if self.random:  # none may come twice, if none did in the loop
            mine, theirs = list(map(pickled, self.results)), list(map(pickled, results))
            return len(set(mine)) == len(mine) and len(set(theirs)) < len(theirs)
        return not all(map(same, results, self.results))


# Of a call: seconds, CPU seconds of its thread, CPU seconds of the process, and seconds
# in which its thread could have run, had another program not had the core.
Clocks = tuple[float, float, float, float]


def called(function: Callable[[Any], Any], item: Any) -> tuple[Any, Clocks]:
    """Call the function once; return its result, and its time by three clocks."""
    if is_async(function):
        made = run(function, [item], "asyncio")
        (span,) = made.spans
        return made.results[0], (span.end - span.start, span.cpu, span.cpu, 0.0)
    queued = seconds_queued()
    all_cpu, cpu, start = process_time(), thread_time(), perf_counter()
    result = function(item)
    seconds = perf_counter() - start
    times = seconds, thread_time() - cpu, process_time() - all_cpu
    return result, (*times, seconds_queued() - queued)


def seconds_queued() -> float:
    """Return for how long this thread has waited for a core; 0 where nobody counts."""
    try:  # Linux: the second number, in ns (its documentation: scheduler statistics)
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, LookupError):
        return 0.0


def told_by(clocks: Sequence[Clocks]) -> dict[str, float]:
    """Return what the clocks of some calls tell of a task."""
    if not clocks:
        return {}
    walls = [wall for wall, *_ in clocks]
    sums = (max(1e-9, sum(each)) for each in zip(*clocks, strict=True))
    wall, cpu, all_cpu, queued = sums
    return {
        "seconds": fmean(walls),
        "spread": stdev(walls) if len(walls) > 1 else 0.0,
        "computing": min(1.0, cpu / max(1e-9, wall - queued)),
        "cores": all_cpu / wall if wall > CHUNK else 1.0,
    }


class OutOfTime(Exception):
    """What ran was interrupted, as its time was up."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt what runs after so many seconds, with OutOfTime.

    Only a main thread can be interrupted; in another one there is no limit.
    """
    main = threading.main_thread()
    if threading.current_thread() is not main:
        yield
        return
    late = threading.Event()

    def interrupt() -> None:
        late.set()
        if sys.platform == "win32":
            signal.raise_signal(signal.SIGINT)
        elif main.ident:
            signal.pthread_kill(main.ident, signal.SIGINT)  # ends a wait, too

    timer = threading.Timer(max(0.01, seconds), interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if late.is_set():
            raise OutOfTime from None
        raise
    finally:
        timer.cancel()
        try:
            timer.join()
        except KeyboardInterrupt:  # ours, if it comes in this very moment
            if not late.is_set():
                raise


# The ways.


def ways_of(trial: Trial) -> Iterator[tuple[str, int]]:
    """Yield the ways that may gain something, the plainest first, with workers."""
    found, allowed = trial.found, cores().allowed
    waiting = math.ceil(allowed / max(found.computing, allowed / MOST_WAITING))
    many = that_fit(trial, min(waiting, found.tasks))
    few = that_fit(trial, min(allowed, found.tasks))
    if trial.awaits:
        yield "asyncio", many
        return
    if many > 1:
        yield "threads", many
    if few < 2:
        return
    if trial.loop < START:
        words = "the loop is over before worker processes have started"
        trial.refused |= dict.fromkeys(("processes", "joblib"), words)
        return
    chunk = math.ceil(min(CHUNK / found.seconds, found.tasks / (4 * few)))
    size = f" {chunk}" if chunk > 1 else ""
    trial.note(travels=travels(trial))
    if why := next(filter(None, trial.found.travels.values()), ""):
        trial.refused |= dict.fromkeys(("processes", "multiprocessing_pool"), why)
        yield "joblib", few
        return
    yield f"processes{size}", few
    yield "joblib", few
    yield f"multiprocessing_pool{size}", few
    if sys.version_info >= (3, 14):
        yield "interpreters", few


def that_fit(trial: Trial, workers: int) -> int:
    """Return how many workers find the memory that a task took, up to so many."""
    try:
        import psutil
    except ImportError:
        return max(1, workers)
    room = FILLED * psutil.virtual_memory().available
    if trial.found.memory * workers <= room:
        return max(1, workers)
    fit = max(1, int(room / trial.found.memory))
    trial.tight = f"more than {fit} at a time would not find the memory they need"
    return fit


def travels(trial: Trial) -> dict[str, str]:
    """Return for each start method why the function can't go there; "" if it can.

    The methods that start a fresh Python import alike: one is tried for both.
    """
    found = {}
    for method in {start_method(), "spawn"}:
        way, items = f"processes {method}", trial.copies(trial.picks[:1])
        try:
            with time_limit(min(10.0, 0.2 * trial.left)):
                made = run(trial.function, items, way)
        except OutOfTime:
            found[method] = "it did not come back in time"
        except Exception as error:
            found[method] = next(iter(str(error).splitlines()), repr(error))
        else:
            wrong = not trial.random and trial.differ(made.results)
            found[method] = "a process gives another result" if wrong else ""
    found.setdefault("forkserver", found["spawn"])
    # A forked worker finds whatever has a name here.
    packed = pickled(trial.function) is not None
    found.setdefault("fork", "" if packed else found["spawn"])
    return {method: found[method] for method in start_methods()}


def try_ways(trial: Trial) -> dict[str, float]:
    """Run a few tasks each way; keep those that give what the loop gives.

    Returns:
        For each, the seconds that a task takes of the whole, about.
    """
    found, costs = trial.found, dict[str, float]()
    few = min(found.tried, max(2, int(0.05 * trial.budget / found.seconds)), FEW)
    for way, workers in ways_of(trial):
        kind, tasks = way.split()[0], min(found.tried, max(few, workers))
        limit = min(0.8 * trial.left, 3 + 0.2 * trial.budget)
        try:
            with time_limit(limit):
                items = trial.copies(trial.picks[:tasks])
                made = run(trial.function, items, way, workers)
        except OutOfTime:
            if trial.left < 0.1:
                raise
            trial.refused[kind] = f"a few tasks took more than {limit:.0f} s"
            continue
        except Exception as error:
            trial.refused[kind] = next(iter(str(error).splitlines()), repr(error))
            continue
        if trial.differ(made.results):
            words = "its results are not those of the loop"
            if trial.random:
                words = "its workers draw the same random numbers"
            trial.refused[kind] = words
            continue
        trial.ways[way] = workers
        costs[way] = made.wall / tasks
        # As many processes as there are cores can't do better, and cost more.
        beaten = costs[way] < found.seconds / min(found.tasks, cores().allowed)
        if kind == "threads" and found.computing < MOSTLY_WAITS and beaten:
            words = "threads wait as well, and there may be more of them than cores"
            trial.refused |= dict.fromkeys(("processes", "joblib"), words)
            break
    return costs


def race_ways(trial: Trial, costs: Mapping[str, float]) -> None:
    """Run as many inputs as the budget allows each way, by turns.

    Args:
        trial: knows the ways.
        costs: the seconds that a task takes of the whole, about, for each.
    """
    found, best = trial.found, min(costs.values(), default=0.0)
    for way, cost in costs.items():
        if cost > HOPELESS * best:
            del trial.ways[way]
            words = f"a few tasks took {cost / best:.0f} times as long as the best way"
            trial.refused[way.split()[0]] = words
    ways = trial.ways
    if not ways:
        return
    # A loop that waits takes what its tasks took one by one; asyncio has none.
    waits = found.computing < MOSTLY_WAITS or trial.awaits
    turns = dict(ways) if waits else {"serial": 1, **ways}
    each = sum(costs[way] for way in ways) + found.seconds * (not waits)
    time = min(0.6 * trial.left, max(LEAST, ROUNDS * len(ways) * trial.loop))
    rounds, enough = ROUNDS, min(found.tasks, 2 * max(ways.values()))
    room = max(enough, int(MOST_COPIED / max(1, found.sent or 1)))
    most = min(found.tasks, MOST_TASKS, room)
    while (count := min(most, int(time / rounds / each))) < enough:
        rounds -= 1
        if not rounds:
            return  # too few to tell
    calls = rounds * len(turns)
    say(
        f"A task takes about {told(found.seconds)}. Now each way by turns, on "
        f"{count:,} of the inputs: {calls * count:,} calls."
    )
    items = trial.copies(sorted(spread(found.tasks, count)), calls)
    if found.seconds < TINY and "serial" in turns:
        trial.bare = bare(trial.function, items) / count
    for _ in range(rounds):  # one by one: what is done stays, if the time runs out
        runs = race(trial.function, items, turns, 1, 0.0)
        trial.runs = {
            way: best_of([run, *filter(None, [trial.runs.get(way)])])
            for way, run in runs.items()
        }


def bare(function: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Return the seconds that a plain loop takes, the shortest of three."""
    times = []
    for _ in range(3):
        start = perf_counter()
        for item in items:
            function(item)
        times.append(perf_counter() - start)
    return min(times)


# Small things.


def spread(tasks: int, wanted: int) -> list[int]:
    """Return so many positions: one of each of as many equal stretches, mixed."""
    dice, count = random.Random(0), min(tasks, wanted)
    edges = [tasks * n // count for n in range(count + 1)] if count else []
    picks = [dice.randrange(one, other) for one, other in pairwise(edges)]
    dice.shuffle(picks)
    return picks


def told(seconds: float) -> str:
    """Return a time in words."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def pickled(thing: Any) -> bytes | None:
    """Return the thing pickled; None if it can't be."""
    try:
        return pickle.dumps(thing)
    except Exception:
        return None


def heaviest(packed: Sequence[bytes | None]) -> int | None:
    """Return the length of the longest; None if one of them can't be had."""
    sizes = [len(each) for each in packed if each is not None]
    return max(sizes) if sizes and len(sizes) == len(packed) else None


def same(one: Any, other: Any) -> bool:
    """Return whether two results are the same, as far as can be told."""
    if type(one) is not type(other):
        return False
    with suppress(Exception):
        if isinstance(one, np.ndarray):
            return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
        if one == other:
            return True
    packed = pickled(one)
    # What can be neither compared nor pickled says nothing.
    alike = type(one).__eq__ is object.__eq__
    return packed == pickled(other) if packed is not None else alike


@contextmanager
def rolled(own: Any, numpys: Any) -> Iterator[None]:
    """Let random numbers begin as they did, and go on afterwards as they would have."""
    now = random.getstate(), np.random.get_state()
    random.setstate(own)
    np.random.set_state(numpys)
    try:
        yield
    finally:
        random.setstate(now[0])
        np.random.set_state(now[1])


def outside(function: Callable[..., Any]) -> dict[str, bytes]:
    """Return the data outside that the function names, or what it calls: pickled."""
    found, seen = dict[str, bytes](), set[int]()
    left: dict[str, Any] = {name_of(function): function}
    while left:
        name, each = left.popitem()
        if id(each) in seen or isinstance(
            each, ModuleType | type | BuiltinFunctionType
        ):
            continue
        seen.add(id(each))
        if isinstance(each, partial):
            left |= {name_of(each.func): each.func}
        elif inspect.ismethod(each):
            left |= {each.__name__: each.__func__, "self": each.__self__}
        elif isinstance(each, FunctionType):
            with suppress(Exception):
                named = inspect.getclosurevars(inspect.unwrap(each))
                left |= {**named.globals, **named.nonlocals}
                left[f"a default value of {each.__name__}"] = each.__defaults__
        elif (packed := pickled(each)) is not None:
            found[name] = packed
    return found
