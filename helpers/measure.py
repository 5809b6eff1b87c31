"""Run a function over inputs in some way, and note who did what when: a Run."""

import gc
import inspect
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from functools import partial, update_wrapper
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, NamedTuple

from helpers.machine import (
    check_rounds,
    check_seconds,
    check_workers,
    cpu_seconds,
    facts,
    give_back_memory,
    idle_seconds,
    memory_in_use,
)
from helpers.pythons import LIMIT, Other, PythonFailed, in_python
from helpers.runs import (
    Round,
    Run,
    best_of,
    by_own_clocks,
    by_workers,
    load,
    save,
)
from helpers.strategies import chunk_of, is_async, start, stays_here
from helpers.trace import Span, Traced, TracedCoroutine
from helpers.travel import Map, arrive, name_of
from helpers.workers import let_kernel_end

# What a reader asks for is here, wherever it is written.
__all__ = [
    "PythonFailed",
    "Round",
    "Run",
    "best_of",
    "by_workers",
    "calibrate",
    "load",
    "race",
    "run",
    "save",
    "sweep",
]

# Two rounds that differ by more than this leave it open which time is the real one.
SETTLED = 0.1
# Seconds of CPU time that are told from none: on Windows its clock ticks every 16 ms.
TICK = 0.1 if sys.platform == "win32" else 0.001
# How long to wait for all of the workers to come, in seconds: a spawned one may have
# to import much.
PATIENCE = 10.0
# How often to look at the memory, in seconds.
LOOK = 0.01
# A notebook that measures will have had workers when its kernel ends.
let_kernel_end()

# A strategy, or a map of the reader's, and its number of workers.
Way = tuple[str | Map, int]


class Started(NamedTuple):
    """Workers that wait for tasks: their map, the seconds until they were there, how
    many of them came; 0 if nobody looked.
    """

    map_: Map
    startup: float
    ready: int


def run(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategy: str | Map = "serial",
    workers: int = 1,
    memory: bool = False,
    python: str | Path | None = None,
    limit: float = LIMIT,
    recorded: str | Path | None = None,
) -> Run:
    """Run function over inputs once, and note who did what when.

    Args:
        function: takes one input.
        inputs: what it runs over.
        strategy: the name of one ("threads", "processes spawn", …), or any map of
            yours, such as the `map` of a pool that you started.
        workers: how many to start; for "asyncio", how many may wait at a time.
        memory: whether to look, every few milliseconds, how much memory it takes. It
            then runs in a process of its own, to which the function must travel: one
            that has done much already takes again what it had let go of, and would
            seem to need nothing. So a script needs its `if __name__ == "__main__":`.
            It makes one more call before, with the first input.
        python: another Python that does all this: its version ("3.14", or "3.14t"
            without the GIL), or its path. It has nothing installed. The function must
            stand in a file; inputs and results travel as JSON, or are left out.
        limit: seconds after which that Python is ended.
        recorded: a file of runs (`save`) to read where that Python is missing; a line
            says so. With MANY_CORES_RECORD in the environment, it is written.

    Raises:
        ValueError: no such strategy, no such number of workers, nothing to call, or no
            such Python.
        FunctionCannotTravel: the function can't be sent to a worker, or to that Python.
        PythonFailed: that Python failed, or the function did there; in one line.
        Exception: the function's own.
    """
    inputs = _checked(function, inputs, [strategy])
    if python is not None:
        options = {"strategy": strategy, "workers": workers, "memory": memory}
        there = _other(python, limit, recorded, [strategy])
        return in_python(there, "run", [function], inputs, options)[0]
    if memory:
        return _in_fresh_process(function, inputs, strategy, workers)
    with _started(function, strategy, workers) as started:
        return _one_round(function, inputs, (strategy, workers), started)


def _in_fresh_process(
    function: Callable[[Any], Any],
    inputs: list[Any],
    strategy: str | Map,
    workers: int,
) -> Run:
    """Run as `run` does, and look how much memory it takes."""
    if callable(strategy) or not stays_here(strategy):
        raise ValueError(
            "memory is looked at in one process: the strategy must be a name, "
            '"serial", "threads", "interpreters" or "asyncio"'
        )
    with_memory = update_wrapper(partial(_with_memory, function), function)
    with start("processes spawn", 1) as map_:
        (made,) = map_(with_memory, [(inputs, strategy, workers)])
    return made


