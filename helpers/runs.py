"""A run: a function over inputs, done in some way, and who did what when.

It is a value. What can be read off it stands here, and how it is written to a file and
read back; how it is made, `measure` says.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from helpers.trace import Span

# Files of format 1 knew neither `ready` nor an idle time that is unknown; those of 2
# no `memory`; those of 3 no `spent`.
FORMAT = 4
# Systems count idle time in ticks of 10 to 16 ms. In less than some twenty of them the
# count says nothing, in seconds.
COUNTABLE = 0.2
# So they do the CPU time of another process; a worker's ticks are full more often.
COUNTABLE_CPU = 0.1
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
        startup: seconds until the workers were there.
        began: when the work began (`perf_counter`, seconds).
        wall: seconds from then until all results were back.
        spans: one for each task.
        idle: seconds that the allowed cores stood idle meanwhile, added up; None where
            nobody counts them.
        first: seconds of CPU time of a serial part before the tasks, in the caller.
        rounds: every round's wall time and cores, this one's too.
        ready: how many of the workers were there when the work began; 0 where nobody
            looked, as for a map of your own.
        memory: bytes by which this process had grown at most while its workers were
            there; None where nobody looked.
        spent: seconds of CPU time that this process and all that it started used
            meanwhile, for the tasks and for everything else; None where nobody counts.
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
    idle: float | None = None
    first: float = 0.0
    rounds: tuple[Round, ...] = ()
    ready: int = 0
    memory: int | None = None
    spent: float | None = None
    results: list[Any] = field(default_factory=list, compare=False, repr=False)
    made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cores_busy(self) -> float:
        """How many cores the tasks kept busy: their CPU time over the wall time."""
        return sum(span.cpu for span in self.spans) / self.wall

    @property
    def cores_free(self) -> float:
        """How many cores the machine had for the run: those it kept busy or left idle.

        Other programs make it fewer than the allowed ones. Unknown, nan, where the run
        was too short for the system's count of idle time, or nobody counted.
        """
        if self.idle is None or self.wall < COUNTABLE:
            return math.nan
        free = self.cores_busy + (self.first + self.idle) / self.wall
        return min(free, self.made.get("allowed cores", free))

    @property
    def useful_share(self) -> float:
        """The share of all CPU time spent that the tasks had: 0 to 1.

        The rest went into packing, sending, waking up and waiting. Unknown, nan, where
        nobody counted, or so little was spent that the count says nothing.
        """
        if self.spent is None or self.spent < COUNTABLE_CPU:
            return math.nan
        return min(1.0, sum(span.cpu for span in self.spans) / self.spent)

    @property
    def one_clock(self) -> bool:
        """Whether one machine's clock timed all; if not, each row has its own start."""
        return not self.made.get("clocks apart")

    @property
    def by_worker(self) -> dict[tuple[int, int], list[Span]]:
        """The spans of each worker that had a task, in order of their first start."""
        found: dict[tuple[int, int], list[Span]] = {}
        for span in sorted(self.spans, key=lambda span: span.start):
            found.setdefault(span.worker, []).append(span)
        return found

    @property
    def lanes(self) -> list[list[Span]]:
        """The spans in rows, so that those of a row follow one another.

        A row for each worker that had a task; more of them for a thread that has many
        tasks under way at a time, as asyncio's has.
        """
        return [row for spans in self.by_worker.values() for row in _rows(spans)]

    @property
    def overlap(self) -> float:
        """The share of the time with work in which two or more workers ran.

        Where a task watched itself, its unbroken stretches count, else all of it.
        Unknown, nan, where the workers have different clocks.
        """
        if not self.one_clock:
            return math.nan
        return overlap(
            [span.stretches or ((span.start, span.end),) for span in self.spans]
        )

    @property
    def chunksize(self) -> int:
        """How many tasks were sent at a time; 0 if the strategy's name can't tell."""
        return _chunksize(self)

    @property
    def batches(self) -> list[list[Span]]:
        """The tasks that went to a worker together: chunks, if their size is known.

        If not, as far as the clock shows it: they follow one another, and hardly later
        than at best. What is longer is a way to the worker and back.
        """
        return _batches(self)

    @property
    def switch_interval(self) -> float:
        """Seconds that a worker held the GIL before it handed over, read off the run.

        A turn is what a worker ran until another one did; where it stood still in
        between, the system had taken its core, and it held the GIL all the same. The
        median of the turns, but for the first and the last; nan without any.
        """
        return _switch_interval(self)

    def save(self, path: str | Path) -> None:
        """Write the run to path as JSON, without the results."""
        _write(path, as_data(self))

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


