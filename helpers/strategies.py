"""The ways to run a loop: each starts workers and yields a `map`.

Read two of them side by side: what differs is what tells them apart. All give the
results of the built-in `map`, in the order of the inputs; all raise the worker's own
exception; and whatever ends them, an interrupt too, they leave no worker behind.
"""

import multiprocessing.pool
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import get_context
from pickle import PicklingError
from typing import Any

from helpers.machine import cores, start_methods
from helpers.travel import (
    Map,
    begin_work,
    cannot_travel,
    name_of,
    packed,
    reported,
    stays,
)

# ProcessPoolExecutor refuses more: Windows can't wait for more handles at a time.
MOST_PROCESSES_ON_WINDOWS = 61


@contextmanager
def serial(workers: int = 1) -> Iterator[Map]:
    """One task after the other, right here: the loop that the others must beat."""
    yield map


@contextmanager
def threads(workers: int) -> Iterator[Map]:
    """Workers that share this process, its memory and its GIL."""
    with _ended(ThreadPoolExecutor(workers)) as pool:
        yield pool.map


@contextmanager
def processes(workers: int, start_method: str | None = None) -> Iterator[Map]:
    """Workers with a process, a memory and a GIL each.

    Args:
        workers: how many.
        start_method: "fork", "forkserver" or "spawn"; None for the platform's default.
    """
    context = get_context(start_method)
    with _ended(ProcessPoolExecutor(workers, context, begin_work)) as pool:
        yield packed(pool.map)


@contextmanager
def multiprocessing_pool(
    workers: int, start_method: str | None = None
) -> Iterator[Map]:
    """The older pool of processes, from `multiprocessing` itself.

    Args:
        workers: how many.
        start_method: "fork", "forkserver" or "spawn"; None for the platform's default.
    """
    context = get_context(start_method)
    with _terminated(context.Pool(workers, begin_work)) as pool:
        yield packed(_watched_map(pool))


@contextmanager
def joblib(
    workers: int, backend: str = "loky", batch_size: int | str = "auto"
) -> Iterator[Map]:
    """joblib's `Parallel`, with workers that stay until the end.

    Args:
        workers: how many.
        backend: "loky" (processes) or "threading".
        batch_size: how many tasks are sent at a time; "auto" lets joblib find out.
    """
    from joblib import Parallel, delayed

    options = {"batch_size": batch_size}
    if backend == "loky":
        options["initializer"] = begin_work
    with _loky_ended(), Parallel(workers, backend=backend, **options) as parallel:

        def map_(function: Callable[[Any], Any], inputs: Iterable[Any]) -> list[Any]:
            return parallel(delayed(function)(x) for x in inputs)

        yield _explained(map_) if backend == "loky" else map_


STRATEGIES: dict[str, Callable[..., AbstractContextManager[Map]]] = {
    "serial": serial,
    "threads": threads,
    "processes": processes,
    "multiprocessing_pool": multiprocessing_pool,
    "joblib": joblib,
}
OPTIONS = {
    "processes": start_methods(),
    "multiprocessing_pool": start_methods(),
    "joblib": ["loky", "threading"],
}


