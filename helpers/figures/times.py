"""What happened when: a row for each worker or wait, time from left to right."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from helpers.figures import faults
from helpers.figures.look import (
    SERIAL,
    Drawn,
    bar,
    box,
    capital,
    cut,
    doers,
    finding,
    guess_line,
    height_of,
    in_seconds,
    labels,
    legend_under,
    listed,
    look_of,
    name_rows,
    need_tasks,
    new_figure,
    note,
    panels,
    quantity,
    shown,
    towards_the_middle,
    worker_rows,
)
from helpers.runs import Run, longest_gap
from helpers.trace import Span

if TYPE_CHECKING:
    from helpers.predict import Guess

# Shade and hatch of each result, in the order in which they first came back.
RESULTS = (
    ("#737373", ""),
    ("white", "///"),
    ("#C7C7C7", ""),
    ("white", "..."),
    ("#C7C7C7", "xxx"),
    ("white", ""),
)
# Above so many tasks, the frames would fill the boxes.
MANY = 200
# A heartbeat stands still when it misses so many of its ticks.
STILL = 10
# Letters of a title that fit beside long names of rows.
WORDS = 60
# In rows of fewer inches frames would merge: those boxes are pale, and have ends only.
# In rows of still fewer no gap is left between them: it would show as stripes.
DENSE, DENSEST = 0.08, 0.02

# Of workers on several machines: what stands below each other was not at one time.
OWN_CLOCKS = "each row by its own clock"

Corners = list[tuple[float, float]]


@shown
def stripes(*runs: Run, first: float = 0.1) -> Drawn:
    """Show when each worker ran without a break, and when it stood still.

    Args:
        runs: of `watched_countdown`, one panel each.
        first: how much of the time is drawn, in seconds.

    Raises:
        ValueError: there is no run, or no task in one.
    """
    need_tasks("stripes", runs)
    figure, drawn = panels(runs, 0.62)
    who = doers(runs)
    for (axes, _), name, run in zip(drawn, who, runs, strict=True):
        fill_stripes(axes, run)
        finding(axes, _stripes_title(name, run))
    axes.set_xlim(0, 1e3 * first)
    axes.set_xlabel("milliseconds since the first worker began")
    return figure, " ".join(map(_stripes_sentence, who, runs))


def fill_stripes(axes: Axes, run: Run) -> None:
    """Draw a row for each worker, filled where it ran: in ms since the first began."""
    zero = min(span.start for span in run.spans)
    for row, spans in enumerate(run.lanes):
        pieces = [
            (1e3 * (start - zero), 1e3 * (end - start))
            for span in spans
            for start, end in span.stretches or ((span.start, span.end),)
        ]
        colour = look_of(run.strategy).colour
        axes.broken_barh(pieces, (row - 0.4, 0.8), facecolor=colour)


def _stripes_title(who: str, run: Run) -> str:
    if len(run.by_worker) == 1:
        return f"{who}: one counts"
    if not run.one_clock:
        return f"{who}: {OWN_CLOCKS}"
    if run.overlap > 0.7:
        return f"{who}: {'both' if run.workers == 2 else 'all'} count at the same time"
    if run.overlap > 0.1:
        return f"{who}: now one counts, now several"
    waiting = "the other waits" if run.workers == 2 else "the others wait"
    title = f"{who}: one counts, {waiting}"
    if not math.isnan(run.switch_interval):
        title += f"; a turn takes {1e3 * run.switch_interval:.1f} ms"
    return title


def _stripes_sentence(who: str, run: Run) -> str:
    if not run.one_clock:
        return f"{_stripes_title(who, run)}."
    said = (
        f"{who}: two or more counted at once in {100 * run.overlap:.0f} % of the time"
    )
    if run.overlap < 0.1 and not math.isnan(run.switch_interval):
        said += f", and the turn changed every {1e3 * run.switch_interval:.1f} ms"
    return said + "."


@shown
def timeline(
    *runs: Run, first: float | None = None, guess: "Guess | None" = None
) -> Drawn:
    """Show each task from its start to its end, filled as far as it used a core.

    What went wrong is marked, in runs of `faults.go_wrong`, and what came of it.

    Args:
        runs: one panel each, all on the same time axis.
        first: how much of the time is drawn, in seconds; all of it if None.
        guess: how long the last of the runs would take, in seconds.

    Raises:
        ValueError: there is no run, or no task in one.
    """
    need_tasks("timeline", runs)
    wrong = any(map(faults.went_wrong, runs))
    figure, drawn = panels(runs, 0.6 if wrong else 0.45)
    titles = list(map(_timeline_title, doers(runs), runs))
    for (axes, height), run, title in zip(drawn, runs, titles, strict=True):
        _task_boxes(axes, run, height)
        finding(axes, title)
    axes.set_xlim(0, first or 1.02 * max(map(_end_of, runs)))
    for (axes, _), run in zip(drawn, runs, strict=True):
        if faults.went_wrong(run):
            faults.mark(axes, run)
    dense = any(panel.height < DENSE for panel in drawn)
    filled = "pale: a task; dark" if dense else "filled"
    what = "striped: not done" if wrong else f"{filled}: the share of a core"
    axes.set_xlabel(f"seconds since the work began ({what})")
    said = list(map(_timeline_sentence, doers(runs), runs))
    if guess:
        guess_line(axes, guess.value, guess)
        said.append(guess.said(runs[-1].wall))
    return figure, " ".join(said)


def _end_of(run: Run) -> float:
    """Return when nothing more is to be seen of a run, in seconds."""
    if not faults.went_wrong(run):
        return run.wall
    return max(run.wall, *(span.end - run.began for span in run.spans))


def _task_boxes(axes: Axes, run: Run, height: float) -> None:
    """Draw a box for each task, filled from below by the share of a core it used."""
    colour, frames, fills = look_of(run.strategy).colour, [], []
    for _, span, corners in _placed(run, height):
        (left, low), (_, high), (right, _), _ = corners
        share = min(1.0, span.cpu / max(right - left, 1e-9))
        frames.append(corners)
        fills.append(box(left, right, low, low + (high - low) * share))
    if height < DENSE:
        shade = PolyCollection(frames, facecolor=colour, alpha=0.3, linewidth=0)
        shade.set_antialiased(height >= DENSEST)
        axes.add_collection(shade)
        _ends(axes, frames, colour)
    else:
        empty = PolyCollection(frames, facecolor="none", edgecolor=colour)
        empty.set_linewidth(_line(run, height))
        axes.add_collection(empty)
    # The least of what is thinner than a pixel would else become one, here and there.
    snap = None if height >= DENSE else False
    axes.add_collection(PolyCollection(fills, facecolor=colour, snap=snap))


def _placed(run: Run, height: float) -> Iterator[tuple[int, Span, Corners]]:
    """Yield each task with its row, and its box: seconds since the work began."""
    half = 0.5 if height < DENSEST else 0.4
    for row, spans in enumerate(run.lanes):
        for span in spans:
            left, right = span.start - run.began, span.end - run.began
            yield row, span, box(left, right, row - half, row + half)


def _ends(axes: Axes, boxes: Sequence[Corners], colour: str) -> None:
    """Mark where boxes begin and end that are too thin for frames."""
    sides = [side for corners in boxes for side in (corners[:2], corners[2:])]
    axes.add_collection(LineCollection(sides, colors=colour, linewidths=0.7))


def _line(run: Run, height: float) -> float:
    return min(0.3 if len(run.spans) > MANY else 1, 4 * height)


def _timeline_title(who: str, run: Run) -> str:
    if faults.went_wrong(run):
        return faults.title_of(who, run)
    title = (
        f"{who}: {quantity(len(run.spans), 'task')} in "
        f"{in_seconds(run.wall)}, {run.cores_busy:.1f} cores busy"
    )
    return title if run.one_clock else f"{title}; {OWN_CLOCKS}"


def _timeline_sentence(who: str, run: Run) -> str:
    if faults.went_wrong(run):
        return faults.sentence_of(who, run)
    return f"{_timeline_title(who, run)}."


@shown
def outcomes(*runs: Run, names: Sequence[str] | None = None) -> Drawn:
    """Show each task as a box that is shaded by what the task returned.

    Args:
        runs: one panel each, on its own time axis; not from files, which keep no
            results.
        names: what to call each of them; by default its workers.

    Raises:
        ValueError: there is no run, or no task in one; a run without results, more
            than six different ones, or a name too few or too many.
    """
    need_tasks("outcomes", runs)
    names = doers(runs) if names is None else list(names)
    if len(names) != len(runs):
        raise ValueError(f"outcomes: {len(names)} names for {len(runs)} runs")
    looks = _result_looks(runs)
    figure, drawn = panels(runs, 0.45, sharex=False)
    said = [_outcomes_title(name, run) for name, run in zip(names, runs, strict=True)]
    for (axes, height), run, title in zip(drawn, runs, said, strict=True):
        _result_boxes(axes, run, height, looks)
        axes.set_xlim(0, 1.02 * run.wall)
        finding(axes, title)
    axes.set_xlabel("seconds since the work began (each box: a task)")
    _result_legend(figure, looks)
    return figure, " ".join(f"{capital(title)}." for title in said)


def _result_looks(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Return the shade and the hatch of each result, the same in all the runs."""
    if any(len(run.results) != len(run.spans) for run in runs):
        raise ValueError("outcomes: a run without its results (a file keeps none)")
    found = list(dict.fromkeys(_result(run, s) for run in runs for s in run.spans))
    if len(found) > len(RESULTS):
        raise ValueError(
            f"outcomes: {len(found)} different results; "
            f"a figure tells at most {len(RESULTS)} apart"
        )
    return dict(zip(found, RESULTS, strict=False))


