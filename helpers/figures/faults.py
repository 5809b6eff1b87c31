"""What went wrong in a run of `faults.go_wrong`: marks for its timeline, and words."""

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from helpers.faults import FAULTS
from helpers.figures.look import (
    box,
    fact_of,
    in_seconds,
    listed,
    note,
    quantity,
    towards_the_middle,
)
from helpers.mishaps import TASKS
from helpers.runs import Run
from helpers.trace import Span

# Seconds from what came until the caller could go on, from which on that is a wait.
AT_ONCE = 0.03
CROSS, STRIPES = "#B00000", "#4D4D4D"
# A task that took a smaller share of the time drawn has no room for its number.
NARROW = 0.03


def went_wrong(run: Run) -> bool:
    """Return whether a run is one in which a task was made to go wrong."""
    return "fault" in run.made


def title_of(who: str, run: Run) -> str:
    """Return the finding: what came to the caller, when, and with how much."""
    came, told = fact_of(run, "came"), _time_of(run, "came after")
    if came == "death":
        return f"{who}: the whole program died"
    if told is None:
        return f"{who}: nothing came, ended after {in_seconds(run.wall)}"
    if came == "results":
        return f"{who}: all results after {in_seconds(told)}"
    return f"{who}: {came} after {in_seconds(told)}, {_results(run)}"


def sentence_of(who: str, run: Run) -> str:
    """Return what went wrong, what came back, and what went on, in a few sentences."""
    return " ".join([_begin(who, run), _came(run), *_rest(run)])


def _time_of(run: Run, name: str) -> float | None:
    """Return seconds that a run has noted of its making; None where there are none."""
    seconds = run.made.get(name)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        return max(0.0, seconds)
    return None


def _tasks(run: Run, name: str) -> list[str]:
    """Return the numbers of tasks that a run has noted: "3 4"."""
    return fact_of(run, name, " ").split()


def _begin(who: str, run: Run) -> str:
    fault = FAULTS.get(fact_of(run, "fault"), "goes wrong")
    struck, task = _time_of(run, "fault at"), f"task {fact_of(run, 'moment')}"
    when = "" if struck is None else f"after {in_seconds(struck)} "
    return f"{who}: {when}{task} {fault}."


def _came(run: Run) -> str:
    came, told = fact_of(run, "came"), _time_of(run, "came after")
    if came == "death":
        return "The whole program dies, with all that it has."
    if told is None:
        ended = f"after {in_seconds(run.wall)} it is ended from outside"
        return f"Nothing comes to the caller: {ended}."
    if came == "results":
        return f"All results come to the caller after {in_seconds(told)}."
    return f"{came} comes to the caller after {in_seconds(told)}, {_results(run)}."


def _results(run: Run) -> str:
    return f"with {fact_of(run, 'results')} of {TASKS} results"


def _rest(run: Run) -> Iterator[str]:
    told, out = _time_of(run, "came after"), _time_of(run, "out after")
    if told is not None and out is None:
        yield "The pool never lets it go on."
    elif told is not None and out is not None and out - told >= AT_ONCE:
        yield f"The pool lets it go on after {in_seconds(out)}."
    if still := _tasks(run, "still ran"):
        tasks = f"Task{'s' * (len(still) > 1)} {listed(still)}"
        yield f"{tasks} still ran when the caller had been told."
    if left := int(_time_of(run, "left") or 0):
        processes = quantity(left, "worker process", "worker processes")
        yield f"In the end {processes} {'is' if left == 1 else 'are'} still there."


def mark(axes: Axes, run: Run) -> None:
    """Number the tasks, mark the fault, and when the caller was told and went on.

    Args:
        axes: with the boxes of the tasks; all of the time that is drawn.
        run: the one in which a task went wrong.
    """
    rows = len(run.lanes)
    axes.set_ylim(rows - 0.05, -1.0)
    unfinished = _tasks(run, "unfinished")
    for row, spans in enumerate(run.lanes):
        for span in spans:
            _mark_task(axes, run, row, span, str(span.task) in unfinished)
    told, out = _time_of(run, "came after"), _time_of(run, "out after")
    if told is not None:
        _line(axes, told, fact_of(run, "came"), "-")
    elif run.made.get("came") == "nothing":
        _line(axes, run.wall, "nothing came: ended", "--")
    if out is not None and (told is None or out - told >= AT_ONCE):
        _line(axes, out, "the caller goes on", ":", below=True)


def _mark_task(axes: Axes, run: Run, row: int, span: Span, unfinished: bool) -> None:
    left, right = span.start - run.began, span.end - run.began
    if unfinished:
        corners = box(left, right, row - 0.4, row + 0.4)
        stripes = PolyCollection([corners], facecolor="none", edgecolor=STRIPES)
        stripes.set(hatch="////", linewidth=0)
        axes.add_collection(stripes)
    if right - left > NARROW * axes.get_xlim()[1]:
        note(axes, left, row, str(span.task), (4, 0), fontsize=9)
    struck = _time_of(run, "fault at")
    if struck is not None and span.task == run.made.get("moment"):
        cross: dict[str, Any] = {"color": CROSS, "markeredgecolor": "white"}
        axes.plot(struck, row, "X", markersize=12, zorder=4, **cross)


def _line(axes: Axes, x: float, words: str, style: str, below: bool = False) -> None:
    """Draw a line at a time, with words at its upper or its lower end."""
    axes.axvline(x, color="black", linestyle=style, linewidth=1.2)
    side = towards_the_middle(axes, x, "center")
    y, up = axes.get_ylim()[not below], "bottom" if below else "top"
    note(axes, x, y, words, (0, 3 if below else 0), side, up, fontsize=9)
