"""Run a function over inputs in some way, and note who did what when: a Run."""

import gc
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from helpers import strategies
from helpers.machine import facts, idle_seconds
from helpers.trace import Span, Traced
from helpers.travel import Map, name_of
from helpers.workloads import nap

FORMAT = 1
# Two rounds that differ by more than this leave it open which time is the real one.
SETTLED = 0.1
# Seconds of CPU time that are told from none: on Windows its clock ticks every 16 ms.
TICK = 0.1 if sys.platform == "win32" else 0.0
# Tasks of one batch follow each other within so many seconds; a way to a worker process
# and back takes longer (measured with joblib: 0.06 ms and more, against 0.001 ms).
TOGETHER = 5e-5


class Round(NamedTuple):
    """One repeat: its wall time in seconds, and how many cores it kept busy."""

    wall: float
    cores_busy: float


@dataclass(frozen=True)
class Run:
    """A function, run over inputs in one way: the best of its rounds, in full.

    Attributes:
        function: its name.
        strategy: the way, "processes" say.
        workers: how many workers were asked for.
        startup: seconds until all workers were there.
        began: when the work began (`perf_counter`, seconds).
        wall: seconds from then until all results were back.
        spans: one for each task.
        idle: seconds that the machine's cores stood idle meanwhile, added up.
        first: seconds of CPU time of a serial part before the tasks, in the caller.
        rounds: every round's wall time and cores, this one's too.
        results: what the function returned, in the order of the inputs; not saved.
        made: date, Python and machine.
    """

    function: str
    strategy: str
    workers: int
    startup: float
    began: float
    wall: float
    spans: tuple[Span, ...]
    idle: float = 0.0
    first: float = 0.0
    rounds: tuple[Round, ...] = ()
    results: list[Any] = field(default_factory=list, compare=False, repr=False)
    made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cores_busy(self) -> float:
        """How many cores the tasks kept busy: their CPU time over the wall time."""
        return sum(span.cpu for span in self.spans) / self.wall

    @property
    def cores_free(self) -> float:
        """How many cores the machine had for the run: those it kept busy or left idle.

        Other programs, on whatever core, make it fewer than the allowed ones.
        """
        free = self.cores_busy + (self.first + self.idle) / self.wall
        return min(free, self.made.get("allowed cores", free))

    @property
    def by_worker(self) -> dict[tuple[int, int], list[Span]]:
        """The spans of each worker that had a task, in order of their first start."""
        found: dict[tuple[int, int], list[Span]] = {}
        for span in sorted(self.spans, key=lambda span: span.start):
            found.setdefault(span.worker, []).append(span)
        return found

    @property
    def overlap(self) -> float:
        """The share of the time with work in which two or more workers ran.

        Where a task watched itself, its unbroken stretches count, else all of it.
        """
        return overlap(
            [span.stretches or ((span.start, span.end),) for span in self.spans]
        )

    @property
    def batches(self) -> list[list[Span]]:
        """The tasks that went to a worker together, as far as the clock shows it.

        Tasks follow one another on a worker, in the order of the inputs, and hardly
        later than they do at best: what is longer is a way to the worker and back.
        """
        found: list[list[Span]] = []
        for spans in self.by_worker.values():
            for before, span in zip([None, *spans], spans, strict=False):
                together = before is not None and span.task == before.task + 1
                if together and span.start - before.end < TOGETHER:
                    found[-1].append(span)
                else:
                    found.append([span])
        return sorted(found, key=lambda batch: batch[0].start)

    @property
    def switch_interval(self) -> float:
        """Seconds that a worker held the GIL before it handed over, read off the run.

        A turn is what a worker ran until another one did; where it stood still in
        between, the system had taken its core, and it held the GIL all the same. The
        median of the turns, but for the first and the last; nan without any.
        """
        pieces = sorted(
            (start, end, span.worker)
            for span in self.spans
            for start, end in span.stretches
        )
        turns = [list(turn) for _, turn in groupby(pieces, key=lambda piece: piece[2])]
        held = [turn[-1][1] - turn[0][0] for turn in turns[1:-1]]
        return statistics.median(held) if held else float("nan")

    def save(self, path: str | Path) -> None:
        """Write the run to path as JSON, without the results."""
        _write(path, _fields(self))

    @classmethod
    def load(cls, path: str | Path) -> "Run":
        """Read a run that `save` wrote.

        Raises:
            ValueError: the file holds no such run, or a newer format; in one line.
        """
        runs = load(path)
        if len(runs) > 1:
            name = Path(path).name
            raise ValueError(f"{name}: it holds {len(runs)} runs; `load` reads them")
        return runs[0]


def save(path: str | Path, runs: Iterable[Run]) -> None:
    """Write several runs to one file as JSON, without the results."""
    _write(path, {"runs": [_fields(run) for run in runs]})


