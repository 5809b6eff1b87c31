"""Rows and columns: a table of words as a picture, and one of runs as a heat map."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from helpers.figures.look import (
    FAINT,
    SERIAL,
    TALLEST,
    WIDTH,
    Drawn,
    cut,
    legend_under,
    listed,
    loop_of,
    need_tasks,
    new_figure,
    quantity,
    shown,
)
from helpers.runs import COUNTABLE_CPU, Run

Grid = Mapping[Any, Mapping[Any, Run | None]]
# The places of a row and of a column, from 0.
Cell = tuple[int, int]
# Points x, y in cells: x to the right, y down.
Line = Sequence[tuple[float, float]]

# Cividis (Nuñez, Anderton and Renslow 2018) grows lighter all along, in grey and for
# colour-blind readers too; read from its other end, more is darker.
SHADES = matplotlib.colormaps["cividis_r"]
# From this factor between the least and the most on, shades go by the logarithm.
FAR_APART = 10
# Of two panels with more columns than so many, one stands under the other.
BESIDE = 7
# What is drawn over light and dark shades is black with a white rim, so many points
# (1/72 inch) wide.
RIM = 6
# Points between the border of the best cell and its frame: room for other lines.
INSET = 4.5
EVEN: dict[str, Any] = {"color": "black", "linewidth": 3, "zorder": 2.7}
EQUAL: dict[str, Any] = {
    "color": "black",
    "linewidth": 2,
    "linestyle": (0, (4, 2)),
    "zorder": 2,
}
BEST: dict[str, Any] = {"edgecolor": "black", "linewidth": 2.5, "fill": False}
MARK: dict[str, Any] = {
    "color": "black",
    "markeredgecolor": "white",
    "markeredgewidth": 1.5,
    "linestyle": "none",
}
# Upper left corners: one that begins at a point, and one around it.
CORNER: Any = [(0, 0), (1, 0), (0, -1)]
AROUND: Any = [(-1, 1), (1, 1), (-1, -1)]
# Letters that fit into one line: of a legend, of the title.
ONE_LINE, LONGEST = 64, 85


@shown
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
    figure = new_figure(0.4 * len(found) + 0.9)
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
    shade, ink = (SERIAL.colour, "white") if filled else ("white", "black")
    place = (column - 0.47, row - 0.44)
    edge = SERIAL.colour
    axes.add_patch(Rectangle(place, 0.94, 0.88, facecolor=shade, edgecolor=edge))
    text = axes.text(column, row, word, ha="center", va="center", color=ink)
    text.set(fontweight="bold" if filled else "normal", fontsize=11)


def _column_sentence(
    found: Mapping[str, Mapping[str, str]], column: str, good: str
) -> str:
    rows = [name for name, words in found.items() if words.get(column) == good]
    others = [name for name in found if name not in rows]
    if not rows:
        which = "none of them"
    elif not others:
        which = "all of them"
    elif len(others) == 1 < len(rows):
        which = f"all but {others[0]}"
    else:
        which = listed(rows)
    name = column.replace("\n", ", ")
    return f"{name}: “{good}” for {which}."


class Reading(NamedTuple):
    """What a heat map can show of a run.

    Attributes:
        panel: what its panel is called.
        said: what it is called in a sentence.
        unit: as it is said.
        of: returns the value of a run, nan if it is unknown; also gets the row's loop.
        digits: behind the point of a value below 10.
        most: whether the most is the best.
        unknown: why a value is unknown, where it is.
    """

    panel: str
    said: str
    unit: str
    of: Callable[[Run, Run | None], float]
    digits: int = 2
    most: bool = False
    unknown: str = "a system that doesn't count it"

    def number(self, value: float) -> str:
        """Return a value as it stands in its cell."""
        if math.isnan(value):
            return "?"
        if value < 0.1:
            return f"{value:.2g}"
        return f"{value:,.{max(0, self.digits - (value >= 10) - (value >= 100))}f}"

    def quantity(self, value: float) -> str:
        """Return a value with its unit."""
        known = not math.isnan(value)
        return f"{self.number(value)}{self.unit}" if known else "unknown"


SPEEDUP = Reading(
    "times as fast as the loop",
    "Speed-up over the loop",
    " ×",
    lambda run, loop: loop.wall / run.wall if loop else math.nan,
    most=True,
)
READINGS = {
    "speed-up": SPEEDUP,
    "useful share": Reading(
        "useful share of the CPU time, in %",
        "Useful share of the CPU time",
        " %",
        lambda run, _: 100 * run.useful_share,
        digits=0,
        most=True,
        unknown=f"less than {COUNTABLE_CPU:g} s of CPU time in all, or a system that "
        "doesn't count it",
    ),
    "wall": Reading("wall time, in s", "Wall time", " s", lambda run, _: run.wall),
    "CPU time": Reading(
        "CPU time of all processes, in s",
        "CPU time of all processes",
        " s",
        lambda run, _: math.nan if run.spent is None else run.spent,
    ),
}


class Labels(NamedTuple):
    """What the rows and the columns of a heat map stand for, and their names."""

    rows: list[Any]
    columns: list[Any]
    of_rows: str
    of_columns: str

    def place(self, cell: Cell) -> str:
        """Return where a cell is, in words: "processes 2, threads 1"."""
        row, column = self.rows[cell[0]], self.columns[cell[1]]
        words = (f"{self.of_rows} {_word(row)}", f"{self.of_columns} {_word(column)}")
        return ", ".join(word.strip() for word in words)

    def product(self, cores: int) -> str:
        """Return in words that a row times a column is that number of cores."""
        sides = f"{self.of_rows or 'row'} × {self.of_columns or 'column'}"
        return f"{sides} = {quantity(cores, 'core')}"


class Heat(NamedTuple):
    """What a panel shows: where, what, and the values of the cells that have one."""

    labels: Labels
    reading: Reading
    values: Mapping[Cell, float]

    @property
    def ranked(self) -> list[Cell]:
        """The cells of known values, the best first."""
        known = [cell for cell, value in self.values.items() if not math.isnan(value)]
        most = self.reading.most
        return sorted(known, key=self.values.__getitem__, reverse=most)

    @property
    def scale(self) -> Normalize:
        """What maps values to 0 to 1: by logarithms where they lie far apart."""
        known = [self.values[cell] for cell in self.ranked] or [0.0]
        low, high = min(known), max(known)
        return (LogNorm if 0 < FAR_APART * low < high else Normalize)(low, high)

    @property
    def even(self) -> list[Line]:
        """Where a speed-up breaks even: the borders between cells below 1 and others.

        None beside cells that are empty or unknown.
        """
        found: list[Line] = []
        speedups = self.values if self.reading is SPEEDUP else {}
        for (row, column), value in speedups.items():
            for down, right in ((1, 0), (0, 1)):
                other = self.values.get((row + down, column + right), math.nan)
                known = not math.isnan(value + other)
                if known and (value < 1) != (other < 1):
                    x, y = column + 0.5, row + 0.5
                    found.append([(x - down, y - right), (x, y)])
        return found

    def at(self, cell: Cell) -> str:
        """Return what a cell shows, and where it is."""
        value = self.reading.quantity(self.values[cell])
        return f"{value} ({self.labels.place(cell)})"

    @property
    def title(self) -> str:
        """The finding."""
        said, ranked = self.reading.said, self.ranked
        if not ranked:
            return f"{said}: unknown"
        if self.reading is SPEEDUP and self.values[ranked[0]] < 1:
            said = "Never as fast as the loop"
        title = f"{said}: at best {self.at(ranked[0])}"
        worst = self.reading.quantity(self.values[ranked[-1]])
        longer = f"{title}, at worst {worst}"
        return longer if len(ranked) > 1 and len(longer) <= LONGEST else title

    @property
    def sentence(self) -> str:
        """Which cell is the best, which the worst, and how many aren't known."""
        ends = list(dict.fromkeys([*self.ranked[:1], *self.ranked[-1:]]))
        words = zip(("at best", "at worst"), map(self.at, ends), strict=False)
        said = [" ".join(each) for each in words]
        if unknown := len(self.values) - len(self.ranked):
            many = f"{unknown} of {len(self.values)}" if ends else "all"
            said.append(f"unknown (“?”) in {many}: {self.reading.unknown}")
        return f"{self.reading.said}: {', '.join(said)}."


