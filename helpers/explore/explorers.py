"""The explorers: what each lets its reader turn, measures for that, and draws."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from helpers import figures, server
from helpers.explore.explorer import Explorer
from helpers.explore.frame import WIDE, choice, slider, steps
from helpers.explore.kept import SOURCE, Picture, from_source
from helpers.jobs import WORKLOADS, Job
from helpers.laws import fit_amdahl
from helpers.machine import connections, cores
from helpers.runs import Run, by_workers

# Those whose tasks can be made as long as is wished. "count" does for bars what
# "count and watch" does for stripes.
UNTIMED = ("count and watch", "tokenize files", "next to nothing")
TIMED = [name for name in WORKLOADS if name not in UNTIMED]
BOTH = "threads and processes"
# Seconds that the waits of one run may take, all told.
LONGEST = 20


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


def waiting(runs: Iterable[Run] = ()) -> Explorer:
    """Explore waiting: how many waits, how long, in which way, how many at a time.

    Args:
        runs: made with `run(fetch, …, memory=True)`, to draw at first.
    """
    many = {f"{count:,}": count for count in (1, 10, 100, 200, 500, 1000)}
    at_once = {f"{count:,}": count for count in (1, 10, 100, 1000)}
    delays = {f"{seconds:g} s": seconds for seconds in (0.05, 0.1, 0.2, 0.5, 1.0)}
    controls = {
        "waits": steps("waits", many, 100),
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
