"""The exercises of lesson 07: a cap on inner threads, and one pool instead of many."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from threadpoolctl import threadpool_limits

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
from helpers.machine import cores
from helpers.probe import Call, Probe, item_of
from helpers.said import say
from helpers.workloads import Multiply, blas_threads, count_primes


class CapTheThreads(Loop):
    name, lesson = "cap_the_threads", "07"
    takes = ("run_all",)
    hints = (
        "Each worker's BLAS takes all the cores. Who gives each worker its share only?",
        "threadpool_limits(1) limits the BLAS of the process that calls it, if NumPy "
        "is loaded by then. joblib limits its workers without being asked.",
        "Parallel(n_jobs=2) instead of the executor. Or an initializer, from a file "
        "that imports NumPy, which calls threadpool_limits(1).",
    )
    moral = "workers × threads are no more than the cores."
    WORKERS = 2

    def __init__(self) -> None:
        super().__init__()
        self.task = Multiply(200)

    def drawn(self) -> list[int]:
        return random.sample(range(1, 20), 8)

    def tried(self, answer: Answer, watched: Probe, items: list[int]) -> Attempt:
        watched.notes = blas_threads
        self._here = self._limited = blas_threads()
        before = _settings()
        with threadpool_limits():  # what is limited in here is put back
            steer = self._steer if watched.meet > 1 else None
            tried = attempt(answer, watched, items, steer=steer)
            self._changed = _settings() != before or blas_threads() != self._here
        for name in _settings().keys() | before.keys():
            os.environ.pop(name, None)
        os.environ.update(before)
        return tried

    def _steer(self, work: Probe, pools: list[Started]) -> Steering:
        yield from meeting(work, pools)
        self._limited = blas_threads()
        work.release()

    def judge_results(self, tried: Attempt, items: list[int]) -> Line:
        line = super().judge_results(tried, items)
        # Each is 1: of an order there is nothing to see.
        return Line(True, "The results are right") if line.right else line

    def judge_more(self, tried: Attempt, items: list[int]) -> Iterator[Line]:
        (calls,) = tried.calls
        if not calls or any(call.span.worker == tried.caller for call in calls):
            return
        if all(map(tried.was_elsewhere, calls)):
            yield Line(True, "Processes did the work")
            yield self._judged_threads(tried, calls)
        else:
            words = "Threads did the work, with one BLAS for all: keep the processes"
            yield Line(False, words)
        if self._changed:
            words = "What you set in the notebook itself has been put back"
            yield Line(True, words)

    def _judged_threads(self, tried: Attempt, calls: Sequence[Call]) -> Line:
        each, allowed = max(call.noted for call in calls), cores().allowed
        there = len({call.span.pid for call in calls})
        workers = max([there, *(started.size for started in tried.pools)])
        if not each:
            return Line(None, "NumPy's BLAS here doesn't tell how many threads it has")
        if workers * each > max(allowed, self.WORKERS):
            words = f"{workers} workers × {each} threads in each, on {allowed} cores"
            if self._limited < self._here:
                words += ": what is limited is the notebook, not its workers"
            elif self._changed:
                words += ": what you set came too late, or in the wrong process"
            return Line(False, words)
        if self._here == 1:
            return Line(None, "BLAS has one thread here, with a limit or without")
        return Line(True, "Workers × threads are no more than the cores")

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        wake_joblib()
        tried = self.tried(answer, Probe(Multiply(500)), [3] * 8)
        threads = {call.span.worker: call.noted for call in tried.calls[0]}
        say(
            f"BLAS threads in each worker: {', '.join(map(str, threads.values()))}. "
            f"Cores: {cores().allowed}"
        )
        return tried


def _settings() -> dict[str, str]:
    """Return the environment variables that limit threads."""
    return {name: os.environ[name] for name in os.environ if "_THREADS" in name}


class Flatten(Loop):
    name, lesson = "flatten", "07"
    takes = ("run_all",)
    hints = (
        "How many workers does each worker start? And which of them knows what the "
        "others have left to do?",
        "Make one list of all members of all groups, and let one pool have it.",
        "The results come in the order of that list. it = iter(results), and for each "
        "group: [next(it) for _ in group].",
    )
    moral = "one pool, and whoever is free takes the next task, of whichever group."
    task = staticmethod(count_primes)
    computes = True
    # How many members the groups have.
    SIZES = (1, 6, 2)

    def drawn(self) -> list[list[int]]:
        numbers = iter(random.sample(range(200, 2000, 100), sum(self.SIZES)))
        return [[next(numbers) for _ in range(size)] for size in self.SIZES]

    def inputs(self, items: list[list[int]]) -> list[int]:
        return [member for group in items for member in group]

    def expected(self, items: list[list[int]]) -> list[list[int]]:
        return [list(map(count_primes, group)) for group in items]

    def tried(self, answer: Answer, watched: Probe, items: list[Any]) -> Attempt:
        largest: list[int] = max(items, key=len)
        self._largest = set(map(item_of, largest))
        steer = self._steer if watched.meet > 1 else None
        return attempt(answer, watched, items, steer=steer)

    def _steer(self, work: Probe, pools: list[Started]) -> Steering:
        """Hold the tasks of the largest group, until two of them meet."""

        def chosen(here: list[str]) -> str | None:
            others = [item for item in here if item not in self._largest]
            return others[0] if others and len(here) - len(others) < 2 else None

        yield from one_by_one(work, pools, chosen)
        # There is a third if the workers have workers.
        yield from soon(lambda: len(work.waiting()) > 2)
        work.release()

    def judge_results(self, tried: Attempt, items: list[list[int]]) -> Line:
        flat = self.inputs(self.expected(items))
        if tried.results == flat:
            return Line(False, "One flat list: put the results back into their groups")
        return super().judge_results(tried, items)

    def judge_more(self, tried: Attempt, items: list[list[int]]) -> Iterator[Line]:
        (calls,) = tried.calls
        if together(calls) < 2:
            return
        if _is_nested(tried, calls):
            words = "The workers had workers of their own, beside those you asked for"
            yield Line(False, words)
        elif len(tried.pools) > 1:
            words = f"{len(tried.pools)} pools: let one have the tasks of all groups"
            yield Line(False, words)
        else:
            yield Line(True, "One pool had all the tasks")
        if together(call for call in calls if call.item in self._largest) > 1:
            yield Line(True, "Tasks of one group ran at the same time")
        else:
            words = "The tasks of a group ran one after the other"
            yield Line(False, f"{words}: a large group keeps one worker, and no other")

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        wake_joblib()
        groups = [[20_000], [20_000 + n for n in range(6)], [20_000] * 2]
        return self.tried(answer, Probe(count_primes, pause=0.1), groups)


def _is_nested(tried: Attempt, calls: Sequence[Call]) -> bool:
    """Return whether there were workers that other workers had started."""
    threads: dict[int, set[int]] = {}
    for call in calls:
        threads.setdefault(call.span.pid, set()).add(call.span.thread)
    threads.pop(tried.caller[0], None)
    known = set()
    for process in (each for started in tried.pools for each in started.processes):
        with suppress(ValueError):  # it is closed
            known.add(process.pid)
    asked_for = sum(started.size for started in tried.pools)
    # joblib doesn't tell its processes; its pools in one of them have threads.
    if (known and not threads.keys() <= known) or together(calls) > asked_for > 0:
        return True
    return any(len(each) > 1 for each in threads.values())


cap_the_threads = CapTheThreads()
flatten = Flatten()