@shown
def heat_map(
    grid: Grid,
    *read: str,
    rows: str = "",
    columns: str = "",
    cores: int | None = None,
    mark: tuple[Hashable, Hashable] | None = None,
) -> Drawn:
    """Show in each cell what is read off its run: the more, the darker.

    Args:
        grid: by row, by column: a run, or None where there is none yet. A column
            "serial" isn't drawn: it is the loop that a speed-up compares with.
        read: what to read off the runs, a panel each, two at most: "speed-up", with a
            line where it breaks even; "useful share"; "wall"; "CPU time".
        rows, columns: what they are called.
        cores: draws a line where row × column, if they are numbers, is that one.
        mark: a row and a column: the cell of the reader's own setting.

    Raises:
        ValueError: there is no run, or no task in one; no such reading; no "serial"
            for a speed-up; no such cell; or no numbers to multiply.
    """
    readings = _readings(read)
    labels = _labels(grid, rows, columns)
    heats = [Heat(labels, each, _values(grid, labels, each)) for each in readings]
    equal = _equal(labels, cores) if cores else []
    marked = [_cell_of(labels, mark)] if mark else []
    figure, drawn = _heat_panels(labels, len(heats))
    for panel, heat in zip(drawn, heats, strict=True):
        axes = panel.axes
        _heat_cells(panel, heat)
        _heat_lines(axes, [equal] if equal else [], EQUAL)
        _heat_lines(axes, heat.even, EVEN)
        for row, column in marked:
            style = {"marker": CORNER, "markersize": 26, "zorder": 4}
            axes.plot(column - 0.5, row - 0.5, **MARK, **style)
    product = labels.product(cores) if equal and cores else ""
    _heat_legend(figure, any(heat.even for heat in heats), product, bool(marked))
    simulated = any(run.made.get("simulated") for run in _drawn_in(grid))
    title = heats[0].title + " (simulated)" * simulated
    figure.suptitle(cut(title, LONGEST), x=0.01, ha="left", fontsize=11)
    said = [heat.sentence for heat in heats]
    if SPEEDUP in readings:
        said.append(_winners(heats[readings.index(SPEEDUP)]))
    if cores:
        said.append(_equal_sentence(heats, cores))
    said += [_marked_sentence(heats, cell) for cell in marked]
    return figure, " ".join(said)


