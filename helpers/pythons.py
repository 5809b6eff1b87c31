"""Other Pythons: found on this machine, started, talked to, and ended.

Who answers is whatever lies at a path. So what it is told and what it says is JSON, a
line each, within limits of time and of size.
"""

import json
import os
import platform
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import IO, Any, NamedTuple

from helpers.runs import Run, from_message, is_data, load, save
from helpers.travel import address_of

# Paths of Pythons that are nowhere else to be found, separated as in PATH.
VARIABLE = "MANY_CORES_PYTHONS"
# The oldest that can run the kit.
OLDEST = (3, 11)
# Seconds that a Python has to say which one it is, and the letters it may need.
SOON, SHORT = 5.0, 10_000
# The longest line that is read: a run of half a million tasks has some 50 MB.
LONGEST_LINE = 2**26
# How long one may take to measure, in seconds, if nobody says.
LIMIT = 60.0
# If this environment variable is set, files of recorded runs are written anew.
RECORD = "MANY_CORES_RECORD"
# Seconds that processes have to end by themselves before they are ended by force.
GRACE = 0.4
# With "-I -S" nothing of the user's or of an installed package is imported.
BARE = ("-I", "-S")
# By -c: with a file of it, workers that start fresh would import that file.
SERVE = "import sys; sys.path.insert(0, {!r}); import helpers.elsewhere as e; e.serve()"
ASK = """
import json, sys, sysconfig
print(json.dumps([
    list(sys.version_info[:3]),
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    getattr(sys, "_is_gil_enabled", lambda: True)(),
]))
"""


class Python(NamedTuple):
    """A Python on this machine.

    Attributes:
        path: of its interpreter.
        version: "3.14.2", say.
        free_threaded: whether it is a build that can run without its GIL.
        gil: whether it starts with its GIL.
    """

    path: str
    version: str
    free_threaded: bool
    gil: bool

    @property
    def name(self) -> str:
        """What it is asked for by: "3.14", or "3.14t" if it is free-threaded."""
        return ".".join(self.version.split(".")[:2]) + "t" * self.free_threaded


class NoSuchPython(ValueError):
    """A Python was asked for that is not on this machine; in one line."""


class PythonFailed(RuntimeError):
    """Another Python could not measure; in one line."""


# Which there are.


def pythons() -> list[Python]:
    """Return the Pythons from 3.11 on that are found on this machine, the oldest first.

    Of those with the same version and GIL, one: first what the environment variable
    MANY_CORES_PYTHONS names (paths, separated as in PATH), then this Python, then what
    is on PATH, and what uv, pyenv, and Windows' `py` know of.
    """
    # Several names may lead to the same file; the first one counts.
    paths: dict[str, str] = {}
    for path in _candidates():
        paths.setdefault(os.path.realpath(path), path)
    with ThreadPoolExecutor() as pool:  # each is asked, and has time to answer
        answers = list(pool.map(_python_or_none, paths.values()))
    found: dict[tuple[str, bool], Python] = {}
    for python in answers:
        if python:
            found.setdefault((python.version, python.free_threaded), python)
    return sorted(found.values(), key=lambda python: (_numbers(python), python.name))


def find(wanted: str | Path) -> Python:
    """Return a Python of this machine.

    Args:
        wanted: its version, with "t" for a free-threaded build ("3.14", "3.14.2",
            "3.14t"), or its path.

    Raises:
        NoSuchPython: there is none; the line says how to install it.
        ValueError: the path leads to none; the line says what is wrong with it.
    """
    version = re.fullmatch(r"(\d+\.\d+(?:\.\d+)?)(t?)", str(wanted))
    if not version:
        return _look_at(str(wanted))
    number, free_threaded = version[1], bool(version[2])
    for python in reversed(pythons()):
        same = python.version == number or python.version.startswith(f"{number}.")
        if same and python.free_threaded == free_threaded:
            return python
    raise NoSuchPython(
        f"no Python {wanted} was found on this machine. "
        f"To install it: {_install(str(wanted))}"
    )


