"""What this machine offers, counted and measured."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from helpers import machine

ROOT = Path(__file__).parent.parent
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
    code = (
        "from helpers.claims import *; from helpers.machine import cores\n"
        "print(cores().allowed, fewer_cores_than(2))"
    )
    assert told(code) == "1 one core"


@pinned
def test_the_ceiling_of_one_core() -> None:
    given = float(told("from helpers.machine import ceiling; print(ceiling(2, 0.1))"))
    assert given < 1.3


def test_the_ceiling_of_one_interpreter() -> None:
    """The same work on both sides; other programs may get in the way of either."""
    tries = (machine.ceiling(1, 0.1, rounds=5) for _ in range(5))
    assert any(0.75 < given < 1.33 for given in tries)


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


@pinned
def test_only_the_allowed_cores_idle_time_counts() -> None:
    """Pinned to one of two cores, the idle time of the other is nobody's."""
    idle = (
        "from helpers.machine import idle_seconds\nfrom time import sleep\n"
        "before = idle_seconds(); sleep(1); print(idle_seconds() - before)"
    )
    assert float(told(idle)) < 1.3


@pytest.mark.parametrize(
    ("allowed", "idle"), [({0, 2}, 1 + 4), ({12, 13}, 7), (None, 7)]
)
def test_cores_that_the_system_numbers_otherwise(
    allowed: set[int] | None, idle: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In some containers psutil counts the container's, and the affinity all cores."""
    times = [SimpleNamespace(idle=seconds) for seconds in (1.0, 2.0, 4.0)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: times)
    monkeypatch.setattr(machine, "_allowed_cpus", lambda: allowed)
    assert machine.idle_seconds() == idle


def test_without_joblib_and_psutil() -> None:
    """As in a Python with nothing installed."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from helpers import machine\n"
        "print(machine.idle_seconds(), *machine.cores(), machine.ceiling(1, 0.05, 1))"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    idle, logical, allowed, given = done.stdout.split()
    assert int(logical) == machine.cores().logical, done.stderr
    counted = sys.platform == "linux"  # by its own files
    assert float(idle) > 0 if counted else idle == "None"
    assert 1 <= int(allowed) <= int(logical)
    assert float(given) > 0


def test_connections_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert machine.connections(1000) == 412
    assert machine.connections(20) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit on Windows")
@pytest.mark.parametrize(
    ("soft", "hard", "room", "raised"),
    [
        (256, 100_000, 1000, 1100),
        (256, 256, 156, 256),
        (1024, 1050, 950, 1050),
        (4096, 4096, 1000, 4096),
        (50, 50, 1, 50),
        (256, -1, 1000, 1100),
        (-1, -1, 1000, -1),
    ],
)
def test_connections(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, room: int, raised: int
) -> None:
    import resource

    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: limits.append(new))
    assert machine.connections(1000) == room
    assert limits[-1] == (raised, hard)
