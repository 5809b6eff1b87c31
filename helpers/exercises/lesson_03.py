"""The exercises of lesson 03: a pool that finds its function, and a setting sent."""

import operator
import random
from collections.abc import Iterator
from typing import Any

from helpers.exercises.attempt import Attempt
from helpers.exercises.exercise import WORDS, Loop
from helpers.exercises.verdict import Line


class MendThePool(Loop):
    name, lesson = "mend_the_pool", "03"
    takes, wants = ("run_all", "count_words"), "both functions"
    hints = (
        "The worker imports count_words by its name, and a cell is no module. Which "
        "two ways out do you know?",
        "Put the whole cell into a file: its first line can say where.",
        "The first line is %%importable lesson_words. Or let joblib send the function.",
    )
    moral = "workers that start fresh found your function."
    computes = True

    def drawn(self) -> list[str]:
        counts = random.sample(range(1, 30), 6)
        return [" ".join(random.choices(WORDS, k=count)) for count in counts]

    def expected(self, items: list[str]) -> list[int]:
        return [len(text.split()) for text in items]

    def judge_more(self, tried: Attempt, items: list[Any]) -> Iterator[Line]:
        if any(started.method == "fork" for started in tried.pools):
            words = "fork copies the notebook into the workers: let them start fresh"
            yield Line(False, words)


class SendASetting(Loop):
    name, lesson = "send_a_setting", "03"
    takes = ("scale_all",)
    hints = (
        "What would the name of the lambda be in the worker?",
        "scale itself travels, and so does the factor. What puts the two together?",
        "partial(scale, factor) is a function of the number that is still missing.",
    )
    moral = "a function that travels, and its setting with it."
    task = staticmethod(operator.mul)
    computes = True

    def drawn(self) -> list[int]:
        self.setting = (random.randrange(2, 100),)
        return random.sample(range(1000), 6)


mend_the_pool = MendThePool()
send_a_setting = SendASetting()
