"""What crosses the border between a process and its workers, made safe.

A worker process that starts fresh imports this file, so it imports nothing outside
the standard library.

A function travels as a name that the worker imports. Where that fails, or where an
input or a result can't be read on the other side, an executor reports a broken pool
and `multiprocessing.Pool` waits for ever. So all three cross as bytes, and are
unpacked where an error can be reported: inside the task, and by the caller.
"""

import functools
import multiprocessing
import os
import pickle
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class FunctionCannotTravel(TypeError):
    """A function can't be sent to a worker process; the message says why."""


class WorkerError(RuntimeError):
    """A worker's exception that can't be sent back, in words."""


def packed(map_: Map) -> Map:
    """Return map_ with all that crosses to another process and back packed.

    Raises (when called, or when its results are read):
        FunctionCannotTravel: at once, instead of a pool that breaks or hangs.
        TypeError: an input or a result can't travel.
    """

    def packed_map(function: Callable[[Any], Any], inputs: Iterable[Any]) -> Any:
        package = Package(function)
        answers = map_(package, (package.pack(item, "input") for item in inputs))
        return (package.unpack(answer, "result") for answer in answers)

    return packed_map


class Package:
    """A function as bytes, unpacked by the worker that calls it with packed inputs."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.name = name_of(function)
        try:
            self.payload = pickle.dumps(function)
        except Exception as error:
            raise cannot_travel(self.name, error) from None

    def __call__(self, item: bytes) -> bytes:
        try:
            function = _unpacked(self.payload)
        except Exception as error:
            raise cannot_travel(self.name, error) from None
        return self.pack(reported(function, self.unpack(item, "input")), "result")

    def pack(self, thing: Any, role: str) -> bytes:
        try:
            return pickle.dumps(thing)
        except Exception as error:
            raise stays(self.name, role, error) from None

    def unpack(self, thing: bytes, role: str) -> Any:
        try:
            return pickle.loads(thing)
        except Exception as error:
            raise stays(self.name, role, error) from None


@functools.lru_cache(maxsize=4)
def _unpacked(payload: bytes) -> Callable[[Any], Any]:
    return pickle.loads(payload)


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
    while inner := getattr(function, "function", getattr(function, "func", None)):
        function = inner
    return getattr(function, "__name__", type(function).__name__)


def cannot_travel(name: str, cause: Exception) -> FunctionCannotTravel:
    """Return the error that says, in one line, why the function called name stays."""
    why = _first_line(cause)
    file = "Put it in a file: %%importable does so from a cell."
    if "main__" in why:
        why = (
            "it was typed into this session, and a worker that starts fresh has no "
            f"copy. {file}"
        )
    elif "<lambda>" in why or "<locals>" in why or "local object" in why:
        why = f"it has no name that a worker could import. {file}"
    return FunctionCannotTravel(f"{name!r} can't travel to a worker process: {why}")


def stays(name: str, role: str, cause: Exception) -> TypeError:
    """Return the error that says, in one line, why an input or a result stays."""
    why = _first_line(cause)
    if "main__" in why:
        why = (
            "its class was typed into this session, and a worker that starts fresh "
            "has no copy. Put it in a file: %%importable does so from a cell."
        )
    return TypeError(f"this {role} of {name!r} can't travel between processes: {why}")


def _first_line(cause: Exception) -> str:
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def worker_traceback(error: BaseException) -> str:
    """Return the traceback that error brought from a worker, as far as it is yours.

    Of each frame in a file of this folder: file, line, function and code; then the
    error. The frames of the pool, and the folders, are left out.
    """
    text = str(error.__cause__ or "")
    frames = re.findall(r'File "(.+)", line (\d+), in (\S+)\n\s+(.*)', text)
    yours = [
        f"{Path(file).name}, line {line}, in {function}: {code}"
        for file, line, function, code in frames
        if Path(file).parent == Path.cwd()
    ]
    return "\n".join([*yours, f"{type(error).__name__}: {error}"])


def begin_work() -> None:
    """Prepare a new worker process: it ends with its parent, and only then.

    An interrupt goes to the kernel and to all of its workers at once; the workers
    leave it to the kernel, which ends them. If the kernel itself is killed, nobody
    tells them, so a thread of each watches for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def begin_quietly() -> None:
    """Prepare a new worker process whose errors, if it breaks, nobody wants to see."""
    begin_work()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stderr__.fileno())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    try:
        parent.join()
    except (TypeError, ValueError):  # joblib's workers hold no end of a pipe to it
        while os.getppid() == parent.pid:
            time.sleep(1)
    os._exit(1)
