"""What crosses the border between a process and its workers, made safe.

A worker process that starts fresh imports this file, so it imports nothing outside
the standard library.

A function travels as a name that the worker imports. Where that fails, or where an
input or a result can't be read on the other side, an executor reports a broken pool
and `multiprocessing.Pool` waits for ever. So all three cross as bytes, and are
unpacked where an error can be reported: inside the task, and by the caller.
"""

import pickle
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache, partial, reduce
from importlib import import_module
from itertools import chain, pairwise
from pathlib import Path
from pickle import PicklingError
from time import sleep
from typing import Any

from helpers.probe import Probe
from helpers.trace import Traced, TracedCoroutine

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

# Between what things travel, and where to.
PLACES = {"processes": "a worker process", "interpreters": "another interpreter"}


class FunctionCannotTravel(TypeError):
    """A function can't be sent to a worker; the message says why."""


class WorkerError(RuntimeError):
    """A worker's exception that can't be sent back, in words."""


def packed(
    map_: Map,
    chunk: Callable[[int], int] = lambda tasks: 1,
    between: str = "processes",
) -> Map:
    """Return map_ with all that crosses to another process and back packed.

    Args:
        map_: the map of a pool of processes, or of interpreters.
        chunk: how many inputs travel together, if there are so many tasks.
        between: "processes" or "interpreters".

    Raises (when called, or when its results are read):
        FunctionCannotTravel: at once, instead of a pool that breaks or hangs.
        TypeError: an input or a result can't travel.
    """

    def packed_map(function: Callable[[Any], Any], inputs: Iterable[Any]) -> Any:
        package, items = Package(function, between), list(inputs)
        size = max(1, chunk(len(items)))
        starts = range(0, len(items), size)
        chunks = (package.pack(items[n : n + size], "input") for n in starts)
        answers = map_(package, chunks)
        return chain.from_iterable(package.unpack(each, "result") for each in answers)

    return packed_map


class Package:
    """A function as bytes, unpacked by the worker that calls it with packed inputs."""

    def __init__(self, function: Callable[[Any], Any], between: str) -> None:
        self.name, self.between = name_of(function), between
        try:
            self.payload = pickle.dumps(function)
        except Exception as error:
            raise self.refusal(error) from None

    def __call__(self, items: bytes) -> bytes:
        try:
            function = _unpacked(self.payload)
        except Exception as error:
            raise self.refusal(error) from None
        things = self.unpack(items, "input")
        try:
            results = [reported(function, thing) for thing in things]
        except ImportError as error:
            if loads_once(error):
                raise self.refusal(error) from None
            raise
        return self.pack(results, "result")

    def refusal(self, cause: Exception) -> FunctionCannotTravel:
        """Return the error that says why the function can't be had there."""
        return cannot_travel(self.name, cause, PLACES[self.between])

    def pack(self, things: list[Any], role: str) -> bytes:
        try:
            return pickle.dumps(things)
        except Exception as error:
            raise stays(self.name, role, error, self.between) from None

    def unpack(self, things: bytes, role: str) -> list[Any]:
        try:
            return pickle.loads(things)
        except Exception as error:
            raise stays(self.name, role, error, self.between) from None


@lru_cache(maxsize=4)
def _unpacked(payload: bytes) -> Callable[[Any], Any]:
    return pickle.loads(payload)


def arrive(function: Callable[..., Any], seconds: float) -> None:
    """Sleep in a worker that has got the function, and what its module imports."""
    if seconds:  # Linux lets a thread sleep for 50 µs at least
        sleep(seconds)


def reported(
    function: Callable[[Any], Any],
    item: Any,
    dumps: Callable[[Any], bytes] = pickle.dumps,
) -> Any:
    """Return function(item); what it raises can be sent back, if only in words.

    An exception that can't be read by the caller would break the whole pool.
    """
    try:
        return function(item)
    except Exception as error:
        try:
            pickle.loads(dumps(error))
        except Exception:
            words = WorkerError(f"{type(error).__name__}: {error}")
            raise words.with_traceback(error.__traceback__) from None
        raise


def name_of(function: Callable[..., Any]) -> str:
    """Return the name that the reader gave to function, whatever wraps it."""
    # Nothing else is unwrapped: some objects answer to every name, without end.
    wrapped = Traced | TracedCoroutine | Probe | partial
    while isinstance(function, wrapped) and "__name__" not in vars(function):
        function = function.func if isinstance(function, partial) else function.function
    return getattr(function, "__name__", type(function).__name__)


