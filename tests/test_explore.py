"""The explorers as a reader uses them: what is drawn, kept, stopped, saved, loaded."""

import gc
import html
import json
import os
import random
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from comm import get_comm_manager
from conftest import until
from jupyter_client.manager import KernelManager, start_new_kernel
from test_elsewhere import alive, descendants

from helpers import explore, machine, server
from helpers.explore import Explorer
from helpers.explore.explorers import SAME
from helpers.explore.replay import noted
from helpers.faults import go_wrong
from helpers.jobs import WORKLOADS
from helpers.machine import Cores
from helpers.measure import calibrate, race, run, sweep
from helpers.pythons import Python
from helpers.runs import Run, load, save
from helpers.trace import Span, watched_countdown
from helpers.workloads import countdown, nap, nap_async

EXPLORERS: dict[str, Callable[..., Explorer]] = {
    "chunks": explore.chunks,
    "faults": explore.faults,
    "gil": explore.gil,
    "pools": explore.pools,
    "joblib": explore.joblib,
    "nested": explore.nested,
    "pythons": explore.pythons,
    "speedup": explore.speedup,
    "waiting": explore.waiting,
}


@pytest.fixture(autouse=True)
def nothing_goes_wrong_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    yield
    assert not failed, failed


@pytest.fixture
def explored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable]:
    """Yield a function that makes an explorer, which is stopped in the end."""
    monkeypatch.chdir(tmp_path)
    made: list[Explorer] = []

    def make(name: str, *runs: object) -> Explorer:
        made.append(EXPLORERS[name](*runs))
        return made[-1]

    yield make
    for explorer in made:
        explorer.stop()


def settled(explorer: Explorer) -> Explorer:
    """Wait until nothing is measured any more."""
    assert until(lambda: not explorer.measuring, seconds=60)
    with explorer.lock:  # held until the end has been said, too
        return explorer


def words(explorer: Explorer) -> str:
    """Return what is said of its pictures, without where and when runs were made."""
    said = re.sub(r"<[^>]*>", "", explorer.picture.value)
    return re.sub(r" Recorded on .*? cores?\.", "", said)


def pictures(explorer: Explorer) -> list[str]:
    return re.findall(r'src="([^"]+)"', explorer.picture.value)


def test_it_draws_the_runs_of_the_plain_call_before_anything_is_measured(
    explored: Callable,
) -> None:
    naps = [0.01] * 4
    first: dict[str, list[Any]] = {
        "chunks": [{"10 ms": race(nap, naps, {"serial": 1, "processes": 2}, 1, 0)}],
        "faults": [[go_wrong("error", "threads")]],
        "gil": [run(watched_countdown, [1000] * 2, "threads", 2)],
        "nested": [{2: {1: run(nap, naps, "processes", 2), 4: None}}],
        "pools": [race(nap, naps, {"serial": 1, "threads": 2}, 1, 0)],
        "pythons": [[run(nap, naps, "threads", 2)]],
        "joblib": [race(countdown, naps, {"serial": 1, "joblib": 2}, 1, 0)],
        "speedup": [{"threads": sweep(nap, naps, "threads", [0, 1, 2])}],
        "waiting": [[run(nap_async, naps, "asyncio", 4, memory=True)]],
    }
    for name, runs in first.items():
        explorer = explored(name, *runs)
        assert pictures(explorer) and not explorer.measuring
        assert "of this lesson" in explorer.status.value


@pytest.mark.parametrize("name", EXPLORERS)
def test_run_measures_and_draws_with_words(explored: Callable, name: str) -> None:
    explorer = explored(name)
    assert not pictures(explorer)
    explorer.run()
    assert explorer.measuring
    settled(explorer)
    assert "Measured" in explorer.status.value
    assert pictures(explorer)
    for words in re.findall(r'alt="([^"]+)"', explorer.picture.value):
        assert f"<p>{words}</p>" in explorer.picture.value


def test_every_control_has_a_label_and_a_value_that_can_be_asked_for() -> None:
    for make in EXPLORERS.values():
        explorer = make()
        for name, control in explorer.controls.items():
            assert control.description
            assert explorer.settings[name] == control.value
            assert not getattr(control, "continuous_update", False) or name == "serial"
            assert control.description in repr(explorer)


def test_a_setting_seen_before_is_drawn_from_its_kept_runs(explored: Callable) -> None:
    explorer = explored("gil")
    workers = explorer.controls["workers"]
    explorer.run()
    two = pictures(settled(explorer))
    workers.value = 3
    three = pictures(settled(explorer))
    workers.value = 2
    assert not explorer.measuring and pictures(explorer) == two != three
    explorer.run()
    assert explorer.measuring, "Run measures again"


def test_the_serial_slider_draws_without_measuring(explored: Callable) -> None:
    explorer = explored("speedup")
    explorer.controls["workers"].value = 2
    before = pictures(settled(explorer))
    explorer.controls["serial"].value = 0.4
    assert not explorer.measuring and pictures(explorer) != before
    assert "With a serial part of 40 %" in explorer.picture.value