def _numbers(python: Python) -> list[int]:
    return [int(part) for part in python.version.split(".")]


def _candidates() -> Iterator[str]:
    """Yield paths where Pythons may be."""
    yield from filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))
    yield sys.executable
    for entry in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        if Path(entry) != _pyenv() / "shims":
            yield from _in_folder(Path(entry))
    # A shim of pyenv is no Python: it looks for one.
    for path in _sorted(_pyenv(), "versions/*/bin/python"):
        yield str(path)
    if (uv := _uv()) and (installed := _said([uv, "python", "dir"]).strip()):
        for folder in _sorted(Path(installed), "*"):
            yield from (*_in_folder(folder), *_in_folder(folder / "bin"))
    if sys.platform == "win32" and (launcher := shutil.which("py")):
        yield from paths_in(_said([launcher, "-0p"]))


def paths_in(listed: str) -> list[str]:
    """Return the paths in the list that Windows' `py -0p` prints."""
    return re.findall(r"(?<!\w)([A-Za-z]:\\.+\.exe)\s*$", listed, re.M)


def _in_folder(folder: Path) -> Iterator[str]:
    """Yield the paths of what is called python there, in whatever version."""
    for path in _sorted(folder, "python*"):
        if re.fullmatch(r"python(3(\.\d+t?)?)?(\.exe)?", path.name):
            yield str(path)


def _sorted(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:  # it may not be read
        return []


def _pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def _uv() -> str | None:
    """Return the path of uv: it may have been installed beside this Python."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("uv") or shutil.which("uv", path=beside)


def _install(version: str) -> str:
    """Return the command that installs a Python on this system."""
    if _uv():
        return f"uv python install {version}"
    number = version.removesuffix("t")
    if platform.system() == "Windows":
        return f"py install {version}"
    if platform.system() == "Darwin" and number.count(".") == 1:
        name = f"python@{number}" if number == version else "python-freethreading"
        return f"brew install {name}"
    return f"pip install uv, then uv python install {version}"


def _python_or_none(path: str) -> Python | None:
    try:
        return _look_at(path)
    except ValueError:
        return None


def _look_at(path: str) -> Python:
    """Return what a Python says of itself; what can't be one gets one line."""
    try:
        return _asked(path, os.stat(path).st_mtime)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


@lru_cache(maxsize=200)
def _asked(path: str, changed: float) -> Python:
    """Ask a Python which one it is; once, as long as its file stays the same.

    One that gives no answer is asked again: a first start may be slow.
    """
    said = _said([path, *BARE, "-c", ASK])
    try:
        version, free_threaded, gil = json.loads(said)
        major, minor, micro = map(int, version)
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f"{path}: this is no Python that works") from None
    number = f"{major}.{minor}.{micro}"
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        too_old = f"Python {number} is too old: {oldest} is the oldest"
        raise ValueError(f"{path}: {too_old}")
    return Python(path, number, bool(free_threaded), bool(gil))


def _said(command: list[str]) -> str:
    """Return what a command prints, if it isn't much, and it ends soon; or ""."""
    try:
        process = started(command, subprocess.DEVNULL)
    except OSError:
        return ""
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        said = ""
        with suppress(ValueError, OSError):  # it said no text, or was ended
            said = process.stdout.read(SHORT) if process.stdout else ""
        heard.put("" if len(said) == SHORT else said)

    # In a thread: something that it has started may hold the pipe open for ever.
    threading.Thread(target=read, daemon=True).start()
    try:
        return heard.get(timeout=SOON)
    except queue.Empty:
        return ""
    finally:
        end(process)


# Talking to one.