def address_of(function: Callable[..., Any]) -> list[str]:
    """Return where another Python finds a function that stands in a file.

    Returns:
        Its module, its name there, and the folder to import from; "" for one of the
        standard library.

    Raises:
        FunctionCannotTravel: it stands nowhere, or in a package that is installed:
            another Python has none; in one line.
    """
    name, module = name_of(function), getattr(function, "__module__", None) or ""
    place = getattr(function, "__qualname__", name)
    try:
        found: Any = reduce(getattr, place.split("."), sys.modules[module])
    except (KeyError, AttributeError):
        found = None
    if found is not function or module == "__main__":
        why = module if module == "__main__" else "<locals>"
        raise cannot_travel(name, PicklingError(why), "another Python")
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return [module, place, ""]
    file = Path(getattr(sys.modules[top], "__file__", None) or "")
    paths = list(getattr(sys.modules[top], "__path__", ()))  # of a package
    folder = Path(paths[0]).parent if paths else file.parent
    if {"site-packages", "dist-packages"} & set(folder.parts):
        words = f"{top} is installed for this Python, and not for the other."
        raise cannot_travel(name, PicklingError(words), "another Python")
    return [module, place, str(folder.absolute())]


def found_at(address: list[str]) -> Callable[..., Any]:
    """Import the function with that address, as `address_of` gives it.

    Raises:
        Exception: what the import raises.
    """
    module, place, folder = address
    if folder and folder not in sys.path:
        sys.path.append(folder)
    function: Any = reduce(getattr, place.split("."), import_module(module))
    return function


def cannot_travel(
    name: str, cause: Exception, to: str = PLACES["processes"]
) -> FunctionCannotTravel:
    """Return the error that says, in one line, why the function called name stays."""
    why = _why(cause)
    file = "Put it in a file: %%importable does so from a cell."
    if "main__" in why:
        why = (
            "it was typed into this session, and a worker that starts fresh has no "
            f"copy. {file}"
        )
    elif "<lambda>" in why or "<locals>" in why or "local object" in why:
        why = f"it has no name that a worker could import. {file}"
    return FunctionCannotTravel(f"{name!r} can't travel to {to}: {why}")


def stays(
    name: str, role: str, cause: Exception, between: str = "processes"
) -> TypeError:
    """Return the error that says, in one line, why an input or a result stays."""
    why = _why(cause)
    if "main__" in why:
        why = (
            "its class was typed into this session, and a worker that starts fresh "
            "has no copy. Put it in a file: %%importable does so from a cell."
        )
    return TypeError(f"this {role} of {name!r} can't travel between {between}: {why}")


def _why(cause: Exception) -> str:
    """Return in a line what an error says, and of a module that won't load, which."""
    if module := loads_once(cause):
        return (
            f"it needs {module}, which loads in the first interpreter of a process "
            'only: take "processes"'
        )
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def loads_once(error: BaseException | None) -> str:
    """Return the module that could not be imported again in the same process, or "".

    Its C code must say that it allows that. What imports it may report in its own way.
    """
    while error is not None:
        pattern = r"module (\S+) does not support loading in subinterpreters"
        if found := re.search(pattern, str(error)):
            return found[1]
        error = error.__cause__ or error.__context__
    return ""


def worker_traceback(error: BaseException) -> str:
    """Return the traceback that error brought from a worker, as far as it is yours.

    Of each frame in a file of this folder: file, line, function and code; then the
    error. The frames of the pool, and the folders, are left out.
    """
    lines = [*str(error.__cause__ or "").splitlines(), ""]
    yours = []
    for line, below in pairwise(lines):
        frame = re.fullmatch(r' *File "(.+)", line (\d+), in (\S+)', line)
        if frame and Path(frame[1]).parent == Path.cwd():
            # No code stands below where the file can't be read any more.
            code = below.strip() if below.startswith("    ") else ""
            where = f"{Path(frame[1]).name}, line {frame[2]}, in {frame[3]}"
            yours.append(f"{where}: {code}" if code else where)
    return "\n".join([*yours, f"{type(error).__name__}: {error}"])