def load(path: str | Path) -> list[Run]:
    """Read the runs in a file that `save` wrote, or the one that `Run.save` wrote.

    Raises:
        ValueError: the file holds no such runs, or a newer format; in one line.
    """
    path = Path(path)
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        if written.pop("format") > FORMAT:
            raise ValueError("it was saved by a newer version of this kit")
        runs = [_run(**fields) for fields in written.get("runs", [written])]
        if not runs:
            raise ValueError("it holds no runs")
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name}: this is not JSON ({error})") from None
    except (LookupError, AttributeError, ArithmeticError, TypeError) as error:
        raise ValueError(f"{path.name}: this is no saved run ({error})") from None
    except RecursionError as error:
        raise ValueError(f"{path.name}: this is no saved run ({error})") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return runs


def by_workers(runs: Iterable[Run]) -> dict[int, Run]:
    """Return runs as `sweep` does: by their number of workers, the plain loop's at 0.

    So what `save` wrote of a sweep can be drawn again: `by_workers(load(path))`.

    Raises:
        ValueError: there are two runs with the same number of workers.
    """
    found: dict[int, Run] = {}
    for run in runs:
        count = 0 if run.strategy == "serial" else run.workers
        if count in found:
            raise ValueError(f"this is not one sweep: two runs with {count} workers")
        found[count] = run
    return found


def _fields(run: Run) -> dict[str, Any]:
    names = [name for name in run.__dataclass_fields__ if name != "results"]
    return {name: getattr(run, name) for name in names}


def _write(path: str | Path, content: dict[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, **content}, indent=1) + "\n"
    Path(path).write_text(text, encoding="utf-8")


def _run(spans: list[list], rounds: list[list], **fields: Any) -> Run:
    loaded = Run(
        spans=tuple(_span(*span) for span in spans),
        rounds=tuple(Round(*map(float, times)) for times in rounds),
        **fields,
    )
    _check(loaded)
    return loaded


def _span(
    task: int,
    pid: int,
    thread: int,
    start: float,
    end: float,
    cpu: float,
    stretches: list,
) -> Span:
    pairs = tuple((float(a), float(b)) for a, b in stretches)
    return Span(
        int(task), int(pid), int(thread), float(start), float(end), float(cpu), pairs
    )


def _check(loaded: Run) -> None:
    kinds = {"function": str, "strategy": str, "workers": int, "made": dict}
    kinds |= dict.fromkeys(("startup", "began", "wall", "idle", "first"), int | float)
    for name, kind in kinds.items():
        if not isinstance(getattr(loaded, name), kind):
            raise ValueError(f"its {name} can't be right")
    if not (loaded.wall > 0 and loaded.workers > 0):
        raise ValueError("its wall time or its number of workers can't be right")
    if not (loaded.spans and loaded.rounds):
        raise ValueError("it has no spans, or no rounds")


def recorded(folder: str | Path) -> dict[str, Run]:
    """Load every run in folder, by the name of its file without ".json".

    A file of several runs is left to `load`. One that can't be read gets a printed
    line; the others are returned still.
    """
    runs = {}
    for path in sorted(Path(folder).glob("*.json")):
        try:
            found = load(path)
            if len(found) == 1:
                runs[path.stem] = found[0]
        except ValueError as error:
            print(error)
        except OSError as error:
            print(f"{path.name}: {error.strerror}")
    return runs


def overlap(workers: Iterable[Iterable[tuple[float, float]]]) -> float:
    """Return in what share of the covered time two or more of the workers ran.

    Args:
        workers: for each, the (start, end) of when it ran, in seconds.
    """
    edges = sorted(
        edge
        for stretches in workers
        for start, end in stretches
        for edge in ((start, 1), (end, -1))
    )
    running, last, some, several = 0, 0.0, 0.0, 0.0
    for now, change in edges:
        some += (now - last) * (running > 0)
        several += (now - last) * (running > 1)
        running, last = running + change, now
    return several / some if some else 0.0


def run(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategy: str | Map = "serial",
    workers: int = 1,
) -> Run:
    """Run function over inputs once, and note who did what when.

    Args:
        function: takes one input.
        inputs: what it runs over.
        strategy: the name of one ("threads", "processes spawn", …), or any map of
            yours, such as the `map` of a pool that you started.
        workers: how many to start.

    Raises:
        ValueError: no such strategy, or no such number of workers.
        FunctionCannotTravel: the function can't be sent to a worker.
        Exception: the function's own.
    """
    inputs = list(inputs)
    with _started(strategy, workers) as (map_, startup):
        return _one_round(function, inputs, strategy, workers, map_, startup)


