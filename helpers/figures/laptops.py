"""A class in one figure: its laptops, their stripes, its guesses and its quiz."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helpers.figures.look import (
    SERIAL,
    Drawn,
    bar,
    capital,
    curve_axes,
    cut,
    drawable,
    finding,
    height_of,
    legend_under,
    look_of,
    name_rows,
    need_tasks,
    new_figure,
    quantity,
    shown,
    whole_numbers,
    worker_rows,
)
from helpers.figures.times import fill_stripes
from helpers.laws import Point, speedups
from helpers.runs import Run

# So many rows can be read at a projector, from a room's last bench or nearly.
MOST_ROWS = 40
# Of systems, and of questions, so many are drawn: those of most laptops.
MOST_SYSTEMS, MOST_QUESTIONS = 6, 4
# Letters of a name in front of a row, and of a question there.
NAME, WORDS = 18, 28
# Milliseconds of stripes, and the inches that all rows of a run have.
FIRST, HEIGHT = 100, 0.75
BINS = 12
# From this factor between the least and the most on, bins go by the logarithm.
FAR_APART = 50
# What is so many times the value in the middle, or so small a part of it, isn't drawn.
BEYOND = 1e4
# Neither is a way to run a loop: they have no colour. What is guessed is white, as its
# star is in other figures.
GUESSED: dict[str, Any] = {"facecolor": "white", "edgecolor": "black", "linewidth": 1}
MEASURED: dict[str, Any] = {"facecolor": SERIAL.colour, "edgecolor": "white"}


class Told(NamedTuple):
    """A reader's guess, and what was measured then.

    Attributes:
        value, measured: numbers, or what was chosen in words.
        touched: whether the reader has set it.
        unit: of the numbers.
    """

    value: float | str
    measured: float | str
    touched: bool = True
    unit: str = ""


# Speed-ups.


@shown
def laptops(
    sweeps: Mapping[str, Mapping[int, Run]], ceilings: Mapping[str, float]
) -> Drawn:
    """Show each laptop's speed-ups, and the best of them beside its ceiling.

    Args:
        sweeps: by the name of a laptop, what `sweep` returned there, the plain loop at
            0 among it.
        ceilings: by name, what `machine.ceiling()` measured there, where it did.

    Raises:
        ValueError: there is no sweep, one without the plain loop or with it alone, or
            a run without tasks.
    """
    need_tasks("laptops", (run for runs in sweeps.values() for run in runs.values()))
    points = {name: speedups(runs) for name, runs in sweeps.items()}
    if alone := [name for name, each in points.items() if not each]:
        raise ValueError(f'laptops: "{alone[0]}" has the plain loop and no workers')
    ranked = sorted(points, key=lambda name: _best(points[name]).best, reverse=True)
    rows = _thinned(ranked)
    figure = new_figure(max(3.0, height_of(len(rows), 0.3) * len(rows) + 0.9))
    curves, bars = figure.subplots(1, 2, width_ratios=[2, 3])
    _curves(curves, points)
    _rows(bars, {name: points[name] for name in rows}, sweeps, ceilings)
    legend_under(figure, curves.get_legend_handles_labels()[0])
    shares = [
        _best(each).best / ceilings[name]
        for name, each in points.items()
        if name in ceilings
    ]
    gains = [_best(each).best for each in points.values()]
    figure.suptitle(_laptops_title(gains, shares), x=0.01, ha="left", fontsize=11)
    return figure, _laptops_sentence(gains, shares, len(rows))


def _best(points: Sequence[Point]) -> Point:
    return max(points, key=lambda point: point.best)


def _thinned(names: Sequence[str]) -> list[str]:
    """Return as many names as rows can be read, evenly, the first and the last too."""
    places = np.linspace(0, len(names) - 1, min(MOST_ROWS, len(names)))
    return [names[round(place)] for place in places]


def _curves(axes: Axes, points: Mapping[str, Sequence[Point]]) -> None:
    """Plot a line for each laptop: its speed-ups against the workers."""
    colour, marker, line = look_of("processes")
    most = max(point.workers for each in points.values() for point in each)
    ideal = np.array([1, max(2, most)])
    axes.plot(ideal, ideal, color=SERIAL.colour, linestyle=SERIAL.line, label="ideal")
    style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3}
    faint = max(0.25, min(1.0, 4 / len(points)))
    for number, each in enumerate(points.values()):
        counts, best = [p.workers for p in each], [p.best for p in each]
        name = "_" if number else "a laptop's best rounds"
        axes.plot(counts, best, linestyle=line, alpha=faint, label=name, **style)
    whole_numbers(axes)
    axes.set_xlabel("workers")
    axes.set_ylabel("times as fast as the loop")
    curve_axes(axes)
    fastest = max(point.best for each in points.values() for point in each)
    axes.set_ylim(top=1.15 * fastest)


def _rows(
    axes: Axes,
    points: Mapping[str, Sequence[Point]],
    sweeps: Mapping[str, Mapping[int, Run]],
    ceilings: Mapping[str, float],
) -> None:
    """Draw a row for each laptop: its best speed-up as a bar, its ceiling as a line."""
    for row, (name, each) in enumerate(points.items()):
        best = _best(each)
        bar(axes, row, "processes", best.best, best.rounds)
        if name in ceilings:
            label = "_" if row else "its ceiling"
            ends = row - 0.45, row + 0.45
            style: dict[str, Any] = {"color": "black", "lw": 2.5, "zorder": 3}
            axes.vlines(ceilings[name], *ends, label=label, **style)
    name_rows(axes, [_with_cores(name, sweeps[name][0]) for name in points])
    axes.tick_params(axis="y", labelsize=8 if len(points) > 20 else 9)
    axes.set_xlim(left=0)
    axes.set_xlabel("times as fast (line: the ceiling)")


def _with_cores(name: str, run: Run) -> str:
    cores = run.made.get("allowed cores")
    return cut(drawable(name), NAME) + (f", {quantity(cores, 'core')}" if cores else "")


def _laptops_title(gains: Sequence[float], shares: Sequence[float]) -> str:
    title = f"{quantity(len(gains), 'laptop')}: {_range(gains)} times as fast"
    if not shares:
        return title
    share = f"{100 * statistics.median(shares):.0f} %"
    middle = "in the middle " * (len(shares) > 1)
    return f"{title}; {middle}{share} of the ceiling"


def _laptops_sentence(gains: Sequence[float], shares: Sequence[float], n: int) -> str:
    some = f"{quantity(len(gains), 'laptop')}"
    said = f"{some}: with processes, {_range(gains)} times as fast as the loop."
    if len(gains) > 1:
        said += f" Half of them {statistics.median(gains):.1f} times or more."
    if shares:
        share = f"{100 * statistics.median(shares):.0f} %"
        middle = "In the middle that" if len(shares) > 1 else "That"
        said += f" {middle} is {share} of what the ceiling allows."
    if n < len(gains):
        said += f" The rows are {n} of the {len(gains)}, from the fastest to the last."
    return said


def _range(numbers: Sequence[float]) -> str:
    low, high = f"{min(numbers):.1f}", f"{max(numbers):.1f}"
    return low if low == high else f"{low} to {high}"


# Stripes.


@shown
def systems(pairs: Mapping[str, Mapping[str, Run]]) -> Drawn:
    """Show, for several systems, when threads and when processes ran without a break.

    Args:
        pairs: by the name of a system, runs of `watched_countdown` by their strategy:
            "threads", "processes". The first ones are drawn.

    Raises:
        ValueError: there is no run, or no task in one.
    """
    need_tasks("systems", (run for runs in pairs.values() for run in runs.values()))
    drawn = dict(list(pairs.items())[:MOST_SYSTEMS])
    figure = new_figure((HEIGHT + 0.4) * len(drawn) + 0.5)
    ways = ("threads", "processes")
    axes = figure.subplots(len(drawn), len(ways), squeeze=False, sharex=True)
    for row, (name, runs) in zip(axes, drawn.items(), strict=True):
        for place, way in zip(row, ways, strict=True):
            if way in runs:
                _stripes(place, runs[way])
            else:
                place.set_axis_off()
        at_once = ", ".join(f"{way} {_at_once(run)}" for way, run in runs.items())
        for place, words in zip(row, (name, f"at once: {at_once}"), strict=True):
            place.set_title(cut(drawable(words), 48), loc="left", fontsize=10)
    for place in axes[-1]:
        place.set_xlabel("milliseconds since the first began")
        place.set_xlim(0, FIRST)
    said = " ".join(_system_sentence(name, runs) for name, runs in drawn.items())
    left = len(pairs) - len(drawn)
    more = f" {capital(quantity(left, 'more system'))} not drawn." if left else ""
    return figure, said + more


def _stripes(axes: Axes, run: Run) -> None:
    """Draw a row for each worker, filled where it ran."""
    fill_stripes(axes, run)
    one = "thread" if run.strategy == "threads" else "process"
    worker_rows(axes, len(run.lanes), HEIGHT / len(run.lanes), one)
    axes.tick_params(axis="y", labelsize=9)


def _at_once(run: Run) -> str:
    return f"{100 * run.overlap:.0f} %"


def _system_sentence(name: str, runs: Mapping[str, Run]) -> str:
    said = " and ".join(f"{way} for {_at_once(run)}" for way, run in runs.items())
    return f"{capital(name)}: two or more at once, {said} of the time."


# Guesses.


@shown
def guesses(asked: Mapping[str, Sequence[Told]]) -> Drawn:
    """Show, for each question, what was guessed above what was measured.

    Args:
        asked: by the question, everybody's guess and measurement, in numbers or in
            words. Questions that most have answered come first, and some are drawn.

    Raises:
        ValueError: there is no guess.
    """
    if not any(asked.values()):
        raise ValueError("guesses: there is no guess to draw")
    ranked = sorted(asked, key=lambda question: -len(asked[question]))
    drawn = [question for question in ranked if asked[question]][:MOST_QUESTIONS]
    figure = new_figure(2.2 * len(drawn) + 0.4)
    for axes, question in zip(figure.subplots(len(drawn), squeeze=False)[:, 0], drawn):
        told = asked[question]
        guessed = [each.value for each in told if each.touched]
        measured = [each.measured for each in told]
        if any(isinstance(value, str) for value in (*guessed, *measured)):
            _mirrored_words(axes, list(map(str, guessed)), list(map(str, measured)))
        else:
            numbers = [float(value) for value in guessed], [*map(float, measured)]
            _mirrored_numbers(axes, *numbers, told[0].unit)
        finding(axes, drawable(question))
    upwards = Patch(**GUESSED, label="guessed, upwards")
    legend_under(figure, [upwards, Patch(**MEASURED, label="measured, downwards")])
    said = " ".join(_guesses_sentence(question, asked[question]) for question in drawn)
    left = len([question for question in asked if asked[question]]) - len(drawn)
    return figure, said + (f" {quantity(left, 'question')} not drawn." if left else "")


def _seen(values: Sequence[float]) -> list[float]:
    """Return the values but for those that are worlds away from the one in the middle.

    Nobody has a slider that reaches so far; one of them would press all the others into
    one bar.
    """
    middle = statistics.median(map(abs, values))
    return [
        value
        for value in values
        if not value or not middle or 1 / BEYOND < abs(value) / middle < BEYOND
    ]


def _edges(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the borders of bins that hold the values, by the logarithm if need be."""
    low, high = min(values), max(values)
    if low > 0 and high / low > FAR_APART:
        return np.geomspace(low, high * 1.001, BINS + 1)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1):
        low, high = low - 0.5, high + 0.5
    return np.array(MaxNLocator(BINS).tick_values(low, high))