# How an explorer of waits asks for little, so that it answers soon.
SHORT = {"waits": 10, "delay": 0.05, "way": "asyncio"}


def turn(explorer: Explorer, **settings: Any) -> Explorer:
    """Move controls; return the explorer when all is measured."""
    for name, value in settings.items():
        explorer.controls[name].value = value
    return settled(explorer)


def words_of(explorer: Explorer) -> list[str]:
    """Return the sentence of each picture."""
    found = re.findall(r"<p>([^<]+)</p>", explorer.picture.value)
    return [html.unescape(words) for words in found]


def test_chunks_fill_a_map_and_each_is_a_piece(explored: Callable) -> None:
    explorer = turn(explored("chunks"), length="10 ms", size=10)
    grid, trips = words_of(explorer)
    assert "Your setting (task 10 ms, chunk 10): " in grid
    assert "at worst" not in grid, "it is the only cell"
    assert "20 tasks in 2 batches" in trips
    turn(explorer, size=1)
    grid, trips = words_of(explorer)
    assert "Your setting (task 10 ms, chunk 1): " in grid
    assert "(task 10 ms, chunk 10)" in grid, "what was measured before is still there"
    assert "20 tasks in 20 batches" in trips
    explorer.controls["size"].value = 10
    assert not explorer.measuring
    grid, _ = words_of(explorer)
    assert "Your setting (task 10 ms, chunk 10)" in grid
    assert "(task 10 ms, chunk 1)" in grid, "what was measured after, too"
    for other in ({"kind": "multiprocessing_pool"}, {"workers": 1}):
        turn(explorer, **other)
        grid, trips = words_of(explorer)
        assert "chunk 1)" not in grid, "another pool has a map of its own"
        assert "20 tasks in 2 batches" in trips
    turn(explorer, kind="joblib", workers=2)
    assert "20 tasks in about " in words_of(explorer)[1]


def test_chunks_stand_among_those_of_the_lesson_if_they_have_the_same_work(
    explored: Callable,
) -> None:
    lengths = [calibrate(countdown, 0.01)] * 20
    for tasks, together in ((20, True), (10, False)):
        ways = {"serial": 1, "processes 100": 2}
        loop, chunked = race(countdown, lengths[:tasks], ways, 1, 0).values()
        explorer = explored("chunks", {"10 ms": {"serial": loop, 100: chunked}})
        assert "(task 10 ms, chunk 100)" in words_of(explorer)[0]
        turn(explorer, length="10 ms")
        assert ("(task 10 ms, chunk 100)" in words_of(explorer)[0]) == together


def test_saved_chunks_are_drawn_without_those_that_were_measured_here(
    explored: Callable, tmp_path: Path
) -> None:
    explorer = turn(explored("chunks"), length="10 ms", size=10)
    explorer.save()
    turn(explorer, size=100)
    explorer.load(tmp_path / "saved_runs" / "chunks_1.json")
    grid, _ = words_of(explorer)
    assert "at best" in grid and "at worst" not in grid, "it is the only cell"
    assert "(task 10 ms, chunk 10)" in grid
    assert "Your setting (task 10 ms, chunk 100): not measured yet." in grid


def test_pools_in_pools_fill_a_map_with_a_limit_and_without(explored: Callable) -> None:
    explorer = explored("nested")
    explorer.run()
    (words,) = words_of(settled(explorer))
    assert "Your setting (processes 1, threads 1): " in words
    assert "CPU time of all processes: at best " in words
    assert "unknown" not in words, "there is work enough to tell"
    turn(explorer, limit=False)
    (words,) = words_of(explorer)
    assert "Your setting (processes 1, threads any): " in words
    assert "(processes 1, threads 1)" in words, "it is still there"
    threads = explorer.controls["threads"]
    threads.value = 2
    assert not explorer.measuring, "without a limit their number says nothing"
    turn(explorer, limit=True, threads=1, size=100)
    assert "at worst" not in words_of(explorer)[0], "another size has a map of its own"


def test_a_map_of_pools_in_pools_is_saved_with_its_threads(
    explored: Callable, tmp_path: Path
) -> None:
    explorer = turn(explored("nested"), workers=1, threads=2)
    explorer.save()
    turn(explorer, threads=1)
    explorer.load(tmp_path / "saved_runs" / "nested_1.json")
    (words,) = words_of(explorer)
    assert re.search(r"Wall time: at best \S+ s \(processes 1, threads 2\)\.", words)
    assert "(processes 1, threads 1): not measured yet." in words