def _with_memory(
    function: Callable[[Any], Any], way: tuple[list[Any], str, int]
) -> Run:
    inputs, strategy, _ = way
    run(function, inputs[:1], strategy)
    with growth() as grown:
        made = run(function, *way)
    return replace(made, memory=max(grown, default=None))


def race(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategies: Mapping[Any, int],
    rounds: int = 3,
    budget: float = 5.0,
    python: str | Path | None = None,
    limit: float = LIMIT,
    recorded: str | Path | None = None,
) -> dict[str, Run]:
    """Run function over inputs in several ways by turns, and keep the best of each.

    First, second, third way, first, second, third …: a machine that slows down on the
    way slows all of them. It goes on after the first rounds while the two best times
    of some way still differ by a tenth, until the budget is spent.

    Args:
        function: takes one input.
        inputs: what it runs over.
        strategies: the names of the ways, or maps of yours, each with its number of
            workers: {"serial": 1, "threads": 2, "processes": 2}.
        rounds: how many at least.
        budget: seconds after which it adds no further rounds.
        python, limit, recorded: another Python that does all this, as for `run`.

    Returns:
        The best run of each way, by name, with the times of all its rounds.

    Raises:
        ValueError: as `run`; or no ways, two of one name, or no rounds.
        Exception: as `run`.
    """
    ways = _named(strategies)
    inputs = _checked(function, inputs, strategies, rounds)
    if python is not None:
        options = {"strategies": strategies, "rounds": rounds, "budget": budget}
        there = _other(python, limit, recorded, list(ways))
        runs = in_python(there, "race", [function], inputs, options)
        return dict(zip(ways, runs, strict=True))
    kept = _by_turns(function, inputs, ways, rounds, budget)
    return {name: best_of(runs) for name, runs in kept.items()}


def _by_turns(
    function: Callable[[Any], Any],
    inputs: list[Any],
    ways: Mapping[str, Way],
    rounds: int,
    budget: float,
) -> dict[str, list[Run]]:
    """Return all runs of a race, by the name of the way."""
    kept: dict[str, list[Run]] = {name: [] for name in ways}
    with ExitStack() as stack, _progress(rounds * len(ways), function) as step:
        # Where there are interpreters no process can be forked any more.
        last = sorted(ways, key=lambda name: ways[name][0] == "interpreters")
        started = {
            name: stack.enter_context(_started(function, *ways[name])) for name in last
        }
        began = perf_counter()
        while len(min(kept.values(), key=len)) < rounds or (
            perf_counter() - began < budget and not all(map(_settled, kept.values()))
        ):
            for name, way in ways.items():
                kept[name].append(_one_round(function, inputs, way, started[name]))
                step()
    return kept


def sweep(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategy: str,
    workers: Iterable[int],
    rounds: int = 3,
    first: Callable[[], Any] | None = None,
    python: str | Path | None = None,
    limit: float = LIMIT,
    recorded: str | Path | None = None,
) -> dict[int, Run]:
    """Run function over inputs with each number of workers by turns.

    Args:
        function: takes one input.
        inputs: what it runs over.
        strategy: the name of the way.
        workers: the numbers of workers: [0, 1, 2, 4]. 0 stands for the plain loop,
            without workers: the base of a speed-up.
        rounds: how many for each number.
        first: a serial part: the caller calls it at the beginning of each round. The
            wall time includes it.
        python, limit, recorded: another Python that does all this, as for `run`.

    Returns:
        The best run of each number of workers, with the times of all its rounds.

    Raises:
        ValueError: as `run`; or no numbers of workers, or no rounds.
        Exception: as `run`.
    """
    inputs = _checked(function, inputs, [strategy], rounds)
    kept: dict[int, list[Run]] = {count: [] for count in _counts(workers)}
    if python is not None:
        serial = [first] if first else []
        options = {"strategy": strategy, "workers": list(kept), "rounds": rounds}
        each = [strategy if count else "serial" for count in kept]
        there = _other(python, limit, recorded, each)
        runs = in_python(there, "sweep", [function, *serial], inputs, options)
        return dict(zip(kept, runs, strict=True))
    with _progress(rounds * len(kept), function) as step:
        for _ in range(rounds):
            for count in kept:
                way: Way = (strategy, count) if count else ("serial", 1)
                with _started(function, *way) as started:
                    kept[count].append(
                        _one_round(function, inputs, way, started, first)
                    )
                step()
    return {count: best_of(runs) for count, runs in kept.items()}


