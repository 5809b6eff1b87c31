"""Other Pythons: that they are found, that they measure, and what the hostile get."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import START_METHODS, until
from tasks import double

from helpers import pythons
from helpers.machine import pythons as pythons_here
from helpers.measure import PythonFailed, race, run, sweep
from helpers.runs import FORMAT, as_message
from helpers.travel import FunctionCannotTravel
from helpers.workloads import countdown

# The interpreter of this virtual environment, where nothing is installed.
BASE = getattr(sys, "_base_executable", sys.executable)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="scripts of POSIX systems")


def family() -> set[int]:
    """Return all processes below this one that run."""
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    }


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = family()
    yield
    assert until(lambda: not family() - before)


# Which there are.


def test_this_python_is_among_those_found() -> None:
    found = pythons_here()
    versions = [(each.version, each.free_threaded) for each in found]
    assert len(set(versions)) == len(versions)
    assert ".".join(map(str, sys.version_info[:3])) in dict(versions)
    numbers = [[int(part) for part in each.version.split(".")] for each in found]
    assert numbers == sorted(numbers) and min(numbers) >= [3, 11]
    name = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert pythons.find(name).version.startswith(name)


def test_a_path_is_looked_at() -> None:
    python = pythons.find(BASE)
    assert python.path == BASE and python.gil is not None


def test_what_is_missing_comes_with_the_command_that_installs_it() -> None:
    with pytest.raises(ValueError, match=r"no Python 3\.99t was found.* install"):
        pythons.find("3.99t")


@pytest.mark.parametrize(
    ("system", "uv", "version", "command"),
    [
        ("Linux", True, "3.14t", "uv python install 3.14t"),
        ("Windows", False, "3.14t", "py install 3.14t"),
        ("Darwin", False, "3.14t", "brew install python-freethreading"),
        ("Darwin", False, "3.14", "brew install python@3.14"),
        ("Linux", False, "3.14", "pip install uv, then uv python install 3.14"),
    ],
)
def test_the_command_suits_the_system(
    system: str, uv: bool, version: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("shutil.which", lambda name, path="": uv and name)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(pythons, "pythons", list)
    with pytest.raises(ValueError, match="was found") as error:
        pythons.find(version)
    assert str(error.value).endswith(f"To install it: {command}")


@POSIX
def test_the_variable_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = hostile(tmp_path, "", version=[3, 77, 1], free_threaded=True)
    monkeypatch.setenv(pythons.VARIABLE, os.pathsep.join(["/nowhere", mine]))
    assert pythons.find("3.77t") == pythons.Python(mine, "3.77.1", True, False)
    assert pythons.find("3.77.1t").name == "3.77t"


# What they measure.


def test_run_race_and_sweep_come_back_as_they_are_made_here() -> None:
    numbers = [3, 1, 2]
    made = run(double, numbers, "threads", 2, python=BASE)
    assert made.results == [6, 2, 4] and made.strategy == "threads"
    assert made.made["python"] and made.function == "double"
    assert {span.pid for span in made.spans}.isdisjoint({os.getpid()})
    ways = {"serial": 1, f"processes {START_METHODS[-1]}": 2}
    raced = race(double, numbers, ways, rounds=2, budget=0, python=BASE)
    assert list(raced) == list(ways)
    assert all(len(each.rounds) == 2 for each in raced.values())
    swept = sweep(double, numbers, "threads", [0, 2], 1, first=time.time, python=BASE)
    assert list(swept) == [0, 2] and swept[0].strategy == "serial"


@pytest.mark.skipif(sys.platform != "linux", reason="it takes psutil elsewhere")
def test_a_bare_python_knows_how_free_the_machine_was() -> None:
    made = run(countdown, [5_000_000] * 4, "threads", 2, python=BASE)
    assert 0 < made.cores_free <= made.made["allowed cores"]


def test_recorded_runs_stand_in_for_a_missing_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, ways = tmp_path / "square.json", {"serial": 1, "threads": 2}
    with pytest.raises(FileNotFoundError):
        race(double, [1, 2], ways, python="3.99t", recorded=file)
    race(double, [1, 2], ways, 1, 0, python=BASE, recorded=file)
    assert not file.exists()
    monkeypatch.setenv("MANY_CORES_RECORD", "1")
    live = race(double, [1, 2], ways, 1, 0, python=BASE, recorded=file)
    capsys.readouterr()
    found = race(double, [1, 2], ways, 1, 0, python="3.99t", recorded=file)
    assert found == live and found["threads"].made["recorded"]
    assert found["threads"].results == [2, 4]
    said = capsys.readouterr().out
    assert said.startswith("Recorded on ") and "no Python 3.99t was found" in said
    assert said.count("\n") == 1
    others = {"serial": 1, "multiprocessing": 2}
    with pytest.raises(ValueError, match=r"square\.json has other runs than these"):
        race(double, [1, 2], others, python="3.99t", recorded=file)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: run(lambda x: x, [1], python=BASE), FunctionCannotTravel, "no name"),
        (
            lambda: run(psutil.pid_exists, [1], python=BASE),
            FunctionCannotTravel,
            "install",
        ),
        (lambda: run(abs, [{1}], python=BASE), ValueError, "JSON"),
        (lambda: run(abs, [1], map, python=BASE), ValueError, "name a strategy"),
        (lambda: run(abs, ["x"], python=BASE), PythonFailed, "TypeError"),
        (lambda: run(abs, [1], "nonsense", python=BASE), PythonFailed, "no strategy"),
        (lambda: run(abs, [1], python=BASE, limit=0), ValueError, "seconds"),
        (lambda: run(abs, [1], python="3.99"), ValueError, "no Python 3.99"),
        (lambda: run(time.sleep, [60], python=BASE, limit=1), PythonFailed, "within 1"),
    ],
)
def test_what_cannot_be_measured_there_gets_a_line(
    call: Callable[[], object], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_an_interrupt_ends_the_other_python_too() -> None:
    before = family()

    def press() -> None:
        until(lambda: len(family() - before) >= 3)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(time.sleep, [60, 60], "processes", 2, python=BASE)
    assert until(lambda: not family() - before, seconds=1)


# What the hostile get.

SCRIPT = """#!{python} -IS
import json, os, signal, subprocess, sys, time
if "sysconfig" in sys.argv[-1]:
    print(json.dumps([{version}, {free_threaded}, {gil}]))
    sys.exit()