def _mirrored_numbers(
    axes: Axes, guessed: Sequence[float], measured: Sequence[float], unit: str
) -> None:
    """Draw a histogram of the guesses upwards, one of the measurements downwards."""
    edges = _edges(_seen([*guessed, *measured]))
    up, down = (np.histogram(values, edges)[0] for values in (guessed, measured))
    for heights, look in ((up, GUESSED), (-down, MEASURED)):
        axes.bar(edges[:-1], heights, np.diff(edges), align="edge", **look)
    if edges[0] > 0 and edges[-1] / edges[0] > FAR_APART:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    _both_ways(axes, max(*up, 1), max(*down, 1))
    axes.set_xlabel(drawable(unit) or "guessed and measured")


def _mirrored_words(
    axes: Axes, guessed: Sequence[str], measured: Sequence[str]
) -> None:
    """Draw for each answer how many chose it, upwards, and measured it, downwards."""
    up, down = Counter(guessed), Counter(measured)
    answers = [answer for answer, _ in (up + down).most_common(5)]
    places = range(len(answers))
    axes.set_xlim(-0.6, max(2, len(answers)) - 0.4)
    axes.bar(places, [up[each] for each in answers], **GUESSED)
    axes.bar(places, [-down[each] for each in answers], **MEASURED)
    axes.set_xticks(
        places, [cut(drawable(answer), 90 // len(answers)) for answer in answers]
    )
    axes.tick_params(axis="x", labelsize=8)
    _both_ways(axes, max(up.values(), default=1), max(down.values(), default=1))


def _both_ways(axes: Axes, up: int, down: int) -> None:
    """Leave of the axes what bars in two directions need; say which is which."""
    axes.axhline(0, color="black", linewidth=1)
    axes.set_ylim(-1.15 * down, 1.15 * up)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    axes.set_ylabel("laptops")
    axes.spines[["top", "right"]].set_visible(False)


def _guesses_sentence(question: str, told: Sequence[Told]) -> str:
    """Say how many guessed what, and what was measured, in the middle."""
    guessed = [each.value for each in told if each.touched]
    measured = [each.measured for each in told]
    said = f"{question} {len(guessed)} of {len(told)} guessed"
    if guessed:
        said += f", {_middle(guessed, told[0].unit)}"
    return f"{said}; measured was {_middle(measured, told[0].unit)}."


def _middle(values: Sequence[float | str], unit: str) -> str:
    """Return the median of numbers, or the most frequent of words."""
    if any(isinstance(value, str) for value in values):
        word, count = Counter(map(str, values)).most_common(1)[0]
        return f"most often “{word}” ({count} times)"
    middle = statistics.median(map(float, values))
    return f"in the middle {middle:,.3g} {unit}".rstrip()


# The quiz.


@shown
def answers(
    before: Mapping[str, Sequence[bool]], after: Mapping[str, Sequence[bool]]
) -> Drawn:
    """Show, for each question of the quiz, how many were right before and after.

    Args:
        before, after: by a question, in a few words, for each reader who answered it
            whether that was right.

    Raises:
        ValueError: nobody has answered anything.
    """
    rounds = {"before": before, "after": after}
    if not any(each for answered in rounds.values() for each in answered.values()):
        raise ValueError("answers: nobody has answered the quiz")
    names = list(dict.fromkeys([*before, *after]))
    figure = new_figure(0.34 * len(names) + 1.1)
    axes = figure.subplots()
    for row, name in enumerate(names):
        ends = [_share(each.get(name, ())) for each in rounds.values()]
        axes.plot(ends, [row, row], color=SERIAL.colour, linewidth=1.5, zorder=1)
    for when, fill in (("before", "white"), ("after", "black")):
        shares = [_share(rounds[when].get(name, ())) for name in names]
        style: dict[str, Any] = {"facecolor": fill, "edgecolor": "black", "s": 60}
        axes.scatter(shares, range(len(names)), label=when, clip_on=False, **style)
    name_rows(axes, [cut(name, WORDS) for name in names])
    axes.set_xlim(0, 100)
    axes.set_xlabel("right answers, %")
    legend_under(figure, axes.get_legend_handles_labels()[0])
    said = [_answers_words(when, each) for when, each in rounds.items()]
    finding(axes, "; ".join(f"{when} {share}" for when, share, _ in said if share))
    return figure, _answers_sentence(said, names, before, after)


def _share(answered: Sequence[bool]) -> float:
    return 100 * sum(answered) / len(answered) if answered else math.nan


def _answers_words(
    when: str, answered: Mapping[str, Sequence[bool]]
) -> tuple[str, str, str]:
    """Return a round, the share of its answers that were right, its readers."""
    every = [right for each in answered.values() for right in each]
    if not every:
        return when, "", ""
    readers = max(map(len, answered.values()))
    return when, f"{_share(every):.0f} % right", quantity(readers, "reader")


def _answers_sentence(
    said: Sequence[tuple[str, str, str]],
    names: Sequence[str],
    before: Mapping[str, Sequence[bool]],
    after: Mapping[str, Sequence[bool]],
) -> str:
    whole = "; ".join(
        f"{when} the course {share} ({readers})"
        for when, share, readers in said
        if share
    )
    last = after if any(after.values()) else before
    hardest = min((name for name in names if last.get(name)), key=_share_in(last))
    return (
        f"The quiz: {whole}. Least known at the end: {hardest} "
        f"({_share(last[hardest]):.0f} %)."
    )


def _share_in(answered: Mapping[str, Sequence[bool]]) -> Callable[[str], float]:
    return lambda name: _share(answered[name])
