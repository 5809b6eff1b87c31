"""Advice for a loop: the right way, within its budget, and code that runs."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import loops
import psutil
import pytest
from conftest import START_METHODS
from IPython.core.interactiveshell import InteractiveShell
from loops import LOOPS, multiplied_by
from tasks import double

from helpers import advice, machine, trial
from helpers.advice import Advice, advise
from helpers.claims import fewer_cores_than
from helpers.figures import decision
from helpers.figures.look import in_seconds
from helpers.measure import load, run
from helpers.trial import Trial
from helpers.workers import end_kept_loky
from helpers.workloads import countdown, nap

BUDGET = 12.0
TESTS = Path(__file__).parent
PATHS = os.pathsep.join([str(TESTS), str(TESTS.parent)])


@cache
def advised(name: str) -> Advice:
    """Return the advice for one of the loops: it is asked for once."""
    function, inputs, _ = LOOPS[name]
    return advise(function, inputs, budget=BUDGET)


@pytest.mark.parametrize("name", LOOPS)
def test_no_wrong_way_within_the_budget(name: str) -> None:
    """A machine that is busy may make the loop seem as good; a wrong way, never."""
    packed = [pickle.dumps(each) for each in LOOPS[name].inputs[:50]]
    began = time.perf_counter()
    told = advised(name)
    assert time.perf_counter() - began <= 1.1 * BUDGET
    assert [pickle.dumps(each) for each in LOOPS[name].inputs[:50]] == packed
    assert told.way.split()[0] in LOOPS[name].right | {"serial"}, told


def test_the_right_way_for_nineteen_of_twenty() -> None:
    missed = {
        name: (told.predicted, told.refused)
        for name, loop in LOOPS.items()
        if (told := advised(name)).way.split()[0] not in loop.right
    }
    if len(missed) > len(LOOPS) / 20:
        runs = [run for name in missed for run in advised(name).runs]
        reason = fewer_cores_than(2, *runs)
        if excuse := reason() if callable(reason) else reason:
            pytest.skip(excuse)
        pytest.fail(str(missed))


PARALLEL = [name for name, loop in LOOPS.items() if "serial" not in loop.right]


@pytest.mark.parametrize("name", PARALLEL)
def test_its_code_runs(name: str, tmp_path: Path, shell: InteractiveShell) -> None:
    code = advised(name).code
    begin = (
        "import asyncio, inspect\nfrom loops import LOOPS\n"
        f"function, inputs, _ = LOOPS[{name!r}]\ninputs = inputs[:3]\n"
    )
    end = "expected = [function(x) for x in inputs]\n"
    if name == "coroutine":
        end = "expected = inputs\n"
    same = "len(results) == 3 and type(results[0]) is type(expected[0])"
    if "random" not in name:
        same = "results == expected"
    for method in START_METHODS:
        script = tmp_path / "script.py"
        script.write_text(
            f"import multiprocessing\n{begin}"
            'if __name__ == "__main__":\n'
            f"    multiprocessing.set_start_method({method!r})\n{code}"
            f'if __name__ == "__main__":\n    {end}    print({same})\n',
            encoding="utf-8",
        )
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": PATHS},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout.endswith("True\n"), f"{method}\n{code}\n{done.stderr}"
    shell.run_cell(begin)
    shell.run_cell(code).raise_error()
    shell.run_cell(end)
    assert shell.ev(same), code
    end_kept_loky()  # as joblib, in the reader's own code, leaves them
    assert not multiprocessing.active_children()


def test_what_it_says() -> None:
    waiting, closure = advised("waiting"), advised("a closure")
    assert "Threads with" in str(waiting)
    assert "times as fast" in waiting.reason
    assert "can't travel" in closure.refused["processes"]
    assert all(closure.found.travels.values())
    assert "'seen'" in str(advised("remembers"))
    assert "input" in str(advised("changes its input"))
    assert "ValueError" in str(advised("raises"))
    assert advised("what can't come back").found.returned is None
    assert advised("tiny").found.sent


@pytest.mark.parametrize("name", LOOPS)
def test_the_tree_leads_to_the_advice(name: str) -> None:
    told = advised(name)
    kind = told.way.split()[0].replace("_", " ")
    _, said = decision.draw(told)
    assert said.endswith(f"So: {'a plain loop' if kind == 'serial' else kind}.")
    assert said.count("Yes:") == (0 if said.count("No:") == 4 else 1)


def test_a_loop_takes_the_same_time_wherever_it_is_told() -> None:
    """Its tasks' time, too: a reader may multiply."""
    for told in map(advised, LOOPS):
        if not told.found.alone:
            loop = told.predicted["serial"].best
            assert f"takes about {trial.told(loop)} here" in told.reason
            assert f"takes {trial.told(loop / told.found.tasks)} and" in told.reason
            assert f" take {in_seconds(loop)}" in decision.draw(told)[1]


def test_threads_that_wait_take_what_they_took() -> None:
    """One by one, calls may compute longer: that says nothing of them side by side."""
    waits = Trial(nap, [0.01] * 20, 5.0)
    waits.note(tried=20, seconds=0.01, computing=0.2)
    made = waits.runs["threads"] = run(nap, waits.inputs, "threads", 4)
    predicted = advice._predicted(waits)["threads"]
    assert predicted.best == made.startup + made.wall


def test_what_was_raced_stays_when_the_time_runs_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = [trial.race]

    def race(*arguments: Any) -> Any:
        return once.pop()(*arguments) if once else time.sleep(60)

    monkeypatch.setattr(trial, "race", race)
    told = advise(nap, [0.05] * 100, budget=6.0)
    assert told.found.spent < 6.6
    assert told.way == "threads"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts such waits")
