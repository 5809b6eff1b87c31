"""The exercises of lesson 06 name what is wrong with each wrong answer."""

import copyreg
import multiprocessing
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from functools import partial
from itertools import islice
from multiprocessing.managers import SharedMemoryManager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import answers
import numpy as np
import pytest
from conftest import START_METHODS, default_method
from joblib import Parallel, delayed
from test_exercises import (
    ALONE,
    DISORDERED,
    FOR_EACH,
    HID,
    IN_THREADS,
    NEVER_RUN,
    NO_PICKLE,
    NOT_THOSE,
    OF_ONE,
    ONE_DID_ALL,
    OPEN,
    PROCESSES,
    STILL_RAN,
    THREADS,
    WAITED,
    assert_named,
    wrong,
)

from helpers.exercises import longest_first, read_ahead, send_once

Answer = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_stays", "nothing_is_left")


@pytest.fixture
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A check leaves no shared memory, and no file.

    The folders of joblib, multiprocessing and this kit stay until Python ends.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    while made:
        with pytest.raises(FileNotFoundError):
            SharedMemory(made.pop())
    left = [each.name for each in tmp_path.iterdir()]
    kept = ("joblib", "pymp-", "many_cores_")
    assert [name for name in left if not name.startswith(kept)] == []


# The names of the blocks of shared memory that answers have made.
made: list[str] = []


def filled(array: np.ndarray, block: Any) -> Any:
    made.append(block.name)
    block.buf[: array.nbytes] = array.tobytes()
    return block


# Send the array once.

NOT_PACKED = "The array was not packed"
FOR_EACH_ITEM = "was packed for each item, 12 times"
BLOCK_LEFT = "A block of shared memory was left"
FILE_LEFT = "A file with the array was left: kept.npy"


def sent(work: Answer, array: np.ndarray, items: list, answer: Answer) -> list:
    """Return what an answer that knows of no array makes of it."""
    return answer(partial(work, array), items)


def in_chunks(work: Answer, array: np.ndarray, items: list, size: int) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(work, array), items, chunksize=size))


def copied(work: Answer, array: np.ndarray, items: list) -> list:
    """Each item carries an array of its own."""
    arrays = [array.copy() for _ in items]
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, arrays, items))


