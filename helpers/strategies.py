"""The ways to run a loop: each starts workers and yields a `map`.

Read two of them side by side: what differs is what tells them apart. All give the
results of the built-in `map`, in the order of the inputs; all raise the worker's own
exception; and whatever ends them, an interrupt too, they leave no worker behind.
"""

import inspect
import platform
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from math import ceil
from multiprocessing import TimeoutError
from multiprocessing.pool import IMapIterator, Pool
from pickle import PicklingError
from typing import Any, Literal, get_args

from helpers.cluster import ClusterMap, client_of
from helpers.machine import check_workers, start_methods
from helpers.travel import Map, cannot_travel, name_of, packed, reported, stays
from helpers.workers import (
    begin_interpreter,
    begin_work,
    begun_pool,
    ended,
    in_own_loop,
    own_loky,
    processes_of,
    safe_context,
)

StartMethod = Literal["fork", "forkserver", "spawn"]


@contextmanager
def serial(workers: int = 1) -> Iterator[Map]:
    """One task after the other, right here: the loop that the others must beat."""
    yield map


@contextmanager
def threads(workers: int) -> Iterator[Map]:
    """Workers that share this process, its memory and its GIL."""
    with ended(ThreadPoolExecutor(workers)) as pool:
        yield pool.map


@contextmanager
def processes(
    workers: int, start_method: StartMethod | None = None, chunksize: int = 1
) -> Iterator[Map]:
    """Workers with a process, a memory and a GIL each.

    Args:
        workers: how many.
        start_method: "fork", "forkserver" or "spawn"; None for the platform's default.
        chunksize: how many inputs are sent at a time.
    """
    context = safe_context(start_method)
    with ended(ProcessPoolExecutor(workers, context, begin_work)) as pool:
        yield packed(pool.map, lambda tasks: chunksize)


@contextmanager
def multiprocessing_pool(
    workers: int,
    start_method: StartMethod | None = None,
    chunksize: int | None = None,
) -> Iterator[Map]:
    """The older pool of processes, from `multiprocessing` itself.

    Args:
        workers: how many.
        start_method: "fork", "forkserver" or "spawn"; None for the platform's default.
        chunksize: how many inputs are sent at a time; None for as many as `Pool.map`
            sends, in four chunks for each worker.
    """
    context = safe_context(start_method)
    with ended(begun_pool(context, workers)) as pool:
        each = 4 * workers
        yield packed(_watched_map(pool), lambda tasks: chunksize or ceil(tasks / each))


@contextmanager
def joblib(
    workers: int,
    backend: Literal["loky", "threading"] = "loky",
    batch_size: int | Literal["auto"] = "auto",
) -> Iterator[Map]:
    """joblib's `Parallel`, with workers of its own that stay until the end.

    With one worker joblib starts none, and runs the loop right here.

    Args:
        workers: how many.
        backend: "loky" (processes) or "threading".
        batch_size: how many tasks are sent at a time; "auto" lets joblib find out.
    """
    from joblib import Parallel, delayed

    options: dict[str, Any] = {"backend": backend, "batch_size": batch_size}
    if backend == "loky":
        options["backend"] = own_loky()
    with Parallel(workers, **options) as parallel:

        def map_(function: Callable[[Any], Any], inputs: Iterable[Any]) -> list[Any]:
            return parallel(delayed(function)(x) for x in inputs)

        yield _explained(map_) if backend == "loky" else map_


@contextmanager
def interpreters(workers: int) -> Iterator[Map]:
    """Workers that share this process, with an interpreter and a GIL each.

    While they are there, no process can be forked.

    Raises:
        ValueError: this Python is older than they are; in one line.
    """
    if sys.version_info >= (3, 14):
        from concurrent.futures import InterpreterPoolExecutor

        begun = InterpreterPoolExecutor(
            workers, initializer=begin_interpreter, initargs=(sys.path,)
        )
        with ended(begun) as pool:
            yield packed(pool.map, between="interpreters")
    else:
        here = platform.python_version()
        raise ValueError(f"'interpreters' came with Python 3.14; this is {here}")