def _other(
    python: str | Path,
    limit: float,
    recorded: str | Path | None,
    strategies: list[Any],
) -> Other:
    check_seconds(limit)
    return Other(python, limit, recorded, strategies)


def _checked(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategies: Iterable[str | Map],
    rounds: int = 1,
) -> list[Any]:
    """Return the inputs as a list; what can't be measured gets one line."""
    if not callable(function):
        raise ValueError(f"what is to be measured must be a function, not {function!r}")
    check_rounds(rounds)
    if is_async(function) and any(strategy != "asyncio" for strategy in strategies):
        raise ValueError(
            f"{name_of(function)!r} is written with `async def`: only the strategy "
            '"asyncio" awaits what it returns'
        )
    if not isinstance(inputs, Iterable):
        raise ValueError(f"inputs must be a list or the like, not {inputs!r}")
    return list(inputs)


def _named(strategies: Mapping[Any, int]) -> dict[str, Way]:
    """Return the ways of a race by the names of their results."""
    if not isinstance(strategies, Mapping) or not strategies:
        raise ValueError(
            "a race needs ways, each with its workers: {'serial': 1, 'threads': 2}"
        )
    ways = {_label(way): (way, workers) for way, workers in strategies.items()}
    if len(ways) < len(strategies):
        raise ValueError(f"two of the ways have one name: {', '.join(ways)}")
    return ways


def _counts(workers: Iterable[int]) -> list[int]:
    """Return the numbers of workers of a sweep, if they are some."""
    counts = list(workers) if isinstance(workers, Iterable) else []
    if not counts:
        raise ValueError("a sweep needs several numbers of workers: [0, 1, 2, 4]")
    for count in counts:
        if count != 0 or isinstance(count, bool):
            check_workers(count)
    return counts


def calibrate(function: Callable[[int], Any], seconds: float) -> int:
    """Find the n for which function(n) keeps a core of this machine busy that long.

    It measures CPU time, so other programs hardly matter, and takes it to grow in
    proportion to n.

    Args:
        function: takes a whole number.
        seconds: how long one call should take.

    Raises:
        ValueError: function keeps no core busier for a larger n; it sleeps, say. Or
            seconds is no length of time.
    """
    _checked(function, (), ["serial"])
    check_seconds(seconds)
    # What is too short for the clock is called several times in one go.
    calls = math.ceil(TICK / seconds)
    n, patience = 1, perf_counter() + 10 * seconds + 1
    while (spent := _cpu_time(function, n, calls)) < calls * min(seconds, 0.1):
        n *= 2
        if n > 2**40 or perf_counter() > patience:
            raise ValueError(f"{name_of(function)} keeps no core busier for a larger n")
    spent = min(spent, *(_cpu_time(function, n, calls) for _ in range(2)))
    return max(1, round(n * seconds * calls / spent))


def _cpu_time(function: Callable[[int], Any], n: int, calls: int) -> float:
    """Return the CPU time of that many calls of function(n), in seconds."""
    start = thread_time()
    for _ in range(calls):
        function(n)
    return thread_time() - start


@contextmanager
def _started(
    function: Callable[[Any], Any], strategy: str | Map, workers: int
) -> Iterator[Started]:
    """Start a strategy, and wait until its workers are there and have the function."""
    if callable(strategy):
        check_workers(workers)
        yield Started(strategy, 0.0, 0)
        return
    began = perf_counter()
    with start(strategy, workers) as map_:
        if strategy == "asyncio":  # coroutines are made when they are needed
            yield Started(map_, perf_counter() - began, 0)
            return
        last, ready = _all_there(function, map_, workers, chunk_of(strategy))
        last = last if _one_clock(map_) else perf_counter()
        yield Started(map_, max(0.0, last - began), ready)


def _one_clock(map_: Map) -> bool:
    """Return whether its workers have this machine's clock: a cluster's may not."""
    return getattr(map_, "one_clock", True)


def _all_there(
    function: Callable[[Any], Any], map_: Map, workers: int, chunk: int
) -> tuple[float, int]:
    """Wait for the workers; return when the last one began, and how many there are."""
    # They get the function too: what its module imports belongs to the start.
    arrival: Any = partial(arrive, function)
    arrival.__name__ = name_of(function)
    first: dict[tuple[int, int], float] = {}
    patience = perf_counter() + PATIENCE
    # Long enough that no thread gets a second one before the last has been started; one
    # in each chunk.
    naps = [max(0.005, 0.0003 * workers), *[0.0] * (chunk - 1)] * workers
    while len(first) < workers and perf_counter() < patience:
        for _, noted in map_(Traced(arrival), enumerate(naps)):
            span = Span(*noted)
            first.setdefault(span.worker, span.start)
    return max(first.values()), len(first)


