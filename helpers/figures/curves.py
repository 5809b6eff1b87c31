"""How something grows: against the length of a task, and against the workers."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from helpers.figures.look import (
    DRAWN,
    SERIAL,
    Drawn,
    Look,
    capital,
    curve_axes,
    finding,
    guess_line,
    guess_mark,
    label,
    labels,
    legend_under,
    look_of,
    need_tasks,
    new_figure,
    note,
    quantity,
    several_pythons,
    shown,
    ways_of,
    whole_numbers,
)
from helpers.laws import Fit, Point, amdahl, speedups
from helpers.runs import Run

if TYPE_CHECKING:
    from helpers.predict import Guess

# By name, what is drawn into both panels: the speed-ups, and the style of the line.
Curves = Mapping[str, tuple[NDArray[np.float64], dict[str, Any]]]
Sweeps = Mapping[str, Mapping[int, Run]]
# How the markers of one role are filled in one figure, by turns: one for each Python.
Fill = Literal["full", "none", "left", "right", "top", "bottom"]
FILLS: tuple[Fill, ...] = ("full", "none", "left", "right", "top", "bottom")


def fills(names: Iterable[str]) -> list[Fill]:
    """Return how the markers of each name are filled: those of one look differ."""
    seen: Counter[Look] = Counter()
    found = []
    for look in map(look_of, names):
        found.append(FILLS[seen[look] % len(FILLS)])
        seen[look] += 1
    return found


@shown
def break_even(
    races: Sequence[Mapping[str, Run]], guess: "Guess | None" = None
) -> Drawn:
    """Show the speed-up over the serial loop against the length of a task.

    Args:
        races: what `race` returned for longer and longer tasks, "serial" among it.
        guess: from how many milliseconds on the first way would be the faster one.

    Raises:
        ValueError: there is no race, one without "serial" or without a way that
            another has, or a run without tasks.
    """
    ways = ways_of("break_even", races)
    lengths = [1e3 * r["serial"].wall / len(r["serial"].spans) for r in races]
    figure = new_figure(3.4)
    axes = figure.subplots()
    named = labels({way: races[-1][way] for way in ways})
    for way, fill in zip(ways, fills(ways), strict=True):
        _plot_gains(axes, way, lengths, races, fill)
    axes.axhline(1, color=SERIAL.colour, linestyle=SERIAL.line)
    note(axes, min(lengths), 1, "the serial loop", (0, 3), va="bottom")
    axes.set_xscale("log")
    axes.set_xlim(right=lengths[-1] * (lengths[-1] / lengths[0]) ** 0.15)
    curve_axes(axes)
    _name_ends(axes, lengths[-1], {named[way]: _gain(races[-1], way) for way in ways})
    axes.set_xlabel("milliseconds that one task takes in the serial loop")
    axes.set_ylabel("times as fast as the loop")
    said = [_break_even_sentence(named[way], _won(way, lengths, races)) for way in ways]
    finding(axes, said[0].rstrip("."))
    if guess:
        guess_line(axes, guess.value, guess)
        won = _won(ways[0], lengths, races)
        said.append(guess.said(won[0] if won else "none of these"))
    return figure, " ".join(said)


def _gain(runs: Mapping[str, Run], way: str) -> float:
    return runs["serial"].wall / runs[way].wall


def _plot_gains(
    axes: Axes,
    way: str,
    lengths: Sequence[float],
    races: Sequence[Mapping[str, Run]],
    fill: Fill,
) -> None:
    """Plot a line through the best rounds, and every round a point."""
    colour, marker, line = look_of(way)
    style: dict[str, Any] = {"color": colour, "marker": marker, "fillstyle": fill}
    for length, runs in zip(lengths, races, strict=True):
        gained = [runs["serial"].wall / again.wall for again in runs[way].rounds]
        axes.plot([length] * len(gained), gained, linestyle="none", alpha=0.4, **style)
    best = [_gain(runs, way) for runs in races]
    axes.plot(lengths, best, linestyle=line, **style)


def _name_ends(axes: Axes, x: float, ends: Mapping[str, float]) -> None:
    """Write each line's name beside its end, none over another."""
    least, lowest = 0.07 * axes.get_ylim()[1], 0.0
    for way in sorted(ends, key=lambda way: ends[way]):
        lowest = max(ends[way], lowest + least)
        note(axes, x, lowest, way, color=look_of(way).colour)