class Other(NamedTuple):
    """Another Python that measures.

    Attributes:
        python: which one, as `find` takes it.
        limit: seconds after which it is ended.
        recorded: the file of runs that stands in where it is missing, if any.
        strategies: of the runs that it should make, each run's.
    """

    python: str | Path
    limit: float
    recorded: str | Path | None
    strategies: list[str]


def in_python(
    other: Other,
    call: str,
    functions: Sequence[Callable[..., Any]],
    inputs: list[Any],
    options: dict[str, Any],
) -> list[Run]:
    """Return the runs that another Python makes, or that were recorded.

    Args:
        other: which Python, and within which limits.
        call: "run", "race" or "sweep", as `elsewhere` reads it.
        functions: the function, and for a sweep perhaps its serial part.
        inputs: what it runs over.
        options: the other arguments.

    Raises:
        ValueError: there is no such Python, or something can't be sent; in one line.
        FunctionCannotTravel: a function can't be sent; in one line.
        PythonFailed: it failed to measure, or was not done in time; in one line.
    """
    if not is_data(inputs):
        raise ValueError(
            "inputs go to another Python as JSON, which would not give these back: "
            "numbers, words and lists do"
        )
    if not is_data(options):
        raise ValueError("a map of yours can't go to another Python: name a strategy")
    addresses = [address_of(each) for each in functions]
    question = {"call": call, "functions": addresses, "inputs": inputs}
    try:
        runs = _measured(other, question | {"options": options})
    except NoSuchPython as error:
        if other.recorded is None:
            raise
        runs = load(other.recorded)
        if [run.strategy for run in runs] != other.strategies:
            name = Path(other.recorded).name
            raise NoSuchPython(f"{error}. {name} has other runs than these") from None
        _say_once(f"Recorded on {runs[0].made.get('date', 'some day')}: {error}")
        return runs
    if other.recorded is not None and os.environ.get(RECORD):
        save(other.recorded, runs, results=True)
    return runs


@lru_cache
def _say_once(words: str) -> None:
    print(words)


def _measured(other: Other, question: dict[str, Any]) -> list[Run]:
    """Ask another Python; what fails there gets a line that names it."""
    python = find(other.python)
    talk = Talk(python.path)
    try:
        # In a thread: it may not read what it is asked.
        threading.Thread(target=talk.ask, args=[[0, question]], daemon=True).start()
        asked = other.strategies
        runs = list(islice(_runs_in(talk, other.limit), len(asked) + 1))
        if [run.strategy for run in runs] != asked:
            raise PythonFailed(f"it sent other runs than the {len(asked)} asked for")
        if not python.gil and any(run.made.get("gil") for run in runs):
            module = talk.complaint(r"load module '([^'\n]{1,100})'") or "a module"
            raise PythonFailed(f"its GIL is on again: importing {module} did that")
    except PythonFailed as error:
        raise PythonFailed(f"Python {other.python}: {error}") from None
    finally:
        end(talk.process)
    return runs


def _runs_in(talk: "Talk", seconds: float) -> Iterator[Run]:
    for answer in talk.answers_within(seconds):
        try:
            _, said = answer
            run = said if said is None or isinstance(said, str) else from_message(said)
        except (ValueError, TypeError) as error:
            talk.refuse(f"what it said is no run: {error}")
            break
        if run is None:
            return
        if isinstance(run, str):
            raise PythonFailed(_in_a_line(run))
        yield run
    raise PythonFailed(talk.last_words())


def _in_a_line(words: str) -> str:
    return " ".join(words.split())[:300]


