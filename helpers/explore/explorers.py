"""The explorers: what each lets its reader turn, measures for that, and draws."""

import functools
import math
import re
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from helpers import figures, machine, mishaps, server
from helpers.explore.explorer import Explorer
from helpers.explore.frame import WIDE, choice, slider, steps
from helpers.explore.kept import SOURCE, Picture, from_source
from helpers.faults import FAULTS
from helpers.figures.grid import Grid
from helpers.figures.look import python_of
from helpers.jobs import WORKLOADS, Job
from helpers.laws import fit_amdahl
from helpers.machine import connections, cores
from helpers.pythons import Python
from helpers.runs import Run, by_workers

# Those whose tasks can be made as long as is wished. "count" does for bars what
# "count and watch" does for stripes.
UNTIMED = ("count and watch", "tokenize files", "next to nothing", "multiply")
TIMED = [name for name in WORKLOADS if name not in UNTIMED]
BOTH = "threads and processes"
# By row, by column: a run, or none yet.
Cells = dict[Any, dict[Any, Run | None]]
# Seconds that the waits of one run may take, all told.
LONGEST = 20
# Tasks by the seconds that one takes: work enough that its share can be told.
LENGTHS = {
    "10 µs": (1e-5, 10_000),
    "100 µs": (1e-4, 2000),
    "1 ms": (1e-3, 200),
    "10 ms": (1e-2, 20),
}
CHUNKS = (1, 10, 100)
# So many pieces of a run can be told apart on a worker's row.
PIECES = 40
# Processes, or threads in each, at most, however many cores the machine has.
MOST = 16
NO_LIMIT = "any"
# Rows of the matrices that are multiplied.
SIZES = (100, 200, 500, 1000)
# What each of eight tasks gets, so that all Pythons have the same work: of about as
# many seconds.
SAME, TASKS, SECONDS = {"count and watch": 10**6, "hash": 1000, "sleep": 0.05}, 8, 0.05
# So many of the runs that were measured last are raced in one picture.
RACERS = 12


def gil(*runs: Run) -> Explorer:
    """Explore who holds the GIL: workers, switch interval, threads or processes.

    Args:
        runs: of `watched_countdown`, to draw at first.
    """
    controls = {
        "workers": slider("workers", 2, 1, 8),
        "kind": choice("kind", ["threads", "processes"]),
        "interval": steps(
            "switch interval",
            {f"{ms:g} ms": ms for ms in (0.5, 1, 2, 5, 10, 20, 50)},
            5,
        ),
    }

    def plan(workers: int, kind: str, interval: float) -> Job:
        # Each worker gets a few turns, however long they are.
        seconds = max(0.1, 3 * interval / 1e3)
        ways = ((kind, workers),)
        return Job("count and watch", workers, seconds, ways, 2, interval / 1e3)

    def draw(
        runs: list[Run], workers: int, kind: str, interval: float
    ) -> list[Picture]:
        first = max(0.1, 2 * workers * interval / 1e3)
        return [_picture(figures.stripes.draw(*runs, first=first))]

    return Explorer("gil", controls, plan, draw, runs)


def pools(runs: Mapping[str, Run] | None = None) -> Explorer:
    """Explore pools: workload, strategy, workers, and the length of a task.

    Args:
        runs: what `race` returned, to draw at first.
    """
    names = ["threads", "processes", "multiprocessing_pool", "joblib"]
    controls = {
        "workload": choice("workload", TIMED),
        "strategy": choice("strategy", [BOTH, *names]),
        "workers": slider("workers", 2, 1, 8),
        "size": steps(
            "one task takes", {f"{ms} ms": ms for ms in (0.01, 0.1, 1, 5, 20, 100)}, 20
        ),
    }

    def plan(workload: str, strategy: str, workers: int, size: float) -> Job:
        ways = [(name, workers) for name in strategy.split(" and ")]
        return _beside_serial(workload, 16, size / 1e3, ways)

    def draw(runs: list[Run], **settings: Any) -> list[Picture]:
        parallel = [run for run in runs if run.strategy != "serial"]
        race = figures.race_bars.draw(_named(runs))
        return [_picture(race), _picture(figures.timeline.draw(*parallel or runs))]

    return Explorer("pools", controls, plan, draw, (runs or {}).values())


