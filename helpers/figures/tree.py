"""How an advice came about: one question after the other, until one is answered yes."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from helpers.figures.look import (
    OTHER,
    Drawn,
    capital,
    finding,
    in_a_line,
    in_seconds,
    new_figure,
    note,
    quantity,
    shown,
)

if TYPE_CHECKING:
    from helpers.advice import Advice

# Where the boxes stand: of the questions, of the answers; and their height. In units
# of the axes, a question each.
QUESTION, LEAF, HALF = (0.0, 6.6), (7.6, 10.0), 0.36
FALL = (0.0, 2.4)  # the answer that is left when all questions are a no
# Letters that fit into a line of a question's box, and lines.
LETTERS, LINES = 66, 2
A_LOOP = "a plain loop"


class Step(NamedTuple):
    """A question, what a yes leads to, what the numbers say, whether it is a yes."""

    question: str
    leaf: str
    facts: str
    ends: bool


@shown
def decision(advice: "Advice") -> Drawn:
    """Show the questions that lead to an advice, with the loop's numbers.

    What was not asked any more is grey.

    Args:
        advice: what `advise` returned.
    """
    steps = list(_steps(advice))
    last = next((n for n, step in enumerate(steps) if step.ends), len(steps))
    figure = new_figure(0.85 * len(steps) + 1.1)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(-0.1, LEAF[1] + 0.1)
    axes.set_ylim(len(steps) + 0.5, -0.5)
    for row, step in enumerate(steps):
        _draw_step(axes, row, step, row - last)
    _draw_box(axes, len(steps), FALL, A_LOOP, last == len(steps))
    words = steps[last].leaf if last < len(steps) else A_LOOP
    finding(axes, f"{advice.function}: {words}")
    return figure, _in_words(steps[: last + 1], words)


def _in_words(steps: list[Step], leaf: str) -> str:
    """Return the questions that were asked, their answers, and where they lead."""
    said = [
        f"{step.question} {'Yes' if step.ends else 'No'}: {step.facts.rstrip('.')}."
        for step in steps
    ]
    return " ".join([*said, f"So: {leaf}."])


def _steps(advice: "Advice") -> Iterator[Step]:
    """Yield the questions; one that is a yes is the last that was asked."""
    found, way = advice.found, advice.way.split()[0]
    together = found.alone or "what was tried came out as in the loop"
    yield Step("Does a task need the others?", A_LOOP, together, bool(found.alone))
    loop = advice.predicted.get("serial")
    whole = in_seconds(loop.best if loop else found.seconds * found.tasks)
    over = way == "serial" and not advice.predicted.keys() - {"serial"}
    facts = f"{quantity(found.tasks, 'task')} take {whole}"
    if over and (why := advice.reason.partition("Leave it a loop: ")[2]):
        facts += f"; {why.rstrip('.')}"
    yield Step("Is nothing else worth a try?", A_LOOP, facts, over)
    light = "asyncio" if way == "asyncio" else "threads"
    computes = f"a task computes for {found.computing:.0%} of its time"
    facts = f"{_gain(advice, [light])}; {computes}"
    words = "Are coroutines enough?" if way == "asyncio" else "Are threads enough?"
    yield Step(words, light, facts, way == light)
    heavy = ["processes", "joblib", "interpreters", "multiprocessing_pool"]
    leaf = way.replace("_", " ") if way in heavy else "processes"
    cargo = (found.sent or 0) + (found.returned or 0)
    facts = f"{_gain(advice, [way] if way in heavy else heavy)}"
    facts += f"; {_bytes(cargo)} travel with each task" if cargo else ""
    yield Step("Are processes worth their trips?", leaf, facts, way in heavy)


def _gain(advice: "Advice", kinds: list[str]) -> str:
    """Return how many times as fast the best of some ways should be.

    Why nobody knows, where it wasn't measured.
    """
    times = {
        way: each.best
        for way, each in advice.predicted.items()
        if way.split()[0] in kinds
    }
    if not times:
        whys = (_refused(advice, kind) for kind in kinds if kind in advice.refused)
        return next(whys, "not measured")
    best = min(times, key=times.__getitem__)
    loop = advice.predicted["serial"]
    gain, who = loop.best / times[best], best.split()[0].replace("_", " ")
    if 0.95 < gain < 1.05:
        return f"{who} should be as fast as the loop"
    unsure = gain > 1 and advice.predicted[best].high >= loop.low
    might = "may or may not" if unsure else "should"
    return f"{who} {might} be {gain:.2g} times as fast"


def _refused(advice: "Advice", kind: str) -> str:
    """Return why a way was not measured to its end."""
    return f"{kind.replace('_', ' ')}: {advice.refused[kind]}"


def _bytes(number: int) -> str:
    """Return a number of bytes in its unit."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:,.{0 if number >= 10 * size else 1}f} {unit}"
    return quantity(number, "byte")


def _draw_step(axes: Axes, row: int, step: Step, after: int) -> None:
    """Draw a question with its two ways out.

    Args:
        axes: where.
        row: which question it is, from 0.
        step: the question.
        after: how many questions it comes after the last that was asked: over 0, it
            was not asked.
    """
    facts = in_a_line(step.facts, LETTERS * LINES)
    text = f"{step.question}\n{textwrap.fill(capital(facts), LETTERS)}"
    _draw_box(axes, row, QUESTION, text if after <= 0 else step.question, after <= 0)
    _draw_box(axes, row, LEAF, step.leaf, after == 0)
    right, down = (QUESTION[1], row), (1.0, row + HALF)
    _draw_arrow(axes, right, (LEAF[0], row), "yes", after == 0)
    _draw_arrow(axes, down, (1.0, row + 1 - HALF), "no", after < 0)


def _draw_box(
    axes: Axes, row: int, sides: tuple[float, float], text: str, taken: bool
) -> None:
    """Draw a box with a text: black on the way that was taken, else grey."""
    left, right = sides
    colour, width = _ink(taken)
    corner, size = (left, row - HALF), (right - left, 2 * HALF)
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, lw=width))
    style: dict[str, Any] = {"va": "center", "fontsize": 9, "linespacing": 1.3}
    axes.text(left + 0.12, row, text, color=colour, **style)


def _draw_arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    word: str,
    taken: bool,
) -> None:
    """Draw a way out of a question, and what leads there."""
    colour, width = _ink(taken)
    looks = {"arrowstyle": "-|>", "color": colour, "lw": width, "shrinkA": 0}
    axes.annotate("", end, start, arrowprops={**looks, "shrinkB": 0})
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    beside = (6, 0) if start[0] == end[0] else (-3, 7)
    note(axes, x, y, word, beside, color=colour, fontsize=9)


def _ink(taken: bool) -> tuple[str, float]:
    """Return the colour and the width of a line."""
    return ("black", 2.0) if taken else (OTHER.colour, 0.8)
