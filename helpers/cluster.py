"""A cluster of Dask as a map: it can't hang, and nothing of it stays.

All that crosses goes as bytes: something that a worker can't read would take it down,
and then the next. This kit goes by value: a worker on another machine has none of it.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pickle import PicklingError
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from helpers.travel import WorkerError, cannot_travel, name_of, stays
from helpers.workers import scratch_folder

# Seconds to wait for a scheduler, for workers to come, and for workers that have gone.
PATIENCE = 10.0
# Seconds of a wait: without a limit, Windows would let no interrupt in.
STEP = 0.1
BETWEEN, TO = "machines", "a worker of the cluster"


@contextmanager
def client_of(workers: int, address: str | None = None) -> Iterator[Any]:
    """Yield a client of Dask with so many workers: processes here, or a cluster's.

    Args:
        workers: how many.
        address: of the scheduler of a cluster that runs already; None: one is started,
            which nobody reaches from another machine, and ends with the `with`.

    Raises:
        ValueError: distributed is missing, nobody answers at the address, or the
            cluster there has not so many workers; in one line.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        words = "pip install distributed, or make lab"
        raise ValueError(
            f"'dask' needs distributed, which is missing: {words}"
        ) from None
    with _own(workers) if address is None else _theirs(workers, address) as client:
        yield client


@contextmanager
def _own(workers: int) -> Iterator[Any]:
    from dask import config
    from distributed import Client, LocalCluster

    here = scratch_folder()
    with (
        TemporaryDirectory(dir=here, ignore_cleanup_errors=True) as folder,
        config.set(temporary_directory=folder),
    ):
        cluster = LocalCluster(
            n_workers=0,  # an interrupt of their start should find the cluster there
            threads_per_worker=1,
            host="127.0.0.1",
            # A mere port would be open to other machines; one that is given, taken.
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # as for all strategies
            silence_logs=logging.CRITICAL,
        )
        try:
            with Client(cluster, set_as_default=False) as client:
                cluster.scale(workers)
                _wait_for_workers(client, workers)
                yield client
        except BaseException:
            _end_workers(cluster)  # they may be at work
            raise
        finally:
            cluster.close()


def _end_workers(cluster: Any) -> None:
    """End the workers of an own cluster, whatever they do; nobody replaces them."""
    # That connections to them have closed is no news, and comes when all is over.
    logging.getLogger("distributed.batched").setLevel(logging.WARNING)
    cluster.sync(_kill_workers, list(cluster.workers.values()))
    cluster.scale(0)


async def _kill_workers(nannies: list[Any]) -> None:
    """Kill the worker of each nanny, also one that is just being started.

    A nanny that is closed in that moment would leave it behind.
    """
    import psutil
    from distributed.core import Status

    for nanny in nannies:
        nanny.close_gracefully()  # it starts no other one
    until, ended = perf_counter() + PATIENCE, (Status.stopped, Status.failed)
    while perf_counter() < until:
        workers = [nanny.process for nanny in nannies if nanny.process]
        if all(worker.status in ended for worker in workers):
            break
        for worker in workers:
            if worker.pid:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(worker.pid).kill()
        await asyncio.sleep(0.01)


@contextmanager
def _theirs(workers: int, address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"no scheduler answers at {address}: {why}") from None
    with client:
        _wait_for_workers(client, workers)
        there = sum(client.nthreads().values())
        if there != workers:
            words = f"the cluster at {address} has {there} workers, not {workers}"
            raise ValueError(f"{words}: say workers={there}, or start as many")
        yield client


def _wait_for_workers(client: Any, workers: int) -> None:
    """Wait until so many are there, or for as long as seems worth it."""
    until = perf_counter() + PATIENCE
    while sum(client.nthreads().values()) < workers and perf_counter() < until:
        with suppress(TimeoutError):
            client.wait_for_workers(workers, timeout=STEP)