def _word(label: Any) -> str:
    return f"{label:,}" if isinstance(label, int) else str(label)


def _readings(read: Sequence[str]) -> list[Reading]:
    known = ", ".join(f'"{name}"' for name in READINGS)
    if not 1 <= len(read) <= 2:
        raise ValueError(f"heat_map: it shows one or two of {known}")
    if strange := [name for name in read if name not in READINGS]:
        raise ValueError(f"heat_map: it shows {known}, and not {strange[0]!r}")
    return [READINGS[name] for name in read]


def _drawn_in(grid: Grid) -> list[Run]:
    """Return the runs of the cells that are drawn."""
    return [
        run
        for cells in grid.values()
        for column, run in cells.items()
        if run is not None and column != "serial"
    ]


def _labels(grid: Grid, of_rows: str, of_columns: str) -> Labels:
    """Return the labels of all cells; what is no grid of runs gets one line."""
    if not all(isinstance(cells, Mapping) for cells in grid.values()):
        raise ValueError("heat_map: it draws runs by row, and in each by column")
    need_tasks("heat_map", _drawn_in(grid))
    columns = dict.fromkeys(name for cells in grid.values() for name in cells)
    columns.pop("serial", None)
    return Labels(_in_order(grid), _in_order(columns), of_rows, of_columns)


def _in_order(labels: Mapping[Any, Any]) -> list[Any]:
    """Return labels: numbers first, from the least on, then others as they came."""
    numbers = _numbers(labels)
    return [*numbers, *(label for label in labels if label not in numbers)]


def _numbers(labels: Iterable[Any]) -> list[Any]:
    return sorted(label for label in labels if isinstance(label, int | float))


def _values(grid: Grid, labels: Labels, reading: Reading) -> dict[Cell, float]:
    """Return what is read off each run."""
    found = {}
    for row, cells in enumerate(grid[label] for label in labels.rows):
        there = {label: run for label, run in cells.items() if run is not None}
        loop = loop_of("heat_map", there) if there and reading is SPEEDUP else None
        for label in there.keys() - {"serial"}:
            cell = row, labels.columns.index(label)
            found[cell] = reading.of(there[label], loop)
    return dict(sorted(found.items()))