def _rows(spans: Iterable[Span]) -> list[list[Span]]:
    """Return spans, in order of their starts, each in the first row that is free."""
    rows: list[list[Span]] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []  # until when, which row
    for span in spans:
        while busy and busy[0][0] <= span.start:
            heappush(free, heappop(busy)[1])
        if not free:
            free.append(len(rows))
            rows.append([])
        row = heappop(free)
        rows[row].append(span)
        heappush(busy, (span.end, row))
    return rows


def by_own_clocks(spans: Iterable[Span], began: float) -> tuple[Span, ...]:
    """Return the spans of workers whose clocks differ, each worker's put to one start.

    Args:
        spans: timed by the clocks of their workers.
        began: when the first task of each is to begin.
    """
    spans = list(spans)
    first: dict[tuple[int, int], float] = {}
    for span in spans:
        first[span.worker] = min(span.start, first.get(span.worker, span.start))
    return tuple(_moved(span, began - first[span.worker]) for span in spans)


def _moved(span: Span, by: float) -> Span:
    stretches = tuple((start + by, end + by) for start, end in span.stretches)
    return span._replace(start=span.start + by, end=span.end + by, stretches=stretches)


def _chunksize(run: Run) -> int:
    """Return how many tasks a strategy sends at a time; 0 if its name can't tell.

    joblib is told a number, and may send fewer: it begins with a few tasks.
    """
    kind, *options = run.strategy.split()
    told = [int(word) for word in options if word.isdecimal()]
    if kind in ("processes", "interpreters"):
        return told[-1] if told else 1
    if kind == "multiprocessing_pool":  # as `Pool.map`: four chunks for each worker
        return told[-1] if told else math.ceil(len(run.spans) / (4 * run.workers))
    return 0


def _batches(run: Run) -> list[list[Span]]:
    found, size = list[list[Span]](), run.chunksize
    for spans in run.by_worker.values():
        for before, span in zip([None, *spans], spans, strict=False):
            if before and _together(before, span, size):
                found[-1].append(span)
            else:
                found.append([span])
    return sorted(found, key=lambda batch: batch[0].start)


def _switch_interval(run: Run) -> float:
    pieces = sorted(
        (start, end, span.worker) for span in run.spans for start, end in span.stretches
    )
    turns = [list(turn) for _, turn in groupby(pieces, key=lambda piece: piece[2])]
    held = [turn[-1][1] - turn[0][0] for turn in turns[1:-1]]
    return statistics.median(held) if held else math.nan


def _together(before: Span, span: Span, size: int) -> bool:
    """Return whether two tasks of a worker came to it at the same time.

    Args:
        before, span: one after the other.
        size: of a chunk; 0 if nobody knows.
    """
    if size:
        return span.task // size == before.task // size
    return span.task == before.task + 1 and span.start - before.end < TOGETHER


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


def longest_gap(ticks: Sequence[float]) -> float:
    """Return the longest time without a tick, in seconds.

    Args:
        ticks: when a heartbeat ticked, in order (`perf_counter`, seconds).

    Raises:
        ValueError: there are fewer than two ticks, and so no time between them.
    """
    if len(ticks) < 2:
        raise ValueError(f"a gap lies between two ticks; there are {len(ticks)}")
    return max(later - tick for tick, later in pairwise(ticks))