def _break_even_sentence(way: str, won: Sequence[float]) -> str:
    if not won:
        return f"{capital(way)} did not beat the loop at the longest of these tasks."
    length = float(f"{won[0]:.2g}")
    return f"{capital(way)} beat the loop from tasks of {length:g} ms on."


def _won(
    way: str, lengths: Sequence[float], races: Sequence[Mapping[str, Run]]
) -> list[float]:
    """Return the lengths from which on that way was faster than the loop."""
    won: list[float] = []
    for length, runs in zip(lengths, races, strict=True):
        won = [*won, length] if runs[way].wall < runs["serial"].wall else []
    return won


@shown
def speedup(
    sweeps: Sweeps,
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

    Raises:
        ValueError: there is no sweep, one without the plain loop or with it alone, or
            a run without tasks.
    """
    named = _points(sweeps)
    most = max(points[-1].workers for points in named.values())
    figure = new_figure(3.7)
    gain, efficiency = figure.subplots(1, 2)
    _plot_panels((gain, efficiency), named, _curves(most, ceiling, law), _cores(sweeps))
    fastest = max(max(point.rounds) for points in named.values() for point in points)
    gain.set_ylim(top=1.15 * max(fastest, ceiling or 0))
    gain.set_ylabel("times as fast as the loop")
    efficiency.set_ylabel("efficiency: speed-up ÷ workers")
    legend_under(figure, gain.get_legend_handles_labels()[0])
    name, points = next(iter(named.items()))
    finding(gain, _speedup_title(name, points))
    said = [_speedup_sentence(name, points) for name, points in named.items()]
    if law is not None:
        said.append(law.sentence)
    if serial is not None:
        _plot_serial(figure, serial)
        said.append(_serial_sentence(serial, most))
    if guess is not None:
        said.append(_answer(gain, points, guess))
    return figure, " ".join(said)


def _points(sweeps: Sweeps) -> dict[str, list[Point]]:
    """Return the speed-ups of each sweep, by the name that it gets in the figure."""
    need_tasks("speedup", (run for runs in sweeps.values() for run in runs.values()))
    several = several_pythons(run for runs in sweeps.values() for run in runs.values())
    named = {
        _named(name, runs, several): speedups(runs) for name, runs in sweeps.items()
    }
    for name, points in named.items():
        if not points:
            raise ValueError(f'speedup: "{name}" has the plain loop and no workers')
    return named


def _named(name: str, runs: Mapping[int, Run], several: bool) -> str:
    simulated = any(run.made.get("simulated") for run in runs.values())
    if simulated:
        return name if "simulated" in name else f"{name} (simulated)"
    return label(name, runs[max(runs)]) if several and runs else name


def _cores(sweeps: Sweeps) -> set[int]:
    return {runs[0].made.get("allowed cores", 0) for runs in sweeps.values()}


def _curves(most: int, ceiling: float | None, law: Fit | None) -> Curves:
    workers = np.linspace(1, max(2, most), 100)
    dotted = {"color": SERIAL.colour, "linestyle": SERIAL.line}
    curves: dict[str, tuple[NDArray[np.float64], dict[str, Any]]] = {
        "ideal": (workers, dotted)
    }
    if ceiling:
        reached = np.minimum(workers, ceiling)
        curves["the ceiling"] = (reached, {"color": "black", "linestyle": "--"})
    if law:
        curves[law.law] = (law.predict(workers), {"color": "black"})
    return curves


def _plot_panels(
    both: tuple[Axes, Axes],
    named: Mapping[str, Sequence[Point]],
    curves: Curves,
    cores: set[int],
) -> None:
    """Plot the speed-ups into the first panel, the efficiencies into the second."""
    workers = curves["ideal"][0]
    most = max(points[-1].workers for points in named.values())
    for axes, share in zip(both, (False, True), strict=True):
        for name, (curve, style) in curves.items():
            axes.plot(workers, curve / workers if share else curve, label=name, **style)
        for (name, points), fill in zip(named.items(), fills(named), strict=True):
            _plot_points(axes, name, _each(points) if share else points, fill)
        for count in cores:
            if 1 < count <= most:
                axes.axvline(count, color=SERIAL.colour, linewidth=0.8)
        whole_numbers(axes)
        axes.set_xlim(left=0.5)
        axes.set_xlabel("workers (upright line: as many as cores)")
        curve_axes(axes)


def _each(points: Sequence[Point]) -> list[Point]:
    """Return the efficiencies: each worker's part of the speed-up."""
    return [
        Point(workers, best / workers, tuple(each / workers for each in rounds))
        for workers, best, rounds in points
    ]


def _plot_points(axes: Axes, name: str, points: Sequence[Point], fill: Fill) -> None:
    """Plot a line through the best rounds, and every round a point."""
    colour, marker, line = look_of(name)
    style: dict[str, Any] = {"color": colour, "marker": marker, "fillstyle": fill}
    tried = [(point.workers, each) for point in points for each in point.rounds]
    axes.plot(*zip(*tried), alpha=0.4, linestyle="none", **style)
    best = [(point.workers, point.best) for point in points]
    axes.plot(*zip(*best), linestyle=line, label=name, **style)


def _answer(axes: Axes, points: Sequence[Point], guess: "Guess") -> str:
    """Mark the guess among the points; return its answer."""
    if guess.unit == "workers":
        guess_line(axes, guess.value, guess)
        return guess.said(max(points, key=lambda point: point.best).workers)
    last = points[-1]
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.15 * guess.value))
    guess_mark(axes, last.workers, guess.value, guess)
    return guess.said(last.best)


