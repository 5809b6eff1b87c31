"""The exercises of lesson 04: a loop with joblib, and tasks too small to send."""

import math
import random
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from helpers.exercises.attempt import Attempt
from helpers.exercises.exercise import Answer, Loop, wake_joblib
from helpers.exercises.verdict import Line
from helpers.probe import Probe
from helpers.said import say
from helpers.workloads import count_tokens, library_files


class JoblibLoop(Loop):
    name, lesson = "joblib_loop", "04"
    takes = ("count_all",)
    hints = (
        "No turn needs what another has counted. So write the loop as a list of calls "
        "first: [count(file) for file in files].",
        "delayed(count)(file) notes a call for later. delayed(count(file)) counts "
        "right here.",
        "Parallel(n_jobs=2) takes these calls, and returns the results in their order.",
    )
    moral = "two workers, and the results in the order of the files."
    task = staticmethod(count_tokens)
    computes = True

    def drawn(self) -> list[str]:
        return random.sample(library_files()[60:120], 6)

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        wake_joblib()
        return self.tried(answer, Probe(count_tokens), library_files()[:12])


class TooManyTrips(Loop):
    name, lesson = "too_many_trips", "04"
    takes, options = ("run_all",), ("why",)
    hints = (
        "How long is one task, and how long does it take to send one? You have seen "
        "both in this lesson.",
        "Let many numbers share a trip.",
        "pool.map has an argument for that: chunksize.",
    )
    moral = (
        "few trips, many numbers on each. For tiny tasks a plain loop is better yet."
    )
    task = staticmethod(math.isqrt)
    computes = True
    TASKS = 2000

    def drawn(self) -> list[int]:
        return random.sample(range(10**6), self.TASKS)

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        numbers = self.drawn()
        began = perf_counter()
        self.expected(numbers)
        say(f"In a plain loop: {1e3 * (perf_counter() - began):.1f} ms")
        return self.tried(answer, Probe(self.task), numbers)

    def judge_failed(
        self, failed: Attempt, why: Any = "?", **options: Any
    ) -> Iterator[Line]:
        (calls,) = failed.calls
        trips = {(call.span.pid, call.trip) for call in calls if call.trip}
        if len(trips) > self.TASKS / 10:
            words = "Hardly any number shared a trip to a worker with others"
            yield Line(False, words)
        elif trips:
            yield Line(True, "Many numbers shared a trip to a worker")
        if why not in ("a", "b", "c"):
            yield Line(False, 'Why is it slower? Choose "a", "b" or "c"')
        elif why == "b":
            yield Line(True, "Why it was slower: right")
        else:
            yield Line(False, "Why it was slower: another reason")


joblib_loop = JoblibLoop()
too_many_trips = TooManyTrips()