class Talk:
    """A Python that was started to answer what it is asked, until it ends.

    Args:
        python: its path. This Python has what is installed, each other one nothing.

    Raises:
        PythonFailed: it could not be started; in one line.
    """

    def __init__(self, python: str) -> None:
        # What it complains of goes to a file: nobody has to read while it writes.
        self._complaints = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        bare = () if python == sys.executable else BARE
        code = SERVE.format(str(Path(__file__).parent.parent))
        try:
            self.process = started([python, *bare, "-c", code], self._complaints)
        except OSError as error:
            raise PythonFailed(f"{python}: {error.strerror}") from None
        self._strange = ""

    def ask(self, question: object) -> None:
        """Send a question, if it has not ended; who listens notices that it has."""
        with suppress(OSError, ValueError):
            print(json.dumps(question), file=self.process.stdin, flush=True)

    def answers(self) -> Iterator[Any]:
        """Yield the answers as they come, until it ends. What is none ends it."""
        lines = self.process.stdout
        try:
            while lines and (line := lines.readline(LONGEST_LINE)):
                yield json.loads(line)
        except (ValueError, RecursionError):
            if not lines or not lines.closed:  # else it was ended meanwhile
                self.refuse()

    def answers_within(self, seconds: float) -> Iterator[Any]:
        """Yield them so long. An interrupt is let in, and ends nothing by itself.

        Raises:
            PythonFailed: the time is over.
        """
        heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def listen() -> None:
            for answer in self.answers():
                heard.put([answer])
            heard.put(None)

        threading.Thread(target=listen, daemon=True).start()
        until, patient = monotonic() + seconds, True
        while True:
            try:
                # Without a limit, Windows would let no interrupt in.
                answer = heard.get(timeout=min(0.1, max(0.0, until - monotonic())))
            except queue.Empty:
                if self.process.poll() is not None and not patient:
                    return  # a child of its own holds the pipe open
                patient = self.process.poll() is None
                if monotonic() < until:
                    continue
                words = f"it was not done within {seconds:g} s, and was ended"
                raise PythonFailed(words) from None
            if answer is None:
                return
            if monotonic() > until:  # it goes on and on
                raise PythonFailed(f"it was not done within {seconds:g} s")
            yield answer[0]

    def refuse(self, why: str = "what it said is no run") -> None:
        """End it, for it says what is no answer."""
        self._strange = why
        end(self.process)

    def ended(self) -> int:
        """Return what it has ended with; end it if it only says nothing any more."""
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._strange = "it fell silent, and was ended"
            end(self.process)
        return self.process.wait()

    def last_words(self) -> str:
        """Return why it has died, as far as it has said so."""
        died, code = "the process that measures has died", self.ended()
        if code < 0 and not self._strange:
            return f"{died}: signal {-code} ended it"
        with suppress(ValueError):
            self._complaints.seek(0)
            lines = self._complaints.read(SHORT * 10).splitlines()
            said = [line.strip() for line in lines if line.strip()]
            if last := self._strange or " ".join(said[-1:]):
                return f"{died}: {_in_a_line(last)}"
        return died

    def complaint(self, pattern: str) -> str:
        """Return the first group of a pattern in what it has complained of, or ""."""
        self._complaints.seek(0)
        found = re.search(pattern, self._complaints.read(SHORT * 10))
        return found[1] if found else ""


def started(command: list[str], complaints: IO[str] | int) -> subprocess.Popen[str]:
    """Start a process where an interrupt of the kernel misses it."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        encoding="utf-8",
        **apart,
    )


def end(process: subprocess.Popen[str], patience: float = GRACE) -> None:
    """End process and all that it has started, those that pools start just now too.

    Args:
        process: leader of a group of its own.
        patience: seconds that what cleans up after others has to end by itself.
    """
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        family = []
    if sys.platform == "win32":
        process.terminate()
        for member in family:
            with suppress(psutil.Error):
                member.terminate()
    else:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    # Those that clean up after pools don't listen: they end when the others have gone.
    _, left = psutil.wait_procs(family, patience)
    for member in left:
        with suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(left, 0.1)  # it takes a moment
    process.kill()
    process.wait()
    if sys.platform != "win32":
        with suppress(OSError):  # those of one that had died before
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):  # what it has not read is lost
        if process.stdin:
            process.stdin.close()
