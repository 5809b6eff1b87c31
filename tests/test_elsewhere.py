"""Measuring in a process of its own: what comes of it, and that it can be ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest
from conftest import PARALLEL, first_line, until

from helpers import server
from helpers.claims import coarse_clock, gil_off
from helpers.elsewhere import Elsewhere
from helpers.jobs import WORKLOADS, Job
from helpers.runs import Run
from helpers.strategies import stays_here

BOTH = (("serial", 1), ("threads", 2))


class Listener:
    """Collects what an Elsewhere tells."""

    def __init__(self, python: str = sys.executable) -> None:
        self.told: SimpleQueue[tuple[int, Run | str | None]] = SimpleQueue()
        self.elsewhere = Elsewhere(lambda *told: self.told.put(told), python)

    def next(self) -> tuple[int, Run | str | None]:
        return self.told.get(timeout=60)

    def until_end(self) -> tuple[list[Run], str | None]:
        """Return all the runs of a job, and what was said at its end."""
        runs = []
        while isinstance(answer := self.next()[1], Run):
            runs.append(answer)
        return runs, answer


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.elsewhere.stop()


def descendants() -> list[psutil.Process]:
    """Return all processes below this one that run, whoever started them."""
    return list(filter(alive, psutil.Process().children(recursive=True)))


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_way_is_run_by_turns(listener: Listener, workload: str) -> None:
    address = server.start()
    listener.elsewhere.ask(Job(workload, 4, 0.01, BOTH, rounds=2, address=address))
    runs, end = listener.until_end()
    assert end is None
    assert [(run.strategy, run.workers) for run in runs] == [*BOTH, *BOTH]
    assert all(len(run.spans) == 4 and run.wall > 0 for run in runs)


def test_the_switch_interval_is_set_there_and_not_here(listener: Listener) -> None:
    before = sys.getswitchinterval()
    ways = (("threads", 2),)
    listener.elsewhere.ask(Job("count and watch", 2, 0.3, ways, 1, interval=0.05))
    (run,), _ = listener.until_end()
    assert sys.getswitchinterval() == before
    if gil_off() or coarse_clock() or run.cores_free < 1.8:
        pytest.skip("turns can't be told apart here")
    assert 0.025 < run.switch_interval < 0.1


def test_memory_is_that_of_a_process_that_has_done_nothing_else(
    listener: Listener,
) -> None:
    """In one process, what the first way lets go of would be the second's for free."""
    for names in (("threads", "asyncio"), ("asyncio", "threads")):
        ways = tuple((name, 200) for name in names)
        listener.elsewhere.ask(Job("sleep", 200, 0.2, ways, rounds=2, memory=True))
        runs, end = listener.until_end()
        assert end is None and len({run.spans[0].pid for run in runs}) == 4
        taken: dict[str, list[int]] = {"threads": [], "asyncio": []}
        for run in runs:
            taken[run.strategy].append(run.memory or 0)
        assert min(taken["threads"]) > 2 * max(taken["asyncio"])


@pytest.mark.skipif(sys.platform == "win32", reason="it has another limit")
def test_the_limit_of_open_files_is_raised_there_too(listener: Listener) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    server.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        listener.elsewhere.ask(Job("sleep", 1, 0.01, (("threads", 1),), rounds=1))
        assert listener.until_end()[1] is None, "it has begun, with few files"
        ways = (("threads", 400), ("asyncio", 400))
        job = Job("fetch", 400, 1.0, ways, 1, address=server.start())
        listener.elsewhere.ask(job)
        runs, end = listener.until_end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert end is None and all(run.wall < 20 for run in runs)
    assert [len(run.lanes) for run in runs] == [400, 400], "all at once"


def test_a_new_job_takes_the_place_of_the_old_one(listener: Listener) -> None:
    old = listener.elsewhere.ask(Job("sleep", 2, 0.1, (("serial", 1),), rounds=1000))
    assert listener.next()[0] == old
    new = listener.elsewhere.ask(Job("sleep", 2, 0.01, BOTH, rounds=1))
    while (number := listener.next()[0]) == old:
        pass
    assert number == new
    assert len(listener.until_end()[0]) == 1  # the other of the two was just heard


