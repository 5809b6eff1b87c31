"""Every Python: `python tools/matrix.py` tests the kit with each that is found here.

With each of them the lessons under each start method, and the tests of the helpers.
With words, only those: `python tools/matrix.py 3.14 spawn 01 03`, `… 3.13t tests`. Each
Python gets a virtual environment of its own, .venv-3.14 for one, with the pins of
requirements/. In the end a line for each says what came of it.
"""

import argparse
import functools
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lessons import FOLDER, NOTEBOOKS

from helpers.machine import start_methods
from helpers.pythons import Python, end, find, pythons

ROOT = FOLDER.parent
TESTS = "tests"
WHATS = [*start_methods(), TESTS]
VERSION = re.compile(r"\d\.\d+t?")
# As `make test` runs them.
HELPERS_TESTS = [
    *("-n2", "--dist=loadfile", "tests", "--ignore-glob=*/test_browser*.py"),
]
# Seconds after which a part hangs.
LIMIT = 1800
# What a kernel runs when it starts, as IPython lets it.
STARTUP = "import multiprocessing\nmultiprocessing.set_start_method({!r})\n"
# A free-threaded Python may lack wheels of the pinned versions, and one that JupyterLab
# needs. Then it gets the newest that it can have of what kernels and tests need.
ENOUGH = (
    *("cloudpickle", "executing", "ipykernel", "ipython", "ipywidgets", "joblib"),
    *("matplotlib", "numpy", "psutil", "threadpoolctl", "tornado", "tqdm"),
    *("hypothesis", "nbclient", "nbval", "pytest", "pytest-xdist"),
)
WHEELS = ("--only-binary", ":all:", "--no-binary", "tornado")


class Part(NamedTuple):
    """What is tested in one go: a Python with a start method, or with the helpers."""

    python: Python
    what: str

    @property
    def folder(self) -> Path:
        """Its virtual environment."""
        return ROOT / f".venv-{self.python.name}"

    def told(self, mark: str, words: str) -> str:
        """Return the line that says what came of it."""
        return f"{mark} {self.python.name:6}{self.what:11} {words}"


def parts(words: list[str]) -> list[Part]:
    """Return what to test: early on, each Python and each start method at least once.

    Args:
        words: names of Pythons, start methods, "tests". Of a kind that isn't among
            them, all.

    Raises:
        ValueError: there is no such Python.
    """
    every = {python.name: python for python in pythons()}  # the newest of each name
    chosen = [find(word) for word in words if VERSION.fullmatch(word)]
    whats = [what for what in WHATS if what in words] or WHATS
    return [
        Part(python, whats[(number + turn) % len(whats)])
        for turn in range(len(whats))
        for number, python in enumerate(chosen or every.values())
    ]


@functools.cache
def set_up(python: Python) -> str:
    """Install what the tests need; return why that failed, or nothing."""
    folder = Part(python, "").folder
    name, log = folder.name, ROOT / f"{folder.name}.log"
    made = ["make", f"VENV={name}", f"PYTHON={python.path}", f"{name}/test.stamp"]
    if run(made, log):
        return ""
    newest = ["uv", "pip", "install", "--python", str(folder / "bin" / "python")]
    if python.free_threaded and run([*newest, *WHEELS, *ENOUGH], log):
        return ""
    return last_line(log)


def outcome(part: Part, lessons: list[str]) -> str:
    """Set up what a part needs, and run its tests; return the line about it."""
    if why := set_up(part.python):
        return part.told("✗", f"not set up: {why}")
    what = HELPERS_TESTS if part.what == TESTS else ["--nbval", *lessons]
    python, log = str(part.folder / "bin" / "python"), part.folder / f"{part.what}.log"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        well = run([python, "-m", "pytest", *what], log, starting(part.what, folder))
    counts, seconds = last_line(log).split(" in ")[0], time.monotonic() - began
    return part.told("✓" if well else "✗", f"{counts}, {seconds:.0f} s")


def starting(method: str, folder: str) -> dict[str, str]:
    """Return what lets kernels begin with that start method; nothing for the tests."""
    if method == TESTS:
        return {}
    startup = Path(folder, "profile_default", "startup")
    startup.mkdir(parents=True)
    (startup / "start_method.py").write_text(STARTUP.format(method), encoding="utf-8")
    return {"IPYTHONDIR": folder}


def run(command: list[str], log: Path, more: dict[str, str] | None = None) -> bool:
    """Run a command, what it says in a log; return whether all went well, in time."""
    beside = str(Path(sys.executable).parent)  # a uv may be there
    path = os.pathsep.join([os.environ.get("PATH", ""), beside])
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **(more or {})}
    with log.open("w", encoding="utf-8") as file:
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        except OSError as error:  # there is no uv, say
            print(error, file=file)
            return False
        try:
            return process.wait(LIMIT) == 0
        except subprocess.TimeoutExpired:
            print(f"not done within {LIMIT} s", file=file)
            return False
        finally:
            end(process)


def last_line(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip("= ") for line in reversed(lines) if line.strip()), "")


def main() -> int:
    """Test what the command line asks for; return 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="3.14, spawn, tests, 01: only those")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no more")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    names = [word for word in asked.words if re.match(r"\d\d(_|$)", word)]
    lessons = [
        str(each) for each in NOTEBOOKS if each.name.startswith(tuple(names or [""]))
    ]
    lines = []
    for part in parts(asked.words):
        late = time.monotonic() > until
        words = "not tested: no time was left"
        lines.append(part.told("–", words) if late else outcome(part, lessons))
        print(lines[-1], flush=True)
    return int(any(line.startswith("✗") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