@pytest.mark.parametrize(
    ("allowed", "counts"),
    [
        (1, [1, 2]),
        (2, [1, 2, 4]),
        (6, [1, 2, 4, 6, 8, 12]),
        (8, [1, 2, 4, 8, 16]),
        (64, [1, 2, 4, 8, 16]),
    ],
)
def test_no_more_than_sixteen_processes_or_threads_are_offered(
    explored: Callable,
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
    counts: list[int],
) -> None:
    here = "helpers.explore.explorers.cores"
    monkeypatch.setattr(here, lambda: Cores(allowed, allowed))
    explorer = explored("nested")
    for name in ("workers", "threads"):
        assert [value for _, value in explorer.controls[name].options] == counts
    assert explored("chunks").controls["workers"].max == counts[-1]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("chunks", {"length": "10 µs", "size": 1, "kind": "joblib"}),
        ("nested", {"size": 1000, "workers": 2, "limit": False}),
        ("faults", {"fault": "late", "pool": "multiprocessing_pool"}),
    ],
)
def test_what_has_workers_is_stopped_within_a_second(
    explored: Callable, name: str, settings: dict[str, Any]
) -> None:
    before = {process.pid for process in descendants()}
    explorer = explored(name)
    for control, value in settings.items():
        explorer.controls[control].value = value

    def family() -> list[psutil.Process]:
        return [process for process in descendants() if process.pid not in before]

    assert until(lambda: len(family()) > 1, seconds=60), "it and a worker at least"
    running = family()
    began = time.monotonic()
    explorer.stop()
    assert time.monotonic() - began < 1
    assert not list(filter(alive, [*running, *family()]))
    assert "Stopped" in explorer.status.value


def test_what_goes_wrong_is_drawn_and_said(explored: Callable, tmp_path: Path) -> None:
    explorer = turn(explored("faults"), pool="multiprocessing_pool", fault="crash")
    (hangs,) = words_of(explorer)
    assert "task 3 crashes. Nothing comes to the caller" in hangs
    explorer.save()
    turn(explorer, pool="threads", fault="error", moment=0)
    (words,) = words_of(explorer)
    assert "task 0 raises an error. ValueError comes to the caller" in words
    explorer.controls["moment"].value = 1
    assert explorer.measuring
    explorer.controls["moment"].value = 0
    assert not explorer.measuring, "it is kept"
    explorer.load(tmp_path / "saved_runs" / "faults_1.json")
    (loaded,) = words_of(explorer)
    assert loaded.startswith(hangs) and "Recorded on" in loaded


def only(monkeypatch: pytest.MonkeyPatch, *pythons: Python) -> None:
    """Let these be the Pythons of this machine, besides this one."""
    monkeypatch.setattr("helpers.machine.pythons", lambda: list(pythons))


def others() -> list[Python]:
    """Return Pythons of other versions than this one's."""
    mine = ".".join(map(str, sys.version_info[:3]))
    found = [python for python in machine.pythons() if python.version != mine]
    if not found:
        pytest.skip("there is no other Python here")
    return found


def test_it_needs_no_other_python(
    explored: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch)
    explorer = explored("pythons")
    assert list(explorer.controls["python"].options) == [short(sys.version_info)]
    turn(explorer, strategy="serial")
    stripes, race = words_of(explorer)
    version = short(sys.version_info, 3)
    assert stripes.startswith(f"Python {version}")
    assert f"Serial, {version}" in race and "hreads" not in race
    turn(explorer, strategy="threads")
    stripes, race = words_of(explorer)
    assert "2 threads: " in stripes
    assert f"Serial, {version}" in race and f"Threads × 2, {version}" in race
    turn(explorer, workload="sleep")
    timeline, race = words_of(explorer)
    assert "2 threads: 8 tasks in " in timeline
    assert "Serial" not in race, "that was other work"


def short(version: tuple, parts: int = 2) -> str:
    """Return a version as it is written: "3.14", "3.14t" of a free-threaded build."""
    built = machine.facts()["free-threaded build"]
    return ".".join(map(str, version[:parts])) + "t" * bool(built)