def best_of(runs: Iterable[Run]) -> Run:
    """Return the run of the shortest wall time, with the times of all as its rounds."""
    runs = list(runs)
    best = min(runs, key=lambda run: run.wall)
    return replace(best, rounds=tuple(each for run in runs for each in run.rounds))


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


# Files of runs.


def save(
    path: str | Path, runs: Iterable[Run], results: bool = False, notes: Any = None
) -> None:
    """Write several runs to one file as JSON.

    Args:
        path: of the file.
        runs: what is written.
        results: whether to write their results too, where JSON gives them back.
        notes: what else the file is to hold, for `parsed` to return.
    """
    write = _with_results if results else as_data
    noted = {} if notes is None else {"notes": notes}
    _write(path, {"runs": [write(run) for run in runs], **noted})


def load(path: str | Path) -> list[Run]:
    """Read the runs in a file that `save` wrote, or the one that `Run.save` wrote.

    They are marked as recorded, in `made`, so that pictures of them can say so.

    Raises:
        ValueError: the file holds no such runs, or a newer format; in one line.
    """
    path = Path(path)
    try:
        return parsed(path.read_text(encoding="utf-8"))[0]
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def parsed(written: str | bytes) -> tuple[list[Run], Any]:
    """Return the runs in the text of a file of runs, and its notes, None without any.

    The notes may be anything that JSON can be: who wrote them knows what is right.

    Raises:
        ValueError: there are no such runs, or the format is newer; in one line.
    """
    try:
        content = _of_format(json.loads(written))
        return _runs_of(content), content.get("notes")
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON ({error})") from None
    except RecursionError:
        raise ValueError("this is no saved run") from None


def recorded(folder: str | Path) -> dict[str, Run]:
    """Load every run in folder, by the name of its file without ".json".

    A printed line names each file of several runs, which `load` reads, and each that
    can't be read; the others are returned still.
    """
    runs = {}
    for path in sorted(Path(folder).glob("*.json")):
        try:
            runs[path.stem] = Run.load(path)
        except ValueError as error:
            print(error)
        except OSError as error:
            print(f"{path.name}: {error.strerror}")
    return runs


def as_data(run: Run) -> dict[str, Any]:
    """Return what JSON can hold of the run: all but the results."""
    names = [name for name in run.__dataclass_fields__ if name != "results"]
    return {name: getattr(run, name) for name in names}


def as_message(run: Run) -> dict[str, Any]:
    """Return what another Python sends of the run: its results too, if JSON can."""
    return {"format": FORMAT, **_with_results(run)}


def _with_results(run: Run) -> dict[str, Any]:
    results = run.results if is_data(run.results) else []
    return {**as_data(run), "results": results}


def from_message(message: dict[str, Any]) -> Run:
    """Return the run that `as_message` has described.

    Raises:
        ValueError: the message describes no run, or has a newer format; in one line.
    """
    return _run_of(_of_format(message))


def _run_of(data: object) -> Run:
    """Return the run that data describe, with its results if they are there."""
    if not isinstance(data, dict) or "results" not in data:
        return from_data(data)
    described, results = dict(data), data["results"]
    if not isinstance(described.pop("results"), list):
        raise ValueError("its results can't be right")
    return replace(from_data(described), results=results)


def is_data(thing: Any) -> bool:
    """Return whether JSON gives back what it is given."""
    try:
        return bool(json.loads(json.dumps(thing)) == thing)
    except (TypeError, ValueError, RecursionError):
        return False


