"""Guesses: the reader commits to one before a run, and the run answers it."""

import math
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
from IPython.display import display

from helpers.said import say

# What is right within so much was guessed right.
CLOSE = 0.1


class Guess(widgets.VBox):
    """A question with a control under it.

    Attributes:
        value: the guess as it stands, at first a common one.
        touched: whether the reader has set it.
    """

    def __init__(self, question: str, control: Any, unit: str = "") -> None:
        self.question, self.unit, self.touched = question, unit, False
        self._control = control
        control.observe(self._touch, "value")
        # Plain text is what a reader without a kernel sees, so the question is in both.
        super().__init__([widgets.HTML(f"<b>{question}</b>"), control])

    @property
    def value(self) -> Any:
        """The guess as it stands."""
        return self._control.value

    @property
    def options(self) -> tuple[str, ...]:
        """What may be chosen; nothing, where the guess is a number."""
        return tuple(getattr(self._control, "options", ()))

    @property
    def owner(self) -> str:
        """Whose guess it is, for a figure."""
        return "your guess" if self.touched else "a common guess"

    def said(self, measured: Any) -> str:
        """Return the answer to the guess: what was said, and what it was."""
        who = "You said" if self.touched else "A common guess is"
        guess, answer = self._worded(self.value), self._worded(measured)
        if self._right(measured):
            return f"{who} {guess}, and it was {answer}."
        return f"{who} {guess}; it was {answer}."

    def answer(self, measured: Any) -> None:
        """Say the answer to the guess."""
        say(self.said(measured))

    def _touch(self, change: Any) -> None:
        self.touched = True

    def _right(self, measured: Any) -> bool:
        if isinstance(measured, str) or isinstance(self.value, str):
            return measured == self.value
        return abs(measured - self.value) <= CLOSE * abs(measured)

    def _worded(self, value: Any) -> str:
        if isinstance(value, str):
            return f"“{value}”" if self.options else value
        return f"{_rounded(value)} {self.unit}".rstrip()

    def __repr__(self) -> str:
        owner = self.owner.capitalize()
        return f"{self.question} {owner}: {self._worded(self.value)}."


def number(
    question: str,
    low: float,
    high: float,
    default: float,
    unit: str = "",
    step: float | None = None,
    log: bool = False,
) -> Guess:
    """Ask for a number, with a slider, and show it.

    Args:
        question: what is asked.
        low, high: the ends of the slider.
        default: where it stands at first: a common wrong guess.
        unit: what follows the number: "×", "ms".
        step: the least change; by default a round one that leads to all three.
        log: whether equal ways on the slider are equal factors, ten steps to each ten.

    Raises:
        ValueError: the default is not between the ends, or there is no such slider.
    """
    _check_number(low, high, default, step, log)
    shared = {"description": "your guess", "layout": {"width": "min(30em, 95%)"}}
    if log:
        ends = {"min": math.log10(low), "max": math.log10(high)}
        slider = widgets.FloatLogSlider(
            default, **ends, step=0.1, readout_format=".2g", **shared
        )
    else:
        step = step or _step(low, high, default)
        digits = len(f"{step:g}".partition(".")[2])
        slider = widgets.FloatSlider(
            default,
            min=low,
            max=high,
            step=step,
            readout_format=f".{digits}f",
            **shared,
        )
    guess = Guess(question, slider, unit)
    display(guess)
    return guess


def choice(question: str, options: Sequence[str], default: str) -> Guess:
    """Ask for one of the options, with radio buttons, and show them.

    Args:
        question: what is asked.
        options: what may be chosen.
        default: the one that is chosen at first: a common wrong guess.

    Raises:
        ValueError: the default is not among the options.
    """
    if default not in options:
        raise ValueError(f"{default!r} is not among the options {list(options)}")
    buttons = widgets.RadioButtons(
        options=list(options),
        value=default,
        description="your guess",
        layout={"width": "max-content"},
    )
    guess = Guess(question, buttons)
    display(guess)
    return guess


def _check_number(
    low: float, high: float, default: float, step: float | None, log: bool
) -> None:
    given = (low, high, default)
    if not all(isinstance(each, int | float) for each in given):
        raise ValueError(f"low, high and default must be numbers, not {given}")
    if not low <= default <= high or low == high:
        raise ValueError(f"{default} is not between {low} and {high}")
    if log and low <= 0:
        raise ValueError(f"with log the slider begins above 0, not at {low}")
    if step is not None and step <= 0:
        raise ValueError(f"step must be more than 0, not {step}")


def _step(low: float, high: float, default: float) -> float:
    """Return the largest round step of at least 15 that meets default and both ends.

    A slider that can't stand where it should shows another number than the kernel has.
    """
    for step in (100, 50, 25, 10, 5, 2.5, 1, 0.5, 0.25, 0.1, 0.05, 0.025):
        ways = ((high - low) / step, (default - low) / step)
        if ways[0] >= 15 and all(math.isclose(way, round(way)) for way in ways):
            return step
    return 0.01


def _rounded(value: float) -> str:
    """Return value with two digits or so: 0.0012, 0.98, 2.0, 13, 240."""
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 10 or value == int(value):
        return f"{value:.0f}"
    if abs(value) < 0.1:
        return f"{value:.2g}"
    return f"{value:.1f}" if round(value, 1) == round(value, 2) else f"{value:.2f}"
