"""One call, one picture: each function shows its figure and says it in a sentence.

The functions take runs and nothing else. `function.draw(...)` returns the figure and
the sentence instead of showing them.
"""

import functools
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython.display import Image, display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import Patch, Rectangle

from helpers.laws import Fit, Point, amdahl, speedups
from helpers.machine import Cores
from helpers.measure import Run
from helpers.said import say
from helpers.trace import Span

if TYPE_CHECKING:
    from helpers.predict import Guess

Drawn = tuple[Figure, str]

# One role, one look: colour, marker and line. The four colours keep a contrast of 3:1
# on white and on black, and differ for colour-blind readers too (Okabe and Ito 2008,
# "Color Universal Design").
LOOKS = {
    "serial": ("#4D4D4D", "D", ":"),
    "threads": ("#0072B2", "o", "-"),
    "processes": ("#D55E00", "s", "--"),
    "multiprocessing_pool": ("#D55E00", "P", "--"),
    "joblib": ("#009E73", "^", "-."),
    "interpreters": ("#CC79A7", "D", "-"),
}
WIDTH = 7.4
# Pixels per inch: the width that a reader sees, and the doubled one that is drawn.
SEEN, DRAWN = 100, 200
STYLE = {"labelsize": 10, "length": 0}


def look(strategy: str) -> tuple[str, str, str]:
    """Return (colour, marker, line style) of a strategy's role."""
    return LOOKS.get(strategy.replace(",", " ").split()[0], LOOKS["serial"])


