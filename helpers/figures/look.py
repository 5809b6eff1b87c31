"""What all figures share: colours, panels, rows, bars, labels, guesses and words."""

import functools
import io
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, cast

from IPython.display import Image, display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from helpers.runs import Run
from helpers.said import say

if TYPE_CHECKING:
    from helpers.predict import Guess

Drawn = tuple[Figure, str]
Arguments = ParamSpec("Arguments")


class Look(NamedTuple):
    """How something looks: its colour, its marker and its line."""

    colour: str
    marker: str
    line: Any


# One role, one look. The colours keep a contrast of 3:1 on white and on black, and
# differ for colour-blind readers too: four are of Okabe and Ito 2008, "Color Universal
# Design"; that of asyncio is the one of this contrast which lies farthest from the
# others and the greys as readers of the three kinds see them (CIEDE2000 over Machado,
# Oliveira and Fernandes 2009: 15.8 at least; between the four and the greys it is 9.9).
LOOKS = {
    "serial": Look("#4D4D4D", "D", ":"),
    "threads": Look("#0072B2", "o", "-"),
    "processes": Look("#D55E00", "s", "--"),
    "multiprocessing_pool": Look("#D55E00", "P", "--"),
    "joblib": Look("#009E73", "^", "-."),
    # joblib can have it for its backend.
    "dask": Look("#009E73", "X", (0, (1, 1))),
    "interpreters": Look("#CC79A7", "D", "-"),
    "asyncio": Look("#964128", ">", (0, (8, 2, 3, 2))),
}
# A map of the reader's own, another machine, a simulation: none of the roles.
OTHER = Look("#767676", "v", (0, (5, 1, 1, 1, 1, 1)))
SERIAL = LOOKS["serial"]
FAINT = "#D9D9D9"
WIDTH, TALLEST = 7.4, 8
# Pixels per inch: the width that a reader sees, and the doubled one that is drawn.
SEEN, DRAWN = 100, 200
# Letters that fit into a title, and into a small line at the bottom; its inches.
TITLE, LINE, SMALL = 85, 105, 0.17
# Letters of a file's name, or of an error's text, that fit into a line; and of what a
# file says of its making.
LONGEST, WORD = 200, 40
# Recorded runs from more places than so many are told of in short.
PLACES = 3
# Inches that the name of a row needs at least, and a panel whatever is beside it.
LEGIBLE, LEAST = 0.17, 0.3
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}


def look_of(name: str) -> Look:
    """Return the look of the role that a name begins with: "processes spawn"."""
    return LOOKS.get(name.replace(",", " ").split()[0], OTHER)


def png(figure: Figure, sentence: str) -> bytes:
    """Return the figure as a PNG, with the sentence as its description."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DRAWN, metadata={"Description": sentence})
    return file.getvalue()


class Shown(Protocol[Arguments]):
    """A function that shows a figure; its `draw` returns figure and sentence."""

    draw: Callable[Arguments, Drawn]

    def __call__(self, *args: Arguments.args, **options: Arguments.kwargs) -> None:
        """Show the figure, and say its sentence."""


def shown(draw: Callable[Arguments, Drawn]) -> Shown[Arguments]:
    """Turn a function that draws into one that shows, and returns nothing.

    Where it draws recorded runs, it says so, in the figure and in the sentence.
    """

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> Drawn:
        args = tuple(list(a) if isinstance(a, Iterator) else a for a in args)
        figure, sentence = draw(*args, **options)
        if words := origins(_runs_in([*args, *options.values()])):
            line_under(figure, capital(words))
            sentence = f"{sentence} {capital(words)}."
        return figure, sentence

    @functools.wraps(draw)
    def show(*args: Arguments.args, **options: Arguments.kwargs) -> None:
        figure, sentence = drawn(*args, **options)
        width = round(figure.get_figwidth() * SEEN)
        display(Image(png(figure, sentence), width=width, alt=sentence))
        say(sentence)

    named = cast(Shown[Arguments], show)
    named.draw = drawn
    return named


def _runs_in(thing: object) -> Iterator[Run]:
    """Yield the runs in what a figure is called with."""
    if isinstance(thing, Run):
        yield thing
    elif isinstance(runs := getattr(thing, "runs", None), tuple):  # an Advice
        yield from runs
    elif isinstance(thing, Iterable) and not isinstance(thing, str):
        for each in thing.values() if isinstance(thing, Mapping) else thing:
            yield from _runs_in(each)


def origins(runs: Iterable[Run]) -> str:
    """Return when, with which Pythons and where recorded runs were made.

    Nothing where none of them is recorded. What is simulated nobody has recorded.
    """
    found: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs:
        if run.made.get("recorded") and not run.made.get("simulated"):
            place = fact_of(run, "date", "some day"), _machine(run)
            found.setdefault(place, {})[python_of(run) or "?"] = None
    if len(found) > PLACES:
        return _in_short(found)
    words = [
        f"recorded on {date}: Python {listed(list(pythons))}, {machine}"
        for (date, machine), pythons in found.items()
    ]
    return "; ".join(words)


def _in_short(found: Mapping[tuple[str, str], Iterable[str]]) -> str:
    """Return of recorded runs from many places on which days, and with what."""
    days = sorted({day for day, _ in found})
    pythons = sorted({python for each in found.values() for python in each})
    machines = sorted({machine.rpartition(", ")[0] for _, machine in found})
    when, which = (
        each[0] if len(each) == 1 else f"{each[0]} to {each[-1]}"
        for each in (days, pythons)
    )
    return f"recorded {when}: Python {which}, {cut(listed(machines), WORD)}"


def python_of(run: Run) -> str:
    """Return which Python made a run: "3.14.2", "3.14.2t" if it is free-threaded.

    Nothing where nobody knows, or nobody made it: it is simulated.
    """
    if not run.made.get("python") or run.made.get("simulated"):
        return ""
    if not run.made.get("free-threaded build"):
        return fact_of(run, "python")
    return fact_of(run, "python") + "t" + " with its GIL" * bool(run.made.get("gil"))


def _machine(run: Run) -> str:
    cores = run.made.get("allowed cores")
    return (
        f"{fact_of(run, 'system')}, {quantity(cores, 'core') if cores else '? cores'}"
    )


def fact_of(run: Run, name: str, unknown: str = "?") -> str:
    """Return what a run, perhaps from anybody's file, says of its making, in a line."""
    # Between two of these would stand a formula.
    fact = run.made.get(name)
    said = str(unknown if fact is None or fact == "" else fact).replace("$", "")
    return in_a_line(said, WORD)


