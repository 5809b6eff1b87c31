"""What a run says about itself, how it is kept, and how it is measured."""

import json
import math
import os
import statistics
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep, thread_time

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient
from tasks import double

from helpers import machine
from helpers.measure import calibrate, race, run, sweep
from helpers.runs import Round, Run, best_of, by_workers, load, overlap, recorded, save
from helpers.trace import Span, watched_countdown
from helpers.workloads import countdown, fibonacci, nap

seconds = st.floats(0, 1e6, allow_nan=False)
stretch = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(
    lambda t: (t[0], sum(t))
)
spans = st.builds(
    Span,
    task=st.integers(0, 1000),
    pid=st.integers(1, 2**22),
    thread=st.integers(0, 2**63),
    start=seconds,
    end=seconds,
    cpu=seconds,
    stretches=st.lists(st.tuples(seconds, seconds), max_size=3).map(tuple),
)


def a_run(*spans: Span, wall: float = 1.0, **changes: object) -> Run:
    """Return a run that nobody made."""
    made = Run("f", "threads", 2, 0.1, 0.0, wall, spans, rounds=(Round(wall, 1.0),))
    return replace(made, **changes)


# What a run says.


def test_cores_busy_is_cpu_time_over_wall_time() -> None:
    one, two = Span(0, 1, 1, 0.0, 2.0, 1.5), Span(1, 1, 2, 0.0, 2.0, 0.5)
    assert a_run(one, two, wall=2.0).cores_busy == 1.0


def test_by_worker_sorts_by_the_first_start() -> None:
    late, early, last = (
        Span(0, 7, 1, 2.0, 3.0, 1),
        Span(1, 7, 2, 1.0, 2.0, 1),
        Span(2, 7, 1, 4.0, 5.0, 1),
    )
    assert a_run(last, late, early).by_worker == {(7, 2): [early], (7, 1): [late, last]}


def test_a_turn_goes_on_where_only_the_system_broke_it() -> None:
    def span(pid: int, *stretches: tuple[float, float]) -> Span:
        return Span(pid, pid, pid, stretches[0][0], stretches[-1][1], 0.1, stretches)

    first = span(1, (0, 5), (10, 12), (13, 15), (20, 25))
    second = span(2, (5, 10), (15, 17), (17.6, 20))
    made = Run("f", "threads", 2, 0.0, 0.0, 25.0, (first, second))
    assert made.switch_interval == 5
    assert math.isnan(a_run(Span(0, 1, 1, 0, 1, 1)).switch_interval)


@given(st.lists(st.lists(stretch, max_size=4), max_size=4))
def test_overlap_is_the_share_of_the_time(workers: list) -> None:
    running = [
        sum(start <= moment < end for stretches in workers for start, end in stretches)
        for moment in range(81)
    ]
    some, several = sum(n > 0 for n in running), sum(n > 1 for n in running)
    assert overlap(workers) == pytest.approx(several / some if some else 0)


def test_the_cores_that_the_machine_had_for_it() -> None:
    span = Span(0, 1, 1, 0.0, 2.0, 1.0)
    assert a_run(span, wall=2.0, idle=1.6).cores_free == pytest.approx(1.3)
    allowed = {"allowed cores": 1}
    assert a_run(span, wall=2.0, idle=1.6, made=allowed).cores_free == 1
    # In a serial part the caller keeps a core busy that no task does.
    assert a_run(span, wall=2.0, idle=1.0, first=0.6).cores_free == pytest.approx(1.3)


# How it is kept.


@given(spans=st.lists(spans, min_size=1, max_size=4), wall=st.floats(1e-9, 1e6))
def test_saved_and_loaded(spans: list[Span], wall: float) -> None:
    saved = a_run(*spans, wall=wall, made={"python": "3.13"}, results=[object()])
    with TemporaryDirectory() as folder:
        saved.save(Path(folder) / "é.json")
        loaded = Run.load(Path(folder) / "é.json")
    assert loaded == saved
    assert loaded.made == saved.made
    assert loaded.results == []