def png(figure: Figure, sentence: str) -> bytes:
    """Return the figure as a PNG, with the sentence as its description."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DRAWN, metadata={"Description": sentence})
    return file.getvalue()


def _shown(draw: Callable[..., Drawn]) -> Callable[..., None]:
    """Turn a function that draws into one that shows, and returns nothing."""

    @functools.wraps(draw)
    def show(*args: Any, **options: Any) -> None:
        figure, sentence = draw(*args, **options)
        width = round(figure.get_figwidth() * SEEN)
        display(Image(png(figure, sentence), width=width, alt=sentence))
        say(sentence)

    show.draw = draw
    return show


@_shown
def stripes(*runs: Run, first: float = 0.1) -> Drawn:
    """Show when each worker ran without a break, and when it stood still.

    Args:
        runs: of `watched_countdown`, one panel each.
        first: how much of the time is drawn, in seconds.
    """
    figure, panels = _panels(runs, row_height=0.62)
    for axes, run in zip(panels, runs, strict=True):
        zero = min(span.start for span in run.spans)
        for row, spans in enumerate(run.by_worker.values()):
            pieces = [
                (1e3 * (start - zero), 1e3 * (end - start))
                for span in spans
                for start, end in span.stretches or ((span.start, span.end),)
            ]
            axes.broken_barh(pieces, (row - 0.4, 0.8), facecolor=look(run.strategy)[0])
        _rows(axes, len(run.by_worker))
        axes.set_title(_stripes_title(run), loc="left", fontsize=11)
    panels[-1].set_xlim(0, 1e3 * first)
    panels[-1].set_xlabel("milliseconds since the first worker began")
    return figure, " ".join(_stripes_sentence(run) for run in runs)


def _stripes_title(run: Run) -> str:
    if run.overlap > 0.7:
        both = "both" if run.workers == 2 else "all"
        return f"{_workers(run)}: {both} count at the same time"
    if run.overlap > 0.1:
        return f"{_workers(run)}: now one counts, now several"
    waiting = "the other waits" if run.workers == 2 else "the others wait"
    title = f"{_workers(run)}: one counts, {waiting}"
    if not math.isnan(run.switch_interval):
        title += f"; a turn takes {1e3 * run.switch_interval:.1f} ms"
    return title


def _stripes_sentence(run: Run) -> str:
    said = (
        f"{_workers(run)}: two or more counted at once "
        f"in {100 * run.overlap:.0f} % of the time"
    )
    if run.overlap < 0.1 and not math.isnan(run.switch_interval):
        said += f", and the turn changed every {1e3 * run.switch_interval:.1f} ms"
    return said + "."


@_shown
def timeline(
    *runs: Run, first: float | None = None, guess: "Guess | None" = None
) -> Drawn:
    """Show each task from its start to its end, filled as far as it used a core.

    Args:
        runs: one panel each, all on the same time axis.
        first: how much of the time is drawn, in seconds; all of it if None.
        guess: how long the last of the runs would take, in seconds.
    """
    figure, panels = _panels(runs, row_height=0.45)
    for axes, run in zip(panels, runs, strict=True):
        colour = look(run.strategy)[0]
        frames, fills = [], []
        for row, spans in enumerate(run.by_worker.values()):
            for span in spans:
                left, right = span.start - run.began, span.end - run.began
                share = min(1.0, span.cpu / max(right - left, 1e-9))
                frames.append(_box(left, right, row - 0.4, 0.8))
                fills.append(_box(left, right, row - 0.4, 0.8 * share))
        thin = 0.3 if len(run.spans) > 200 else 1
        axes.add_collection(PolyCollection(fills, facecolor=colour))
        axes.add_collection(
            PolyCollection(frames, facecolor="none", edgecolor=colour, linewidth=thin)
        )
        _rows(axes, len(run.by_worker))
        axes.set_title(_timeline_title(run), loc="left", fontsize=11)
    panels[-1].set_xlim(0, first or 1.02 * max(run.wall for run in runs))
    panels[-1].set_xlabel("seconds since the work began (filled: the share of a core)")
    said = [f"{_timeline_title(run)}." for run in runs]
    if guess:
        _guess_line(panels[-1], guess.value, guess)
        said.append(guess.said(runs[-1].wall))
    return figure, " ".join(said)


def _timeline_title(run: Run) -> str:
    tasks = f"{len(run.spans)} task" + "s" * (len(run.spans) != 1)
    return (
        f"{_workers(run)}: {tasks} in {_seconds(run.wall)}, "
        f"{run.cores_busy:.1f} cores busy"
    )


# Shade and hatch of each result, in the order in which they first came back.
RESULTS = (
    ("#737373", ""),
    ("white", "///"),
    ("#C7C7C7", ""),
    ("white", "..."),
    ("#C7C7C7", "xxx"),
    ("white", ""),
)


@_shown
def outcomes(*runs: Run, names: Sequence[str] | None = None) -> Drawn:
    """Show each task as a box that is shaded by what the task returned.

    Args:
        runs: one panel each, on its own time axis; not from files, which keep no
            results.
        names: what to call each of them; by default its workers.

    Raises:
        ValueError: a run without results, more than six different ones, or a name too
            few or too many.
    """
    names = [_workers(run) for run in runs] if names is None else list(names)
    if len(names) != len(runs):
        raise ValueError(f"outcomes: {len(names)} names for {len(runs)} runs")
    looks = _result_looks(runs)
    figure, panels = _panels(runs, row_height=0.45, sharex=False)
    said = [_outcomes_title(name, run) for name, run in zip(names, runs)]
    for axes, run, title in zip(panels, runs, said):
        thin = 0.3 if len(run.spans) > 200 else 1
        for row, spans in enumerate(run.by_worker.values()):
            for span in spans:
                shade, hatch = looks[_result(run, span.task)]
                box = _box(span.start - run.began, span.end - run.began, row - 0.4, 0.8)
                style = {"facecolor": shade, "edgecolor": "black", "hatch": hatch}
                axes.add_collection(PolyCollection([box], linewidth=thin, **style))
        _rows(axes, len(run.by_worker))
        axes.set_xlim(0, 1.02 * run.wall)
        axes.set_title(_cut(title, 80), loc="left", fontsize=11)
    panels[-1].set_xlabel("seconds since the work began (each box: a task)")
    boxes = [
        Patch(facecolor=shade, edgecolor="black", hatch=hatch, label=_cut(result))
        for result, (shade, hatch) in looks.items()
    ]
    longest = max(len(box.get_label()) for box in boxes)
    columns = min(3, 75 // (longest + 8))
    figure.legend(
        handles=boxes, loc="outside lower center", ncols=columns, frameon=False
    )
    return figure, " ".join(f"{_capital(title)}." for title in said)


def _result_looks(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Return the shade and the hatch of each result, the same in all the runs."""
    if any(len(run.results) != len(run.spans) for run in runs):
        raise ValueError("outcomes: a run without its results (a file keeps none)")
    found = list(dict.fromkeys(_result(run, s.task) for run in runs for s in run.spans))
    if len(found) > len(RESULTS):
        raise ValueError(
            f"outcomes: {len(found)} different results; "
            f"a figure tells at most {len(RESULTS)} apart"
        )
    return dict(zip(found, RESULTS))


