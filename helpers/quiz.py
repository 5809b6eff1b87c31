"""Ten questions, before the course and after it: a widget, and the answers as a file.

What is right is told after the second time only. Each right answer names the claim, in
one of the lessons, that shows it.
"""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from IPython.display import display

QUESTIONS = Path(__file__).parent.parent / "notebooks" / "quiz.json"
ROUNDS = ("before", "after")
FORMAT = 1
# A file of answers has a twentieth of so many bytes.
MOST_BYTES = 100_000
STYLE = """<style>
.quiz { max-width: 740px; }
.quiz :focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
.quiz p { line-height: 1.4; margin: 0; }
.quiz .widget-radio-box label { height: auto; white-space: normal; line-height: 1.4; }
</style>"""


@dataclass(frozen=True)
class Question:
    """A question, what may be answered, and what is right.

    Attributes:
        name: what tells it from the others.
        short: the question in a few words, for a figure.
        question: in full.
        options: what may be chosen.
        right: the place of the right one, from 0.
        why: the reason.
        shown_by: the file of a lesson, as "lesson", and a "claim" in it.
    """

    name: str
    short: str
    question: str
    options: Sequence[str]
    right: int
    why: str
    shown_by: Mapping[str, str]

    @property
    def answer(self) -> str:
        """The right answer."""
        return self.options[self.right]

    def told(self, chosen: str | None) -> str:
        """Return, in a sentence or three, whether that was right, why, and where."""
        lesson = self.shown_by["lesson"][:2]
        said = "Right" if chosen == self.answer else f"It is: {self.answer}"
        return (
            f"{said}. {self.why} Lesson {lesson} shows it: “{self.shown_by['claim']}”."
        )


