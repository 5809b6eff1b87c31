"""Answers to the exercises that are wrong, each in a way of its own.

Most take a function and items, and return a list. Workers import this file, so joblib
is imported only where it is used.
"""

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from logging.handlers import QueueHandler
from multiprocessing.pool import ThreadPool
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

Function = Callable[[Any], Any]
Executors = type[ThreadPoolExecutor] | type[ProcessPoolExecutor]
kept: list[Any] = []


def in_a_row(function: Function, items: list) -> list:
    return [function(item) for item in items]


def lazily(function: Function, items: list) -> Iterator:
    return map(function, items)


def pool_of_one(function: Function, items: list, pools: Executors) -> list:
    with pools(1) as pool:
        return list(pool.map(function, items))


def pool_of_two(function: Function, items: list, pools: Executors) -> list:
    with pools(2) as pool:
        return list(pool.map(function, items))


def as_many_as_items(function: Function, items: list, pools: Executors) -> list:
    with pools(len(items)) as pool:
        return list(pool.map(function, items))


def pool_for_each(function: Function, items: list, pools: Executors) -> list:
    results = []
    for item in items:
        with pools(2) as pool:
            results.append(pool.submit(function, item).result())
    return results


def waits_for_each(function: Function, items: list, pools: Executors) -> list:
    with pools(len(items[:8])) as pool:
        return [pool.submit(function, item).result() for item in items]


