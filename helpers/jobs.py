"""The table of workloads, each with inputs of a wanted length; and jobs of them.

A job says in plain data what to measure, so that another Python can be asked to.
"""

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from helpers import workloads
from helpers.faults import go_wrong
from helpers.machine import connections
from helpers.measure import calibrate, run
from helpers.runs import Run
from helpers.trace import watched_countdown

# A task multiplies matrices so often that the cubes of their rows add up to this: twice
# for 500 rows.
CUBES = 2.5e8


class Job(NamedTuple):
    """What to measure.

    Attributes:
        workload: a name from WORKLOADS.
        tasks: how many.
        seconds: how long one takes, about, where that can be set.
        ways: (strategy, workers) of each way; they run by turns.
        rounds: how often each way runs.
        interval: the switch interval in seconds; None for Python's own.
        address: of the web server, for what fetches.
        memory: whether to look how much memory the runs take, as `run` does; not with
            a switch interval, which is that of this process.
        size: the rows of the matrix, for what multiplies one.
        threads: how many BLAS may use for that; None: as many as it likes.
        each: what each task gets; None: what takes it so many seconds here.
        python: the path of the Python that measures; "": this one.
        fault, moment: what goes wrong in bare pools instead, and in which task, as
            `go_wrong` takes them; "": nothing does.
    """

    workload: str
    tasks: int
    seconds: float
    ways: tuple[tuple[str, int], ...]
    rounds: int = 3
    interval: float | None = None
    address: str = ""
    memory: bool = False
    size: int = 100
    threads: int | None = None
    each: Any = None
    python: str = ""
    fault: str = ""
    moment: int = 0


class Workload(NamedTuple):
    """A function, and what finds inputs of it for a job.

    Attributes:
        function, inputs: these two.
        awaited: what asyncio runs instead.
        made: makes the function for a job, where it isn't the same for all.
    """

    function: Callable[..., Any]
    inputs: Callable[[Job], list[Any]]
    awaited: Callable[[Any], Awaitable[Any]] | None = None
    made: Callable[[Job], Callable[[Any], Any]] | None = None


def _calibrated(function: Callable[[int], Any]) -> Workload:
    """Return a function of a number with inputs that keep it busy for long enough."""
    return Workload(
        function, lambda job: [calibrate(function, job.seconds)] * job.tasks
    )


def _addresses(job: Job) -> list[str]:
    """Return an address for each task; let so many be open at once if that may be."""
    connections(job.tasks)
    return [f"{job.address}?delay={job.seconds}"] * job.tasks


def _products(job: Job) -> list[int]:
    """Return for each task how often it multiplies: the same work for any threads."""
    return [max(1, round(CUBES / job.size**3))] * job.tasks


WORKLOADS = {
    "count": _calibrated(workloads.countdown),
    "count and watch": _calibrated(watched_countdown),
    "hash": _calibrated(workloads.sha256_rounds),
    "sleep": Workload(
        workloads.nap, lambda job: [job.seconds] * job.tasks, workloads.nap_async
    ),
    "fetch": Workload(workloads.fetch, _addresses, workloads.fetch_async),
    "tokenize files": Workload(
        workloads.count_tokens, lambda job: list(workloads.library_files(job.tasks))
    ),
    "next to nothing": Workload(abs, lambda job: list(range(job.tasks))),
    "multiply": Workload(
        workloads.Multiply,
        _products,
        made=lambda job: workloads.Multiply(job.size, job.threads),
    ),
}


def inputs_of(job: Job) -> list[Any]:
    """Return the inputs of a job's workload, as many as it has tasks.

    Raises:
        ValueError: there is no such workload; in one line.
    """
    if job.workload not in WORKLOADS:
        known = list(WORKLOADS)
        raise ValueError(f"no workload {job.workload!r}: choose from {known}")
    if job.each is not None:
        return [job.each] * job.tasks
    return WORKLOADS[job.workload].inputs(job)


def runs_of(job: Job) -> Iterator[Run]:
    """Measure a job here, its ways by turns; yield each run, without its results.

    Raises:
        ValueError: there is no such workload, no such way or no such fault; or both an
            interval and the memory are asked for.
        PythonFailed: the program in which something should go wrong did not begin.
        Exception: the workload's own.
    """
    if job.fault:
        yield from (go_wrong(job.fault, pool, job.moment) for pool, _ in job.ways)
        return
    if job.memory and job.interval:
        raise ValueError("memory is looked at in a process of the usual interval")
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(job.interval or before)
        inputs = inputs_of(job)
        function, _, awaited, made = WORKLOADS[job.workload]
        plain = made(job) if made else function
        facts = {"size": job.size, "threads": job.threads} if made else {}
        facts |= {} if job.each is None else {"each": job.each}
        for _ in range(job.rounds):
            for strategy, workers in job.ways:
                function = (strategy == "asyncio" and awaited) or plain
                done = run(function, inputs, strategy, workers, memory=job.memory)
                yield replace(done, results=[], made=done.made | facts)
    finally:
        sys.setswitchinterval(before)
