"""The exercises of lesson 06: an array sent once, long tasks first, inputs in time."""

import copyreg
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

from helpers.exercises.attempt import (
    Attempt,
    Steering,
    attempt,
    meeting,
    one_by_one,
    soon,
)
from helpers.exercises.exercise import Answer, Loop, wake_joblib
from helpers.exercises.verdict import Line, together
from helpers.exercises.watch import Started
from helpers.probe import Call, Probe, item_of, worker
from helpers.said import say
from helpers.workloads import count_primes, nap, rank


class SendOnce(Loop):
    name, lesson = "send_once", "06"
    takes = ("run_all",)
    hints = (
        "partial(work, array) is what each task is sent with, and the array is a part "
        "of it. How many trips are there?",
        "What shares a trip is packed once. chunksize says how many items do.",
        "Two workers need two chunks: chunksize=len(items) // 2.",
    )
    moral = "each worker was sent the array once at most."
    task = staticmethod(rank)
    computes = True
    WORKERS, ITEMS = 2, 12

    def drawn(self) -> list[int]:
        # Above a megabyte, joblib writes an array to a file instead.
        self.setting = (np.random.default_rng().random(250_000),)
        return random.sample(range(250_000), self.ITEMS)

    def tried(self, answer: Answer, watched: Probe, items: list[int]) -> Attempt:
        (array,) = self.setting
        with packed_arrays() as sizes, _files_with(array) as files:
            tried = super().tried(answer, watched, items)
        self._times = sum(sizes) / array.nbytes
        fresh = any(start.method in ("forkserver", "spawn") for start in tried.pools)
        self._lacking = fresh and isinstance(tried.error, NameError)
        if files and not tried.left:
            tried.left = f"A file with the array was left: {files[0]}"
        return tried

    def judge(self, answer: Answer, *task: Any, **options: Any) -> Iterator[Line]:
        yield from super().judge(answer, *task, **options)
        if self._lacking:
            words = "has no global that was set here: only one that is forked has it"
            yield Line(False, f"A worker that starts fresh {words}")

    def judge_more(self, tried: Attempt, items: list[int]) -> Iterator[Line]:
        (calls,) = tried.calls
        if any(map(tried.was_elsewhere, calls)):
            yield self._judged_packing(tried)

    def _judged_packing(self, tried: Attempt) -> Line:
        times = round(self._times)
        if times >= self.ITEMS:
            words = f"was packed for each item, {times} times: it is sent with each"
        elif times > self.WORKERS:
            words = f"was packed {times} times: two workers need it twice at most"
        elif times:
            return Line(True, "The array was packed once for each worker at most")
        elif any(started.method == "fork" for started in tried.pools):
            words = "The array was not packed: a forked worker has it, or shares it"
            return Line(True, words)
        else:
            return Line(True, "The array was not packed: the workers share it")
        return Line(False, f"The array {words}")

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        wake_joblib()
        items = self.drawn()
        tried = self.tried(answer, Probe(rank, pause=0.05), items)
        say(f"The array was packed {self._times:.0f} times for {len(items)} items")
        return tried


@contextmanager
def packed_arrays() -> Iterator[list[int]]:
    """Yield how many bytes each array has that is packed for another process.

    It is counted where it happens. Memory that is shared is not packed, nor is an
    array that joblib writes to a file.
    """
    kinds, sizes = (np.ndarray, np.memmap), list[int]()
    before = {kind: copyreg.dispatch_table.get(kind) for kind in kinds}

    def reduced(array: np.ndarray) -> Any:
        sizes.append(array.nbytes)
        return array.__reduce__()

    for kind in kinds:
        copyreg.pickle(kind, reduced)
    try:
        yield sizes
    finally:
        for kind, function in before.items():
            if function:
                copyreg.pickle(kind, function)
            else:
                del copyreg.dispatch_table[kind]


@contextmanager
def _files_with(array: np.ndarray) -> Iterator[list[str]]:
    """Remove the new files that hold the array afterwards, and yield their names.

    They are looked for where the notebook is and where temporary files are. Those of
    joblib are its own to remove.
    """
    before, left = _entries(), list[str]()
    try:
        yield left
    finally:
        for entry in _entries() - before:
            for file in [entry, *entry.rglob("*")]:
                with suppress(OSError):  # who holds it open on Windows keeps it
                    if _holds(file, array):
                        file.unlink()
                        left.append(file.name)
                        if file != entry:
                            entry.rmdir()


def _entries() -> set[Path]:
    folders = {Path.cwd(), Path(gettempdir())}
    found = {entry for folder in folders for entry in folder.iterdir()}
    return {each for each in found if not each.name.startswith("joblib_memmapping")}


def _holds(file: Path, array: np.ndarray) -> bool:
    size = file.stat().st_size if file.is_file() else 0
    fits = array.nbytes <= size <= 2 * array.nbytes
    return fits and array.tobytes() in file.read_bytes()