def _result(run: Run, task: int) -> str:
    """Return what a task returned, on one line."""
    return " ".join(repr(run.results[task]).split())


def _outcomes_title(name: str, run: Run) -> str:
    counted = Counter(_result(run, span.task) for span in run.spans)
    (first, most), *others = counted.most_common()
    title = f"{name}: {most} of {len(run.spans)} tasks returned {_cut(first)}"
    return title + "".join(
        f", {count} returned {_cut(result)}" for result, count in others
    )


def _cut(text: str, longest: int = 32) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


@_shown
def race_bars(
    runs: Mapping[str, Run], guesses: "Mapping[str, Guess] | None" = None
) -> Drawn:
    """Show the time and the busy cores of each way, every round a point.

    Args:
        runs: the best run of each way, by name, as `race` returns them.
        guesses: by name of a way: how many times as fast as "serial" it would be.
    """
    figure = _figure(0.5 * len(runs) + 1.1)
    time, busy = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    for row, (name, run) in enumerate(runs.items()):
        colour, marker, _ = look(name)
        points = {"marker": marker, "s": 26, "color": "white", "edgecolor": "black"}
        time.barh(row, run.wall, height=0.6, color=colour)
        busy.barh(row, run.cores_busy, height=0.6, color=colour)
        rounds = run.rounds
        time.scatter([r.wall for r in rounds], [row] * len(rounds), zorder=3, **points)
        busy.scatter(
            [r.cores_busy for r in rounds], [row] * len(rounds), zorder=3, **points
        )
    _categories(time, list(runs))
    for axes, label in ((time, "seconds (bar: best round)"), (busy, "cores busy")):
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    busy.set_xlim(right=max(1.05, busy.get_xlim()[1]))
    fastest = min(runs, key=lambda name: runs[name].wall)
    time.set_title(_race_title(runs, fastest), loc="left", fontsize=11)
    said = [
        f"{_capital(name)}: {_seconds(run.wall)}, {run.cores_busy:.2f} cores busy."
        for name, run in runs.items()
    ]
    for name, guess in (guesses or {}).items():
        base = runs["serial"].wall
        _guess_mark(time, base / guess.value, list(runs).index(name), guess)
        said.append(f"{_capital(name)}: {guess.said(base / runs[name].wall)}")
    return figure, " ".join(said)


def _race_title(runs: Mapping[str, Run], fastest: str) -> str:
    if sum(run.strategy == "serial" for run in runs.values()) != 1:
        return f"Fastest here: {fastest}"
    if fastest == "serial":
        return "Nothing beat the serial loop"
    gain = runs["serial"].wall / runs[fastest].wall
    return f"{_capital(fastest)}: {gain:.1f} times as fast as the serial loop"


@_shown
def gains(races: Mapping[str, Mapping[str, Run]]) -> Drawn:
    """Show how much faster than the serial loop each function ran in each way.

    Args:
        races: by name of the function, what `race` returned, "serial" among it.
    """
    ways = [way for way in next(iter(races.values())) if way != "serial"]
    figure = _figure(0.34 * len(ways) * len(races) + 1.3)
    axes = figure.subplots()
    height = 0.8 / len(ways)
    for row, runs in enumerate(races.values()):
        for number, way in enumerate(ways):
            place = row - 0.4 + height * (number + 0.5)
            colour, marker, _ = look(way)
            gain = runs["serial"].wall / runs[way].wall
            rounds = [runs["serial"].wall / again.wall for again in runs[way].rounds]
            axes.barh(place, gain, height=0.9 * height, color=colour)
            axes.plot(
                rounds,
                [place] * len(rounds),
                marker,
                color="white",
                markeredgecolor="black",
                markersize=5,
            )
            axes.annotate(
                f"{gain:.1f} ×  {way}",
                (gain, place),
                (8, 0),
                va="center",
                textcoords="offset points",
            )
    axes.axvline(1, color=LOOKS["serial"][0], linestyle=LOOKS["serial"][2])
    _categories(axes, list(races))
    axes.set_xlim(0, 1.35 * max(axes.get_xlim()[1], 1))
    axes.set_xlabel("times as fast as the serial loop (dotted: no gain)")
    workers = max(run.workers for runs in races.values() for run in runs.values())
    axes.set_title(f"What {workers} workers gain", loc="left", fontsize=11)
    return figure, " ".join(
        f"{_capital(name)}: "
        + ", ".join(
            f"{runs['serial'].wall / runs[way].wall:.1f} × {way}" for way in ways
        )
        + "."
        for name, runs in races.items()
    )


