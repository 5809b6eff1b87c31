"""What goes wrong in bare pools: who raises what, who hangs, what is left."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import psutil
import pytest
from conftest import START_METHODS, first_line, until
from test_elsewhere import alive, descendants

from helpers import faults, figures
from helpers.faults import FAULTS, LIMIT, POOLS, go_wrong
from helpers.mishaps import TASKS
from helpers.pythons import PythonFailed
from helpers.runs import Run

# What comes to the caller of threads, processes, multiprocessing.Pool and joblib.
POOL_NAMES = ("threads", "processes", "multiprocessing_pool", "joblib")
DEAD = ("death", "BrokenProcessPool", "nothing", "TerminatedWorkerError")
COMES = {
    "error": ("ValueError",) * 4,
    "odd error": ("Odd", "BrokenProcessPool", "nothing", "BrokenProcessPool"),
    "sys.exit": ("SystemExit", "SystemExit", "nothing", "SystemExit"),
    "crash": DEAD,
    "kill": DEAD,
    "interrupt": ("KeyboardInterrupt",) * 4,
    "late": ("TimeoutError",) * 4,
}
CELLS = {
    (fault, pool): came
    for fault, row in COMES.items()
    for pool, came in zip(POOL_NAMES, row, strict=True)
}
# These get results one after the other; the others all or none.
ONE_BY_ONE = ("threads", "processes")
# The task that goes wrong comes to its end all the same.
ENDS = ("interrupt", "late")
FIRST = faults.SERVE


@contextmanager
def leaving_nothing() -> Iterator[Path]:
    """Give a temporary folder; see that no file stays there, and no process."""
    # The paths of sockets may have some hundred characters only.
    short = None if sys.platform == "win32" else "/tmp"
    with (
        tempfile.TemporaryDirectory(dir=short) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", folder)
        before = {process.pid for process in descendants()}
        yield Path(folder)
        left = [each for each in descendants() if each.pid not in before]
        assert until(lambda: not list(filter(alive, left)), 2), left
        assert list(Path(folder).iterdir()) == []


@pytest.fixture
def folder() -> Iterator[Path]:
    with leaving_nothing() as folder:
        yield folder


@pytest.fixture(scope="module")
def table() -> dict[tuple[str, str], Run]:
    """Return a run of each fault in each pool, four made at a time as in the lesson."""
    with leaving_nothing(), ThreadPoolExecutor(4) as pool:
        runs = pool.map(lambda cell: go_wrong(*cell), CELLS)
        return dict(zip(CELLS, runs, strict=True))


def tasks_of(run: Run, name: str) -> list[int]:
    return [int(number) for number in run.made[name].split()]


def test_each_fault_and_each_pool_has_a_cell() -> None:
    assert list(COMES) == list(FAULTS) and list(POOL_NAMES) == list(POOLS)


@pytest.mark.parametrize(("fault", "pool"), CELLS)
def test_what_comes_to_the_caller(
    fault: str, pool: str, table: dict[tuple[str, str], Run]
) -> None:
    run = table[fault, pool]
    came, told = CELLS[fault, pool], run.made["came after"]
    assert (run.made["came"], run.strategy) == (came, pool)
    hangs, died = came == "nothing", came == "death"
    assert (told is None) == (run.made["out after"] is None) == (hangs or died)
    assert run.wall >= LIMIT or not hangs
    if told is not None:
        assert 0 < told <= run.made["out after"] == run.wall
        assert run.made["exception"].endswith(came)


@pytest.mark.parametrize(("fault", "pool"), CELLS)
def test_how_many_results_the_caller_has(
    fault: str, pool: str, table: dict[tuple[str, str], Run]
) -> None:
    run = table[fault, pool]
    assert run.results == list(range(run.made["results"]))
    if pool not in ONE_BY_ONE:
        assert run.results == []
    elif fault in ("error", "sys.exit"):
        assert run.results == [0, 1, 2], "those before the one that went wrong"
    else:
        assert len(run.results) <= 3


@pytest.mark.parametrize(("fault", "pool"), CELLS)
def test_which_tasks_began_and_which_ended(
    fault: str, pool: str, table: dict[tuple[str, str], Run]
) -> None:
    run = table[fault, pool]
    spans = {span.task: span for span in run.spans}
    assert len(spans) == len(run.spans) <= TASKS and 3 in spans
    at = run.made["fault at"]
    assert 0 <= spans[3].start - run.began < at <= spans[3].end - run.began + 0.01
    unfinished = tasks_of(run, "unfinished")
    assert set(unfinished) <= set(spans)
    if fault not in ENDS:
        assert 3 in unfinished
    told = run.made["came after"]
    for task in tasks_of(run, "still ran"):
        assert spans[task].end - run.began > told


@pytest.mark.parametrize("pool", ["processes", "joblib"])
def test_the_true_reason_is_the_cause(
    pool: str, table: dict[tuple[str, str], Run]
) -> None:
    reason = "missing 1 required positional argument: 'number'"
    assert table["odd error", pool].made["cause"].endswith(reason)
    assert table["error", pool].made["cause"] == "ValueError: this input is bad"


def test_how_a_worker_ended_is_told_since_3_15(
    table: dict[tuple[str, str], Run],
) -> None:
    ended = table["crash", "processes"].made["cause"]
    assert ended.endswith("with exit code 1") == (sys.version_info >= (3, 15))


@pytest.mark.parametrize("pool", POOL_NAMES)
def test_a_limit_ends_the_waiting_and_the_work_of_some(
    pool: str, table: dict[tuple[str, str], Run]
) -> None:
    run = table["late", pool]
    goes_on = pool in ONE_BY_ONE
    assert (3 in tasks_of(run, "still ran")) == goes_on
    assert (3 in tasks_of(run, "unfinished")) != goes_on
    late = run.made["out after"] - run.made["came after"]
    assert not goes_on or late > 0.1, "leaving the pool waits for it"


@pytest.mark.parametrize(("fault", "pool"), CELLS)
def test_workers_are_left_where_the_caller_hangs(
    fault: str, pool: str, table: dict[tuple[str, str], Run]
) -> None:
    hangs = CELLS[fault, pool] == "nothing"
    assert (table[fault, pool].made["left"] > 0) == hangs


@pytest.mark.parametrize(("fault", "pool"), CELLS)
def test_it_is_said_and_it_is_saved(
    fault: str, pool: str, table: dict[tuple[str, str], Run], tmp_path: Path
) -> None:
    run = table[fault, pool]
    _, sentence = figures.timeline.draw(run)
    assert f" task 3 {FAULTS[fault]}. " in sentence
    came = CELLS[fault, pool]
    said = {"nothing": "Nothing comes", "death": "The whole program dies"}
    assert said.get(came, f"{came} comes to the caller after ") in sentence
    if came not in said:
        assert f"with {len(run.results)} of 8 results" in sentence
    run.save(path := tmp_path / "run.json")
    loaded = Run.load(path)
    path.unlink()
    assert loaded == run
    assert loaded.made == run.made | {"recorded": True}


@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize("pool", ["processes", "multiprocessing_pool"])
@pytest.mark.usefixtures("folder")
def test_every_start_method_has_the_same_answer(pool: str, method: str) -> None:
    cells = [(fault, moment) for fault in ("odd error", "kill") for moment in (0, 7)]
    with ThreadPoolExecutor(4) as threads:
        runs = list(
            threads.map(
                lambda cell: go_wrong(cell[0], f"{pool} {method}", cell[1]), cells
            )
        )
    for (fault, moment), run in zip(cells, runs, strict=True):
        assert run.made["came"] == CELLS[fault, pool]
        assert (run.made["moment"], run.made["start method"]) == (moment, method)
        assert len(run.results) <= moment


@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(sys.version_info < (3, 14), reason="it has no interpreters")
def test_interpreters_do_as_threads_but_for_what_cannot_be_unpickled() -> None:
    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(go_wrong, FAULTS, ["interpreters"] * len(FAULTS)))
    came = {run.made["fault"]: run.made["came"] for run in runs}
    as_threads = {fault: CELLS[fault, "threads"] for fault in FAULTS}
    assert came == as_threads | {"odd error": "NotShareableError"}
    assert not any(run.made["left"] for run in runs)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("flood", "threads"), "no fault 'flood'"),
        (("crash", "fibres"), "no pool 'fibres' here"),
        (("crash", "processes by_hand"), "no start method 'by_hand' here"),
        (("crash", "joblib spawn"), "a start method is for processes and"),
        (("crash", "threads", 8), "0 to 7"),
        (("crash", "threads", -1), "0 to 7"),
        (("crash", "threads", 3, 0), "more than 0"),
    ],
)
def test_what_there_is_not_is_said_in_one_line(arguments: tuple, line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        go_wrong(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("folder")
def test_a_pool_that_does_not_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faults, "SERVE", "raise SystemExit  # {} {}")
    with pytest.raises(PythonFailed, match="did not start: nothing was heard"):
        go_wrong("error", "threads")
    code = f"import sys; sys.modules['joblib'] = None; {FIRST}"
    monkeypatch.setattr(faults, "SERVE", code)
    with pytest.raises(PythonFailed, match="did not start: ModuleNotFoundError"):
        go_wrong("error", "joblib")


def test_one_that_dies_at_once_has_begun() -> None:
    with leaving_nothing(), ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(go_wrong, ["crash"] * 8, ["threads"] * 8, [0] * 8))
    assert [run.made["came"] for run in runs] == ["death"] * 8


def test_it_ends_with_who_called_it(folder: Path) -> None:
    """A kernel that is killed leaves neither the program nor workers nor files."""
    script = f"""
        import sys, threading
        sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
        from helpers.faults import go_wrong
        threading.Timer(0.1, print, ["ready"], {{"flush": True}}).start()
        go_wrong("crash", "multiprocessing_pool", limit=60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder), "TEMP": str(folder)},
    )
    assert first_line(parent) == "ready\n"
    assert until(lambda: list(folder.glob("*/3")), 30), "a task that goes wrong"
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 2
    parent.kill()
    parent.communicate()
    assert until(lambda: not list(filter(alive, family)), 5)
    assert until(lambda: not list(folder.iterdir()), 5)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupt_of_the_caller_ends_it(folder: Path) -> None:
    """Stop on the cell that calls it: one call, and nothing of it stays."""

    def stop() -> None:
        until(lambda: list(folder.glob("*/3")), 30)
        os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    threading.Thread(target=stop).start()
    with pytest.raises(KeyboardInterrupt):
        go_wrong("crash", "multiprocessing_pool", limit=60)
    assert time.monotonic() - began < 30