def _speedup_title(name: str, points: Sequence[Point]) -> str:
    most = max(point.best for point in points)
    if most <= 1:
        return f"{capital(name)}: never faster than the loop"
    # The fewest workers that nearly do as well as the best.
    enough = min(point.workers for point in points if point.best > 0.97 * most)
    workers = quantity(enough, "worker")
    return f"{capital(name)}: {most:.1f} times as fast with {workers}"


def _speedup_sentence(name: str, points: Sequence[Point]) -> str:
    said = ", ".join(
        f"{best:.2f} × with {workers} ({100 * best / workers:.0f} %)"
        for workers, best, _ in points
    )
    return f"{capital(name)}, speed-up (and efficiency): {said}."


def _plot_serial(figure: Figure, serial: float) -> list[Artist]:
    """Plot Amdahl's law for a serial share into both panels; return what was added."""
    gain, efficiency = figure.axes
    workers = np.linspace(1, gain.get_xlim()[1], 100)
    law = amdahl(workers, serial)
    style: dict[str, Any] = {"color": "black", "linestyle": "-.", "linewidth": 1}
    lines = [
        gain.add_line(Line2D(workers, law, **style)),
        efficiency.add_line(Line2D(workers, law / workers, **style)),
    ]
    top = gain.get_ylim()[1]
    low = law[-1] < 0.5 * top
    place, offset = (workers[-1], min(law[-1], top)), (-4, 4 if low else -4)
    side = "bottom" if low else "top"
    label = note(gain, *place, f"{100 * serial:.0f} % serial", offset, "right", side)
    return [*lines, label]


def _serial_sentence(serial: float, most: int) -> str:
    return (
        f"With a serial part of {100 * serial:.0f} %, Amdahl's law gives "
        f"{amdahl(most, serial):.2f} × with {most}."
    )


class MovingSpeedup:
    """The figure of `speedup` with a serial share that moves.

    To draw all of a figure takes a tenth of a second and more; the curve of the share
    alone, over what was drawn once, a small part of it.

    Args:
        sweeps, ceiling, law: as for `speedup`.
    """

    def __init__(
        self, sweeps: Sweeps, ceiling: float | None = None, law: Fit | None = None
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
            self._figure.draw_artist(artist)
            artist.remove()
        file = io.BytesIO()
        pixels = np.asarray(self._canvas.buffer_rgba())
        imsave(file, pixels, format="png", pil_kwargs={"compress_level": 1})
        sentence = f"{self._sentence} {_serial_sentence(serial, self._most)}"
        return file.getvalue(), sentence