@_shown
def startups(
    runs: Mapping[str, Run], guesses: "Mapping[str, Guess] | None" = None
) -> Drawn:
    """Show how long each way took until all of its workers were there.

    Args:
        runs: by name of the way.
        guesses: by name of a way: how many milliseconds it would take.
    """
    figure = _figure(0.4 * len(runs) + 1.1)
    axes = figure.subplots()
    for row, (name, run) in enumerate(runs.items()):
        axes.barh(row, 1e3 * run.startup, height=0.6, color=look(name)[0])
        axes.annotate(
            f"{1e3 * run.startup:.0f} ms",
            (1e3 * run.startup, row),
            (6, 0),
            va="center",
            textcoords="offset points",
        )
    _categories(axes, list(runs))
    axes.set_xlim(0, 1.15 * axes.get_xlim()[1])
    workers = max(run.workers for run in runs.values())
    axes.set_xlabel(f"milliseconds until {workers} workers were there")
    slowest = max(runs, key=lambda name: runs[name].startup)
    axes.set_title(f"Slowest to start: {slowest}", loc="left", fontsize=11)
    said = [
        f"{_capital(name)}: {1e3 * run.startup:.0f} ms." for name, run in runs.items()
    ]
    for name, guess in (guesses or {}).items():
        _guess_mark(axes, guess.value, list(runs).index(name), guess)
        said.append(f"{_capital(name)}: {guess.said(1e3 * runs[name].startup)}")
    return figure, " ".join(said)


@_shown
def break_even(
    races: Sequence[Mapping[str, Run]], guess: "Guess | None" = None
) -> Drawn:
    """Show the speed-up over the serial loop against the length of a task.

    Args:
        races: what `race` returned for longer and longer tasks, "serial" among it.
        guess: from how many milliseconds on the first way would be the faster one.
    """
    ways = [way for way in races[0] if way != "serial"]
    lengths = [1e3 * r["serial"].wall / len(r["serial"].spans) for r in races]
    figure = _figure(3.4)
    axes = figure.subplots()
    for way in ways:
        colour, marker, line = look(way)
        for length, runs in zip(lengths, races, strict=True):
            best = runs["serial"].wall
            gained = [best / again.wall for again in runs[way].rounds]
            axes.plot([length] * len(gained), gained, marker, color=colour, alpha=0.4)
        best = [r["serial"].wall / r[way].wall for r in races]
        axes.plot(lengths, best, color=colour, marker=marker, linestyle=line)
        axes.annotate(
            way,
            (lengths[-1], best[-1]),
            (8, 0),
            color=colour,
            va="center",
            textcoords="offset points",
        )
    colour, _, line = LOOKS["serial"]
    axes.axhline(1, color=colour, linestyle=line)
    axes.annotate(
        "the serial loop", (lengths[0], 1), (0, 5), textcoords="offset points"
    )
    axes.set_xscale("log")
    axes.set_xlim(right=lengths[-1] * (lengths[-1] / lengths[0]) ** 0.15)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("milliseconds that one task takes in the serial loop")
    axes.set_ylabel("times as fast as the loop")
    axes.grid(color="#D9D9D9")
    axes.spines[["top", "right"]].set_visible(False)
    said = [_break_even_sentence(way, lengths, races) for way in ways]
    axes.set_title(said[0].rstrip("."), loc="left", fontsize=11)
    if guess:
        _guess_line(axes, guess.value, guess)
        won = _won(ways[0], lengths, races)
        said.append(guess.said(won[0] if won else "none of these"))
    return figure, " ".join(said)