class ClusterMap:
    """The map of a client's cluster; its results are in the order of the inputs.

    Attributes:
        one_clock: whether all workers have the clock of this machine.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.one_clock = _one_clock(client)

    def __call__(
        self, function: Callable[[Any], Any], inputs: Iterable[Any]
    ) -> list[Any]:
        name = name_of(function)
        with _kit_by_value():
            task = _task(_packed((function, WorkerError), name))
            items = [_packed(item, name, "input") for item in inputs]
        # Dask would make equal calls of a pure function once, for all of them.
        futures = self._client.map(task, items, key=f"task of {name}", pure=False)
        try:
            self._wait(futures)
            answers = self._client.gather(futures)
        except BaseException as error:
            self._client.cancel(futures)
            if why := _why_lost(error, name):
                raise BrokenProcessPool(why) from None
            raise
        return [_read(name, *answer) for answer in answers]

    def _wait(self, futures: list[Any]) -> None:
        """Wait for all, the first that fails raises; and so it is if nobody works."""
        from distributed import wait

        last_seen = perf_counter()
        for future in futures:
            while not future.done():
                with suppress(TimeoutError), self._client.as_current():
                    wait([future], timeout=STEP)
                    continue
                if self._client.nthreads():
                    last_seen = perf_counter()
                elif perf_counter() - last_seen > PATIENCE:
                    raise BrokenProcessPool("the cluster has lost all of its workers")
            if future.status != "finished":
                future.result()


def _one_clock(client: Any) -> bool:
    """Return whether the workers' clocks are this one: they stand where it does."""
    before = perf_counter()
    read = client.run(time.perf_counter).values()
    return all(before <= clock <= perf_counter() for clock in read)


@contextmanager
def _kit_by_value() -> Iterator[None]:
    """Let this kit's functions be packed whole, as those of a notebook are."""
    import cloudpickle

    kit = sys.modules["helpers"]
    asked = kit.__name__ in cloudpickle.list_registry_pickle_by_value()
    if not asked:
        cloudpickle.register_pickle_by_value(kit)
    try:
        yield
    finally:
        if not asked:
            cloudpickle.unregister_pickle_by_value(kit)


def _packed(thing: Any, name: str, role: str = "") -> bytes:
    from cloudpickle import dumps

    try:
        return dumps(thing)
    except Exception as error:
        raise _untravelled(name, role, error) from None


def _untravelled(name: str, role: str, error: Exception) -> TypeError:
    """Return the error that says what can't travel: the function, if it has no role."""
    if role:
        return stays(name, role, error, BETWEEN)
    return cannot_travel(name, error, TO)


def _task(package: bytes) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what a worker calls with a packed input.

    It is sent as it is, for it uses nothing that stands outside it. It returns the
    packed result; or in words what can't be unpacked, or packed, and what that is.
    """

    def task(item: bytes) -> tuple[Any, ...]:
        from cloudpickle import dumps, loads

        try:
            function, in_words = loads(package)
        except Exception as error:
            return str(error), ""
        try:
            thing = loads(item)
        except Exception as error:
            return str(error), "input"
        try:
            result = function(thing)
        except Exception as error:
            try:
                loads(dumps(error))
            except Exception:
                words = in_words(f"{type(error).__name__}: {error}")
                raise words.with_traceback(error.__traceback__) from None
            raise
        try:
            return (dumps(result),)
        except Exception as error:
            return str(error), "result"

    return task


def _read(name: str, answer: Any, role: str | None = None) -> Any:
    """Return the result that a task has sent; raise what it says in words."""
    from cloudpickle import loads

    if role is not None:
        raise _untravelled(name, role, PicklingError(answer))
    try:
        return loads(answer)
    except Exception as error:
        raise _untravelled(name, "result", error) from None


def _why_lost(error: BaseException, name: str) -> str:
    """Return in one line why the cluster gave a task up; nothing if it did not."""
    from distributed import CancelledError, KilledWorker

    if isinstance(error, KilledWorker):
        tried = error.allowed_failures + 1
        return f"{name!r} was given up: {tried} workers died of the same task"
    if isinstance(error, CancelledError):
        return f"the scheduler of the cluster has gone, and with it what {name!r} did"
    return ""
