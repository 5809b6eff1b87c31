"""What a run says about itself, how it is kept, and how it is measured."""

import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep, thread_time

import nbformat
import pytest
from nbclient import NotebookClient
from tasks import double

from helpers import machine
from helpers.measure import calibrate, race, run, sweep
from helpers.runs import Run
from helpers.trace import watched_countdown
from helpers.workloads import countdown, fibonacci, nap

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


@pytest.mark.parametrize("strategy", ["processes spawn", "multiprocessing_pool"])
def test_the_cpu_time_of_the_workers_is_counted(strategy: str) -> None:
    n = calibrate(countdown, 0.1)
    made = run(countdown, [n] * 4, strategy, 2)
    assert made.spent is not None
    assert made.spent > 0.8 * sum(span.cpu for span in made.spans) > 0.2
    assert made.useful_share > 0.7


def test_tiny_tasks_one_by_one_are_a_small_share_of_the_cpu_time() -> None:
    one_by_one = run(abs, range(3000), "processes", 2)
    in_chunks = run(abs, range(3000), "processes 1000", 2)
    assert one_by_one.useful_share < 0.2
    assert one_by_one.results == in_chunks.results
    assert one_by_one.spent is not None and in_chunks.spent is not None
    assert in_chunks.spent < 0.5 * one_by_one.spent


@pytest.mark.parametrize(
    "strategy", ["processes spawn 50", "multiprocessing_pool 50", "joblib loky 50"]
)
def test_all_workers_come_however_large_the_chunks(strategy: str) -> None:
    """A pool that starts workers when it needs them sees one chunk, and starts one."""
    made = run(double, range(100), strategy, 2)
    assert made.ready == 2
    assert made.startup < 9  # it gives up after ten seconds


def test_what_the_function_imports_belongs_to_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["import time", "time.sleep(0.3)", "def double(x): return 2 * x"]
    (tmp_path / "slow_to_import.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    from slow_to_import import double  # type: ignore[import-not-found]

    made = run(double, [1, 2], "processes spawn", 1)
    assert made.results == [2, 4]
    assert made.startup > 0.3
    assert made.startup > made.wall


def test_race_takes_turns_and_keeps_every_round() -> None:
    order = []
    here = threading.get_ident()

    def note(x: float) -> float:
        sleep(x)
        order.append(("serial" if threading.get_ident() == here else "threads", x))
        return x

    ways = {"serial": 1, "threads": 2}
    runs = race(note, [0.01, 0.1], ways, rounds=4, budget=0)
    assert list(runs) == list(ways)
    assert order == [(way, x) for way in ways for x in (0.01, 0.1)] * 4
    for name, best in runs.items():
        assert len(best.rounds) == 4
        assert best.wall == min(round.wall for round in best.rounds)
        assert best.strategy == name
        assert best.results == [0.01, 0.1]


def test_race_goes_on_until_the_answer_is_clear() -> None:
    """The first of these naps that lasts about as long as the best is the fifth."""
    naps = [0.1, 0.15, 0.2, 0.25, 0.1, *[0.3] * 9]
    left = iter(naps)
    runs = race(lambda _: nap(next(left)), [0], {"serial": 1}, rounds=2)
    took = [each.wall for each in runs["serial"].rounds]
    if any(long > 1.05 * nap for long, nap in zip(took, naps, strict=False)):
        pytest.skip("other programs made the naps longer")
    assert len(took) == 5


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
    order: list[int | str] = []

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


def test_calibrate_finds_the_size() -> None:
    n = calibrate(countdown, 0.2)
    spent = []
    for _ in range(3):
        start = thread_time()
        countdown(n)
        spent.append(thread_time() - start)
    assert 0.1 < min(spent) < 0.4


@pytest.mark.parametrize("seconds", [1e-6, 1e-5, 1e-4])
def test_calibrate_finds_what_is_shorter_than_the_clock_tells(seconds: float) -> None:
    n, calls = calibrate(countdown, seconds), round(0.05 / seconds)
    spent = []
    for _ in range(3):
        start = thread_time()
        for _ in range(calls):
            countdown(n)
        spent.append((thread_time() - start) / calls)
    assert 0.5 < min(spent) / seconds < 2


@pytest.mark.parametrize(
    "constant", [lambda n: n, lambda n: fibonacci(5), lambda n: nap(0.01 * n)]
)
def test_calibrate_needs_a_function_that_grows(
    constant: Callable[[int], float],
) -> None:
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
    runs: list[Run] = []
    while not runs or not (holds(runs[-1]) or len(runs) == times):
        runs.append(measure())
    if not holds(runs[-1]):
        free = statistics.median(run.cores_free for run in runs)
        if free < 1.8:
            pytest.skip(f"two free cores are needed: {free:.1f} were")
        shown = [(run.switch_interval, run.overlap, run.cores_busy) for run in runs]
        raise AssertionError(shown)


# In a Python with nothing installed.

BARE = """
import sys
sys.path.insert(0, {root!r})
from helpers.measure import calibrate, race
from helpers.workloads import countdown
if __name__ == "__main__":
    n = calibrate(countdown, 0.05)
    runs = race(countdown, [n] * 4, {{"serial": 1, "threads": 2, "processes": 2}}, 1, 0)
    for name, run in runs.items():
        print(name, run.ready, len(run.by_worker), run.results, sep="|")
    print(*sorted({{"psutil", "joblib", "tqdm", "numpy"}} & set(sys.modules)))
"""


def test_a_bare_python_measures_with_threads_and_processes() -> None:
    code = BARE.format(root=str(Path(__file__).parent.parent))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True
    )
    *said, imported = done.stdout.splitlines()
    assert [line.split("|")[::3] for line in said] == [
        [name, "[0, 0, 0, 0]"] for name in ("serial", "threads", "processes")
    ], done.stderr
    assert [line.split("|")[1] for line in said] == ["1", "2", "2"]
    assert imported == ""