def _result_boxes(
    axes: Axes, run: Run, height: float, looks: Mapping[str, tuple[str, str]]
) -> None:
    boxes: dict[str, list[Corners]] = {}
    for _, span, corners in _placed(run, height):
        boxes.setdefault(_result(run, span), []).append(corners)
    for result, same in boxes.items():
        shade, hatch = looks[result]
        drawn = PolyCollection(same, facecolor=shade, edgecolor="black", hatch=hatch)
        drawn.set_linewidth(0 if height < DENSE else _line(run, height))
        axes.add_collection(drawn)
        if height < DENSE:
            _ends(axes, same, "black")


def _result_legend(figure: Figure, looks: Mapping[str, tuple[str, str]]) -> None:
    patches = [
        Patch(facecolor=shade, edgecolor="black", hatch=hatch, label=cut(result, 32))
        for result, (shade, hatch) in looks.items()
    ]
    longest = max(len(cut(result, 32)) for result in looks)
    legend_under(figure, patches, min(3, 75 // (longest + 8)))


def _result(run: Run, span: Span) -> str:
    """Return what a task returned, on one line."""
    return " ".join(repr(run.results[span.task]).split())


def _outcomes_title(name: str, run: Run) -> str:
    found = Counter(_result(run, span) for span in run.spans)
    (first, most), *others = found.most_common()
    tasks = quantity(len(run.spans), "task")
    return f"{name}: {most} of {tasks} returned {cut(first, 32)}" + "".join(
        f", {count} returned {cut(result, 32)}" for result, count in others
    )


@shown
def heartbeats(ticks: Mapping[str, Sequence[float]], every: float = 0.01) -> Drawn:
    """Show when a heartbeat ticked beside something else, and when it stood still.

    Args:
        ticks: by name of what ran beside it: when it ticked (`perf_counter`, seconds).
        every: seconds from one tick to the next where nothing holds it up. Its longest
            gap is marked where it is ten times as long.

    Raises:
        ValueError: there is no row, or one of fewer than two ticks.
    """
    _need_ticks(ticks)
    figure = new_figure(0.6 * len(ticks) + 0.9)
    axes = figure.subplots()
    for row, each in enumerate(ticks.values()):
        since = [tick - each[0] for tick in each]
        beats = [[(tick, row - 0.2), (tick, row + 0.3)] for tick in since]
        axes.add_collection(LineCollection(beats, colors=SERIAL.colour, linewidths=1))
    name_rows(axes, [cut(name, 30) for name in ticks])
    axes.set_xlim(0, 1.02 * max(each[-1] - each[0] for each in ticks.values()))
    stood = {
        name: row
        for row, (name, each) in enumerate(ticks.items())
        if longest_gap(each) > STILL * every
    }
    for name, row in stood.items():
        _mark_gap(axes, row, ticks[name])
    axes.set_xlabel("seconds since the row's first tick (each line: a tick)")
    finding(axes, _heartbeats_title(ticks, list(stood)))
    return figure, " ".join(
        f"{name}: {len(each)} ticks in {in_seconds(each[-1] - each[0])}, "
        f"at most {in_seconds(longest_gap(each))} apart."
        for name, each in ticks.items()
    )


def _need_ticks(ticks: Mapping[str, Sequence[float]]) -> None:
    if not ticks:
        raise ValueError("heartbeats: there is no row to draw")
    if few := [name for name, each in ticks.items() if len(each) < 2]:
        raise ValueError(f"heartbeats: {few[0]!r} has fewer than two ticks")


def _mark_gap(axes: Axes, row: int, ticks: Sequence[float]) -> None:
    """Hatch the longest time without a tick, and say above it how long it is."""
    gap, end = max((end - tick, end - ticks[0]) for tick, end in pairwise(ticks))
    axes.broken_barh(
        [(end - gap, gap)], (row - 0.2, 0.5), facecolor="white", hatch="////"
    )
    middle = end - gap / 2
    side = towards_the_middle(axes, middle, "center")
    words = f"{in_seconds(gap)} without a tick"
    note(axes, middle, row - 0.2, words, (0, 2), side, "bottom", fontsize=9)


def _heartbeats_title(ticks: Mapping[str, Sequence[float]], stood: list[str]) -> str:
    if not stood:
        name = max(ticks, key=lambda name: longest_gap(ticks[name]))
        longest = in_seconds(longest_gap(ticks[name]))
        return f"No row stood still: at most {longest} without a tick ({cut(name, 30)})"
    title = f"The heartbeat stopped beside {listed(stood)}"
    if len(title) <= WORDS:
        return title
    longest = in_seconds(max(longest_gap(ticks[name]) for name in stood))
    rows = f"{len(stood)} of {len(ticks)} rows"
    return f"The heartbeat stopped in {rows}, for up to {longest}"


@shown
def batches(runs: Mapping[str, Run], first: float | None = None) -> Drawn:
    """Show what one task takes in each way, and how the tasks went out in batches.

    Args:
        runs: the best run of each way, by name, "serial" among it.
        first: how much of the time is drawn, in seconds; all of it if None.

    Raises:
        ValueError: there is no run, or no task in one.
    """
    need_tasks("batches", runs.values())
    sent = {name: run for name, run in runs.items() if run.strategy != "serial"}
    rows = [len(run.by_worker) for run in sent.values()]
    named, who = labels(runs), dict(zip(runs, doers(list(runs.values()))))
    height = height_of(sum(rows), 0.5)
    heights = [0.45 * len(runs) + 0.5, *(height * workers for workers in rows)]
    figure = new_figure(sum(heights) + 0.6 * len(sent) + 0.6)
    drawn = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    each, *others = drawn[:, 0]
    for row, (name, run) in enumerate(runs.items()):
        times = [1e6 * again.wall / len(run.spans) for again in run.rounds]
        bar(each, row, name, min(times), times)
    name_rows(each, list(named.values()))
    each.set_xlabel("microseconds for one task, all told (bar: best round)")
    each.set_xlim(left=0)
    for axes, (name, run), workers in zip(others, sent.items(), rows, strict=True):
        worker_rows(axes, workers, height)
        _batch_pieces(axes, name, run)
        finding(axes, f"{who[name]}: {_in_batches(run)}")
        axes.set_xlim(0, 1e3 * (first or 1.02 * run.wall))
    if others:
        others[-1].set_xlabel("milliseconds since the work began (each piece: a batch)")
    return figure, " ".join(map(_batches_sentence, named.values(), runs.values()))


def _batch_pieces(axes: Axes, name: str, run: Run) -> None:
    """Draw the batches of each worker, by turns in a full and in a lighter shade."""
    found = run.batches
    for row, worker in enumerate(run.by_worker):
        pieces = [
            (1e3 * (batch[0].start - run.began), 1e3 * _length(batch))
            for batch in found
            if batch[0].worker == worker
        ]
        colour = look_of(name).colour
        for shade, alpha in ((0, 1), (1, 0.55)):
            shaded, place = pieces[shade::2], (row - 0.4, 0.8)
            axes.broken_barh(shaded, place, color=colour, alpha=alpha, linewidth=0)


def _length(batch: Sequence[Span]) -> float:
    return batch[-1].end - batch[0].start


def _batches_sentence(name: str, run: Run) -> str:
    each = 1e6 * run.wall / len(run.spans)
    said = (
        f"{capital(name)}: {f'{each:.3g}' if each < 100 else f'{each:,.0f}'} µs a task"
    )
    return f"{said}." if run.strategy == "serial" else f"{said}, {_in_batches(run)}."


def _in_batches(run: Run) -> str:
    tasks, found = len(run.spans), quantity(len(run.batches), "batch", "batches")
    about = "" if run.chunksize else "about "
    return f"{quantity(tasks, 'task')} in {about}{found}"