message = {message}
{text}
"""


def hostile(
    folder: Path,
    text: str,
    version: list[int] | None = None,
    free_threaded: bool = False,
) -> str:
    """Return the path of what says that it is a Python, and then runs that text."""
    path = folder / "python"
    made = run(abs, [1])
    of_it = as_message(replace(made, made=made.made | {"gil": True}))
    message = json.dumps(json.dumps(of_it))
    script = SCRIPT.format(
        python=BASE,
        version=version or [3, 13, 0],
        free_threaded=free_threaded,
        gil=not free_threaded,
        message=message,
        text=text,
    )
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


NEWER = f"message.replace('\"format\": {FORMAT}', '\"format\": 999')"
HOSTILE = {
    "exits at once": ("sys.exit(3)", "has died"),
    "complains": ("sys.exit('no helpers here')", "has died: no helpers here"),
    "prints garbage": ("print('Welcome!', flush=True); time.sleep(60)", "no run"),
    "prints bytes": ("os.write(1, bytes(range(256))); time.sleep(60)", "no run"),
    "is deep": ("print('[' * 100_000, flush=True); time.sleep(60)", "no run"),
    "hangs": ("time.sleep(60)", "not done within 2 s"),
    "says nothing but goes on": ("sys.stdin.read(1); time.sleep(60)", "within 2 s"),
    "half a run": ("print(message[:80], flush=True)", "no run"),
    "half of the answer": ("print(f'[0, {message}]', flush=True)", "has died"),
    "a run too many": (
        "print(f'[0, {message}]\\n' * 9 + '[0, null]')",
        "other runs than the 1",
    ),
    "runs without end": (
        "while True: print(f'[0, {message}]', flush=True)",
        "other runs than the 1",
    ),
    "closes its mouth": ("os.close(1); time.sleep(60)", "fell silent"),
    "floods": ("while True: print('x' * 1000)", "no run"),
    "floods a line": ("while True: sys.stdout.write('1' * 1000)", "no run|within"),
    "a newer format": (f"print('[0, ' + {NEWER} + ']')", "newer version"),
    "killed half-way": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    "leaves a child": ("subprocess.Popen(['sleep', '60'])", "has died"),
    "a stubborn child": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "subprocess.Popen(['sleep', '60']); time.sleep(60)",
        "within 2 s",
    ),
}


@POSIX
@pytest.mark.parametrize("name", HOSTILE)
def test_the_hostile_get_one_line(name: str, tmp_path: Path) -> None:
    text, words = HOSTILE[name]
    python = hostile(tmp_path, text)
    began = time.monotonic()
    with pytest.raises(PythonFailed, match=words) as error:
        run(abs, [1], python=python, limit=2)
    assert time.monotonic() - began < 8, "it waits no longer than its limit"
    assert str(error.value).startswith(f"Python {python}: ")
    assert "\n" not in str(error.value)


@POSIX
def test_one_that_reads_nothing_is_given_up(tmp_path: Path) -> None:
    python = hostile(tmp_path, "time.sleep(60)")
    with pytest.raises(PythonFailed, match="within 2 s"):
        run(abs, range(50_000), python=python, limit=2)


def test_the_list_of_the_launcher_is_read() -> None:
    listed = (
        " -V:3.14t *        C:\\P\\python3.14t.exe\n -3.9-64  C:\\Py 39\\python.exe\n"
    )
    paths = ["C:\\P\\python3.14t.exe", "C:\\Py 39\\python.exe"]
    assert pythons.paths_in(listed) == paths


@POSIX
def test_a_gil_that_is_on_again_is_named(tmp_path: Path) -> None:
    text = (
        "print('[0, ' + message + ']\\n[0, null]')\n"
        "print(\"has been enabled to load module 'odd', which\", file=sys.stderr)"
    )
    python = hostile(tmp_path, text, free_threaded=True)
    with pytest.raises(PythonFailed, match="its GIL is on again: importing odd did"):
        run(abs, [1], python=python)


def nothing(folder: Path) -> str:
    return str(folder / "nothing")


def directory(folder: Path) -> str:
    return str(folder)


def plain_file(folder: Path) -> str:
    path = folder / "python"
    path.write_text("import this")
    return str(path)


def huge_file(folder: Path) -> str:
    path = folder / "python"
    with path.open("wb") as file:
        file.truncate(2**32)
    path.chmod(0o755)
    return str(path)


def another_program(folder: Path) -> str:
    return shown(folder, "echo Welcome")


def flood(folder: Path) -> str:
    return shown(folder, "yes")


def silence(folder: Path) -> str:
    return shown(folder, "sleep 60")


def leaves_a_stranger(folder: Path) -> str:
    return shown(folder, "setsid sleep 5 &")


def too_old(folder: Path) -> str:
    return hostile(folder, "", version=[3, 9, 1])


def shown(folder: Path, text: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@POSIX
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (nothing, "No such file"),
        (directory, "no Python that works"),
        (plain_file, "no Python that works"),
        (huge_file, "no Python that works"),
        (another_program, "no Python that works"),
        (flood, "no Python that works"),
        (silence, "no Python that works"),
        (leaves_a_stranger, "no Python that works"),
        (too_old, "3.9.1 is too old: 3.11 is the oldest"),
    ],
)
def test_what_is_no_python_gets_one_line(
    made: Callable[[Path], str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pythons, "SOON", 1.0)
    path = made(tmp_path)
    with pytest.raises(ValueError, match=words) as error:
        run(abs, [1], python=path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    monkeypatch.setenv(pythons.VARIABLE, path)
    assert all(python.path != path for python in pythons_here())


def test_a_python_that_goes_away_meanwhile_is_no_longer_found(tmp_path: Path) -> None:
    link = tmp_path / "python3"
    try:
        link.symlink_to(BASE)
    except OSError:
        pytest.skip("no links here")
    assert subprocess.run([str(link), "-c", "0"], check=False).returncode == 0
    assert pythons.find(link).path == str(link)
    link.unlink()
    with pytest.raises(ValueError, match="No such file"):
        pythons.find(link)