class LongestFirst(Loop):
    name, lesson = "longest_first", "06"
    takes = ("run_all",)
    hints = (
        "A long task that begins last keeps one worker busy when the others have "
        "nothing left. Which one should begin first?",
        "sorted(lengths, reverse=True) has the longest first. But your results have to "
        "be in the order of lengths.",
        "Submit them in the sorted order, keep each future under its length in a "
        "dictionary, and go through lengths for the results.",
    )
    moral = "the longest task that is left begins next, and short ones fill the end."
    task = staticmethod(count_primes)
    computes = True
    WORKERS = 2
    # The order in which the lengths are handed in: 0 is the shortest.
    ORDER = (3, 0, 5, 1, 6, 2, 4, 7)

    def drawn(self) -> list[int]:
        lengths = sorted(random.sample(range(200, 2000, 100), len(self.ORDER)))
        return [lengths[place] for place in self.ORDER]

    def tried(self, answer: Answer, watched: Probe, items: list[Any]) -> Attempt:
        steer = _in_turn if watched.meet > 1 else None
        return attempt(answer, watched, items, steer=steer)

    def judge_results(self, tried: Attempt, items: list[int]) -> Line:
        if tried.results == self.expected(sorted(items, reverse=True)):
            words = "The results are in the order in which the tasks began"
            return Line(False, f"{words}: put them back into that of the lengths")
        return super().judge_results(tried, items)

    def judge_more(self, tried: Attempt, items: list[int]) -> Iterator[Line]:
        (calls,) = tried.calls
        size = max((started.size for started in tried.pools), default=0)
        if size > self.WORKERS:
            words = "More than two workers: with two, the tasks wait for their turn"
            yield Line(False, words)
        elif len({call.span.worker for call in calls}) == self.WORKERS:
            yield self._judged_order(calls, items)

    def _judged_order(self, calls: list[Call], items: list[int]) -> Line:
        longest = sorted(items, reverse=True)
        if _began(calls, longest, self.WORKERS):
            return Line(True, "The longest task that was left always began next")
        if _began(calls, items, self.WORKERS):
            words = "The tasks began in the order they were given, the longest last"
        elif _began(calls, longest[::-1], self.WORKERS):
            words = "The shortest task began first: the longest should"
        elif len({(call.span.pid, call.trip) for call in calls}) < len(calls):
            words = "Tasks shared a trip: a long one waited behind another long one"
        else:
            words = "A long task began after a shorter one"
        return Line(False, words)

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        wake_joblib()
        lengths = [0.06 * (1 + place) for place in self.ORDER]
        return attempt(answer, Probe(nap), [*lengths[:-1], 1.0])


def _in_turn(work: Probe, pools: list[Started]) -> Steering:
    yield from one_by_one(work, pools)
    work.release()


def _began(calls: Sequence[Call], order: Sequence[Any], workers: int) -> bool:
    """Return whether the tasks began in that order, as so many workers see to it.

    Each takes the next one; which of them is the first to begin is a matter of luck.
    """
    left = list(map(item_of, order))
    for call in calls:
        if call.item not in left[:workers]:
            return False
        left.remove(call.item)
    return True


class ReadAhead(Loop):
    name, lesson = "read_ahead", "06"
    takes = ("run_all",)
    hints = (
        "pool.map reads all inputs before it gives the first result. submit takes one.",
        "Submit the first ten. Before you read another input, wait for the oldest "
        "future's result.",
        "A deque keeps the futures. append the new one; if there are ten, popleft() "
        "the oldest and ask for its result. At the end of the inputs, ask the others.",
    )
    moral = "the inputs may go on for as long as they like: ten at most are here."
    task = staticmethod(math.isqrt)
    MOST, ITEMS = 10, 100

    def drawn(self) -> list[int]:
        return random.sample(range(10**6), self.ITEMS)

    def tried(self, answer: Answer, watched: Probe, items: list[Any]) -> Attempt:
        self._reading = Reading(watched, items, self.MOST)
        steer = self._reading.steer if watched.meet > 1 else None
        return attempt(answer, watched, self._reading.inputs(), steer=steer)

    def judge_results(self, tried: Attempt, items: list[int]) -> Line:
        found = tried.results
        cut = found and isinstance(found, list) and len(found) < len(items)
        if cut and found == self.expected(items)[: len(found)]:
            words = "what still waits when the inputs are at an end belongs to them"
            return Line(False, f"The last results are missing: {words}")
        return super().judge_results(tried, items)

    def judge_more(self, tried: Attempt, items: list[int]) -> Iterator[Line]:
        ahead = self._reading.ahead
        if self._reading.all_first:
            words = "All inputs were read before the first task was handed in"
            yield Line(False, words)
        elif ahead == self.MOST + 1:
            words = "Eleven inputs were read ahead: one too many"
            yield Line(False, words)
        elif ahead > self.MOST:
            words = "More than ten inputs were read before their turn came"
            yield Line(False, words)
        elif together(tried.calls[0]) > 1:
            yield Line(True, "Never more than ten inputs were read ahead")

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        wake_joblib()
        tried = self.tried(answer, Probe(nap), [0.05] * 30)
        say(f"Inputs read ahead of the tasks that had ended: {self._reading.ahead}")
        return tried


class Reading:
    """Hands out inputs, and sees how far they are ahead of the tasks that have ended.

    Attributes:
        ahead: how many inputs there were at most whose tasks had not ended, besides
            the one whose turn it was.
        all_first: whether all had been read before a task was handed in.
    """

    def __init__(self, work: Probe, items: list[Any], most: int) -> None:
        self.work, self.items, self.most = work, items, most
        self.ahead = 0
        self.all_first = False
        self._pools: list[Started] = []

    def inputs(self) -> Iterator[Any]:
        for number, item in enumerate(self.items, 1):
            ended = len(self.work.calls())
            self.ahead = max(self.ahead, number - ended - 1)
            if number == len(self.items):
                self.all_first = not (ended or self._handed_in())
            yield item

    def _handed_in(self) -> bool:
        # The thread of a pool reads what has been handed to it.
        of_a_pool = worker() != self.work.caller
        submitted = any(started.futures for started in self._pools)
        return of_a_pool or submitted or bool(self.work.waiting())

    def steer(self, work: Probe, pools: list[Started]) -> Steering:
        self._pools = pools
        return self._until_too_many()

    def _until_too_many(self) -> Steering:
        yield from meeting(self.work, self._pools)
        yield from soon(lambda: self.ahead > self.most)
        self.work.release()


send_once = SendOnce()
longest_first = LongestFirst()
read_ahead = ReadAhead()