def joblib(runs: Mapping[str, Run] | None = None) -> Explorer:
    """Explore joblib: n_jobs, batch size, length of a task, and backend.

    Args:
        runs: what `race` returned, to draw at first.
    """
    lengths = {"1 µs": 1e-6, "10 µs": 1e-5, "0.1 ms": 1e-4, "1 ms": 1e-3, "10 ms": 1e-2}
    controls = {
        "n_jobs": slider("n_jobs", 2, 1, 8),
        "batch_size": steps(
            "batch_size",
            {str(size): size for size in ("auto", 1, 10, 100, 500)},
            "auto",
        ),
        "length": steps("one task takes", lengths, 1e-5),
        "backend": choice("backend", ["loky", "threading"]),
    }

    def plan(n_jobs: int, batch_size: str | int, length: float, backend: str) -> Job:
        tasks = max(50, min(1000, round(0.3 / length)))
        way = f"joblib {backend}" + (f" {batch_size}" if batch_size != "auto" else "")
        return _beside_serial("count", tasks, length, [(way, n_jobs)])

    def draw(runs: list[Run], **settings: Any) -> list[Picture]:
        return [_picture(figures.batches.draw(_named(runs)))]

    return Explorer("joblib", controls, plan, draw, (runs or {}).values())


def speedup(
    sweeps: Mapping[str, Mapping[int, Run]] | None = None, ceiling: float | None = None
) -> Explorer:
    """Explore the speed-up: workload, strategies, workers, and the law behind it.

    Args:
        sweeps: what `sweep` returned, by name of the strategy, to draw at first.
        ceiling: from `machine.ceiling()`, to draw beside it.
    """
    most = min(16, 2 * cores().allowed)
    controls = {
        "workload": choice("workload", TIMED),
        "strategy": choice("strategy", ["processes", "threads", "joblib", BOTH]),
        "workers": slider("workers up to", most, 1, most),
        "serial": widgets.FloatSlider(
            0.1, min=0, max=1, step=0.01, description="serial part", **WIDE
        ),
    }

    def plan(workload: str, strategy: str, workers: int, serial: float) -> Job:
        counts = range(1, 9) if workers <= 8 else [1, 2, 3, 4, 6, 8, 12, 16]
        ways = [
            (name, count)
            for name in strategy.split(" and ")
            for count in counts
            if count <= workers
        ]
        return _beside_serial(workload, 24, 0.02, ways)

    def draw(runs: list[Run], serial: float, **settings: Any) -> list[Picture]:
        made = tuple(str(run.made) for run in runs)
        return [_moving_speedup(tuple(runs), made, ceiling).at(serial)]

    found = [
        run
        for name, swept in (sweeps or {}).items()
        for run in from_source(name, swept.values())
    ]
    return Explorer("speedup", controls, plan, draw, found)


def chunks(grid: Grid | None = None) -> Explorer:
    """Explore chunks: length of a task, tasks in a chunk, workers, and kind of pool.

    Args:
        grid: what the lesson has measured, to draw at first: by length of a task, by
            tasks in a chunk, a run; the loop at "serial".
    """
    first = [
        run
        for row, cells in (grid or {}).items()
        for run in from_source(str(row), filter(None, cells.values()))
    ]
    most = min(MOST, 2 * cores().allowed)
    usual = max((run.workers for run in first), default=2)
    controls = {
        "length": steps("one task takes", {name: name for name in LENGTHS}, "10 µs"),
        "size": steps("tasks in a chunk", {str(size): size for size in CHUNKS}, 1),
        "workers": slider("workers", min(usual, most), 1, most),
        "kind": choice("kind", ["processes", "multiprocessing_pool", "joblib"]),
    }

    def plan(length: str, size: int, workers: int, kind: str) -> Job:
        seconds, tasks = LENGTHS[length]
        ways = (("serial", 1), (f"{kind} {size}", workers))
        return Job("count", tasks, seconds, ways, rounds=2)

    def draw(
        runs: list[Run],
        measured: list[Run],
        length: str,
        size: int,
        workers: int,
        kind: str,
    ) -> list[Picture]:
        *others, last = _parallel(runs)
        mine = (kind, workers) == (_pool_of(last)[0], last.workers)
        drawn = figures.heat_map.draw(
            _chunk_cells(_with_others(runs, measured), last),
            *("speed-up", "useful share"),
            rows="task",
            columns="chunk",
            mark=(length, size) if mine else None,
        )
        if others:
            return [_picture(drawn)]
        return [_picture(drawn), _picture(_trips(runs, last))]

    return Explorer("chunks", controls, plan, draw, first, together=True)