@contextmanager
def start(strategy: str, workers: int) -> Iterator[Map]:
    """Start the strategy of that name; yield its `map`.

    Args:
        strategy: a name from STRATEGIES; its options may follow, after spaces:
            "processes spawn", "joblib threading", "joblib loky 100" (in batches).
        workers: how many.

    Raises:
        ValueError: no such strategy, or no such number of workers; in one line.
        BrokenProcessPool: a worker died; a note says what that means.
    """
    name, *options = strategy.split() or [""]
    if name not in STRATEGIES:
        raise ValueError(f"no strategy {strategy!r}: choose from {list(STRATEGIES)}")
    batched = name == "joblib" and len(options) == 2 and options[1].isdecimal()
    batch_size = [int(options.pop())] if batched else []
    if len(options) > 1 or not set(options) <= set(OPTIONS.get(name, [])):
        allowed = [name] + [f"{name} {option}" for option in OPTIONS.get(name, [])]
        raise ValueError(f"no strategy {strategy!r}: choose from {allowed}")
    check_workers(workers)
    try:
        with STRATEGIES[name](workers, *options, *batch_size) as map_:
            yield map_
    except KeyboardInterrupt as error:
        if strategy in ("threads", "joblib threading"):
            error.add_note(
                "A thread can't be stopped from outside: each ends the task that it "
                "has, in the background, and starts no other."
            )
        raise
    except BrokenExecutor as error:
        if "un-serialize" not in str(error):  # joblib then says all that there is
            error.add_note(
                "A worker ended in the middle of its task: it crashed, or the system "
                "stopped it, for want of memory say. The next run starts new workers."
            )
        raise


def check_workers(workers: int) -> None:
    """Raise ValueError, in one line, unless workers is a number that can be started."""
    most = MOST_PROCESSES_ON_WINDOWS if sys.platform == "win32" else None
    whole = isinstance(workers, int) and not isinstance(workers, bool)
    if not whole or workers < 1 or (most and workers > most):
        allowed = f"from 1 to {most}" if most else "from 1 up"
        raise ValueError(
            f"workers must be a whole number {allowed}, not {workers!r}; "
            f"this machine has {cores().allowed} for you"
        )


# What follows ends the workers. The standard library's own `with` waits for the
# running tasks, also when a reader has pressed Stop.


@contextmanager
def _ended(pool: Executor) -> Iterator[Executor]:
    try:
        yield pool
    except BaseException as error:
        _end_now(pool, error)
        raise
    else:
        pool.shutdown()


def _end_now(pool: Executor, error: BaseException) -> None:
    # Python 3.14 has terminate_workers(); before, this attribute is the only way.
    workers = list((getattr(pool, "_processes", None) or {}).values())
    interrupted = not isinstance(error, Exception)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(1)
    if workers and pool._result_queue is not None:
        # A worker that ended in the middle of a result has left the pool's own thread
        # waiting for the rest; nobody can write it once this end is closed too.
        pool._result_queue._writer.close()
    pool.shutdown(wait=bool(workers) or not interrupted, cancel_futures=True)


@contextmanager
def _terminated(
    pool: multiprocessing.pool.Pool,
) -> Iterator[multiprocessing.pool.Pool]:
    workers = list(pool._pool)
    try:
        yield pool
    finally:
        # terminate() waits for a lock; a worker that was killed may have died with it.
        ending = threading.Thread(target=pool.terminate, daemon=True)
        ending.start()
        ending.join(0.5)
        for worker in workers + list(pool._pool):
            if worker.is_alive():
                worker.kill()
            worker.join(1)


def _watched_map(pool: multiprocessing.pool.Pool) -> Map:
    """Return pool.map, but one that raises where pool.map would wait for ever."""
    workers = list(pool._pool)

    def next_of(answers: multiprocessing.pool.IMapIterator) -> Any:
        while True:
            try:
                return answers.next(timeout=0.1)
            except multiprocessing.TimeoutError:
                if any(worker.exitcode is not None for worker in workers):
                    raise BrokenProcessPool("a worker of the pool died") from None

    def watched_map(
        function: Callable[[Any], Any], inputs: Iterable[Any]
    ) -> Iterator[Any]:
        inputs = list(inputs)
        answers = pool.imap(function, inputs)
        return (next_of(answers) for _ in inputs)

    return watched_map


@contextmanager
def _loky_ended() -> Iterator[None]:
    from joblib.externals.loky import get_reusable_executor

    try:
        yield
    finally:
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _explained(map_: Map) -> Map:
    """Return map_, but with our words where joblib can't send what it should."""
    from joblib.externals.loky.backend.reduction import dumps

    def explained(function: Callable[[Any], Any], inputs: Iterable[Any]) -> list[Any]:
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
