"""What this machine offers, counted and measured."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from helpers import machine

pinned = pytest.mark.skipif(
    not shutil.which("taskset"), reason="only Linux can pin a process to a core"
)


def told(code: str) -> str:
    """Return what code prints in a Python that may use one core."""
    command = ["taskset", "-c", "0", sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_cores() -> None:
    logical, allowed = machine.cores()
    assert 1 <= allowed <= logical


@pinned
def test_one_allowed_core() -> None:
    code = "from helpers.machine import *; print(cores().allowed, fewer_cores_than(2))"
    assert told(code) == "1 one core"


@pinned
def test_the_ceiling_of_one_core() -> None:
    given = float(told("from helpers.machine import *; print(ceiling(2, 0.1))"))
    assert given < 1.3


def test_the_ceiling_of_one_interpreter() -> None:
    assert 0.75 < machine.ceiling(1, 0.1, rounds=5) < 1.33


def test_a_reason_is_measured_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: machine.Cores(4, 4))
    assert machine.fewer_cores_than(5) == "4 cores"
    reason = machine.fewer_cores_than(2)
    monkeypatch.setattr(machine, "ceiling", lambda *_, **__: 1.14)
    assert reason() == "this machine is giving the lab 1.1 of 2 cores"
    monkeypatch.setattr(machine, "ceiling", lambda *_, **__: 1.9)
    assert reason() is None
    quiet, busy = SimpleNamespace(cores_free=1.9), SimpleNamespace(cores_free=1.04)
    assert machine.fewer_cores_than(2, quiet)() is None
    assert machine.fewer_cores_than(2, quiet, busy)().endswith("1.0 of 2 cores")


def test_asking_for_the_start_method_does_not_settle_it() -> None:
    code = (
        "import multiprocessing as m\n"
        "from helpers import machine\n"
        "first = machine.start_method()\n"
        "assert first == m.get_all_start_methods()[0]\n"
        "m.set_start_method('spawn')\n"
        "print(machine.start_method())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "spawn\n", done.stderr


def test_the_facts_name_nobody() -> None:
    facts = machine.facts()
    assert facts["gil"] == machine.gil_enabled()
    assert facts["allowed cores"] == machine.cores().allowed
    assert {type(value) for value in facts.values()} <= {str, int, bool}


def test_describe(capsys: pytest.CaptureFixture) -> None:
    machine.describe()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5
    assert all(": " in line for line in printed)