def test_other_pythons_join_the_race(
    explored: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = others()[-1]
    only(monkeypatch, other)
    explorer = turn(explored("pythons"), workers=1)
    assert list(explorer.controls["python"].options)[1:] == [other.name]
    turn(explorer, python=other)
    stripes, race = words_of(explorer)
    assert stripes.startswith(f"Python {other.version}")
    assert f"Threads × 1, {other.version}" in race
    assert f"Threads × 1, {short(sys.version_info, 3)}" in race
    explorer.controls["python"].index = 0
    assert not explorer.measuring, "it was measured before"
    assert f", {other.version}" in words_of(explorer)[1]
    explorer.run()
    assert "Measured" in settled(explorer).status.value, "this one measures again"
    explorer.save()
    explorer.load(tmp_path / "saved_runs" / "pythons_1.json")
    assert other.version not in words_of(explorer)[1], "a file's runs stand alone"


def test_what_a_python_lacks_is_a_line(
    explored: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Python("/nowhere/python", "3.12.9", False, True)
    only(monkeypatch, old)
    explorer = explored("pythons")
    explorer.controls["python"].value = old
    (line,) = lines_of(settled(explorer))
    assert "could not be measured: no process could be started: /nowhere" in line
    explorer.controls["strategy"].value = "interpreters"
    (line,) = lines_of(explorer)
    assert not explorer.measuring
    assert "Python 3.12 has no interpreters, which came with 3.14: choose" in line
    explorer.controls["strategy"].value = "threads"
    explorer.controls["python"].index = 0
    assert "Measured" in settled(explorer).status.value


@pytest.mark.parametrize("strategy", ["threads", "processes", "interpreters"])
def test_another_python_is_stopped_within_a_second(
    explored: Callable, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    newest = others()[-1]
    if strategy == "interpreters" and newest.version.startswith(
        ("3.11", "3.12", "3.13")
    ):
        pytest.skip("there is no Python with interpreters here")
    only(monkeypatch, newest)
    monkeypatch.setitem(SAME, "count and watch", 10**9)
    before = {process.pid for process in descendants()}
    explorer = explored("pythons")
    explorer.controls["strategy"].value = "serial"
    explorer.controls["python"].value = newest
    explorer.controls["strategy"].value = strategy
    assert until(lambda: explorer.conductor.job_of(explorer), seconds=10)
    time.sleep(1)
    family = [process for process in descendants() if process.pid not in before]
    assert any(newest.path in process.cmdline() for process in family)
    began = time.monotonic()
    explorer.stop()
    assert time.monotonic() - began < 1
    assert not list(filter(alive, family))


def test_recorded_runs_are_raced_at_first(explored: Callable) -> None:
    """They are of several Pythons, none of which need be here."""
    made = run(watched_countdown, [10_000] * 2, "threads", 2)
    runs = [
        replace(made, made=made.made | {"python": version, "recorded": True})
        for version in ("3.99.10", "3.99.9")
    ]
    explorer = explored("pythons", runs)
    race = words_of(explorer)[1]
    assert race.index("Threads × 2, 3.99.9") < race.index("Threads × 2, 3.99.10")
    turn(explorer, strategy="serial")
    assert "3.99" not in explorer.picture.value, "what is measured is other work"


def test_waits_begin_with_as_many_as_are_drawn(explored: Callable) -> None:
    ten = run(nap_async, [0.01] * 10, "asyncio", 10, memory=True)
    seven = run(nap_async, [0.01] * 7, "asyncio", 7, memory=True)  # no such step
    for runs, waits in (([ten], 10), ([seven], 100), ([], 100)):
        assert explored("waiting", runs).settings["waits"] == waits


def test_waits_are_measured_as_the_controls_say(explored: Callable) -> None:
    explorer = turn(explored("waiting"), **SHORT, limit=10)
    assert len(pictures(explorer)) == 2
    assert "10 waits, asyncio: " in explorer.picture.value
    assert "kB of memory for each" not in explorer.picture.value  # of so few
    assert "asyncio, all at once: 10 tasks" in explorer.picture.value
    turn(explorer, limit=1, way="threads and asyncio")
    assert "10 waits, threads, 1 at a time: " in explorer.picture.value
    assert "asyncio, 1 at a time: 10 tasks" in explorer.picture.value
    (first,) = {run.workers for run in explorer.shown.runs}
    assert first == 1 and {len(run.lanes) for run in explorer.shown.runs} == {1}


def test_waits_that_would_take_too_long_are_a_line(explored: Callable) -> None:
    explorer = turn(explored("waiting"), **SHORT)
    kept = pictures(explorer)
    explorer.controls["limit"].value = 1
    settled(explorer)
    explorer.controls["waits"].value = 1000
    explorer.run()
    assert not explorer.measuring and kept
    assert (
        "1,000 waits of 0.05 s, 1 at a time, take about 50 s: "
        in (lines_of(explorer)[0])
    )
    assert "turn “at a time” up" in lines_of(explorer)[0]
    explorer.controls["limit"].value = 100
    assert "Measured" in settled(explorer).status.value


def test_a_thousand_waits_are_drawn_saved_and_loaded(
    explored: Callable, tmp_path: Path
) -> None:
    explorer = turn(explored("waiting"), way="threads", waits=1000)
    assert "1,000 threads: 1,000 tasks" in explorer.picture.value
    assert "kB of memory for each" in explorer.picture.value
    turn(explorer, way="asyncio")
    assert "asyncio, all at once: 1,000 tasks" in explorer.picture.value
    kept = words(explorer)
    explorer.save()
    turn(explorer, **SHORT)
    assert words(explorer) != kept
    explorer.load(tmp_path / "saved_runs" / "waiting_1.json")
    assert words(explorer) == kept and "Recorded on" in explorer.picture.value
    for name in ("gil", "pools", "joblib"):
        other = explored(name)
        other.load(tmp_path / "saved_runs" / "waiting_1.json")
        assert pictures(other), name


def test_fewer_connections_than_asked_for_are_said(
    explored: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = "helpers.explore.explorers.connections"
    monkeypatch.setattr(fewer, lambda wanted: min(wanted, 5))
    explorer = turn(explored("waiting"), **SHORT)
    assert "10 waits, asyncio, 5 at a time: " in explorer.picture.value
    assert "have about 5 connections at a time, " in explorer.picture.value
    assert "of the 10 asked for" in explorer.picture.value
    turn(explorer, waits=1)
    assert "connections" not in explorer.picture.value


def in_the_midst(process: psutil.Process) -> bool:
    """Return whether the process is about to wait a thousand times."""
    try:
        return process.pid != server_pid() and len(process.net_connections()) > 500
    except psutil.Error:
        return False


def server_pid() -> int:
    assert server._running is not None
    return server._running.pid


def test_waits_are_stopped_within_a_second(explored: Callable) -> None:
    server.start()  # it stays
    before = {process.pid for process in descendants()}
    explorer = turn(explored("waiting"), **SHORT)
    for way in ("threads", "asyncio"):
        explorer.controls["way"].value = way
        explorer.controls["delay"].value = 1.0
        explorer.controls["waits"].value = 1000
        assert until(lambda: any(map(in_the_midst, descendants())), seconds=60)
        family = [process for process in descendants() if process.pid not in before]
        began = time.monotonic()
        explorer.stop()
        assert time.monotonic() - began < 1
        assert family and not list(filter(alive, family))
        turn(explorer, waits=10, delay=0.05)


def test_the_last_of_several_moves_counts(explored: Callable) -> None:
    explorer = explored("gil")
    for workers in (3, 4, 5, 6):
        explorer.controls["workers"].value = workers
    settled(explorer)
    assert "6 threads" in explorer.picture.value


def test_stop_and_go_on(explored: Callable) -> None:
    before = {process.pid for process in descendants()}
    explorer = explored("pools")
    explorer.controls["size"].value = 100
    assert until(lambda: explorer.progress.value, seconds=60)
    family = [process for process in descendants() if process.pid not in before]
    explorer.stop()
    assert not explorer.measuring and "Stopped" in explorer.status.value
    assert family and not list(filter(alive, family))
    explorer.controls["size"].value = 1
    assert "Measured" in settled(explorer).status.value
    explorer.stop()
    assert "Measured" in explorer.status.value, "there was nothing to stop"


def test_one_explorer_measures_at_a_time(explored: Callable) -> None:
    first, second = explored("pools"), explored("gil")
    first.run()
    second.run()
    assert not first.measuring and second.measuring
    settled(second)


def test_a_failure_is_a_line_and_not_a_traceback(explored: Callable) -> None:
    explorer = explored("pools")
    explorer.controls["strategy"].options = ["nonsense"]
    assert "could not be measured" in settled(explorer).status.value
    assert "nonsense" in explorer.status.value


def test_workloads_come_from_the_one_table(explored: Callable) -> None:
    for name in ("pools", "speedup"):
        offered = explored(name).controls["workload"].options
        assert set(offered) < set(WORKLOADS) and len(offered) > 3


def test_a_server_that_does_not_start_is_a_line(
    explored: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise RuntimeError("the server did not start:\nno port")

    monkeypatch.setattr(server, "start", fail)
    explorer = explored("pools")
    explorer.controls["workload"].value = "fetch"
    assert "did not start: no port</p>" in explorer.status.value
    explorer.run()
    assert not explorer.measuring
    explorer.controls["workload"].value = "sleep"
    assert "Measured" in settled(explorer).status.value


def naps_of(name: str) -> list:
    """Return what an explorer of that name draws at first: of two runs."""
    runs = race(nap, [0.001] * 4, {"serial": 1, "threads": 2}, 1, 0)
    if name == "gil":
        return list(runs.values())
    if name in ("waiting", "pythons", "faults"):
        return [runs.values()]
    if name == "chunks":
        return [{"1 ms": {"serial": runs["serial"], 1: runs["threads"]}}]
    if name == "nested":
        return [{2: {1: runs["threads"]}}]
    if name == "speedup":
        return [{"threads": {0: runs["serial"], 2: runs["threads"]}}]
    return [runs]


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_new_explorer_closes_the_former_of_its_name(
    explored: Callable, name: str
) -> None:
    other = explored("pools" if name == "gil" else "gil")
    first = EXPLORERS[name](*naps_of(name))
    alive = len(get_comm_manager().comms)
    gone = [weakref.ref(first)]
    first.run()
    del first
    for _ in range(5):
        gone.append(weakref.ref(EXPLORERS[name](*naps_of(name))))
    last = gone.pop()()
    assert last is not None and pictures(last)
    assert not last.measuring, "what the first measured has ended"
    assert len(get_comm_manager().comms) == alive
    gc.collect()
    assert not [ref() for ref in gone if ref() is not None]
    assert not other.closed, "those of other names stay"
    last.close()


def test_a_closed_explorer_holds_nothing_and_measures_nothing(
    explored: Callable,
) -> None:
    closed = EXPLORERS["pools"](*naps_of("pools"))
    (run,) = (weakref.ref(run) for run in closed.shown.runs[:1])
    explored("pools")
    gc.collect()
    assert closed.closed and run() is None
    assert not pictures(closed) and "closed" in repr(closed)
    closed.controls["workers"].value = 5
    closed.run()
    assert not closed.measuring
    closed.close()


def test_what_was_saved_can_be_loaded_also_beside_a_broken_file(
    explored: Callable, tmp_path: Path
) -> None:
    explorer = explored("pools")
    explorer.save()
    assert "no run" in explorer.status.value
    explorer.run()
    saved = words(settled(explorer))
    explorer.save()
    explorer.save()
    first, second = sorted(tmp_path.glob("saved_runs/*.json"))
    made = json.loads(first.read_text())["runs"][0]["made"]
    assert {"python", "system", "date", "allowed cores"} <= set(made)
    (tmp_path / "broken.json").write_text("{")
    newer = json.loads(first.read_text()) | {"format": 99}
    (tmp_path / "newer.json").write_text(json.dumps(newer))
    explorer.controls["size"].value = 1
    assert words(settled(explorer)) != saved
    explorer.load(tmp_path / "broken.json", second, tmp_path / "newer.json", "none")
    assert words(explorer) == saved
    lines = re.sub(r"</?p[^>]*>", "", explorer.status.value).split("<br>")
    assert [line.partition(":")[0] for line in lines] == [
        "broken.json",
        "pools_1.json" if second.name == "pools_1.json" else "pools_2.json",
        "newer.json",
        "none",
    ]


# Replays.

RECORDED = Path(__file__).parents[1] / "notebooks" / "recorded"


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    """Return a file with runs for two and for three threads, of a GIL explorer."""
    path = tmp_path / "replay.json"
    watched = [run(watched_countdown, [10_000] * n, "threads", n) for n in (3, 2)]
    save(
        path,
        [
            replace(each, made=each.made | noted({"workers": each.workers}))
            for each in watched
        ],
    )
    return path


def test_a_replay_is_drawn_for_its_settings_without_measuring(
    explored: Callable, replay: Path
) -> None:
    explorer = explored("gil")
    explorer.controls["workers"].value = 1
    settled(explorer).load(replay)
    assert explorer.settings["workers"] == 3, "the first that there is"
    assert not explorer.measuring and "3 threads" in words(explorer).lower()
    three = pictures(explorer)
    explorer.controls["workers"].value = 2
    assert not explorer.measuring and pictures(explorer) != three
    assert "recorded runs" in explorer.status.value
    explorer.controls["workers"].value = 3
    assert not explorer.measuring and pictures(explorer) == three
    explorer.controls["workers"].value = 4
    assert explorer.measuring, "for this there is no recording"


@pytest.mark.parametrize(
    ("name", "stand"),
    [
        ("waiting", {"waits": 100, "limit": 10}),  # not one wait, the file's first
        ("pools", {"workload": "count", "workers": 2, "size": 20}),
        ("pythons", {"strategy": "threads", "workers": 2}),
    ],
)
def test_a_replay_moves_no_more_controls_than_it_must(
    explored: Callable, name: str, stand: dict[str, Any]
) -> None:
    explorer = explored(name)
    explorer.load(RECORDED / f"replay_{name}.json")
    assert {each: explorer.settings[each] for each in stand} == stand
    assert pictures(explorer) and not explorer.measuring


def test_run_measures_in_place_of_a_replay(explored: Callable, replay: Path) -> None:
    explorer = explored("gil")
    explorer.load(replay)
    assert "Recorded on" in explorer.picture.value
    explorer.run()
    here = pictures(settled(explorer))
    assert "Recorded on" not in explorer.picture.value
    explorer.controls["workers"].value = 3
    assert "Recorded on" in explorer.picture.value
    explorer.controls["workers"].value = 2
    assert pictures(explorer) == here


@pytest.mark.parametrize(
    "made",
    [
        {"setting workers": "two"},
        {"setting workers": 10**9},
        {"setting workers": None},
        {"setting kind": "fibres"},
        {"setting kind": 1},
        {"setting colour": "red", "setting workers": 2},
        {"setting ": True},
    ],
)
def test_a_replay_of_what_controls_lack_is_a_run_like_others(
    explored: Callable, replay: Path, made: dict[str, Any]
) -> None:
    explorer = explored("gil")
    (two,) = [each for each in load(replay) if each.workers == 2]
    plain = {k: v for k, v in two.made.items() if k != "setting workers"}
    save(replay, [replace(two, made=plain | made)])
    explorer.load(replay)
    assert not explorer.measuring and "2 threads" in words(explorer).lower()


@pytest.mark.parametrize(
    "path", sorted(RECORDED.glob("replay_*")), ids=lambda path: path.stem
)
def test_recorded_replays_are_drawn(explored: Callable, path: Path) -> None:
    explorer = explored(path.stem.removeprefix("replay_"))
    explorer.load(path)
    settings = explorer.replay.settings
    # Else it would be drawn for settings that nobody has measured.
    assert all(set(each) == set(explorer.controls) - {"serial"} for each in settings)
    assert len(settings) > 5 and path.stat().st_size < 500_000
    for each in (settings[0], settings[-1]):
        for png, sentence in explorer.pictures(each):
            assert png.startswith(b"\x89PNG") and "Recorded on" in sentence
    assert not explorer.measuring


def test_runs_of_two_machines_are_not_mixed(explored: Callable, tmp_path: Path) -> None:
    explorer = explored("pools")
    explorer.run()
    settled(explorer).save()
    mine = tmp_path / "saved_runs" / "pools_1.json"
    theirs = json.loads(mine.read_text())
    for each in theirs["runs"]:
        each["made"]["python"] = "3.99.0"
    (tmp_path / "theirs.json").write_text(json.dumps(theirs))
    explorer.load(mine, tmp_path / "theirs.json")
    assert "threads, theirs.json" in explorer.picture.value.lower()
    assert "Python 3.99.0" in explorer.status.value


def test_runs_of_other_work_are_not_mixed(explored: Callable, tmp_path: Path) -> None:
    for name, seconds in (("short", 0.002), ("long", 0.05)):
        ways = {"serial": 1, "threads": 2}
        save(tmp_path / name, race(nap, [seconds] * 4, ways, 1, 0).values())
    explorer = explored("pools")
    explorer.load(tmp_path / "short", tmp_path / "long")
    words = explorer.picture.value
    assert "Threads, long:" in words and "Serial, long:" in words


def test_any_saved_run_can_be_loaded_anywhere_or_a_line_says_why_not(
    explored: Callable, tmp_path: Path
) -> None:
    ways = {"serial": 1, "threads": 2}
    race(nap, [0.01] * 4, ways, 1, 0)["threads"].save(tmp_path / "one.json")
    save(tmp_path / "race.json", race(nap, [0.01] * 4, ways, 1, 0).values())
    swept = sweep(nap, [0.01] * 4, "threads", [0, 1, 2])
    save(tmp_path / "sweep.json", swept.values())
    for name in EXPLORERS:
        explorer = explored(name)
        for path in sorted(tmp_path.glob("*.json")):
            before = pictures(explorer)
            explorer.load(path)
            refused = "be drawn here: " in explorer.status.value
            assert refused == (pictures(explorer) == before), (name, path)
            alone = name in ("speedup", "chunks") and path.name == "one.json"
            assert refused == alone


def upload(explorer: Explorer, *files: tuple[str, bytes]) -> list[str]:
    """Choose files as a browser does; return the lines that the explorer says."""
    explorer.files.value = [
        {
            "name": name,
            "type": "application/json",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.now(UTC),
        }
        for name, content in files
    ]
    assert explorer.files.value == (), "the same files can be chosen again"
    return lines_of(explorer)


def lines_of(explorer: Explorer) -> list[str]:
    status = re.sub(r"</?p[^>]*>", "", explorer.status.value)
    assert "\n" not in status
    return [html.unescape(line) for line in status.split("<br>")]


def test_a_file_of_any_name_can_be_chosen(explored: Callable, tmp_path: Path) -> None:
    save(tmp_path / "race.json", race(nap, [0.01] * 4, {"serial": 1}, 1, 0).values())
    good = (tmp_path / "race.json").read_bytes()
    names = [
        *("..", "", "/", "../../etc/x.json", "a\0b.json", "con:.json", "two\nlines"),
        *("<b>$x^$.json", "e" * 300 + ".json", "\ud800.json", "größer 3.json"),
    ]
    before = sorted(tmp_path.parent.iterdir()), sorted(tmp_path.iterdir())
    explorer = explored("pools")
    for name in names:
        (line,) = upload(explorer, (name, good))
        assert ": 1 run, recorded on " in line, name
        assert pictures(explorer)
    assert len(upload(explorer, *((name, b"{") for name in names))) == len(names)
    assert upload(explorer, ("same", good), ("same", good))[0].startswith("same: 1 run")
    assert before == (sorted(tmp_path.parent.iterdir()), sorted(tmp_path.iterdir()))


def test_a_file_that_holds_nothing_to_draw_gets_a_line(
    explored: Callable, tmp_path: Path
) -> None:
    explorer = explored("pools", *naps_of("pools"))
    kept = pictures(explorer)
    ran = race(nap, [0.001] * 2, {"serial": 1}, 1, 0)["serial"]
    crowd = replace(
        ran, spans=tuple(replaced(ran, thread=number) for number in range(1001))
    )
    flood = replace(ran, spans=ran.spans[:1] * 1001)
    content = {
        "empty": [],
        "nothing": [replace(ran, spans=())],
        "crowd": [crowd],
        "flood": [flood],
        "big": [ran],
    }
    for name, runs in content.items():
        save(tmp_path / name, runs)
    os.truncate(tmp_path / "big", 11_000_000)
    explorer.load(*(tmp_path / name for name in content))
    assert lines_of(explorer) == [
        "empty: it holds no runs",
        "nothing: nothing ran: there is nothing to draw",
        "crowd: more than 1,000 at a time are too many to draw",
        "flood: more than 1,000 at a time are too many to draw",
        "big: more than 10 MB are too many to draw",
    ]
    assert pictures(explorer) == kept
    explorer.load()
    assert lines_of(explorer) == ["No file was named."]
    explorer.load(tmp_path / "nothing", tmp_path)
    assert len(lines_of(explorer)) == 2 and pictures(explorer) == kept


def replaced(run: Run, thread: int) -> Span:
    return run.spans[0]._replace(thread=thread)


def test_runs_over_nothing_are_a_line_from_the_start(explored: Callable) -> None:
    empty = {
        name: replace(run, spans=())
        for name, run in race(nap, [0.001], {"serial": 1}, 1, 0).items()
    }
    explorer = explored("pools", empty)
    assert "can't be drawn here: " in lines_of(explorer)[0]
    explorer.run()
    assert "Measured" in settled(explorer).status.value


def test_a_monkey_finds_no_stuck_state(explored: Callable) -> None:
    """200 random changes while it measures; then it must work as ever."""
    server.start()  # it stays: what fetches needs it next time, too
    before = {process.pid for process in descendants()}
    chance = random.Random(2026)
    explorers = [explored("gil"), explored("pools"), explored("joblib")]
    for _ in range(200):
        explorer = chance.choice(explorers)
        control = chance.choice(list(explorer.controls.values()))
        if chance.random() < 0.1:
            chance.choice([explorer.run, explorer.stop, explorer.save])()
        elif hasattr(control, "options"):
            control.index = chance.randrange(len(control.options))
        else:
            control.value = chance.randint(control.min, control.max)
        time.sleep(chance.choice([0, 0, 0.01, 0.05, 0.3]))
    family = [process for process in descendants() if process.pid not in before]
    for explorer in explorers:
        explorer.stop()
        assert not explorer.measuring
    assert not list(filter(alive, family))
    gil = explorers[0]
    gil.controls["kind"].value, gil.controls["workers"].value = "processes", 3
    gil.run()
    assert "3 processes" in settled(gil).picture.value


@pytest.fixture
def kernel() -> Iterator[tuple[KernelManager, Callable[[str], str]]]:
    """Yield a kernel's manager, and a function that runs a cell in it."""
    manager, client = start_new_kernel(kernel_name="python3")

    def cell(code: str) -> str:
        """Run code; return what it printed, or its traceback."""
        said: list[str] = []

        def hear(message: dict) -> None:
            content = message["content"]
            said.append(content.get("text") or "\n".join(content.get("traceback", [])))

        client.execute_interactive(code, timeout=120, output_hook=hear)
        return "".join(said)

    yield manager, cell
    client.stop_channels()
    manager.shutdown_kernel(now=True)


START = """
from helpers import explore
explorer = explore.gil()
explorer.controls["interval"].value = 50
explorer.controls["workers"].value = 8
"""
# What measures, and for how many widgets and runs there is room taken.
MEASURING = """
import psutil
print(sum("helpers.elsewhere" in " ".join(child.cmdline())
    for child in psutil.Process().children()))
"""
HELD = """
import gc
from comm import get_comm_manager
from helpers.runs import Run
gc.collect()
runs = sum(isinstance(thing, Run) for thing in gc.get_objects())
print(len(get_comm_manager().comms), runs)
"""


def test_a_cell_and_an_explorer_leave_each_other_alone_and_a_restart_ends_all(
    kernel: tuple[KernelManager, Callable[[str], str]],
) -> None:
    manager, cell = kernel
    cell(START)
    process = psutil.Process(int(cell("import os\nprint(os.getpid())")))

    def measuring() -> list[psutil.Process]:
        return [
            child
            for child in process.children()
            if "helpers.elsewhere" in " ".join(child.cmdline())
        ]

    assert until(measuring, seconds=60), "it measures between cells"
    # While a cell runs nothing else does; a widget still says what it waits for.
    said = cell(MEASURING + "print(explorer.measuring, explorer.status.value)")
    assert said.startswith("0\nTrue") and "A cell is running" in said
    assert until(measuring, seconds=60), "it goes on after the cell"
    cell("explorer.conductor.gives_way = False")
    assert until(measuring, seconds=60)
    assert cell(MEASURING).startswith("1"), "a benchmark can have it otherwise"
    processes = measuring()
    manager.restart_kernel(now=True)
    assert until(lambda: not any(map(alive, processes)))


def test_six_runs_of_a_cell_hold_no_more_than_one(
    kernel: tuple[KernelManager, Callable[[str], str]],
) -> None:
    _, cell = kernel
    cell(
        "from helpers import explore\nfrom helpers.measure import race\n"
        "from helpers.workloads import nap"
    )
    # Its last line makes it one of the kernel's outputs, which hold it for good.
    again = "explore.pools(race(nap, [0.001] * 4, {'serial': 1, 'threads': 2}, 1, 0))"
    cell(again)
    comms, runs = map(int, cell(HELD).split())
    assert comms > 20 and runs >= 2
    for _ in range(5):
        cell(again)
    assert cell(HELD).split() == [str(comms), str(runs)]