def _break_even_sentence(
    way: str, lengths: Sequence[float], races: Sequence[Mapping[str, Run]]
) -> str:
    won = _won(way, lengths, races)
    if not won:
        return f"{_capital(way)} beat the loop at none of these lengths."
    length = float(f"{won[0]:.2g}")
    return f"{_capital(way)} beat the loop from tasks of {length:g} ms on."


def _won(
    way: str, lengths: Sequence[float], races: Sequence[Mapping[str, Run]]
) -> list[float]:
    """Return the lengths at which that way was faster than the loop."""
    return [
        length
        for length, runs in zip(lengths, races, strict=True)
        if runs[way].wall < runs["serial"].wall
    ]


@_shown
def speedup(
    sweeps: Mapping[str, Mapping[int, Run]],
    ceiling: float | None = None,
    law: Fit | None = None,
    guess: "Guess | None" = None,
    serial: float | None = None,
) -> Drawn:
    """Show speed-up and efficiency against the workers, every round a point.

    Args:
        sweeps: by name, what `sweep` returned, the plain loop at 0 among it. What
            nobody measured is called simulated.
        ceiling: from `machine.ceiling()`: what separate interpreters get.
        law: fitted to the runs; not drawn where there were too few points for it.
        guess: how many times as fast the first sweep's largest number of workers
            would be; or, if its unit is "workers", which number would be the fastest.
        serial: a serial share, 0 to 1, for which Amdahl's law is drawn too.
    """
    named = {_named(name, runs): speedups(runs) for name, runs in sweeps.items()}
    most = max(points[-1].workers for points in named.values())
    workers = np.linspace(1, max(2, most), 100)
    grey, _, dotted = LOOKS["serial"]
    curves = {"ideal": (workers, {"color": grey, "linestyle": dotted})}
    if ceiling:
        reached = np.minimum(workers, ceiling)
        curves["the ceiling"] = (reached, {"color": "black", "linestyle": "--"})
    if law:
        curves[law.law] = (law.predict(workers), {"color": "black"})
    figure = _figure(3.7)
    gain, efficiency = figure.subplots(1, 2)
    for axes, share in ((gain, False), (efficiency, True)):
        for name, (curve, style) in curves.items():
            axes.plot(workers, curve / workers if share else curve, label=name, **style)
        for name, points in named.items():
            _plot_points(axes, name, points, share)
        for count in {runs[0].made.get("allowed cores", 0) for runs in sweeps.values()}:
            if 1 < count <= most:
                axes.axvline(count, color=grey, linewidth=0.8)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.set_xlim(left=0.5)
        axes.set_xlabel("workers (upright line: as many as cores)")
        axes.set_ylim(bottom=0)
        axes.grid(color="#D9D9D9")
        axes.spines[["top", "right"]].set_visible(False)
    fastest = max(max(point.rounds) for points in named.values() for point in points)
    gain.set_ylim(top=1.15 * max(fastest, ceiling or 0))
    gain.set_ylabel("times as fast as the loop")
    efficiency.set_ylabel("efficiency: speed-up ÷ workers")
    lines = gain.get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=3, frameon=False)
    name, points = next(iter(named.items()))
    gain.set_title(_speedup_title(name, points), loc="left", fontsize=11)
    said = [_speedup_sentence(name, points) for name, points in named.items()]
    if law is not None:
        said.append(law.sentence)
    if serial is not None:
        _plot_serial(figure, serial)
        said.append(_serial_sentence(serial, most))
    if guess is not None:
        said.append(_speedup_guess(gain, points, guess))
    return figure, " ".join(said)


def _speedup_guess(axes: Axes, points: Sequence[Point], guess: "Guess") -> str:
    """Mark the guess among the points; return its answer."""
    if guess.unit == "workers":
        _guess_line(axes, guess.value, guess)
        return guess.said(max(points, key=lambda point: point.best).workers)
    last = points[-1]
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.15 * guess.value))
    _guess_mark(axes, last.workers, guess.value, guess)
    return guess.said(last.best)