def _cell_of(labels: Labels, mark: tuple[Hashable, Hashable]) -> Cell:
    row, column = mark
    if row not in labels.rows or column not in labels.columns:
        raise ValueError(f"heat_map: there is no cell {row!r}, {column!r} to mark")
    return labels.rows.index(row), labels.columns.index(column)


def _equal(labels: Labels, cores: int) -> Line:
    """Return the line on which row × column is the number of cores.

    It leads through cells, and between them by the logarithms of their labels.
    """
    rows, columns = _numbers(labels.rows), _numbers(labels.columns)
    if not rows or not columns or min(*rows, *columns) <= 0:
        raise ValueError("heat_map: row × column needs rows and columns of numbers")
    points = {(_among(columns, cores / row), float(y)) for y, row in enumerate(rows)}
    points |= {(float(x), _among(rows, cores / c)) for x, c in enumerate(columns)}
    line = sorted(point for point in points if not any(map(math.isnan, point)))
    if not line:
        return []
    (left, low), (right, high) = line[0], line[-1]
    return [(left - 0.45, low + 0.45), *line, (right + 0.45, high - 0.45)]


def _among(labels: Sequence[float], number: float) -> float:
    """Return where among rising labels a number is; nan if it is outside."""
    logs, places = np.log(labels), range(len(labels))
    place = np.interp(math.log(number), logs, places, left=math.nan, right=math.nan)
    return round(float(place), 6)


class HeatPanel(NamedTuple):
    """Axes for a heat map, with the width and the height of its cells in points."""

    axes: Axes
    width: float
    height: float


def _heat_panels(labels: Labels, panels: int) -> tuple[Figure, list[HeatPanel]]:
    """Return a figure with empty panels, beside each other where they have room."""
    rows, columns = len(labels.rows), len(labels.columns)
    across = panels if columns <= BESIDE else 1
    down = panels // across
    height = min(0.5, (TALLEST - 1.1 - 0.8 * down) / (rows * down))
    figure = new_figure(down * (height * rows + 0.8) + 0.7)
    drawn = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    names = [
        cut(_word(each), max(2, 60 // across // columns)) for each in labels.columns
    ]
    for axes in drawn.flat:
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xticks(range(columns), names)
        axes.set_yticks(range(rows), [cut(_word(row), 20) for row in labels.rows])
        axes.tick_params(length=0, labelbottom=True)
        axes.spines[:].set_color(FAINT)
        axes.set_xlabel(labels.of_columns)
        axes.vlines(
            np.arange(0.5, columns - 1), -0.5, rows - 0.5, FAINT, lw=1, zorder=0
        )
        axes.hlines(
            np.arange(0.5, rows - 1), -0.5, columns - 0.5, FAINT, lw=1, zorder=0
        )
    for axes in drawn[:, 0]:
        axes.set_ylabel(labels.of_rows)
    width = (WIDTH - 1.3) / across / columns
    return figure, [HeatPanel(axes, 72 * width, 72 * height) for axes in drawn.flat]


def _heat_cells(panel: HeatPanel, heat: Heat) -> None:
    """Draw a box with its number for each value, and a frame into the best."""
    axes, scale = panel.axes, heat.scale
    axes.set_title(heat.reading.panel, loc="left", fontsize=10)
    longest = max(len(heat.reading.number(value)) for value in heat.values.values())
    size = min(12, panel.width / (0.7 * longest + 0.7))
    for (row, column), value in heat.values.items():
        shade = "white" if math.isnan(value) else SHADES(scale(value))
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=shade, edgecolor="white"))
        words = heat.reading.number(value)
        text = axes.text(column, row, words, ha="center", va="center", zorder=3)
        text.set(color=_ink(shade), fontsize=size)
        text.set_bbox({"facecolor": shade, "edgecolor": "none", "pad": 1})
        if (row, column) in heat.ranked[:1]:
            text.set_fontweight("bold")
            _heat_frame(panel, row, column)