def _one_round(
    function: Callable[[Any], Any],
    inputs: list[Any],
    way: Way,
    started: Started,
    first: Callable[[], Any] | None = None,
) -> Run:
    with _no_collecting():
        others = callable(way[0]) or not stays_here(way[0])
        used, idle, began = cpu_seconds(others), idle_seconds(), perf_counter()
        serial = _cpu_time(lambda _: first(), 0, 1) if first else 0.0
        traced = (TracedCoroutine if is_async(function) else Traced)(function)
        answers = list(started.map_(traced, enumerate(inputs)))
        wall, since = perf_counter() - began, idle_seconds()
        spent = _spent(used, cpu_seconds(others))
    results = [result for result, _ in answers]
    spans, clocks = _spans(traced, [noted for _, noted in answers]), {}
    if not _one_clock(started.map_):
        spans, clocks = by_own_clocks(spans, began), {"clocks apart": True}
    if any(map(inspect.iscoroutine, results[:1])):
        for coroutine in results:
            coroutine.close()
        raise ValueError(
            f"{name_of(function)!r} returns coroutines, which nobody awaits: write it "
            'with `async def` and `await`, for the strategy "asyncio"'
        )
    run = Run(
        function=name_of(function),
        strategy=_label(way[0]),
        workers=way[1],
        startup=started.startup,
        began=began,
        wall=wall,
        spans=spans,
        idle=None if idle is None or since is None else max(0.0, since - idle),
        first=serial,
        ready=started.ready,
        spent=spent,
        results=results,
        made={"date": date.today().isoformat(), **facts(), **clocks},
    )
    return replace(run, rounds=(Round(wall, run.cores_busy),))


def _spent(
    before: dict[int, float] | None, after: dict[int, float] | None
) -> float | None:
    """Return the CPU time used between two looks at it, in seconds, if they tell."""
    if before is None or after is None:
        return None
    used = (seconds - before.get(pid, 0.0) for pid, seconds in after.items())
    return max(0.0, sum(used))


def _spans(
    traced: Traced | TracedCoroutine, noted: list[tuple[Any, ...]]
) -> tuple[Span, ...]:
    """Return the spans of all tasks; coroutines share what their loop did besides."""
    spans = [Span(*each) for each in noted]
    if isinstance(traced, TracedCoroutine) and spans:
        besides = traced.cpu - sum(span.cpu for span in spans)
        share = max(0.0, besides / len(spans))
        spans = [span._replace(cpu=span.cpu + share) for span in spans]
    return tuple(spans)


@contextmanager
def growth() -> Iterator[list[int]]:
    """Look again and again by how many bytes this process has grown.

    Yields the list of what is found, which the end of the `with` completes.
    """
    found: list[int] = []
    give_back_memory()
    before, over = memory_in_use(), threading.Event()

    def look() -> None:
        while before is not None:
            last = over.wait(LOOK)
            found.append(max(0, (memory_in_use() or 0) - before))
            if last:
                break

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Keep the garbage collector off, as timeit does.

    It would walk all the futures of a pool again and again: the more tasks wait, the
    longer each would seem to take.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _label(strategy: str | Map) -> str:
    return name_of(strategy).replace("_", " ") if callable(strategy) else strategy


def _settled(runs: list[Run]) -> bool:
    best, *others = sorted(run.wall for run in runs)
    return not others or others[0] <= best * (1 + SETTLED)


@contextmanager
def _progress(total: int, function: Callable[..., Any]) -> Iterator[Callable[[], Any]]:
    """Show a bar if the measuring takes longer than two seconds, until it ends.

    nbval compares what a cell shows; there, and in a stored lesson, no bar may be. Nor
    is there one in a Python without tqdm. Yields what is to be called for each step.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield lambda: None
        return
    hidden = not {"PYTEST_CURRENT_TEST", "TQDM_DISABLE"}.isdisjoint(os.environ)
    words = f"measuring {name_of(function)}"
    with tqdm(total=total, desc=words, delay=2, leave=False, disable=hidden) as bar:
        yield bar.update