class MovingSpeedup:
    """The figure of `speedup` with a serial share that moves.

    To draw all of a figure takes a tenth of a second and more; the curve of the share
    alone, over what was drawn once, a small part of it.

    Args:
        sweeps, ceiling, law: as for `speedup`.
    """

    def __init__(
        self,
        sweeps: Mapping[str, Mapping[int, Run]],
        ceiling: float | None = None,
        law: Fit | None = None,
    ) -> None:
        self._figure, self._sentence = speedup.draw(sweeps, ceiling, law)
        self._figure.set_dpi(DRAWN)
        self._most = max(count for runs in sweeps.values() for count in runs)
        self._canvas = FigureCanvasAgg(self._figure)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self._figure.bbox)
        self._figure.set_layout_engine("none")

    def at(self, serial: float) -> tuple[bytes, str]:
        """Return the PNG and the sentence with Amdahl's law for that serial share."""
        self._canvas.restore_region(self._background)
        for artist in _plot_serial(self._figure, serial):
            artist.axes.draw_artist(artist)
            artist.remove()
        file = io.BytesIO()
        pixels = np.asarray(self._canvas.buffer_rgba())
        imsave(file, pixels, format="png", pil_kwargs={"compress_level": 1})
        sentence = f"{self._sentence} {_serial_sentence(serial, self._most)}"
        return file.getvalue(), sentence


def _plot_serial(figure: Figure, serial: float) -> list[Artist]:
    """Plot Amdahl's law for a serial share into both panels; return what was added."""
    gain, efficiency = figure.axes
    workers = np.linspace(1, gain.get_xlim()[1], 100)
    law = amdahl(workers, serial)
    style = {"color": "black", "linestyle": "-.", "scalex": False}
    lines = [
        *gain.plot(workers, law, scaley=False, **style),
        *efficiency.plot(workers, law / workers, scaley=False, **style),
    ]
    label = gain.annotate(
        f"{100 * serial:.0f} % serial",
        (workers[-1], min(law[-1], gain.get_ylim()[1])),
        (-4, -4),
        ha="right",
        va="top",
        textcoords="offset points",
    )
    return [*lines, label]


def _serial_sentence(serial: float, most: int) -> str:
    return (
        f"With a serial part of {100 * serial:.0f} %, Amdahl's law gives "
        f"{amdahl(most, serial):.2f} × with {most}."
    )


def _named(name: str, runs: Mapping[int, Run]) -> str:
    simulated = any(run.made.get("simulated") for run in runs.values())
    return f"{name} (simulated)" if simulated and "simulated" not in name else name


def _plot_points(
    axes: Axes, name: str, points: Sequence[Point], efficiency: bool
) -> None:
    """Plot a line through the best rounds, and every round a point."""
    colour, marker, line = look(name)
    tried = [
        (workers, gained / (workers if efficiency else 1))
        for workers, _, rounds in points
        for gained in rounds
    ]
    axes.plot(*zip(*tried), marker, color=colour, alpha=0.4, linestyle="none")
    counts = [point.workers for point in points]
    best = [point.best / (point.workers if efficiency else 1) for point in points]
    axes.plot(counts, best, color=colour, marker=marker, linestyle=line, label=name)


def _speedup_title(name: str, points: Sequence[Point]) -> str:
    most = max(point.best for point in points)
    if most <= 1:
        return f"{_capital(name)}: never faster than the loop"
    # The fewest workers that nearly do as well as the best.
    enough = min(point.workers for point in points if point.best > 0.97 * most)
    workers = f"{enough} worker" + "s" * (enough != 1)
    return f"{_capital(name)}: {most:.1f} times as fast with {workers}"


def _speedup_sentence(name: str, points: Sequence[Point]) -> str:
    said = ", ".join(
        f"{best:.2f} × with {workers} ({100 * best / workers:.0f} %)"
        for workers, best, _ in points
    )
    return f"{_capital(name)}, speed-up (and efficiency): {said}."


