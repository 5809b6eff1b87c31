"""The tools that go through all Pythons: which parts they choose, and what they say."""

import subprocess
import sys
from pathlib import Path

import matrix
import pytest
from conftest import START_METHODS
from matrix import Part, outcome, parts, starting

from helpers.pythons import Python

FOUND = [
    Python(f"/{version}", version, "t" in version, "t" not in version)
    for version in ("3.11.7", "3.13.0", "3.13.15", "3.14.2")
]


@pytest.fixture(autouse=True)
def pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "pythons", lambda: FOUND)


def test_each_python_and_each_start_method_comes_early() -> None:
    every = parts(["01"])
    assert len(set(every)) == len(every) == 3 * (len(START_METHODS) + 1)
    assert [part.python.version for part in every[:3]] == [
        "3.11.7",
        "3.13.15",
        "3.14.2",
    ]
    assert len({part.what for part in every[: len(START_METHODS) + 1]}) >= 3
    assert [part.python.path for part in parts(["spawn"])] == [
        "/3.11.7",
        "/3.13.15",
        "/3.14.2",
    ]


def test_words_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "find", lambda name: FOUND[0])
    assert parts(["3.11", "tests"]) == [Part(FOUND[0], "tests")]
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"no Python 3\.99t was found"):
        parts(["3.99t"])


@pytest.mark.parametrize("method", START_METHODS)
def test_kernels_begin_with_the_start_method(method: str, tmp_path: Path) -> None:
    assert starting("tests", str(tmp_path)) == {}
    assert starting(method, str(tmp_path)) == {"IPYTHONDIR": str(tmp_path)}
    (startup,) = (tmp_path / "profile_default" / "startup").iterdir()
    code = startup.read_text() + "print(multiprocessing.get_start_method())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == method, done.stderr


def test_what_cannot_be_set_up_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    python = Python(str(tmp_path / "nothing"), "3.14.2", False, True)
    (tmp_path / "Makefile").write_text("%:\n\t@echo no wheel; exit 1\n")
    for free_threaded, name in ((False, "3.14 "), (True, "3.14t")):
        part = Part(python._replace(free_threaded=free_threaded), "spawn")
        said = outcome(part, [])
        assert said.startswith(f"✗ {name} spawn ") and "not set up: " in said