@contextmanager
def asyncio(workers: int) -> Iterator[Map]:
    """Waits that share one thread: for functions of `async def`.

    Args:
        workers: how many wait at the same time, at most.
    """
    from asyncio import CancelledError, TaskGroup

    async def worker(
        function: Callable[[Any], Any], waiting: deque[Any], found: dict[int, Any]
    ) -> None:
        try:
            while waiting:
                number, item = waiting.popleft()
                found[number] = await function(item)
        except BaseException:
            waiting.clear()  # so that nobody begins another
            raise

    async def gathered(
        function: Callable[[Any], Any], waiting: deque[Any]
    ) -> list[Any]:
        tasks, found = len(waiting), dict[int, Any]()
        error: BaseException | None = None
        try:
            async with TaskGroup() as group:
                for _ in range(min(workers, tasks)):
                    group.create_task(worker(function, waiting, found))
        except BaseExceptionGroup as failed:
            error = failed.exceptions[0]
        if error:  # raised out here, where it keeps its own cause
            raise error
        if len(found) < tasks:
            raise CancelledError("a task has cancelled itself")
        return [found[number] for number in range(tasks)]

    def map_(function: Callable[[Any], Any], inputs: Iterable[Any]) -> list[Any]:
        if not is_async(function):
            name = name_of(function)
            raise ValueError(
                f"{name!r} is no function of `async def`, and would stop the loop: "
                'give it to "threads", or write it with `await`'
            )
        waiting = deque(enumerate(inputs))
        return in_own_loop(partial(gathered, function, waiting), waiting.clear)

    yield map_


@contextmanager
def dask(workers: int, address: str | None = None) -> Iterator[Map]:
    """A cluster of Dask: its workers are processes, here or on other machines.

    If some die their tasks are done again by others. So a task may run twice.

    Args:
        workers: how many; those of a cluster of yours, counted with their threads.
        address: of its scheduler, "tcp://10.0.0.5:8786"; None for a cluster of its
            own on this machine.
    """
    with client_of(workers, address) as client:
        yield ClusterMap(client)


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether the function is written with `async def`."""
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return any(map(inspect.iscoroutinefunction, (function, call)))


STRATEGIES: dict[str, Callable[..., AbstractContextManager[Map]]] = {
    "serial": serial,
    "threads": threads,
    "processes": processes,
    "multiprocessing_pool": multiprocessing_pool,
    "joblib": joblib,
    "interpreters": interpreters,
    "asyncio": asyncio,
    "dask": dask,
}


@contextmanager
def start(strategy: str, workers: int) -> Iterator[Map]:
    """Start the strategy of that name; yield its `map`.

    Args:
        strategy: a name from STRATEGIES; its options may follow, after spaces, in the
            order of its arguments: "processes spawn", "joblib loky 100",
            "dask tcp://10.0.0.5:8786".
        workers: how many.

    Raises:
        ValueError: no such strategy, or no such number of workers; in one line.
        BrokenProcessPool: a worker died; a note says what that means.
    """
    begin, options = parsed(strategy)
    here = stays_here(strategy)
    in_threads = here and begin not in (serial, asyncio)
    check_workers(workers, processes=not here)
    if begin is serial and workers != 1:
        raise ValueError(f"'serial' is one worker, not {workers}: leave `workers` out")
    try:
        with begin(workers, **options) as map_:
            yield map_
    except KeyboardInterrupt as error:
        if in_threads:
            _note(
                error,
                "A thread can't be stopped from outside: each ends the task that it "
                "has, in the background, and starts no other.",
            )
        raise
    except BrokenExecutor as error:
        if "un-serialize" not in str(error):  # joblib then says all that there is
            _note(
                error,
                "A worker ended in the middle of its task: it crashed, or the system "
                "stopped it, for want of memory say. The next run starts new workers.",
            )
        raise


def stays_here(strategy: str) -> bool:
    """Return whether the strategy runs all tasks in this process.

    Raises:
        ValueError: there is no such strategy; in one line.
    """
    begin, options = parsed(strategy)
    here = (serial, threads, interpreters, asyncio)
    return begin in here or options.get("backend") == "threading"


def chunk_of(strategy: str) -> int:
    """Return how many inputs the strategy sends at a time; 1 unless its name tells."""
    _, options = parsed(strategy)
    return next((size for size in options.values() if isinstance(size, int)), 1)


def _note(error: BaseException, words: str) -> None:
    """Add a note to the error, unless another way of the same race has added it."""
    if words not in getattr(error, "__notes__", []):
        error.add_note(words)


def parsed(strategy: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the strategy of that name, and its options by name.

    Raises:
        ValueError: there is no such strategy, or no such option; in one line.
    """
    if not isinstance(strategy, str):
        raise ValueError(f"a strategy is a name or a map of yours, not {strategy!r}")
    name, *words = strategy.split() or [""]
    if name not in STRATEGIES:
        raise ValueError(f"no strategy {strategy!r}: choose from {list(STRATEGIES)}")
    begin = STRATEGIES[name]
    _, *options = inspect.signature(begin).parameters.values()
    found, left = dict[str, Any](), list(options)
    for word in words:  # each is for the first of the options left that may be it
        while left and (value := _value(left[0], word)) is None:
            del left[0]
        if not left:
            raise ValueError(f"no strategy {strategy!r}: {_options_of(name, options)}")
        found[left.pop(0).name] = value
    return begin, found