@_shown
def cores(counted: Cores, ceiling: float, guess: "Guess | None" = None) -> Drawn:
    """Show how many cores there are: counted, allowed, and what they really give.

    Args:
        counted: from `machine.cores()`.
        ceiling: from `machine.ceiling()`, for as many workers as allowed cores.
        guess: what the ceiling would be.
    """
    figure = _figure(2.4)
    axes = figure.subplots()
    bars = {
        "logical": (counted.logical, "#BFBFBF"),
        "allowed": (counted.allowed, "#8C8C8C"),
        "measured": (ceiling, "#404040"),
    }
    for row, (count, colour) in enumerate(bars.values()):
        axes.barh(row, count, height=0.6, color=colour)
        axes.annotate(
            f"{count:.2f}" if row == 2 else f"{count}",
            (count, row),
            (6, 0),
            va="center",
            textcoords="offset points",
        )
    axes.axvline(ceiling, color="black", linestyle="--")
    axes.annotate(
        "the ceiling",
        (ceiling, -0.5),
        (-6, 0),
        ha="right",
        va="center",
        textcoords="offset points",
    )
    _categories(axes, list(bars))
    axes.set_ylim(2.6, -0.8)
    axes.set_xlim(0, 1.12 * max(counted.logical, guess.value if guess else 0))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("cores")
    words = f"{counted.allowed} core" + "s" * (counted.allowed != 1)
    axes.set_title(
        f"{words} allowed, {ceiling:.1f} cores' worth of work", loc="left", fontsize=11
    )
    sentence = (
        f"This machine has {counted.logical} logical cores, this Python may use "
        f"{counted.allowed}, and together they do {ceiling:.2f} times the work of one."
    )
    if ceiling < 0.7 * counted.allowed:
        sentence += (
            f" So this machine is giving the lab {ceiling:.1f} of its {words}: "
            "close other programs and run again."
        )
    if guess:
        _guess_mark(axes, guess.value, 2, guess)
        sentence += f" {guess.said(ceiling)}"
    return figure, sentence


def _guess_mark(axes: Axes, x: float, row: float, guess: "Guess") -> None:
    """Mark in a row what the reader has guessed."""
    _make_room(axes, x)
    axes.plot(
        x,
        row,
        "*",
        color="white",
        markeredgecolor="black",
        markersize=13,
        zorder=4,
        clip_on=False,
    )
    axes.annotate(
        guess.owner,
        (x, row),
        (0, 9),
        ha="center",
        va="bottom",
        fontsize=8,
        textcoords="offset points",
    )


def _make_room(axes: Axes, x: float) -> None:
    """Let the axis reach to x, and a little further."""
    left, right = axes.get_xlim()
    if x > right:
        axes.set_xlim(right=1.15 * x)
    elif x < left:
        axes.set_xlim(left=x / 1.15)


def _guess_line(axes: Axes, x: float, guess: "Guess") -> None:
    """Mark across all rows what the reader has guessed."""
    _make_room(axes, x)
    axes.axvline(x, color="black", linestyle=(0, (5, 3)), linewidth=1)
    axes.annotate(
        guess.owner,
        (x, 1),
        (3, -3),
        va="top",
        fontsize=8,
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )


@_shown
def batches(runs: Mapping[str, Run], first: float | None = None) -> Drawn:
    """Show what one task takes in each way, and how the tasks went out in batches.

    Args:
        runs: the best run of each way, by name, "serial" among it.
        first: how much of the time is drawn, in seconds; all of it if None.
    """
    sent = {name: run for name, run in runs.items() if run.strategy != "serial"}
    rows = [len(run.by_worker) for run in sent.values()]
    figure = _figure(0.45 * len(runs) + 0.5 * sum(rows) + 0.6 * len(sent) + 1.1)
    heights = [1 + len(runs), *rows]
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    panels = list(panels[:, 0])
    for row, (name, run) in enumerate(runs.items()):
        each = [1e6 * again.wall / len(run.spans) for again in run.rounds]
        colour, marker, _ = look(name)
        panels[0].barh(row, min(each), height=0.6, color=colour)
        panels[0].plot(
            each, [row] * len(each), marker, color="white", markeredgecolor="black"
        )
    panels[0].set_xlabel("microseconds for one task, all told (bar: best round)")
    panels[0].set_xlim(left=0)
    for axes, (name, run) in zip(panels[1:], sent.items(), strict=True):
        workers, sent_together = list(run.by_worker), run.batches
        for row, worker in enumerate(workers):
            pieces = [
                (1e3 * (batch[0].start - run.began), 1e3 * _length(batch))
                for batch in sent_together
                if batch[0].worker == worker
            ]
            for shade, alpha in ((0, 1), (1, 0.55)):
                style = {"color": look(name)[0], "alpha": alpha, "linewidth": 0}
                axes.broken_barh(pieces[shade::2], (row - 0.4, 0.8), **style)
        _rows(axes, len(workers))
        title = f"{_workers(run)}: {_in_batches(run)}"
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlim(0, 1e3 * (first or 1.02 * run.wall))
    panels[-1].set_xlabel("milliseconds since the work began (each piece: a batch)")
    _categories(panels[0], list(runs))
    return figure, " ".join(_batches_sentence(name, run) for name, run in runs.items())