def nested(grid: Grid | None = None, size: int = 500) -> Explorer:
    """Explore pools in pools: workers, and the threads that BLAS has in each.

    Args:
        grid: what the lesson has measured, to draw at first: by number of processes,
            by number of threads in each, a run of 16 tasks of `Multiply(size, threads)`
            with two products each; with others what is measured can't be compared.
        size: of the matrices in these runs.
    """
    counts = _counts()
    numbers = {str(count): count for count in counts}
    controls = {
        "size": steps("rows of the matrix", {str(n): n for n in SIZES}, 500),
        "workers": steps("processes", numbers, 1),
        "threads": steps("threads in each", numbers, 1),
        "limit": widgets.Checkbox(True, description="limit the threads", **WIDE),
    }

    def plan(size: int, workers: int, threads: int, limit: bool) -> Job:
        ways = (("processes", workers),)
        limited = threads if limit else None
        return Job("multiply", 16, 0.02, ways, 2, size=size, threads=limited)

    def draw(
        runs: list[Run],
        measured: list[Run],
        size: int,
        workers: int,
        threads: int,
        limit: bool,
    ) -> list[Picture]:
        *_, last = _parallel(runs)
        mine = size == last.made.get("size")
        drawn = figures.heat_map.draw(
            _nested_cells(_with_others(runs, measured), last, counts),
            *("wall", "CPU time"),
            rows="processes",
            columns="threads",
            cores=last.made.get("allowed cores"),
            mark=(workers, threads if limit else NO_LIMIT) if mine else None,
        )
        return [_picture(drawn)]

    first = [
        replace(run, made=run.made | {"size": size, "threads": threads})
        for cells in (grid or {}).values()
        for threads, run in cells.items()
        if run is not None
    ]
    return Explorer("nested", controls, plan, draw, first, together=True)


def _nested_cells(runs: Iterable[Run], last: Run, counts: Sequence[int]) -> Cells:
    """Return the runs that did the same work as the last, by processes and threads."""
    cells: Cells = {each: dict.fromkeys([*counts, NO_LIMIT]) for each in counts}
    for run in runs:
        if _work_of(run) == _work_of(last):
            cells.setdefault(run.workers, {})[_threads_of(run)] = run
    return cells


def _counts() -> list[int]:
    """Return numbers of processes, or of threads in each, up to twice the cores."""
    allowed = cores().allowed
    most = min(MOST, 2 * allowed)
    powers = {2**power for power in range(5)} | {allowed, most}
    return sorted(count for count in powers if count <= most)


def _trips(runs: Iterable[Run], last: Run) -> tuple[Figure, str]:
    """Return the figure of batches, from the beginning on as many as can be seen."""
    *_, end = last.batches[: PIECES * len(last.by_worker)]
    return figures.batches.draw(_named(runs), 1.02 * (end[-1].end - last.began))


def _parallel(runs: Iterable[Run]) -> list[Run]:
    """Return the runs besides the loop's.

    Raises:
        ValueError: there is none.
    """
    found = [run for run in runs if run.strategy != "serial"]
    if not found:
        raise ValueError("there is no run but the loop's")
    return found


def _with_others(runs: list[Run], measured: list[Run]) -> list[Run]:
    """Return the runs and what was measured before, unless they are from elsewhere."""
    return runs if any(SOURCE in run.made for run in runs) else [*measured, *runs]


def _chunk_cells(runs: Iterable[Run], last: Run) -> Cells:
    """Return the runs of the same pool as the last one, each row beside its loop.

    A row holds runs of as many tasks as its latest: so they have the same loop.
    """
    cells: Cells = {name: dict.fromkeys(("serial", *CHUNKS)) for name in LENGTHS}
    for run in runs:
        kind, size = _pool_of(run)
        if kind == "serial" or (kind, run.workers) == (_pool_of(last)[0], last.workers):
            row = cells[_length_of(run)]
            if any(each and len(each.spans) != len(run.spans) for each in row.values()):
                row.update(dict.fromkeys(row))
            loop = row["serial"]
            if kind != "serial" or loop is None or run.wall < loop.wall:
                row[size or kind] = run
    return cells


def _pool_of(run: Run) -> tuple[str, Any]:
    """Return the kind of a run's pool and, if its name tells, how large its chunks are.

    "processes 10": they are of 10 tasks; "processes": of one; "joblib": nobody knows.
    """
    kind, _, size = run.strategy.rpartition(" ")
    if size.isdecimal():
        return kind, int(size)
    return run.strategy, 1 if run.strategy.startswith("processes") else ""