def test_a_real_run_is_saved_and_loaded(tmp_path: Path) -> None:
    made = race(watched_countdown, [10**4] * 3, {"threads": 2}, rounds=1)["threads"]
    made.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == made


@given(st.lists(spans, min_size=1, max_size=3), st.text())
def test_several_are_saved_and_loaded(spans: list[Span], word: str) -> None:
    several = [a_run(span, strategy=word, made={"python": "3.13"}) for span in spans]
    with TemporaryDirectory() as folder:
        save(Path(folder) / "several.json", several)
        several[0].save(Path(folder) / "one.json")
        loaded = load(Path(folder) / "several.json")
        assert load(Path(folder) / "one.json") == several[:1]
    assert loaded == several
    assert [run.made for run in loaded] == [run.made for run in several]


def test_a_sweep_is_saved_and_loaded(tmp_path: Path) -> None:
    runs = sweep(nap, [0.001], "threads", [0, 1, 2], rounds=2)
    save(tmp_path / "sweep.json", runs.values())
    assert by_workers(load(tmp_path / "sweep.json")) == runs


def test_one_run_is_not_read_from_a_file_of_several(tmp_path: Path) -> None:
    save(tmp_path / "two.json", [a_run(Span(0, 1, 1, 0, 1, 1))] * 2)
    with pytest.raises(ValueError, match=r"^two\.json: it holds 2 runs"):
        Run.load(tmp_path / "two.json")


def broken() -> dict[str, str | bytes]:
    good = {"format": 1} | {
        name: getattr(a_run(Span(0, 1, 1, 0, 1, 1)), name)
        for name in Run.__dataclass_fields__
        if name != "results"
    }
    text = json.dumps(good)
    return {
        "empty": "",
        "truncated": text[: len(text) // 2],
        "number": "3",
        "list": "[1, 2]",
        "null": "null",
        "text": '"a\\nb"',
        "deep": "[" * 100_000,
        "other": '{"cells": []}',
        "binary": b"\xff\xfe\x00",
        "newer": json.dumps(good | {"format": 2}),
        "odd format": json.dumps(good | {"format": "one"}),
        "surplus": json.dumps(good | {"colour": 1}),
        "missing": json.dumps({k: v for k, v in good.items() if k != "function"}),
        "no spans": json.dumps(good | {"spans": []}),
        "short span": json.dumps(good | {"spans": [[1, 2]]}),
        "odd span": json.dumps(good | {"spans": [[0, 1, 1, "a\nb", 1, 1, []]]}),
        "odd round": json.dumps(good | {"rounds": [["x", 1]]}),
        "long round": json.dumps(good | {"rounds": [[1, 2, 3]]}),
        "no time": json.dumps(good | {"wall": 0}),
        "nan": json.dumps(good | {"wall": math.nan}),
        "word": json.dumps(good | {"wall": "soon"}),
        "workers": json.dumps(good | {"workers": 0}),
        "strategy": json.dumps(good | {"strategy": 3}),
        "made": json.dumps(good | {"made": [3]}),
        "first": json.dumps(good | {"first": "coffee"}),
        "no runs": json.dumps({"format": 1, "runs": []}),
        "odd runs": json.dumps({"format": 1, "runs": 3}),
        "one odd": json.dumps({"format": 1, "runs": [good, good | {"wall": 0}]}),
    }


@pytest.mark.parametrize("case", broken())
def test_what_is_no_run_is_named(case: str, tmp_path: Path) -> None:
    content = broken()[case]
    path = tmp_path / f"{case}.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"^{case}\.json: ") as caught:
        Run.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError) as again:
        load(path)
    assert str(again.value) == str(caught.value)


