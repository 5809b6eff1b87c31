"""What happened when: a row for each worker, time from left to right."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from helpers.figures.look import (
    Drawn,
    bar,
    box,
    capital,
    cut,
    finding,
    guess_line,
    height_of,
    in_seconds,
    legend_under,
    look_of,
    name_rows,
    need_tasks,
    new_figure,
    panels,
    quantity,
    shown,
    worker_rows,
    workers_of,
)
from helpers.runs import Run
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
    for axes, run in zip(drawn, runs, strict=True):
        zero = min(span.start for span in run.spans)
        for row, spans in enumerate(run.by_worker.values()):
            pieces = [
                (1e3 * (start - zero), 1e3 * (end - start))
                for span in spans
                for start, end in span.stretches or ((span.start, span.end),)
            ]
            colour = look_of(run.strategy).colour
            axes.broken_barh(pieces, (row - 0.4, 0.8), facecolor=colour)
        finding(axes, _stripes_title(run))
    drawn[-1].set_xlim(0, 1e3 * first)
    drawn[-1].set_xlabel("milliseconds since the first worker began")
    return figure, " ".join(_stripes_sentence(run) for run in runs)


def _stripes_title(run: Run) -> str:
    who = workers_of(run)
    if len(run.by_worker) == 1:
        return f"{who}: one counts"
    if run.overlap > 0.7:
        return f"{who}: {'both' if run.workers == 2 else 'all'} count at the same time"
    if run.overlap > 0.1:
        return f"{who}: now one counts, now several"
    waiting = "the other waits" if run.workers == 2 else "the others wait"
    title = f"{who}: one counts, {waiting}"
    if not math.isnan(run.switch_interval):
        title += f"; a turn takes {1e3 * run.switch_interval:.1f} ms"
    return title


def _stripes_sentence(run: Run) -> str:
    said = (
        f"{workers_of(run)}: two or more counted at once "
        f"in {100 * run.overlap:.0f} % of the time"
    )
    if run.overlap < 0.1 and not math.isnan(run.switch_interval):
        said += f", and the turn changed every {1e3 * run.switch_interval:.1f} ms"
    return said + "."


@shown
def timeline(
    *runs: Run, first: float | None = None, guess: "Guess | None" = None
) -> Drawn:
    """Show each task from its start to its end, filled as far as it used a core.

    Args:
        runs: one panel each, all on the same time axis.
        first: how much of the time is drawn, in seconds; all of it if None.
        guess: how long the last of the runs would take, in seconds.

    Raises:
        ValueError: there is no run, or no task in one.
    """
    need_tasks("timeline", runs)
    figure, drawn = panels(runs, 0.45)
    for axes, run in zip(drawn, runs, strict=True):
        frames, fills = [], []
        for row, span, left, right in _placed(run):
            share = min(1.0, span.cpu / max(right - left, 1e-9))
            frames.append(box(left, right, row - 0.4, row + 0.4))
            fills.append(box(left, right, row - 0.4, row - 0.4 + 0.8 * share))
        colour, thin = look_of(run.strategy).colour, _line(run)
        axes.add_collection(PolyCollection(fills, facecolor=colour))
        axes.add_collection(
            PolyCollection(frames, facecolor="none", edgecolor=colour, linewidth=thin)
        )
        finding(axes, _timeline_title(run))
    drawn[-1].set_xlim(0, first or 1.02 * max(run.wall for run in runs))
    drawn[-1].set_xlabel("seconds since the work began (filled: the share of a core)")
    said = [f"{_timeline_title(run)}." for run in runs]
    if guess:
        guess_line(drawn[-1], guess.value, guess)
        said.append(guess.said(runs[-1].wall))
    return figure, " ".join(said)


def _placed(run: Run) -> Iterator[tuple[int, Span, float, float]]:
    """Yield each task with its row, and its start and end since the work began."""
    for row, spans in enumerate(run.by_worker.values()):
        for span in spans:
            yield row, span, span.start - run.began, span.end - run.began


def _line(run: Run) -> float:
    return 0.3 if len(run.spans) > MANY else 1


def _timeline_title(run: Run) -> str:
    return (
        f"{workers_of(run)}: {quantity(len(run.spans), 'task')} in "
        f"{in_seconds(run.wall)}, {run.cores_busy:.1f} cores busy"
    )


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
    names = [workers_of(run) for run in runs] if names is None else list(names)
    if len(names) != len(runs):
        raise ValueError(f"outcomes: {len(names)} names for {len(runs)} runs")
    looks = _result_looks(runs)
    figure, drawn = panels(runs, 0.45, sharex=False)
    said = [_outcomes_title(name, run) for name, run in zip(names, runs, strict=True)]
    for axes, run, title in zip(drawn, runs, said, strict=True):
        _result_boxes(axes, run, looks)
        axes.set_xlim(0, 1.02 * run.wall)
        finding(axes, title)
    drawn[-1].set_xlabel("seconds since the work began (each box: a task)")
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


def _result_boxes(axes: Axes, run: Run, looks: Mapping[str, tuple[str, str]]) -> None:
    boxes: dict[str, list] = {}
    for row, span, left, right in _placed(run):
        corners = box(left, right, row - 0.4, row + 0.4)
        boxes.setdefault(_result(run, span), []).append(corners)
    for result, same in boxes.items():
        shade, hatch = looks[result]
        drawn = PolyCollection(same, facecolor=shade, edgecolor="black", hatch=hatch)
        drawn.set_linewidth(_line(run))
        axes.add_collection(drawn)


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
    height = height_of(sum(rows), 0.5)
    heights = [0.45 * len(runs) + 0.5, *(height * workers for workers in rows)]
    figure = new_figure(sum(heights) + 0.6 * len(sent) + 0.6)
    drawn = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    each, *others = drawn[:, 0]
    for row, (name, run) in enumerate(runs.items()):
        times = [1e6 * again.wall / len(run.spans) for again in run.rounds]
        bar(each, row, name, min(times), times)
    name_rows(each, list(runs))
    each.set_xlabel("microseconds for one task, all told (bar: best round)")
    each.set_xlim(left=0)
    for axes, (name, run), workers in zip(others, sent.items(), rows, strict=True):
        worker_rows(axes, workers, height)
        _batch_pieces(axes, name, run)
        finding(axes, f"{workers_of(run)}: {_in_batches(run)}")
        axes.set_xlim(0, 1e3 * (first or 1.02 * run.wall))
    if others:
        others[-1].set_xlabel("milliseconds since the work began (each piece: a batch)")
    return figure, " ".join(_batches_sentence(name, run) for name, run in runs.items())


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
    tasks, found = len(run.spans), len(run.batches)
    return f"{quantity(tasks, 'task')} in about {quantity(found, 'batch', 'batches')}"