def _length_of(run: Run) -> str:
    """Return the length of a run's tasks: the one nearest to what they took."""
    took = statistics.median(span.end - span.start for span in run.spans[:99])
    times = max(took, 1e-9)
    return min(LENGTHS, key=lambda name: abs(math.log(LENGTHS[name][0] / times)))


def _threads_of(run: Run) -> Any:
    """Return how many threads BLAS might use in each process, as the run has noted."""
    return run.made.get("threads") or NO_LIMIT


def _work_of(run: Run) -> tuple[Any, int]:
    return run.made.get("size"), len(run.spans)


def waiting(runs: Iterable[Run] = ()) -> Explorer:
    """Explore waiting: how many waits, how long, in which way, how many at a time.

    Args:
        runs: made with `run(fetch, …, memory=True)`, to draw at first: of as many
            waits each.
    """
    many = {f"{count:,}": count for count in (1, 10, 100, 200, 500, 1000)}
    at_once = {f"{count:,}": count for count in (1, 10, 100, 1000)}
    delays = {f"{seconds:g} s": seconds for seconds in (0.05, 0.1, 0.2, 0.5, 1.0)}
    runs = list(runs)
    first = len(runs[-1].spans) if runs else 100
    controls = {
        "waits": steps("waits", many, first if first in many.values() else 100),
        "delay": steps("each takes", delays, 0.5),
        "way": choice("way", ["threads and asyncio", "threads", "asyncio"]),
        "limit": steps("at a time", at_once, 1000),
    }

    def plan(waits: int, delay: float, way: str, limit: int) -> Job:
        limit = min(limit, waits, connections(waits))
        seconds = waits * delay / limit
        if seconds > LONGEST:
            raise RuntimeError(
                f"{waits:,} waits of {delay:g} s, {limit:,} at a time, take about "
                f"{seconds:,.0f} s: turn “at a time” up, or one of the others down"
            )
        ways = tuple((name, limit) for name in way.split(" and "))
        rounds = 2 if seconds <= 2 else 1
        address = server.start()
        return Job("fetch", waits, delay, ways, rounds, address=address, memory=True)

    def draw(runs: list[Run], waits: int, limit: int, **others: Any) -> list[Picture]:
        image, sentence = _picture(figures.waits.draw(runs))
        sentence += _fewer_connections(runs, min(limit, waits))
        return [(image, sentence), _picture(figures.timeline.draw(*runs))]

    return Explorer("waiting", controls, plan, draw, runs)


def _fewer_connections(runs: Iterable[Run], asked: int) -> str:
    """Say so where the system allowed the runs fewer connections than asked for."""
    allowed = connections(asked)
    if allowed == asked or all(run.workers != allowed for run in runs):
        return ""
    return (
        f" This system lets a program have about {allowed:,} connections at a time, "
        f"so no more waited together, of the {asked:,} asked for."
    )


def pythons(runs: Iterable[Run] = ()) -> Explorer:
    """Explore Pythons: those of this machine, strategy, workers, and workload.

    Args:
        runs: of one workload, to draw at first: recorded ones, say.
    """
    names = ["threads", "processes", "interpreters", "serial"]
    controls = {
        "python": choice("Python", _pythons_here()),
        "strategy": choice("strategy", names),
        "workers": slider("workers", 2, 1, 8),
        "workload": choice("workload", list(SAME)),
    }

    def plan(python: Python, strategy: str, workers: int, workload: str) -> Job:
        numbers = [int(number) for number in python.version.split(".")]
        if strategy == "interpreters" and numbers < [3, 14]:
            raise RuntimeError(
                f"Python {python.name} has no interpreters, which came with 3.14: "
                "choose another Python, or another strategy"
            )
        ways = ((strategy, 1 if strategy == "serial" else workers),)
        path = "" if python.path == sys.executable else python.path
        each = SAME[workload]
        return Job(workload, TASKS, SECONDS, ways, 2, each=each, python=path)

    def draw(runs: list[Run], measured: list[Run], **settings: Any) -> list[Picture]:
        task = _task_of(runs[-1])
        watched = all(span.stretches for run in runs for span in run.spans)
        shown = figures.stripes if watched else figures.timeline
        image, sentence = _picture(shown.draw(*runs))
        if len(versions := {_version(run) for run in runs}) == 1:
            sentence = f"Python {versions.pop()}. {sentence}"
        same = [r for r in _with_others(runs, measured) if _task_of(r) == task]
        return [(image, sentence), _picture(figures.race_bars.draw(_racers(same)))]

    return Explorer("pythons", controls, plan, draw, runs, together=True)


