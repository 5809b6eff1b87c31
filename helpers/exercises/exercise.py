"""What all exercises have in common: `show`, `check` and `hint`.

Their stubs and solutions are cells of the lessons, named after them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from joblib import Parallel, delayed

from helpers.exercises.attempt import Attempt, attempt
from helpers.exercises.verdict import (
    Line,
    judged_calls,
    judged_closing,
    judged_error,
    judged_meeting,
    judged_processes,
    judged_results,
)
from helpers.figures import timeline
from helpers.probe import Probe
from helpers.said import say

Answer = Callable[..., Any]

# In front of a line of a verdict.
MARKS = {True: "✓", False: "○", None: "–"}
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")


class Exercise:
    """An exercise: `show` draws an answer's run, `check` judges it, `hint` helps.

    Attributes:
        name: the variable that a notebook imports.
        lesson: the number of its lesson: "01".
        takes: the names that its cell defines, as `show` and `check` take them.
        wants: what these are, in words.
        options: what `check` takes besides, by name.
        hints: from the first nudge to nearly the answer.
        moral: what a right answer has shown.
    """

    name: str
    lesson: str
    takes: tuple[str, ...]
    wants = "your function"
    options: tuple[str, ...] = ()
    hints: tuple[str, ...]
    moral: str

    def __init__(self) -> None:
        self._hints_given = 0

    def hint(self) -> None:
        """Say one more hint; after the last, begin again."""
        number = self._hints_given % len(self.hints)
        self._hints_given += 1
        say(f"Hint {number + 1} of {len(self.hints)}: {self.hints[number]}")

    def check(self, *answer: Any, **options: Any) -> None:
        """Say what is right so far, ✓, what is not yet, ○, what can't be told, –."""
        if not self._fits(answer, options, self.options):
            self._ask("check", self.options)
            return
        lines = list(self.judge(*answer, **options))
        said = [f"{MARKS[line.right]} {line.sentence}" for line in lines]
        right = {line.right for line in lines}
        if False in right:
            say(*said, f"For a hint: {self.name}.hint()")
        elif None in right:
            say(*said, "All right, as far as it can be told on this machine")
        else:
            say(*said, f"All right: {self.moral}")

    def show(self, *answer: Any, **options: Any) -> None:
        """Draw the answer's own run, right or wrong."""
        if self._fits(answer, options):
            self.draw(*answer)
        else:
            self._ask("show")

    def judge(self, *answer: Any, **options: Any) -> Iterator[Line]:
        """Yield the lines of the verdict."""
        raise NotImplementedError

    def draw(self, *answer: Any) -> None:
        """Draw what an answer did, after a sentence if it failed."""
        tried = self.try_out(*answer)
        said = [tried.failure] if tried.failure else []
        if not any(tried.calls):
            said.append("No task has run: there is nothing to draw")
        if said:
            say(*said)
        if any(tried.calls):
            timeline(tried.run())

    def try_out(self, *answer: Any) -> Attempt:
        """Return an attempt with inputs that are good to look at."""
        raise NotImplementedError

    def usable(self, given: Any) -> bool:
        """Return whether something can be part of an answer."""
        return callable(given)

    def _fits(
        self,
        answer: tuple[Any, ...],
        options: Mapping[str, Any],
        known: tuple[str, ...] = (),
    ) -> bool:
        right = len(answer) == len(self.takes) and all(map(self.usable, answer))
        return right and options.keys() <= set(known)

    def _ask(self, call: str, options: tuple[str, ...] = ()) -> None:
        named = [*self.takes, *(f'{option}="?"' for option in options)]
        say(f"Hand in {self.wants}: {self.name}.{call}({', '.join(named)})")


class Loop(Exercise):
    """An exercise whose answer runs one task over many items.

    Attributes:
        task: what the answer is handed, watched; where the answer brings a task of its
            own, that one.
        setting: what the answer takes between the task and the items.
        computes: whether the task needs processes.
        meet: how many tasks should run at the same time; None for all.
    """

    task: Callable[..., Any]
    setting: tuple[Any, ...] = ()
    computes = False
    meet: int | None = 2

    def drawn(self) -> list[Any]:
        """Return items, afresh for each attempt."""
        raise NotImplementedError

    def inputs(self, items: list[Any]) -> list[Any]:
        """Return what the task is to be called with."""
        return items

    def expected(self, items: list[Any]) -> Any:
        return [self.task(*self.setting, item) for item in items]

    def judge(
        self, answer: Answer, task: Answer | None = None, **options: Any
    ) -> Iterator[Line]:
        items, task = self.drawn(), task or self.task
        meet = self.meet or len(items)
        tried = self.tried(answer, Probe(task, meet), items)
        (calls,) = tried.calls
        if tried.failure:
            yield Line(False, tried.failure)
            yield from judged_closing(tried)
            return
        yield self.judge_results(tried, items)
        wrong = [*judged_calls(calls, self.inputs(items))]
        yield from wrong
        if calls:
            yield judged_meeting(tried, calls, meet)
        if self.computes:
            yield from judged_processes(tried, calls)
        yield from self.judge_more(tried, items)
        again = self.drawn()
        fails = self.inputs(again)[-1]
        failed = self.tried(answer, Probe(task, fails=fails), again)
        yield from judged_closing(tried, failed)
        yield from self.judge_failed(failed, **options)
        if not wrong:
            yield judged_error(failed)

    def tried(self, answer: Answer, watched: Probe, items: list[Any]) -> Attempt:
        return attempt(answer, watched, *self.setting, items)

    def judge_results(self, tried: Attempt, items: list[Any]) -> Line:
        return judged_results(tried.results, self.expected(items))

    def judge_more(self, tried: Attempt, items: list[Any]) -> Iterator[Line]:
        """Yield what else there is to say about the attempt."""
        yield from ()

    def judge_failed(self, failed: Attempt, **options: Any) -> Iterator[Line]:
        """Yield what else there is to say about the attempt in which a task failed."""
        yield from ()

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        return self.tried(answer, Probe(task or self.task, pause=0.05), self.drawn())


def wake_joblib() -> None:
    """Start the workers that joblib keeps: a picture should not be of their start."""
    Parallel(n_jobs=2)(delayed(abs)(number) for number in range(2))