def several_pythons(runs: Iterable[Run]) -> bool:
    """Return whether runs were made by more than one Python, as far as is known."""
    return len({python_of(run) for run in runs} - {""}) > 1


def doers(runs: Sequence[Run]) -> list[str]:
    """Return who did each run: "2 threads"; with its Python where there are several."""
    several = several_pythons(runs)
    return [workers_of(run) + several * _with_python(run) for run in runs]


def _with_python(run: Run) -> str:
    python = python_of(run)
    off = " without the GIL" * (run.made.get("gil") is False)
    return f", Python {python}{off}" if python else ""


def labels(runs: Mapping[str, Run]) -> dict[str, str]:
    """Return by name of each run what it is called: with its Python if it needs one."""
    several = several_pythons(runs.values())
    return {name: label(name, run) if several else name for name, run in runs.items()}


def label(name: str, run: Run) -> str:
    """Return a name with the Python that made its run, unless it says it already."""
    python = python_of(run)
    short = ".".join(python.split(".")[:2]) + "t" * python.endswith("t")
    told = not python or short in name.replace(",", " ").split() or python in name
    return name if told else f"{name}, {python}"


def line_under(figure: Figure, words: str) -> None:
    """Write small words under all that is drawn, for which the figure grows."""
    text = textwrap.fill(words, LINE)
    strip = SMALL * (1 + text.count("\n")) + 0.05
    height = figure.get_figheight() + strip
    figure.set_figheight(height)
    rest = (0, strip / height, 1, 1 - strip / height)
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(rect=rest)
    for legend in figure.legends:
        legend.borderaxespad += 72 * strip / legend.prop.get_size_in_points()
    style: dict[str, Any] = {"fontsize": 9, "color": SERIAL.colour, "va": "bottom"}
    figure.text(0.01, 0.04 / height, text, **style)


def need_tasks(figure: str, runs: Iterable[Run]) -> None:
    """Check that there are runs, and tasks in them.

    Raises:
        ValueError: there are none.
    """
    runs = list(runs)
    if not runs:
        raise ValueError(f"{figure}: there is no run to draw")
    if strange := [run for run in runs if not isinstance(run, Run)]:
        kind = type(strange[0]).__name__
        raise ValueError(f"{figure}: it draws runs, and this is a {kind}")
    if not all(run.spans for run in runs):
        raise ValueError(f"{figure}: a run over nothing has no task to draw")


def loop_of(figure: str, runs: Mapping[str, Run]) -> Run:
    """Return the run that the others are compared with.

    Raises:
        ValueError: there is none of that name.
    """
    if "serial" not in runs:
        raise ValueError(f'{figure}: it compares with "serial", which is missing')
    return runs["serial"]