def test_the_other_records_are_still_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    good = a_run(Span(0, 1, 1, 0, 1, 1))
    for name in "az":
        good.save(tmp_path / f"{name}.json")
    for name in "bcd":
        (tmp_path / f"{name}.json").write_text("{")
    save(tmp_path / "several.json", [good, good])
    (tmp_path / "folder.json").mkdir()
    assert recorded(tmp_path) == {"a": good, "z": good}
    names = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["b.json", "c.json", "d.json", "folder.json"]


def test_no_records(tmp_path: Path) -> None:
    assert recorded(tmp_path / "nowhere") == {}


# How it is measured.


def test_run_tells_who_did_what() -> None:
    made = run(nap, [0.05] * 4, "threads", 2)
    assert made.results == [0.05] * 4
    assert [span.task for span in made.spans] == [0, 1, 2, 3]
    assert len(made.by_worker) == 2
    assert all(span.end - span.start >= 0.05 for span in made.spans)
    assert made.cores_busy < 0.5
    assert (made.function, made.strategy, made.workers) == ("nap", "threads", 2)
    assert made.startup > 0
    assert made.wall < 0.05 * 4
    assert made.made["python"] == ".".join(map(str, sys.version_info[:3]))


def test_run_over_nothing() -> None:
    made = run(nap, [], "threads", 2)
    assert made.results == []
    assert made.cores_busy == made.overlap == 0


def test_run_with_a_map_of_your_own() -> None:
    with ThreadPoolExecutor(2) as pool:
        made = run(double, range(3), pool.map, 2)
    assert made.results == [0, 2, 4]
    assert made.strategy == "map"
    assert made.startup == 0


def test_race_takes_turns_and_keeps_every_round() -> None:
    order = []

    def note(x: float) -> float:
        sleep(x)
        order.append(x)
        return x

    ways = {"serial": 1, "threads": 2}
    runs = race(note, [0.01, 0.02], ways, rounds=4, budget=0)
    assert list(runs) == list(ways)
    assert order == [0.01, 0.02] * 8
    for name, best in runs.items():
        assert len(best.rounds) == 4
        assert best.wall == min(round.wall for round in best.rounds)
        assert best.strategy == name
        assert best.results == [0.01, 0.02]
    starts = sorted(run.began for run in runs.values())
    assert starts[0] != starts[1]


def test_race_goes_on_until_the_answer_is_clear() -> None:
    naps = iter([0.01, 0.05, 0.09, 0.13, 0.01, 0.2])
    runs = race(lambda _: nap(next(naps)), [0], {"serial": 1}, rounds=2)
    assert len(runs["serial"].rounds) == 5


def test_sweep() -> None:
    runs = sweep(nap, [0.02] * 6, "threads", [1, 3], rounds=2)
    assert {count: run.workers for count, run in runs.items()} == {1: 1, 3: 3}
    assert {count: len(run.by_worker) for count, run in runs.items()} == {1: 1, 3: 3}
    assert all(len(run.rounds) == 2 for run in runs.values())
    assert runs[1].wall > 1.5 * runs[3].wall


def test_sweep_of_no_workers_is_the_plain_loop() -> None:
    order = []

    def note(x: int) -> tuple[int, int]:
        order.append(x)
        return os.getpid(), threading.get_ident()

    runs = sweep(note, [1, 2], "threads", [0, 1], rounds=3)
    here = (os.getpid(), threading.get_ident())
    assert runs[0].results == [here, here]
    assert runs[1].results[0] != here
    assert (runs[0].strategy, runs[0].workers) == ("serial", 1)
    assert (runs[1].strategy, runs[1].workers) == ("threads", 1)
    assert order == [1, 2] * 6


def test_sweep_begins_each_round_with_the_serial_part() -> None:
    order = []

    def first() -> None:
        order.append("first")
        nap(0.1)

    def note(x: int) -> None:
        order.append(x)

    runs = sweep(note, [1, 2], "threads", [0, 1], rounds=2, first=first)
    assert order == ["first", 1, 2] * 4
    for made in runs.values():
        assert len(made.spans) == 2
        assert all(one.wall >= 0.1 for one in made.rounds)
        assert min(span.start for span in made.spans) >= made.began + 0.1
        assert made.first < 0.05  # it slept: no CPU time