def _heat_frame(panel: HeatPanel, row: int, column: int) -> None:
    rim = [withStroke(linewidth=RIM, foreground="white")]
    wide, high = INSET / panel.width, INSET / panel.height
    frame = Rectangle(
        (column - 0.5 + wide, row - 0.5 + high), 1 - 2 * wide, 1 - 2 * high, **BEST
    )
    frame.set(path_effects=rim, zorder=2.5)
    panel.axes.add_patch(frame)


def _ink(shade: Any) -> str:
    """Return black or white, whichever has more contrast by WCAG 2: 4.5:1 at least."""
    channels = np.array(to_rgb(shade))
    curve = ((channels + 0.055) / 1.055) ** 2.4
    linear = np.where(channels <= 0.04045, channels / 12.92, curve)
    light = float(linear @ (0.2126, 0.7152, 0.0722))
    return "black" if (light + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _heat_lines(axes: Axes, lines: Sequence[Line], style: Mapping[str, Any]) -> None:
    """Draw lines on a white rim."""
    rim = {**style, "color": "white", "linewidth": RIM, "linestyle": "-"}
    for each in (rim, style):
        drawn = LineCollection(list(lines), capstyle="projecting", **each)
        axes.add_collection(drawn, autolim=False)


def _heat_legend(figure: Figure, even: bool, product: str, marked: bool) -> None:
    """Say under the panels what stands for what."""
    handles: list[Artist] = [
        Patch(facecolor=SHADES(0.75), label="darker: more"),
        Patch(**BEST, label="the best"),
    ]
    if even:
        handles.append(Line2D([], [], **EVEN, label="break-even: as fast as the loop"))
    if product:
        handles.append(Line2D([], [], **EQUAL, label=product))
    if marked:
        corner = {"marker": AROUND, "markersize": 12, "label": "your setting"}
        handles.append(Line2D([], [], **MARK, **corner))
    letters = sum(len(str(handle.get_label())) for handle in handles)
    legend_under(figure, handles, len(handles) if letters <= ONE_LINE else 3)


def _winners(heat: Heat) -> str:
    """Return, by rows, in which cells a speed-up is 1 or more."""
    labels, values = heat.labels, heat.values
    won = {cell for cell, value in values.items() if value >= 1}
    if not won or len(won) == len(values):
        return f"{'Every' if won else 'No'} cell is as fast as the loop or faster."
    said = []
    for same, rows in groupby(range(len(labels.rows)), lambda row: _won(won, row)):
        if same:
            names = _listed(labels.rows, list(rows))
            said.append(f"{names} with {_listed(labels.columns, same)}")
    names = f"{labels.of_rows}, with {labels.of_columns}"
    of = f" ({names})" if labels.of_rows and labels.of_columns else ""
    return f"As fast as the loop or faster{of}: {'; '.join(said)}; no other."


def _won(won: set[Cell], row: int) -> list[int]:
    return sorted(column for other, column in won if other == row)


def _listed(labels: Sequence[Any], places: Sequence[int]) -> str:
    """Return the labels of places: "1 and 2", "1 to 8"."""
    words = [_word(labels[place]) for place in places]
    in_a_row = places[-1] - places[0] == len(places) - 1
    return (
        f"{words[0]} to {words[-1]}" if in_a_row and len(words) > 2 else listed(words)
    )


def _product(*labels: Any) -> float:
    return math.prod(labels) if len(_numbers(labels)) == len(labels) else math.nan


def _equal_sentence(heats: Sequence[Heat], cores: int) -> str:
    """Return what the first panel shows where row × column is the number of cores."""
    heat, labels = heats[0], heats[0].labels
    equal = [
        heat.at((row, column))
        for row, column in heat.values
        if _product(labels.rows[row], labels.columns[column]) == cores
    ]
    if not equal:
        return f"No cell here has {labels.product(cores)}."
    return f"{heat.reading.said} where {labels.product(cores)}: {', '.join(equal)}."


def _marked_sentence(heats: Sequence[Heat], cell: Cell) -> str:
    said = [
        heat.reading.quantity(heat.values[cell])
        for heat in heats
        if cell in heat.values
    ]
    place = heats[0].labels.place(cell)
    return f"Your setting ({place}): {', '.join(said) or 'not measured yet'}."