def _length(batch: Sequence[Span]) -> float:
    return batch[-1].end - batch[0].start


def _batches_sentence(name: str, run: Run) -> str:
    each = f"{1e6 * run.wall / len(run.spans):.3g} µs a task"
    if run.strategy == "serial":
        return f"{_capital(name)}: {each}."
    return f"{_capital(name)}: {each}, {_in_batches(run)}."


def _in_batches(run: Run) -> str:
    return f"{len(run.spans)} tasks in about {len(run.batches)} batches"


@_shown
def grid(found: Mapping[str, Mapping[str, str]], good: str, title: str) -> Drawn:
    """Show a table of words as a picture, the cells that hold the good word filled.

    Args:
        found: by name of a row, by name of a column: a word.
        good: the word that fills its cell.
        title: what the picture says.

    Raises:
        ValueError: there is no row, or no column.
    """
    columns = list(dict.fromkeys(name for row in found.values() for name in row))
    if not columns:
        raise ValueError("grid: nothing was found, so there is nothing to draw")
    figure = _figure(0.4 * len(found) + 0.9)
    axes = figure.subplots()
    for row, words in enumerate(found.values()):
        for column, name in enumerate(columns):
            if name in words:
                _cell(axes, row, column, words[name], words[name] == good)
    axes.set_xticks(range(len(columns)), columns, fontsize=12)
    axes.set_yticks(range(len(found)), list(found), fontsize=11)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=12, pad=12)
    return figure, " ".join(_column_sentence(found, name, good) for name in columns)


def _cell(axes: Axes, row: int, column: int, word: str, filled: bool) -> None:
    shade, ink = ("#4D4D4D", "white") if filled else ("white", "black")
    corner = (column - 0.47, row - 0.44)
    axes.add_patch(Rectangle(corner, 0.94, 0.88, facecolor=shade, edgecolor="#4D4D4D"))
    style = {"color": ink, "fontweight": "bold" if filled else "normal"}
    axes.text(column, row, word, ha="center", va="center", fontsize=11, **style)


def _column_sentence(
    found: Mapping[str, Mapping[str, str]], column: str, good: str
) -> str:
    rows = [name for name, words in found.items() if words.get(column) == good]
    if not rows:
        return f"{column}: “{good}” for none of them."
    if len(rows) == len(found) > 1:
        return f"{column}: “{good}” for all of them."
    *others, last = rows
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"{column}: “{good}” for {listed}."


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), layout="constrained")


def _panels(
    runs: Sequence[Run], row_height: float, sharex: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each run, and in it a row for each worker."""
    rows = [len(run.by_worker) for run in runs]
    figure = _figure(row_height * sum(rows) + 0.55 * len(runs) + 0.5)
    panels = figure.subplots(
        len(runs), squeeze=False, sharex=sharex, height_ratios=rows
    )
    return figure, list(panels[:, 0])


def _box(left: float, right: float, low: float, height: float) -> list[tuple]:
    high = low + height
    return [(left, low), (left, high), (right, high), (right, low)]


def _rows(axes: Axes, workers: int) -> None:
    """Label a row for each worker, the first at the top; grid behind, no box."""
    _categories(axes, [f"worker {number + 1}" for number in range(workers)])
    axes.set_ylim(workers - 0.45, -0.55)


def _categories(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    for each in axes.figure.axes:
        each.tick_params(axis="y", length=0)
        each.grid(axis="x", color="#D9D9D9")
        each.set_axisbelow(True)
        each.spines[["top", "right", "left"]].set_visible(False)


def _workers(run: Run) -> str:
    name = run.strategy
    if name == "serial":
        return "Serial"
    one = {"processes": "process", "threads": "thread"}
    if name in one:
        return f"{run.workers} {one[name] if run.workers == 1 else name}"
    return f"{_capital(name)}, {run.workers} worker" + "s" * (run.workers != 1)


def _capital(name: str) -> str:
    return name if name.startswith("joblib") else name[:1].upper() + name[1:]


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.1f} ms"