@pytest.mark.parametrize("strategy", ["serial", *PARALLEL])
def test_stop_ends_every_process_within_a_second(
    listener: Listener, strategy: str
) -> None:
    before = {process.pid for process in descendants()}
    ways = ((strategy, 1 if strategy == "serial" else 2),)
    # The first, short job makes sure that the process is there and has imported.
    listener.elsewhere.ask(Job("sleep", 2, 0.01, ways, rounds=1))
    assert listener.until_end()[1] is None
    listener.elsewhere.ask(Job("count", 4, 5.0, ways))
    workers = 0 if stays_here(strategy) else 2
    assert until(lambda: len(descendants()) >= len(before) + 1 + workers)
    family = [process for process in descendants() if process.pid not in before]
    began = time.monotonic()
    listener.elsewhere.stop()
    assert time.monotonic() - began < 1
    assert not list(filter(alive, family))
    listener.elsewhere.ask(Job("sleep", 2, 0.01, ways, rounds=1))
    assert listener.until_end()[1] is None, "after a stop it can measure again"


def test_what_fails_is_said_in_one_line(listener: Listener) -> None:
    listener.elsewhere.ask(Job("sleep", 1, 0.01, (("nonsense", 2),)))
    runs, said = listener.until_end()
    assert not runs and said and "nonsense" in said and "\n" not in said


def test_a_process_that_was_killed_is_noticed(listener: Listener) -> None:
    before = {process.pid for process in descendants()}
    listener.elsewhere.ask(Job("sleep", 2, 0.1, (("serial", 1),), rounds=1000))
    listener.next()
    for process in descendants():
        if process.pid not in before:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    _, said = listener.until_end()
    assert said and "died" in said
    listener.elsewhere.ask(Job("sleep", 1, 0.01, BOTH, rounds=1))
    assert len(listener.until_end()[0]) == 2


def test_a_process_that_dies_before_its_first_run_is_noticed(
    listener: Listener,
) -> None:
    before = {process.pid for process in descendants()}
    listener.elsewhere.ask(Job("sleep", 1, 5.0, (("serial", 1),)))
    assert until(lambda: {process.pid for process in descendants()} - before)
    for process in descendants():
        if process.pid not in before:
            process.kill()
    runs, said = listener.until_end()
    assert not runs and said and said.startswith("the process that measures has died")


def told(python: str, tmp_path: Path, text: str = "") -> str:
    """Return what is said of a Python that can't measure: a file with that text."""
    if text:
        program = tmp_path / python
        program.write_text(text)
        program.chmod(0o755)
        python = str(program)
    listener = Listener(python)
    listener.elsewhere.ask(Job("sleep", 1, 0.01, BOTH))
    runs, said = listener.until_end()
    assert not runs and said and "\n" not in said
    return said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such scripts")
def test_its_last_words_are_told(tmp_path: Path) -> None:
    said = told(
        "broken", tmp_path, "#!/bin/sh\necho one >&2; echo no helpers >&2\nexit 3"
    )
    assert said == "the process that measures has died: no helpers"
    said = told("odd", tmp_path, "#!/bin/sh\necho 'Welcome!'\nsleep 60")
    assert said.endswith("died: what it said is no run")
    said = told("nothing", tmp_path, "#!/bin/sh\nread job\nexit 0")
    assert said == "the process that measures has died"


def test_another_python_measures_with_nothing_installed() -> None:
    other = Listener(getattr(sys, "_base_executable", sys.executable))
    other.elsewhere.ask(Job("count", 4, 0.01, (*BOTH, ("processes", 2)), rounds=1))
    runs, end = other.until_end()
    other.elsewhere.stop()
    assert end is None
    assert [run.strategy for run in runs] == ["serial", "threads", "processes"]
    assert all(run.spent is None for run in runs[2:]), "it has no psutil"
    assert len(runs[2].by_worker) == 2


ASKER = """
import time
from helpers.elsewhere import Elsewhere
from helpers.jobs import Job
ways = (("processes", 2), ("joblib", 2))
Elsewhere(lambda *told: print(told[0], flush=True)).ask(
    Job("sleep", 4, 0.1, ways, rounds=1000)
)
time.sleep(600)
"""


def test_it_ends_with_the_process_that_asked() -> None:
    asker = subprocess.Popen(
        [sys.executable, "-c", ASKER], stdout=subprocess.PIPE, text=True
    )
    first_line(asker)
    family = psutil.Process(asker.pid).children(recursive=True)
    assert family
    os.kill(asker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    asker.communicate()

    assert until(lambda: not any(map(alive, family)))