def _value(option: inspect.Parameter, word: str) -> str | int | None:
    """Return what a word means as the option of a strategy; None if it can't be one."""
    if word in _choices(option) or (_takes_address(option) and "://" in word):
        return word
    number = int(word) if _takes_number(option) and word.isdecimal() else 0
    return number or None


def _takes_number(option: inspect.Parameter) -> bool:
    return int in (option.annotation, *get_args(option.annotation))


def _takes_address(option: inspect.Parameter) -> bool:
    return option.name == "address"


def _choices(option: inspect.Parameter) -> list[str]:
    """Return the words that an option of a strategy may be."""
    if option.name == "start_method":
        return start_methods()
    kinds = (option.annotation, *get_args(option.annotation))
    words = [word for kind in kinds for word in get_args(kind)]
    return [word for word in words if isinstance(word, str)]


def _options_of(name: str, options: list[inspect.Parameter]) -> str:
    """Return what may follow the name of a strategy, in words."""
    if not options:
        return f"{name!r} takes no options"
    allowed = [
        " or ".join(
            _choices(option)
            + ["a number"] * _takes_number(option)
            + ["the address of a scheduler: tcp://…"] * _takes_address(option)
        )
        for option in options
    ]
    return f"{name!r} may be followed by {', then by '.join(allowed)}"


def _watched_map(pool: Pool) -> Map:
    """Return pool.imap, but one that raises where pool.imap would wait for ever."""
    workers = processes_of(pool)

    def next_of(answers: "IMapIterator[Any]") -> Any:
        while True:
            try:
                return answers.next(timeout=0.1)
            except TimeoutError:
                if any(worker.exitcode is not None for worker in workers):
                    raise BrokenProcessPool("a worker of the pool died") from None

    def watched_map(
        function: Callable[[Any], Any], inputs: Iterable[Any]
    ) -> Iterable[Any]:
        inputs = list(inputs)
        answers = pool.imap(function, inputs)
        return (next_of(answers) for _ in inputs)

    return watched_map


def _explained(map_: Map) -> Map:
    """Return map_, but with our words where joblib can't send what it should."""
    from joblib.externals.loky.backend.reduction import dumps

    def explained(
        function: Callable[[Any], Any], inputs: Iterable[Any]
    ) -> Iterable[Any]:
        try:
            return map_(partial(reported, function, dumps=dumps), inputs)
        except PicklingError as error:
            cause = error
        try:
            dumps(function)
        except Exception as error:
            raise cannot_travel(name_of(function), error) from None
        raise stays(name_of(function), "input or result", cause)

    return explained
