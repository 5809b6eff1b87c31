"""The explorers as a reader uses them: what is drawn, kept, stopped, saved, loaded."""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import until
from jupyter_client.manager import start_new_kernel
from test_elsewhere import alive, descendants

from helpers import explore
from helpers.explore import Explorer
from helpers.measure import race, run, sweep
from helpers.runs import save
from helpers.trace import watched_countdown
from helpers.workloads import countdown, nap

EXPLORERS = {
    "gil": explore.gil,
    "pools": explore.pools,
    "joblib": explore.joblib,
    "speedup": explore.speedup,
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
    return explorer


def pictures(explorer: Explorer) -> list[str]:
    return re.findall(r'src="([^"]+)"', explorer.picture.value)


def test_it_draws_the_runs_of_the_plain_call_before_anything_is_measured(
    explored: Callable,
) -> None:
    naps = [0.01] * 4
    first = {
        "gil": [run(watched_countdown, [1000] * 2, "threads", 2)],
        "pools": [race(nap, naps, {"serial": 1, "threads": 2}, 1, 0)],
        "joblib": [race(countdown, naps, {"serial": 1, "joblib": 2}, 1, 0)],
        "speedup": [{"threads": sweep(nap, naps, "threads", [0, 1, 2])}],
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


def test_what_was_saved_can_be_loaded_also_beside_a_broken_file(
    explored: Callable, tmp_path: Path
) -> None:
    explorer = explored("pools")
    explorer.save()
    assert "no run" in explorer.status.value
    explorer.run()
    saved = pictures(settled(explorer))
    explorer.save()
    explorer.save()
    first, second = sorted(tmp_path.glob("saved_runs/*.json"))
    made = json.loads(first.read_text())["runs"][0]["made"]
    assert {"python", "system", "date", "allowed cores"} <= set(made)
    (tmp_path / "broken.json").write_text("{")
    newer = json.loads(first.read_text()) | {"format": 99}
    (tmp_path / "newer.json").write_text(json.dumps(newer))
    explorer.controls["size"].value = 1
    assert pictures(settled(explorer)) != saved
    explorer.load(tmp_path / "broken.json", second, tmp_path / "newer.json", "none")
    assert pictures(explorer) == saved
    lines = re.sub(r"</?p[^>]*>", "", explorer.status.value).split("<br>")
    assert [line.partition(":")[0] for line in lines] == [
        "broken.json",
        "pools_1.json" if second.name == "pools_1.json" else "pools_2.json",
        "newer.json",
        "none",
    ]


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
            assert refused == (name == "speedup" and path.name == "one.json")


def test_a_monkey_finds_no_stuck_state(explored: Callable) -> None:
    """200 random changes while it measures; then it must work as ever."""
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


START = """
from helpers import explore
explorer = explore.gil()
explorer.controls["interval"].value = 50
explorer.controls["workers"].value = 8
"""


def test_a_cell_and_an_explorer_leave_each_other_alone_and_a_restart_ends_all() -> None:
    manager, client = start_new_kernel(kernel_name="python3")
    try:

        def say(code: str) -> str:
            said: list[str] = []
            client.execute_interactive(
                code,
                timeout=120,
                output_hook=lambda message: said.append(
                    message["content"].get("text")
                    or "\n".join(message["content"].get("traceback", []))
                ),
            )
            return "".join(filter(None, said))

        say(START)
        kernel = psutil.Process(manager.provisioner.pid)

        def measuring() -> list[psutil.Process]:
            return [
                child
                for child in kernel.children()
                if "helpers.elsewhere" in " ".join(child.cmdline())
            ]

        assert until(measuring, seconds=60), "it measures between cells"
        # While a cell runs nothing else does; a widget still says what it waits for.
        said = say(
            "import psutil\n"
            "print(sum('helpers.elsewhere' in ' '.join(child.cmdline())"
            " for child in psutil.Process().children()))\n"
            "print(explorer.measuring, explorer.status.value)"
        )
        assert said.startswith("0\nTrue") and "A cell is running" in said
        assert until(measuring, seconds=60), "it goes on after the cell"
        processes = measuring()
        manager.restart_kernel(now=True)
        assert until(lambda: not any(map(alive, processes)))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