def faults(runs: Iterable[Run] = ()) -> Explorer:
    """Explore what goes wrong: what it is, in which pool, and in which task.

    Args:
        runs: of `faults.go_wrong`, to draw at first.
    """
    pools = ["processes", "multiprocessing_pool", "joblib", "threads"]
    pools += ["interpreters"] * (sys.version_info >= (3, 14))
    does = {words: name for name, words in FAULTS.items()}
    numbers = {str(task): task for task in range(mishaps.TASKS)}
    controls = {
        "fault": choice("one task", does),
        "pool": choice("pool", pools),
        "moment": steps("it is task", numbers, 3),
    }

    def plan(fault: str, pool: str, moment: int) -> Job:
        how = mishaps.TASKS, mishaps.NAP, ((pool, mishaps.WORKERS),)
        return Job("sleep", *how, 1, fault=fault, moment=moment)

    def draw(runs: list[Run], **settings: Any) -> list[Picture]:
        return [_picture(figures.timeline.draw(*runs))]

    return Explorer("faults", controls, plan, draw, runs)


def _pythons_here() -> dict[str, Python]:
    """Return the Pythons of this machine by their names, this one first."""
    version = ".".join(map(str, sys.version_info[:3]))
    known = machine.facts()
    built, gil = bool(known["free-threaded build"]), bool(known["gil"])
    this = Python(sys.executable, version, built, gil)
    found = {this.name: this}
    for python in machine.pythons():
        if (python.version, python.free_threaded) != (version, built):
            full = python.version + "t" * python.free_threaded
            found[full if python.name in found else python.name] = python
    return found


def _racers(runs: Iterable[Run]) -> dict[str, Run]:
    """Return the last of the runs by way and Python, in the order of the Pythons."""
    found: dict[str, Run] = {}
    for run in runs:
        workers = f" × {run.workers}" if run.strategy != "serial" else ""
        name = f"{run.strategy}{workers}, {_version(run)}"
        if SOURCE in run.made and name in found:
            name += f", {run.made[SOURCE]}"
        found.pop(name, None)
        found[name] = run
    last = list(found.items())[-RACERS:]
    return dict(sorted(last, key=lambda named: _order(named[1])))


def _order(run: Run) -> tuple[Any, ...]:
    """Return what puts older Pythons first, and of each its loop first."""
    version = _version(run)
    numbers = [int(digits) for digits in re.findall(r"\d+", version)]
    return numbers, version, run.strategy != "serial", run.strategy, run.workers


def _version(run: Run) -> str:
    return python_of(run) or "?"


def _task_of(run: Run) -> tuple[str, int, Any]:
    return run.function, len(run.spans), run.made.get("each")


def _beside_serial(
    workload: str, tasks: int, seconds: float, ways: Sequence[tuple[str, int]]
) -> Job:
    address = server.start() if workload == "fetch" else ""
    return Job(workload, tasks, seconds, (("serial", 1), *ways), address=address)


def _picture(drawn: tuple[Figure, str]) -> Picture:
    figure, sentence = drawn
    return figures.png(figure, sentence), sentence


@functools.lru_cache(maxsize=1)
def _moving_speedup(
    runs: tuple[Run, ...], made: tuple[str, ...], ceiling: float | None
) -> figures.MovingSpeedup:
    """Return the figure of the runs, drawn again only for others, or others' `made`."""
    found = _sweeps(runs)
    law = fit_amdahl(next(iter(found.values()), {}))
    return figures.MovingSpeedup(found, ceiling, law)


def _named(runs: Iterable[Run]) -> dict[str, Run]:
    """Return runs by strategy, with what tells them apart where it is the same."""
    named: dict[str, Run] = {}
    for run in runs:
        name = run.strategy
        if name in named and named[name].workers != run.workers:
            name += f", {run.workers} workers"
        elif name in named:
            name += f", {run.made.get(SOURCE, '?')}"
        while name in named:
            name += ", again"
        named[name] = run
    return named


def _sweeps(runs: Iterable[Run]) -> dict[str, dict[int, Run]]:
    """Return runs as `sweep` does, for each strategy and each machine they are from."""
    machines: dict[str, list[Run]] = {}
    for run in runs:
        machines.setdefault(str(run.made), []).append(run)
    found: dict[str, dict[int, Run]] = {}
    for together in machines.values():
        for way in dict.fromkeys(run.strategy for run in together):
            if way != "serial":
                source = together[0].made.get(SOURCE, "?")
                name = f"{way} ({source})" if way in found else way
                mine = [run for run in together if run.strategy in (way, "serial")]
                found[name] = by_workers(mine)
    return found