def mapped_file(work: Answer, array: np.ndarray, items: list) -> list:
    """A memory-mapped array is packed like any other."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        np.save(f"{folder}/kept.npy", array)
        return sent(
            work,
            np.load(f"{folder}/kept.npy", mmap_mode="r"),
            items,
            partial(answers.pool_of_two, **PROCESSES),
        )


def initialized(work: Answer, array: np.ndarray, items: list, workers: int = 2) -> list:
    options: Any = {"initializer": answers.keep, "initargs": (array,)}
    with ProcessPoolExecutor(workers, **options) as pool:
        return list(pool.map(partial(answers.with_kept, work), items))


def global_of_the_parent(work: Answer, array: np.ndarray, items: list) -> list:
    answers.keep(array)
    try:
        with ProcessPoolExecutor(2) as pool:
            return list(pool.map(partial(answers.with_kept, work), items))
    finally:
        vars(answers).pop("kept_array")


def with_joblib(work: Answer, array: np.ndarray, items: list, **options: Any) -> list:
    return Parallel(2, **options)(delayed(work)(array, item) for item in items)


def shared(work: Answer, array: np.ndarray, items: list, keep: bool = False) -> list:
    block = filled(array, SharedMemory(create=True, size=array.nbytes))
    try:
        with ProcessPoolExecutor(2) as pool:
            function = partial(answers.with_block, work, block.name)
            return list(pool.map(function, items))
    finally:
        block.close()
        if not keep:
            block.unlink()


def managed(work: Answer, array: np.ndarray, items: list) -> list:
    """Nobody ends the manager."""
    manager = SharedMemoryManager()
    manager.start()
    block = filled(array, manager.SharedMemory(array.nbytes))
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(answers.with_block, work, block.name), items))


def left_file(work: Answer, array: np.ndarray, items: list, folder: bool) -> list:
    path = Path(tempfile.mkdtemp() if folder else "", "kept.npy")
    np.save(path, array)
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(answers.with_file, work, str(path)), items))


def local_function(work: Answer, array: np.ndarray, items: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(lambda item: work(array, item), items))


IN_TWO = partial(in_chunks, size=6)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(in_chunks, size=6),
        wrong(in_chunks, FOR_EACH_ITEM, size=1),
        wrong(in_chunks, "was packed 6 times: two workers", size=2),
        wrong(in_chunks, ONE_DID_ALL, size=12),
        wrong(copied, FOR_EACH_ITEM),
        wrong(mapped_file, FOR_EACH_ITEM),
        wrong(initialized),
        wrong(with_joblib),
        wrong(with_joblib, "The array was packed", max_nbytes=None),
        wrong(with_joblib, IN_THREADS, prefer="threads"),
        wrong(shared),
        wrong(shared, BLOCK_LEFT, keep=True),
        wrong(managed, STILL_RAN),
        wrong(left_file, FILE_LEFT, folder=False),
        wrong(left_file, FILE_LEFT, folder=True),
        wrong(local_function, NO_PICKLE),
        wrong(sent, "was packed 6 times", answer=answers.in_spawned_pool),
        wrong(sent, ALONE, answer=answers.in_a_row),
        wrong(sent, IN_THREADS, answer=partial(answers.pool_of_two, **THREADS)),
        wrong(
            sent,
            FOR_EACH,
            FOR_EACH_ITEM,
            answer=partial(answers.pool_for_each, **PROCESSES),
        ),
        wrong(sent, ONE_DID_ALL, answer=answers.in_one_chunk),
        wrong(sent, NOT_THOSE, NEVER_RUN, answer=answers.made_up),
    ],
)
def test_send_once(answer: Answer, fragments: list[str]) -> None:
    assert_named(send_once.judge(answer), *fragments)


@pytest.mark.parametrize("method", START_METHODS)
def test_the_array_reaches_workers_however_they_start(method: str) -> None:
    """By a global, in those only that are forked."""
    with default_method(method):
        assert_named(send_once.judge(initialized))
        assert_named(send_once.judge(shared))
        failures = "NameError", "A worker that starts fresh has no global"
        named = () if method == "fork" else failures
        assert_named(send_once.judge(global_of_the_parent), *named)


def test_arrays_are_packed_as_before() -> None:
    before = copyreg.dispatch_table.copy()
    assert_named(send_once.judge(IN_TWO))
    assert copyreg.dispatch_table == before


def test_files_that_hold_something_else_stay(tmp_path: Path) -> None:
    def noted(work: Answer, array: np.ndarray, items: list) -> list:
        Path("notes.txt").write_text("kept")
        Path("zeros.bin").write_bytes(bytes(array.nbytes))
        return in_chunks(work, array, items, 6)

    assert_named(send_once.judge(noted))
    for name in ("notes.txt", "zeros.bin"):
        (tmp_path / name).unlink()


# Start the long tasks first.

MORE_THAN_TWO = "More than two workers"
IN_GIVEN_ORDER = "in the order they were given"
AS_BEGUN = "The results are in the order in which the tasks began"
SHARED_A_TRIP = "Tasks shared a trip"


def in_order(work: Answer, lengths: list, order: Any, **options: Any) -> list:
    chosen = order(lengths)
    with ProcessPoolExecutor(2) as pool:
        results = dict(zip(chosen, pool.map(work, chosen, **options), strict=True))
    return [results[length] for length in lengths]


def falling(lengths: list) -> list:
    return sorted(lengths, reverse=True)


def longest_then_given(lengths: list) -> list:
    """Only the longest is put first."""
    return [lengths[-1], *lengths[:-1]]


def not_put_back(work: Answer, lengths: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, falling(lengths)))


def collected_as_completed(work: Answer, lengths: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(work, length) for length in falling(lengths)]
        return [future.result() for future in list(as_completed(futures))[::-1]]


def sorted_results(work: Answer, lengths: list) -> list:
    return sorted(in_order(work, lengths, falling))


def with_futures(work: Answer, lengths: list, workers: int = 2) -> list:
    with ProcessPoolExecutor(workers) as pool:
        futures = {length: pool.submit(work, length) for length in falling(lengths)}
        return [futures[length].result() for length in lengths]


def pool_of_multiprocessing(work: Answer, lengths: list) -> list:
    order = falling(lengths)
    with multiprocessing.Pool(2) as pool:
        results = dict(zip(order, pool.map(work, order, 1), strict=True))
    return [results[length] for length in lengths]


def in_sorted_joblib(work: Answer, lengths: list, **options: Any) -> list:
    order = falling(lengths)
    results = Parallel(2, **options)(delayed(work)(length) for length in order)
    return [results[order.index(length)] for length in lengths]


def waits_for_each_pair(work: Answer, lengths: list) -> list:
    """Right by the order, though two at a time wait for each other."""
    order = falling(lengths)
    results: dict[int, int] = {}
    with ProcessPoolExecutor(2) as pool:
        for n in range(0, len(order), 2):
            results |= dict(zip(order[n : n + 2], pool.map(work, order[n : n + 2])))
    return [results[length] for length in lengths]


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(in_order, order=falling),
        wrong(with_futures),
        wrong(pool_of_multiprocessing),
        wrong(in_sorted_joblib),
        wrong(in_sorted_joblib, batch_size=1),
        wrong(in_sorted_joblib, SHARED_A_TRIP, batch_size=4, pre_dispatch="all"),
        wrong(waits_for_each_pair),
        wrong(in_order, "The shortest task began first", order=sorted),
        wrong(in_order, IN_GIVEN_ORDER, order=list),
        wrong(in_order, "A long task began after a shorter", order=longest_then_given),
        wrong(in_order, SHARED_A_TRIP, order=falling, chunksize=4),
        wrong(in_order, SHARED_A_TRIP, order=list, chunksize=4),
        wrong(not_put_back, AS_BEGUN),
        wrong(collected_as_completed, DISORDERED),
        wrong(sorted_results, DISORDERED),
        wrong(with_futures, MORE_THAN_TWO, workers=8),
        wrong(with_futures, OF_ONE, workers=1),
        wrong(answers.in_a_row, ALONE),
        wrong(answers.made_up, NOT_THOSE, NEVER_RUN),
        wrong(answers.pool_of_two, IN_THREADS, IN_GIVEN_ORDER, **THREADS),
        wrong(answers.left_open, MORE_THAN_TWO, OPEN, **PROCESSES),
        wrong(answers.hides_errors_in_workers, MORE_THAN_TWO, HID, **PROCESSES),
    ],
)
def test_longest_first(answer: Answer, fragments: list[str]) -> None:
    assert_named(longest_first.judge(answer), *fragments)


# Read no more than ten ahead.

MORE = "More than ten inputs were read"
ALL_FIRST = "All inputs were read before the first task was handed in"
TAIL = "The last results are missing"


def windowed(
    work: Answer, inputs: Iterable, pools: answers.Executors, size: int = 10
) -> list:
    results: list = []
    waiting = deque[Future]()
    with pools(2) as pool:
        for item in inputs:
            waiting.append(pool.submit(work, item))
            if len(waiting) == size:
                results.append(waiting.popleft().result())
        return results + [future.result() for future in waiting]


def without_the_tail(work: Answer, inputs: Iterable) -> list:
    results: list = []
    waiting = deque[Future]()
    with ProcessPoolExecutor(2) as pool:
        for item in inputs:
            waiting.append(pool.submit(work, item))
            if len(waiting) == 10:
                results.append(waiting.popleft().result())
    return results


def list_first(work: Answer, inputs: Iterable) -> list:
    return windowed(work, list(inputs), **PROCESSES)


def in_batches(work: Answer, inputs: Iterable) -> list:
    results: list = []
    remaining = iter(inputs)
    with ProcessPoolExecutor(2) as pool:
        while batch := list(islice(remaining, 10)):
            results += pool.map(work, batch)
    return results


def by_semaphore(work: Answer, inputs: Iterable) -> list:
    places, remaining = BoundedSemaphore(10), iter(inputs)
    futures: list[Future] = []
    with ThreadPoolExecutor(2) as pool:
        while True:
            places.acquire()
            try:
                item = next(remaining)
            except StopIteration:
                break
            futures.append(pool.submit(work, item))
            futures[-1].add_done_callback(lambda _: places.release())
        return [future.result() for future in futures]


def by_semaphore_too_late(work: Answer, inputs: Iterable) -> list:
    """Right: one more has been read when the place is asked for."""
    places = BoundedSemaphore(10)
    futures: list[Future] = []
    with ThreadPoolExecutor(2) as pool:
        for item in inputs:
            places.acquire()
            futures.append(pool.submit(work, item))
            futures[-1].add_done_callback(lambda _: places.release())
        return [future.result() for future in futures]


def as_completed_first(work: Answer, inputs: Iterable) -> list:
    """A window that gives the results in any order."""
    results: list = []
    waiting: set[Future] = set()
    with ThreadPoolExecutor(2) as pool:
        for item in inputs:
            waiting.add(pool.submit(work, item))
            if len(waiting) == 10:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                results += [future.result() for future in done]
        results += [future.result() for future in waiting]
    return results[::-1]


def imapped(work: Answer, inputs: Iterable) -> list:
    with multiprocessing.Pool(2) as pool:
        return list(pool.imap(work, inputs))


def pool_mapped(work: Answer, inputs: Iterable) -> list:
    with multiprocessing.Pool(2) as pool:
        return pool.map(work, inputs)


def waits_for_each(work: Answer, inputs: Iterable) -> list:
    return windowed(work, inputs, size=1, **PROCESSES)


def buffered(work: Answer, inputs: Iterable) -> list:
    options: Any = {"buffersize": 10}
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, inputs, **options))


def measured(work: Answer, inputs: Iterable) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, inputs, chunksize=len(inputs)))  # type: ignore[arg-type]


def window_left_open(work: Answer, inputs: Iterable) -> list:
    pool, remaining = ThreadPoolExecutor(2), iter(inputs)
    results: list = []
    while batch := list(islice(remaining, 10)):
        results += pool.map(work, batch)
    return results


def window_hides_errors(work: Answer, inputs: Iterable) -> list:
    return windowed(partial(answers.or_none, work), inputs, **PROCESSES)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(windowed, **PROCESSES),
        wrong(windowed, **THREADS),
        wrong(windowed, size=3, **THREADS),
        wrong(windowed, size=11, **PROCESSES),
        wrong(windowed, "Eleven inputs were read ahead", size=12, **PROCESSES),
        wrong(windowed, MORE, size=30, **PROCESSES),
        wrong(without_the_tail, TAIL, HID),
        wrong(list_first, ALL_FIRST),
        wrong(in_batches),
        wrong(by_semaphore),
        wrong(by_semaphore_too_late),
        wrong(as_completed_first, DISORDERED),
        wrong(imapped, MORE),
        wrong(pool_mapped, ALL_FIRST),
        wrong(answers.pool_of_two, MORE, **THREADS),
        wrong(answers.pool_of_two, MORE, **PROCESSES),
        wrong(answers.in_a_row, ALONE),
        wrong(waits_for_each, WAITED),
        wrong(answers.joblib, batch_size=1),
        wrong(answers.joblib, ALL_FIRST, pre_dispatch="all"),
        wrong(measured, "TypeError: object of type 'generator' has no len()"),
        wrong(window_left_open, OPEN),
        wrong(window_hides_errors, HID),
        pytest.param(
            buffered,
            [],
            marks=pytest.mark.skipif(sys.version_info < (3, 14), reason="no buffer"),
        ),
    ],
)
def test_read_ahead(answer: Answer, fragments: list[str]) -> None:
    assert_named(read_ahead.judge(answer), *fragments)