def backwards(function: Function, items: list, pools: Executors) -> list:
    with pools(len(items[:8])) as pool:
        return list(pool.map(function, items, chunksize=len(items) // 8 or 1))[::-1]


def left_open(function: Function, items: list, pools: Executors) -> list:
    pool = pools(len(items[:8]))
    return list(pool.map(function, items, chunksize=len(items) // 8 or 1))


def closed_unless_it_fails(function: Function, items: list, pools: Executors) -> list:
    pool = pools(len(items[:8]))
    results = list(pool.map(function, items, chunksize=len(items) // 8 or 1))
    pool.shutdown()
    return results


def idle_pool(function: Function, items: list, pools: Executors) -> list:
    with pools(len(items[:8])):
        return [function(item) for item in items]


def hides_errors(function: Function, items: list, pools: Executors) -> list:
    results: list = []
    with pools(len(items[:8])) as pool:
        answers = pool.map(function, items, chunksize=len(items) // 8 or 1)
        try:
            results.extend(answers)
        except ValueError:
            results.append(None)
    return results


def hides_errors_in_workers(function: Function, items: list, pools: Executors) -> list:
    with pools(len(items[:8])) as pool:
        quiet = partial(or_none, function)
        return list(pool.map(quiet, items, chunksize=len(items) // 8 or 1))


def or_none(function: Function, item: Any) -> Any:
    try:
        return function(item)
    except Exception:
        return None


def in_one_chunk(function: Function, items: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(function, items, chunksize=len(items)))


def behind_a_lock(function: Function, items: list) -> list:
    lock = threading.Lock()

    def locked(item: Any) -> Any:
        with lock:
            return function(item)

    with ThreadPoolExecutor(len(items[:8])) as pool:
        return list(pool.map(locked, items))


def twice(function: Function, items: list) -> list:
    with ThreadPoolExecutor(2 * len(items)) as pool:
        return list(pool.map(function, items + items))[: len(items)]


def made_up(function: Function, items: list) -> list:
    return [1] * len(items)


def inputs_as_results(function: Function, items: list) -> list:
    return list(items)


def returns_nothing(function: Function, items: list) -> None:
    with ThreadPoolExecutor(len(items[:8])) as pool:
        list(pool.map(function, items))


def returns_futures(function: Function, items: list) -> list[Future]:
    with ThreadPoolExecutor(len(items[:8])) as pool:
        return [pool.submit(function, item) for item in items]


def mistyped(function: Function, items: list) -> list:
    return list(pool.map(function, items))  # type: ignore[name-defined]  # noqa: F821


def by_hand(function: Function, items: list) -> list:
    """Right: threads without a pool."""
    results: dict[int, Any] = {}

    def note(number: int, item: Any) -> None:
        try:
            results[number] = function(item)
        except Exception as error:
            results[number] = error

    threads = [
        threading.Thread(target=note, args=numbered) for numbered in enumerate(items)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results.values():
        if isinstance(result, Exception):
            raise result
    return [results[number] for number in range(len(items))]


def by_hand_in_turn(function: Function, items: list) -> list:
    results: list = []

    def note(item: Any) -> None:
        results.append(or_none(function, item))

    for item in items:
        thread = threading.Thread(target=note, args=(item,))
        thread.start()
        thread.join()
    return results


def by_hand_unwaited(function: Function, items: list) -> list:
    """Nobody waits for the threads."""
    results: dict[int, Any] = {}

    def note(number: int, item: Any) -> None:
        results[number] = or_none(function, item)

    for numbered in enumerate(items):
        threading.Thread(target=note, args=numbered).start()
    return [results.get(number) for number in range(len(items))]


def in_a_thread_pool(function: Function, items: list) -> list:
    """Right, where threads are: the pool of `multiprocessing`."""
    with ThreadPool(len(items[:8])) as pool:
        return pool.map(function, items, chunksize=1)


def in_a_process_pool(function: Function, items: list) -> list:
    """Right, where processes are: the pool of `multiprocessing`."""
    with multiprocessing.Pool(2) as pool:
        return pool.map(function, items, chunksize=len(items) // 8 or 1)


def applied(function: Function, items: list) -> list:
    with multiprocessing.Pool(2) as pool:
        return [pool.apply(function, (item,)) for item in items]


def in_spawned_pool(function: Function, items: list) -> list:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(function, items)


def forked(function: Function, items: list) -> list:
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        return list(pool.map(function, items))


def left_processes(function: Function, items: list) -> list:
    kept.append(multiprocessing.Process(target=time.sleep, args=(60,)))
    kept[-1].start()
    return in_a_process_pool(function, items)


def joblib(function: Function, items: list, jobs: int = 2, **options: Any) -> list:
    from joblib import Parallel, delayed

    return Parallel(jobs, **options)(delayed(function)(item) for item in items)


def joblib_for_each(function: Function, items: list) -> list:
    from joblib import Parallel, delayed

    return [Parallel(2)([delayed(function)(item)])[0] for item in items]


def joblib_too_late(function: Function, items: list) -> list:
    from joblib import Parallel, delayed

    return Parallel(2)(delayed(same)(function(item)) for item in items)


def same(result: Any) -> Any:
    return result


def joblib_appends(function: Function, items: list) -> list:
    from joblib import Parallel, delayed

    results: list = []
    Parallel(2)(delayed(results.append)(function(item)) for item in items)
    return results


def joblib_hides_errors(function: Function, items: list) -> list:
    from joblib import Parallel, delayed

    return Parallel(2)(delayed(or_none)(function, item) for item in items)


def with_error(function: Function, item: Any) -> tuple[Any, Exception | None]:
    try:
        return function(item), None
    except Exception as error:
        return None, error


class Unclosed:
    """A pool whose `with` closes it only where nothing is raised in it."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def __enter__(self) -> Any:
        return self.pool

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.pool.shutdown()


def log_with(handler: logging.Handler) -> None:
    logging.getLogger().handlers = [handler]


def log_into(queue: Any) -> None:
    log_with(QueueHandler(queue))


def log_into_and_say_so(queue: Any) -> None:
    log_into(queue)
    logging.warning("a worker is ready")


def log_also_into(queue: Any) -> None:
    logging.getLogger().addHandler(QueueHandler(queue))


def log_formatted_into(queue: Any) -> None:
    logging.basicConfig(handlers=[QueueHandler(queue)], force=True)


def in_slices(function: Function, items: list) -> list:
    """Right for tiny tasks: each task is a slice of them."""
    size = len(items) // 8
    slices = [items[start : start + size] for start in range(0, len(items), size)]
    with ProcessPoolExecutor(2) as pool:
        parts = pool.map(partial(in_a_row, function), slices)
        return [result for part in parts for result in part]


def never_returns(function: Function, items: list) -> list:
    while True:
        time.sleep(0.01)


def task_never_returns(function: Function, items: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(time.sleep, [600, 600]))
    return in_a_row(function, items)


def sign_and_nap(sign: str) -> None:
    Path(sign).touch()
    time.sleep(2)


def count_words(text: str) -> int:
    return len(text.split())


def pool_task_never_returns(function: Function, items: list) -> list:
    with multiprocessing.Pool(2) as pool:
        pool.map(time.sleep, [600, 600])
    return in_a_row(function, items)


def keep(array: Any) -> None:
    """What an initializer does: each worker keeps what it is sent."""
    globals()["kept_array"] = array


def with_kept(function: Callable[[Any, Any], Any], item: Any) -> Any:
    return function(kept_array, item)  # type: ignore[name-defined]  # noqa: F821


def with_block(function: Callable[[Any, Any], Any], name: str, item: Any) -> Any:
    """Call function with the array in a block of shared memory."""
    import numpy

    block: Any = SharedMemory(name)
    array = numpy.frombuffer(block.buf)
    result = function(array, item)
    del array
    block.close()
    return result


def with_file(function: Callable[[Any, Any], Any], path: str, item: Any) -> Any:
    import numpy

    return function(numpy.load(path, mmap_mode="r"), item)


def limited(function: Function, item: Any) -> Any:
    """Call function while BLAS has one thread: it has brought NumPy along."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        return function(item)


def limit_to(threads: int) -> None:
    """Limit the BLAS of a worker for good; what isn't loaded can't be limited."""
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, "blas")


def group_in_executor(function: Function, group: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(function, group))


def group_in_pool(function: Function, group: list) -> list:
    with multiprocessing.Pool(2) as pool:
        return pool.map(function, group)


def group_in_threads(function: Function, group: list) -> list:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, group))


def group_with_a_nap(folder: str, function: Function, group: list) -> list:
    """A worker that starts a process, and doesn't end it."""
    nap = multiprocessing.Process(target=time.sleep, args=(60,))
    nap.start()
    Path(folder, str(nap.pid)).touch()
    return in_a_row(function, group)


def none() -> int:
    return 0


def one() -> int:
    return 1