def from_data(data: object) -> Run:
    """Return the run that `as_data` has described, after a look at every field.

    Raises:
        ValueError: data describe no run; in one line.
    """
    known = set(Run.__dataclass_fields__) - {"results"}
    if not isinstance(data, Mapping) or not data.keys() >= {"function", "spans"}:
        raise ValueError("this is no saved run")
    if strange := sorted(data.keys() - known):
        raise ValueError(f"no run has a field {strange[0]!r}")
    for name in ("strategy", "workers", "startup", "began", "wall", "rounds"):
        if name not in data:
            raise ValueError(f"its {name} is missing")
    try:
        rounds = tuple(Round(*map(_number, times)) for times in data["rounds"])
        spans = tuple(map(_span, data["spans"]))
    except (TypeError, LookupError):
        raise ValueError("its spans or its rounds can't be right") from None
    loaded = Run(**{**data, "spans": spans, "rounds": rounds})
    for name, right in _CHECKS.items():
        if not right(getattr(loaded, name)):
            raise ValueError(f"its {name} can't be right")
    return loaded


def _write(path: str | Path, content: dict[str, Any]) -> None:
    whole = {"format": FORMAT, **content}
    text = json.dumps(whole, indent=1, allow_nan=False) + "\n"
    Path(path).write_text(text, encoding="utf-8")


def _runs_of(content: dict[str, Any]) -> list[Run]:
    listed = content.get("runs", [content])
    if not isinstance(listed, list) or not listed:
        raise ValueError("it holds no runs")
    runs = [_run_of(each) for each in listed]
    return [replace(run, made={**run.made, "recorded": True}) for run in runs]


def _of_format(written: object) -> dict[str, Any]:
    """Return what was written, without its format, if that is one that is known."""
    if not isinstance(written, dict) or not _whole(written.get("format")):
        raise ValueError("this is no saved run")
    if written["format"] > FORMAT:
        raise ValueError("it was saved by a newer version of this kit")
    return {name: value for name, value in written.items() if name != "format"}


def _span(data: Any) -> Span:
    if len(data) != 7 or not all(map(_whole, data[:3])):
        raise TypeError
    task, pid, thread = data[:3]
    start, end, cpu = map(_number, data[3:6])
    span = Span(task, pid, thread, start, end, cpu, tuple(map(_stretch, data[6])))
    if span.cpu < 0:
        raise ValueError(f"task {task} has a negative CPU time")
    if any(end < start for start, end in (*span.stretches, (span.start, span.end))):
        raise ValueError(f"task {task} ends before it starts")
    return span


def _stretch(data: Any) -> tuple[float, float]:
    if len(data) != 2:
        raise TypeError
    return _number(data[0]), _number(data[1])


def _number(value: Any) -> float:
    if not _finite(value):
        raise TypeError
    return float(value)


def _finite(value: Any) -> bool:
    """Return whether value is a number: not a word, not true, not infinite."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1e300 < value < 1e300


def _whole(value: Any, least: int = 0) -> bool:
    return _finite(value) and isinstance(value, int) and value >= least


def _length(value: Any) -> bool:
    return _finite(value) and value >= 0


def _word(value: object) -> bool:
    return isinstance(value, str) and bool(value.split())


def _facts(value: object) -> bool:
    """Return whether value may be what a run notes of its making."""
    return isinstance(value, dict) and all(
        _whole(fact, 1) if name.endswith(" cores") else _plain(fact)
        for name, fact in value.items()
    )


def _plain(fact: object) -> bool:
    return fact is None or isinstance(fact, str | bool) or _finite(fact)


_CHECKS = {
    "function": _word,
    "strategy": _word,
    "workers": lambda value: _whole(value, 1),
    "startup": _length,
    "began": _finite,
    "wall": lambda value: _length(value) and value > 0,
    "idle": lambda value: value is None or _length(value),
    "first": _length,
    "ready": _whole,
    "memory": lambda value: value is None or _whole(value),
    "spent": lambda value: value is None or _length(value),
    "made": _facts,
    "rounds": lambda rounds: (
        bool(rounds) and all(r.wall > 0 and r.cores_busy >= 0 for r in rounds)
    ),
}