def race(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategies: Mapping[str | Map, int],
    rounds: int = 3,
    budget: float = 5.0,
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

    Returns:
        The best run of each way, by name, with the times of all its rounds.
    """
    inputs = list(inputs)
    kept: dict[str | Map, list[Run]] = {way: [] for way in strategies}
    with ExitStack() as stack, _progress(rounds * len(strategies), function) as bar:
        started = {
            way: stack.enter_context(_started(way, workers))
            for way, workers in strategies.items()
        }
        began = perf_counter()
        while len(min(kept.values(), key=len)) < rounds or (
            perf_counter() - began < budget and not all(map(_settled, kept.values()))
        ):
            for way, (map_, startup) in started.items():
                kept[way].append(
                    _one_round(function, inputs, way, strategies[way], map_, startup)
                )
                bar.update()
    return {_label(way): best_of(runs) for way, runs in kept.items()}


def sweep(
    function: Callable[[Any], Any],
    inputs: Iterable[Any],
    strategy: str,
    workers: Iterable[int],
    rounds: int = 3,
    first: Callable[[], Any] | None = None,
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

    Returns:
        The best run of each number of workers, with the times of all its rounds.
    """
    inputs, workers = list(inputs), list(workers)
    kept: dict[int, list[Run]] = {count: [] for count in workers}
    with _progress(rounds * len(workers), function) as bar:
        for _ in range(rounds):
            for count in workers:
                way, number = (strategy, count) if count else ("serial", 1)
                with _started(way, number) as (map_, startup):
                    kept[count].append(
                        _one_round(function, inputs, way, number, map_, startup, first)
                    )
                bar.update()
    return {count: best_of(runs) for count, runs in kept.items()}


def best_of(runs: Iterable[Run]) -> Run:
    """Return the run of the shortest wall time, with the times of all as its rounds."""
    runs = list(runs)
    best = min(runs, key=lambda run: run.wall)
    return replace(best, rounds=tuple(each for run in runs for each in run.rounds))


def calibrate(function: Callable[[int], Any], seconds: float) -> int:
    """Find the n for which function(n) keeps a core of this machine busy that long.

    It measures CPU time, so other programs hardly matter, and takes it to grow in
    proportion to n.

    Raises:
        ValueError: function keeps no core busier for a larger n; it sleeps, say.
    """
    n, patience = 1, perf_counter() + 10 * seconds + 1
    while (spent := _cpu_time(function, n)) < max(min(seconds, 0.1), TICK):
        n *= 2
        if n > 2**40 or perf_counter() > patience:
            raise ValueError(f"{name_of(function)} keeps no core busier for a larger n")
    spent = min(spent, _cpu_time(function, n), _cpu_time(function, n))
    return max(1, round(n * seconds / spent))


def _cpu_time(function: Callable[..., Any], *arguments: Any) -> float:
    start = thread_time()
    function(*arguments)
    return thread_time() - start


@contextmanager
def _started(strategy: str | Map, workers: int) -> Iterator[tuple[Map, float]]:
    """Start a strategy; yield its map, and the seconds until all workers were there."""
    if not isinstance(strategy, str):
        yield strategy, 0.0
        return
    began = perf_counter()
    with strategies.start(strategy, workers) as map_:
        yield map_, max(0.0, _all_there(map_, workers) - began)


def _all_there(map_: Map, workers: int) -> float:
    """Return when the last of the workers began its first task."""
    first: dict[tuple[int, int], float] = {}
    for _ in range(20):
        for _, span in map_(Traced(nap), enumerate([0.005] * workers)):
            first.setdefault(span.worker, span.start)
        if len(first) >= workers:
            break
    return max(first.values())


def _one_round(
    function: Callable[[Any], Any],
    inputs: list[Any],
    strategy: str | Map,
    workers: int,
    map_: Map,
    startup: float,
    first: Callable[[], Any] | None = None,
) -> Run:
    with _no_collecting():
        idle, began = idle_seconds(), perf_counter()
        serial = _cpu_time(first) if first else 0.0
        answers = list(map_(Traced(function), enumerate(inputs)))
        wall, idle = perf_counter() - began, idle_seconds() - idle
    spans = tuple(span for _, span in answers)
    run = Run(
        function=name_of(function),
        strategy=_label(strategy),
        workers=workers,
        startup=startup,
        began=began,
        wall=wall,
        spans=spans,
        idle=idle,
        first=serial,
        results=[result for result, _ in answers],
        made={"date": date.today().isoformat(), **facts()},
    )
    return replace(run, rounds=(Round(wall, run.cores_busy),))


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
    if isinstance(strategy, str):
        return strategy
    return name_of(strategy).replace("_", " ")


def _settled(runs: list[Run]) -> bool:
    best, *others = sorted(run.wall for run in runs)
    return not others or others[0] <= best * (1 + SETTLED)


@contextmanager
def _progress(total: int, function: Callable[..., Any]) -> Iterator[tqdm]:
    """Show a bar if the measuring takes longer than two seconds, until it ends.

    nbval compares what a cell shows; there, and in a stored lesson, no bar may be.
    """
    hidden = not {"PYTEST_CURRENT_TEST", "TQDM_DISABLE"}.isdisjoint(os.environ)
    words = f"measuring {name_of(function)}"
    with tqdm(total=total, desc=words, delay=2, leave=False, disable=hidden) as bar:
        yield bar
