"""The exercises of lesson 01: naps that run together, and a total that gets lost."""

import random

from helpers.exercises.attempt import Attempt
from helpers.exercises.exercise import Answer, Loop
from helpers.probe import Probe
from helpers.said import say
from helpers.workloads import count_tokens, library_files, nap


class WaitTogether(Loop):
    name, lesson = "wait_together", "01"
    takes = ("nap_all",)
    hints = (
        "Which worker naps while this one naps? Give each nap a thread of its own.",
        "ThreadPoolExecutor(n) has n threads. Its map takes what the built-in map "
        "takes.",
        "with ThreadPoolExecutor(len(times)) as pool: and in it pool.map(nap, times), "
        "as a list.",
    )
    moral = "all naps together take as long as the longest."
    task = staticmethod(nap)
    meet = None

    def drawn(self) -> list[float]:
        return [round(random.uniform(0.01, 0.03), 6) for _ in range(5)]

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        return self.tried(answer, Probe(nap), [0.3, 0.1, 0.2, 0.4, 0.2])


class KeepTheCount(Loop):
    name, lesson = "keep_the_count", "01"
    takes = ("count_all",)
    hints = (
        "total += count(file) reads the total, counts, then writes. Who else writes "
        "while it counts?",
        "Don't share the total. Let each task return its own number.",
        "pool.map(count, files) yields the numbers, in order, and raises what a task "
        "raised: the built-in sum can take it as it is.",
    )
    moral = "nothing is shared, so nothing gets lost, errors neither."
    task = staticmethod(count_tokens)

    def drawn(self) -> list[str]:
        return random.sample(library_files()[60:120], 6)

    def expected(self, items: list[str]) -> int:
        return sum(map(count_tokens, items))

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        files = library_files()[20:28]
        tried = self.tried(answer, Probe(count_tokens), files)
        if not tried.failure:
            say(f"Your total: {tried.results}. In a loop: {self.expected(files)}")
        return tried


wait_together = WaitTogether()
keep_the_count = KeepTheCount()