def questions(path: str | Path = QUESTIONS) -> list[Question]:
    """Return the questions in a file, those of the kit by default."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    return [Question(**each) for each in stored["questions"]]


def right_in(answers: Mapping[str, str], asked: Sequence[Question]) -> dict[str, bool]:
    """Return, for each question that was answered, whether that was right."""
    return {
        each.name: answers[each.name] == each.answer
        for each in asked
        if each.name in answers
    }


# Files of answers.


def file_of(when: str, folder: str | Path = ".") -> Path:
    """Return where the answers of a round are stored.

    Args:
        when: "before" or "after" the course.
        folder: where the reader's notebooks are.
    """
    if when not in ROUNDS:
        raise ValueError(f'the quiz is asked "before" and "after", not {when!r}')
    return Path(folder) / f"quiz_{when}.json"


def save_answers(path: Path, answers: Mapping[str, str]) -> None:
    """Write answers, by the names of their questions, to a file."""
    content = {"format": FORMAT, "answers": dict(answers)}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def load_answers(path: Path) -> dict[str, str]:
    """Read the answers that `save_answers` wrote; none where there is no file.

    Raises:
        ValueError: it holds none, or somebody else's; in one line.
    """
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content["format"] != FORMAT:
            raise ValueError
        return checked(content["answers"])
    except OSError as error:
        raise ValueError(f"{path.name}: {error.strerror}") from None
    except (ValueError, LookupError, RecursionError):
        raise ValueError(f"{path.name}: these are no answers to the quiz") from None


def checked(answers: object) -> dict[str, str]:
    """Return answers, if they are words for words.

    Raises:
        ValueError: they are something else.
    """
    if not isinstance(answers, dict) or not all(
        isinstance(word, str) for pair in answers.items() for word in pair
    ):
        raise ValueError("its answers to the quiz can't be right")
    return dict(answers)


# The widget.


class Quiz(widgets.VBox):
    """The questions, a button that saves the answers, and a line that says so.

    Args:
        when: "before" or "after" the course.
        folder: where the answers are stored.
        asked: the questions.
    """

    def __init__(
        self, when: str, folder: str | Path = ".", asked: Sequence[Question] = ()
    ) -> None:
        self.when, self.path = when, file_of(when, folder)
        self.asked = list(asked or questions())
        self.choices = [_radio(n, each) for n, each in enumerate(self.asked, 1)]
        self.notes = [widgets.HTML() for _ in self.asked]
        self.button = widgets.Button(
            description="Save my answers", tooltip=f"write them to {self.path.name}"
        )
        self.status = widgets.HTML()
        super().__init__(
            [
                widgets.HTML(STYLE),
                *map(_block, range(1, 99), self.asked, self.choices, self.notes),
                self.button,
                self.status,
            ]
        )
        self.add_class("quiz")
        self.button.on_click(lambda _: self.save())
        self._begin()

    @property
    def answers(self) -> dict[str, str]:
        """What is chosen, by the names of the questions."""
        return {
            each.name: choice.value
            for each, choice in zip(self.asked, self.choices)
            if choice.value is not None
        }

    def save(self) -> None:
        """Write the answers to their file; after the course, tell what is right."""
        try:
            save_answers(self.path, self.answers)
        except OSError as error:
            self._say(f"Not saved: {error.strerror}.")
            return
        done = f"{len(self.answers)} of {len(self.asked)} answered"
        saved = f"{done}, and saved as {self.path.name}."
        if self.when == "before":
            self._say(f"{saved} What is right you will see on the way.")
        elif len(self.answers) < len(self.asked):
            self._say(f"{saved} What is right is told when all are answered.")
        else:
            self._tell()
            self._say(f"{saved} {self._right()} are right{self._earlier()}.")

    def _begin(self) -> None:
        """Choose again what was saved; what was told once stays told."""
        try:
            saved = load_answers(self.path)
        except ValueError as error:
            self._say(f"{error}. Saving writes it anew.")
            return
        for each, choice in zip(self.asked, self.choices):
            if saved.get(each.name) in each.options:
                choice.value = saved[each.name]
        words = f"These answers are from {self.path.name}."
        self._say(words if saved else "Nothing is saved yet.")
        if self.when == "after" and len(self.answers) == len(self.asked):
            self._tell()

    def _tell(self) -> None:
        """Say under each question what is right, and take no more answers."""
        self.button.disabled = True
        for each, choice, note in zip(self.asked, self.choices, self.notes):
            choice.disabled = True
            mark = "✓" if choice.value == each.answer else "✗"
            note.value = f"<p>{mark} {html.escape(each.told(choice.value))}</p>"

    def _right(self) -> int:
        return sum(right_in(self.answers, self.asked).values())

    def _earlier(self) -> str:
        """Return how many were right before the course, if that is known."""
        try:
            before = load_answers(file_of("before", self.path.parent))
        except ValueError:
            return ""
        right = sum(right_in(before, self.asked).values())
        return f"; before the course it was {right}" if before else ""

    def _say(self, line: str) -> None:
        self.status.value = f'<p role="status">{html.escape(line)}</p>'

    def __repr__(self) -> str:
        lines = [f"{n}. {each.question}" for n, each in enumerate(self.asked, 1)]
        return "\n".join(["A quiz. Run this cell to answer it.", *lines])


def _radio(number: int, asked: Question) -> Any:
    """Return the control for a question, with nothing chosen yet."""
    return widgets.RadioButtons(
        options=list(asked.options),
        value=None,
        description=f"answer {number}",
        tooltip=f"the answer to question {number}",
        layout={"width": "auto"},
    )


def _block(number: int, asked: Question, choice: Any, note: Any) -> widgets.VBox:
    words = html.escape(f"{number}. {asked.question}")
    return widgets.VBox(
        [widgets.HTML(f"<p><b>{words}</b></p>"), choice, note],
        layout={"margin": "0 0 1em 0"},
    )


def quiz(when: str) -> None:
    """Show the questions; the answers are saved beside the notebook.

    Args:
        when: "before" or "after" the course. After it, once all answers are saved, it
            says what is right.

    Raises:
        ValueError: when is something else.
    """
    display(Quiz(when))