def test_who_waits_for_a_core_computes() -> None:
    """Beside other programs a task takes longer than it computes, and isn't waiting."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(2 * machine.cores().allowed)]
    try:
        beside = Trial(countdown, [1_000_000] * 20, 5.0)
        beside.look()
    finally:
        for each in others:
            each.kill()
            each.wait()
    assert beside.found.computing > 0.8
    assert beside.found.cores < 0.8  # so little of a core it had
    naps = Trial(nap, [0.02] * 20, 5.0)
    naps.look()
    assert naps.found.computing < 0.5


def test_saved_and_loaded(tmp_path: Path) -> None:
    told = advised("waiting")
    told.save(tmp_path / "advice.json")
    loaded = Advice.load(tmp_path / "advice.json")
    assert (loaded.way, loaded.code, loaded.found) == (
        told.way,
        told.code,
        told.found,
    )
    assert loaded.predicted == told.predicted
    assert len(load(tmp_path / "advice.json")) == len(told.runs)
    for content in ("", "[]", "{}", '{"format": 1, "advice": {}}', '{"format": 99}'):
        (tmp_path / "broken.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"^broken\.json: [^\n]+$"):
            Advice.load(tmp_path / "broken.json")


def test_what_was_set_after_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "setting", 5)
    told = advise(loops.uses_setting, list(range(1, 200)), budget=30.0)
    assert "another result" in told.found.travels["spawn"]
    assert "another result" in told.refused["processes"]
    assert told.way.split()[0] not in ("processes", "multiprocessing_pool")


def sleeps_long(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fills(megabytes: int) -> int:
    kept = bytearray(b"x") * (megabytes * 2**20)
    time.sleep(0.1)
    return len(kept)


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="its allocator keeps what is free, and can't be asked to give it back",
)
def test_no_more_workers_than_find_their_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = SimpleNamespace(available=160 * 2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    above = list[bytearray]()
    # What was filled and let go before is kept below what still stands.
    for _ in range(2):
        filled = [bytearray(b"x") * (31 * 2**20) for _ in range(3)]
        above.append(bytearray(1000))
        del filled
    hungry = advise(fills, [30] * 60, budget=BUDGET)
    assert hungry.found.memory > 20 * 2**20
    if hungry.way == "serial":
        pytest.skip("this machine is too busy to be sure that anything gains")
    assert hungry.way == "threads"
    assert hungry.workers <= 5
    assert "memory" in str(hungry)


def test_one_core_is_enough_for_waits_only(monkeypatch: pytest.MonkeyPatch) -> None:
    one = machine.Cores(1, 1)
    monkeypatch.setattr(trial, "cores", lambda: one)
    monkeypatch.setattr(advice, "cores", lambda: one)
    waits = advise(nap, [0.05] * 60, budget=8.0)
    assert (waits.way, waits.workers) == ("threads", 32)
    counts = advise(countdown, [1_000_000] * 60, budget=8.0)
    assert counts.way == "serial"
    assert "one core" in counts.more


def test_the_time_runs_out_before_each_way_had_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*_: object) -> None:
        raise trial.OutOfTime

    monkeypatch.setattr(trial, "race", late)
    tiny = LOOPS["tiny"]
    told = advise(tiny.function, tiny.inputs, budget=BUDGET)
    assert told.way == "serial" and set(told.predicted) == {"serial"}
    assert "The loop" in str(told)


def test_a_task_longer_than_the_budget() -> None:
    began = time.perf_counter()
    told = advise(sleeps_long, [30.0, 30.0], budget=1.0)
    assert time.perf_counter() - began < 1.5
    assert told.way == "serial"
    assert "budget" in told.reason


def test_an_interrupt_ends_it() -> None:
    signals = threading.Timer(3.0, signal.raise_signal, [signal.SIGINT])
    signals.start()
    with pytest.raises(KeyboardInterrupt):
        advise(sleeps_long, [0.5] * 100, budget=20.0)
    assert not signals.is_alive()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("function", "inputs", "budget", "words"),
    [
        (3, [1], 1.0, "must be a function, not 3"),
        (abs, 5, 1.0, "inputs must be a list or the like, not a int"),
        (abs, iter([1]), 1.0, "not a list_iterator"),
        (abs, [1], 0, "above 0"),
    ],
)
def test_bad_input(function: object, inputs: object, budget: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        advise(function, inputs, budget)  # type: ignore[arg-type]


def test_the_code_has_the_readers_words() -> None:
    twice, numbers = double, [1, 2, 3]
    assert advise(double, numbers, 1.0).code == (
        "from tasks import double\n\nresults = [double(x) for x in numbers]\n"
    )
    assert (
        advise(twice, range(3), 1.0).code == "results = [twice(x) for x in range(3)]\n"
    )
    code = advise(lambda x: x + 1, budget=1.0, inputs=numbers).code
    assert code == "results = [(lambda x: x + 1)(x) for x in numbers]\n"
    assert advise(multiplied_by(3), [1], 1.0).code == (
        "results = [(multiplied_by(3))(x) for x in [1]]\n"
    )


@pytest.mark.parametrize(
    "name", ["keeps in a default", "remembers", "counts", "changes its input"]
)
def test_what_its_calls_change_is_seen(name: str) -> None:
    """Not by its results: they may come out right by chance, or in a loop only."""
    function, inputs, _ = LOOPS[name]
    assert "it changes" in advise(function, inputs, 6).found.alone