def ways_of(figure: str, races: Iterable[Mapping[str, Run]]) -> list[str]:
    """Return the ways besides the serial loop, the same in all races.

    Raises:
        ValueError: there is no race or no such way, or a race lacks one of them.
    """
    races = list(races)
    need_tasks(figure, (run for runs in races for run in runs.values()))
    ways = [way for way in races[0] if way != "serial"]
    if not ways:
        raise ValueError(f'{figure}: there is nothing to compare with "serial"')
    for runs in races:
        loop_of(figure, runs)
        if missing := [way for way in ways if way not in runs]:
            raise ValueError(f'{figure}: a race without "{missing[0]}"')
    return ways


def new_figure(height: float) -> Figure:
    """Return an empty figure of the width that all have, its height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def height_of(rows: int, usual: float) -> float:
    """Return the height of a row, in inches: less than usual where there are many."""
    return min(usual, TALLEST / max(1, rows))


class Panel(NamedTuple):
    """Where a run is drawn, and the height of a row there, in inches."""

    axes: Axes
    height: float


def panels(
    runs: Sequence[Run], usual: float, sharex: bool = True
) -> tuple[Figure, list[Panel]]:
    """Return a figure with a panel for each run, and in it a row for each lane."""
    rows, words = [len(run.lanes) for run in runs], 0.55 * len(runs) + 0.5
    heights = heights_of([usual * count for count in rows], TALLEST - words)
    figure = new_figure(sum(heights) + words)
    drawn = figure.subplots(
        len(runs), squeeze=False, sharex=sharex, height_ratios=heights
    )
    found = []
    for axes, run, count, height in zip(drawn[:, 0], runs, rows, heights, strict=True):
        found.append(Panel(axes, height / count))
        waits = look_of(run.strategy) is LOOKS["asyncio"]
        worker_rows(axes, count, height / count, "wait" if waits else "worker")
    return figure, found


def heights_of(wanted: Sequence[float], room: float) -> list[float]:
    """Return the heights of panels that have that room together, in inches.

    The tallest give way, so that a single row stays legible beside a thousand.
    """
    room = max(room, LEAST * len(wanted))
    level = math.inf
    for number, height in enumerate(sorted(wanted)):
        share = room / (len(wanted) - number)
        if height > share:
            level = share
            break
        room -= height
    return [min(height, level) for height in wanted]


def worker_rows(axes: Axes, rows: int, height: float, one: str = "worker") -> None:
    """Name a row for each worker, or every few, so that the names can be read."""
    numbers = every_few(rows, LEGIBLE / height)
    axes.set_yticks(
        [number - 1 for number in numbers], [f"{one} {n:,}" for n in numbers]
    )
    axes.set_ylim(rows - 0.45, -0.55)
    bare(axes)


def every_few(rows: int, least: float) -> list[int]:
    """Return the numbers of the rows that get a name: 1, then round ones.

    Args:
        rows: how many there are.
        least: how many rows a name needs for itself.
    """
    if least <= 1:
        return list(range(1, rows + 1))
    power = 10 ** math.floor(math.log10(least))
    step = next(n for n in (power, 2 * power, 5 * power, 10 * power) if n >= least)
    rounds = range(max(step, math.ceil(1 + least)), rows + 1)
    return [1, *(number for number in rounds if number % step == 0)]


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    bare(axes)


def bare(axes: Axes) -> None:
    """Leave of the axes what rows need: upright lines behind them, and no box."""
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def curve_axes(axes: Axes) -> None:
    """Leave of the axes what curves need: lines behind them, and two sides."""
    axes.set_ylim(bottom=0)
    axes.grid(color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)


def finding(axes: Axes, words: str) -> None:
    """Let the title state the finding, in fewer words where they are too many."""
    for longer, shorter in ((", Python ", ", "), (" without the GIL: ", ": ")):
        if len(words) > TITLE:
            words = words.replace(longer, shorter)
    axes.set_title(cut(words, TITLE), loc="left", fontsize=11)


def note(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    offset: tuple[float, float] = (8, 0),
    ha: str = "left",
    va: str = "center",
    **style: Any,
) -> Annotation:
    """Write beside a point, so many points (1/72 inch) to the right and above."""
    style = {"ha": ha, "va": va, "textcoords": "offset points", "bbox": PAPER, **style}
    return axes.annotate(text, (x, y), offset, **style)


def legend_under(figure: Figure, handles: Sequence[Artist], columns: int = 3) -> None:
    """Say under all panels what stands for what."""
    place: Any = "outside lower center"
    figure.legend(handles=handles, loc=place, ncols=columns, frameon=False)


def whole_numbers(axes: Axes) -> None:
    """Let the x axis count, as cores do: no halves, and powers of two among them."""
    steps = [1, 2, 4, 8, 10]
    ticks = MaxNLocator("auto", steps=steps, integer=True, min_n_ticks=1)
    axes.xaxis.set_major_locator(ticks)


def bar(
    axes: Axes,
    row: float,
    name: str,
    best: float,
    rounds: Sequence[float] = (),
    height: float = 0.6,
) -> None:
    """Draw a bar for the best round in the look of a role, and each round a point."""
    colour, marker, _ = look_of(name)
    axes.barh(row, best, height=height, color=colour)
    if not rounds:  # the layout would leave room for a line without points, at 0, 0
        return
    axes.plot(
        rounds,
        [row] * len(rounds),
        marker,
        color="white",
        markeredgecolor="black",
        markersize=5,
        clip_on=False,
    )


def box(
    left: float, right: float, low: float, high: float
) -> list[tuple[float, float]]:
    """Return the corners of a box."""
    return [(left, low), (left, high), (right, high), (right, low)]


def guess_mark(axes: Axes, x: float, y: float, guess: "Guess") -> None:
    """Mark at a point what the reader has guessed."""
    make_room(axes, x)
    axes.plot(
        x,
        y,
        "*",
        color="white",
        markeredgecolor="black",
        markersize=13,
        zorder=4,
        clip_on=False,
    )
    side = towards_the_middle(axes, x, "center")
    note(axes, x, y, guess.owner, (0, 9), side, "bottom", fontsize=9)


def guess_line(axes: Axes, x: float, guess: "Guess") -> None:
    """Mark across all rows what the reader has guessed."""
    make_room(axes, x)
    axes.axvline(x, color="black", linestyle=(0, (5, 3)), linewidth=1)
    side = towards_the_middle(axes, x, "left")
    offset = (3 if side == "left" else -3, -3)
    style = {"xycoords": ("data", "axes fraction"), "fontsize": 9}
    note(axes, x, 1, guess.owner, offset, side, "top", **style)


def make_room(axes: Axes, x: float) -> None:
    """Let the axis reach to x, and a little further."""
    left, right = axes.get_xlim()
    if x > right:
        axes.set_xlim(right=1.15 * x)
    elif x < left:
        axes.set_xlim(left=x / 1.15)


def towards_the_middle(axes: Axes, x: float, usual: str) -> str:
    """Return how words at x are aligned so that they stay on the axes."""
    pixels = axes.transData.transform((x, axes.get_ylim()[0]))
    place = axes.transAxes.inverted().transform(pixels)[0]
    if place < 0.15:
        return "left"
    return "right" if place > 0.85 else usual


def workers_of(run: Run) -> str:
    """Return who did a run: "2 threads"."""
    name = run.strategy
    if name == "serial":
        return "Serial"
    if name == "asyncio":
        all_at_once = run.workers >= len(run.spans)
        return f"{name}, {'all at once' if all_at_once else at_a_time(run.workers)}"
    kind, _, size = name.rpartition(" ")
    if run.chunksize and size.isdecimal():
        return f"{workers_of(replace(run, strategy=kind))}, chunks of {size}"
    if name in ("threads", "interpreters", "processes"):
        one = name.removesuffix("es" if name == "processes" else "s")
        return quantity(run.workers, one, name)
    return f"{capital(name)}, {quantity(run.workers, 'worker')}"


def quantity(number: int, one: str, several: str = "") -> str:
    """Return a number and what it counts: "1 task", "1,000 tasks"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def at_a_time(workers: int) -> str:
    """Return how many of the tasks were under way at the same time, in words."""
    return f"{workers:,} at a time"


def listed(words: Sequence[str]) -> str:
    """Return words as in a sentence: "a, b and c"; by semicolons if one has a comma."""
    if any("," in word for word in words):
        return "; ".join(words)
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def capital(name: str) -> str:
    """Return a name as a sentence begins with it; that of a module as it is."""
    module = name.startswith(("joblib", "asyncio"))
    return name if module else name[:1].upper() + name[1:]


def in_seconds(seconds: float) -> str:
    """Return a time with its unit, short ones in milliseconds."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.1f} ms"


def in_a_line(text: str, longest: int = LONGEST) -> str:
    """Return what can be shown of a text, in one line that isn't long."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return cut(" ".join(words), longest)


def cut(text: str, longest: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def drawable(text: str) -> str:
    """Return a text with a box for each letter that the figures' font lacks.

    That is what would be drawn for it anyway, after a warning.
    """
    font = get_font(findfont(FontProperties()))
    return "".join(c if font.get_char_index(ord(c)) else "□" for c in text)