def test_the_serial_part_counts_as_a_busy_core() -> None:
    n = calibrate(countdown, 0.2)
    made = sweep(nap, [0.01], "serial", [0], rounds=1, first=lambda: countdown(n))[0]
    assert made.first > 0.1
    assert made.cores_busy < 0.5


def test_best_of_keeps_every_round() -> None:
    span = Span(0, 1, 1, 0, 1, 1)
    slow, fast = a_run(span, wall=2.0), a_run(span, wall=1.0)
    best = best_of([slow, fast])
    assert best.wall == 1
    assert best.rounds == (Round(2.0, 1.0), Round(1.0, 1.0))


def test_calibrate_finds_the_size() -> None:
    n = calibrate(countdown, 0.2)
    spent = []
    for _ in range(3):
        start = thread_time()
        countdown(n)
        spent.append(thread_time() - start)
    assert 0.1 < min(spent) < 0.4


@pytest.mark.parametrize(
    "constant", [lambda n: n, lambda n: fibonacci(5), lambda n: nap(0.01 * n)]
)
def test_calibrate_needs_a_function_that_grows(constant: object) -> None:
    with pytest.raises(ValueError, match="keeps no core busier"):
        calibrate(constant, 0.1)


@pytest.mark.parametrize("variable", ["PYTEST_CURRENT_TEST", "TQDM_DISABLE", None])
def test_the_bar_leaves_no_trace(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTEST_CURRENT_TEST", "TQDM_DISABLE"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    code = (
        "from helpers.measure import race\nfrom helpers.workloads import nap\n"
        "race(nap, [0.4] * 3, {'threads': 1}, rounds=2, budget=0); print('done')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    assert "done\n" in [output.get("text") for output in outputs]
    assert (len(outputs) == 1) == bool(variable)


# The stripes.

with_gil = pytest.mark.skipif(
    not machine.gil_enabled(), reason="this Python runs without its GIL"
)


@with_gil
@pytest.mark.parametrize("interval", [0.001, 0.005, 0.02])
def test_the_stripes_show_the_switch_interval(interval: float) -> None:
    n = calibrate(countdown, max(0.1, 15 * interval))
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        assert_with_two_cores(
            lambda: run(watched_countdown, [n, n], "threads", 2),
            lambda made: 0.8 < made.switch_interval / interval < 1.25,
        )
    finally:
        sys.setswitchinterval(before)


@with_gil
def test_threads_take_turns() -> None:
    n = calibrate(countdown, 0.2)
    made = run(watched_countdown, [n, n], "threads", 2)
    assert made.overlap < 0.1
    assert made.cores_busy < 1.2


def test_processes_count_at_once() -> None:
    n = calibrate(countdown, 0.2)
    assert_with_two_cores(
        lambda: run(watched_countdown, [n, n], "processes", 2),
        lambda made: made.overlap > 0.7 and made.cores_busy > 1.3,
    )


def assert_with_two_cores(
    measure: Callable[[], Run], holds: Callable[[Run], bool], times: int = 9
) -> None:
    """Assert that what needs two cores holds in a run on two cores.

    On one core a thread that asks for the GIL must first get the core: its turns then
    last as long as the system's time slices, multiples of 4 ms on Linux. Other
    programs come and go, so it is measured until it holds, that many times at most.
    """
    runs = []
    while not runs or not (holds(runs[-1]) or len(runs) == times):
        runs.append(measure())
    if not holds(runs[-1]):
        free = statistics.median(run.cores_free for run in runs)
        if free < 1.8:
            pytest.skip(f"two free cores are needed: {free:.1f} were")
        shown = [(run.switch_interval, run.overlap, run.cores_busy) for run in runs]
        raise AssertionError(shown)
