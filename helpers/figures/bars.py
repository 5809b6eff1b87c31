"""How much of something: a bar for each way, every round a point."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from helpers.claims import FREE, GIVEN
from helpers.figures.look import (
    SERIAL,
    Drawn,
    bar,
    capital,
    finding,
    guess_mark,
    in_seconds,
    loop_of,
    name_rows,
    need_tasks,
    new_figure,
    note,
    quantity,
    shown,
    ways_of,
    whole_numbers,
)
from helpers.machine import Cores
from helpers.runs import Run

if TYPE_CHECKING:
    from helpers.predict import Guess


@shown
def race_bars(
    runs: Mapping[str, Run], guesses: "Mapping[str, Guess] | None" = None
) -> Drawn:
    """Show the time and the busy cores of each way, every round a point.

    Args:
        runs: the best run of each way, by name, as `race` returns them.
        guesses: by name of a way: how many times as fast as "serial" it would be.

    Raises:
        ValueError: there is no run, or no task in one; or guesses without "serial".
    """
    need_tasks("race_bars", runs.values())
    figure = new_figure(0.5 * len(runs) + 1.1)
    time, busy = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    for row, (name, run) in enumerate(runs.items()):
        bar(time, row, name, run.wall, [again.wall for again in run.rounds])
        bar(busy, row, name, run.cores_busy, [r.cores_busy for r in run.rounds])
    for axes, label in ((time, "seconds (bar: best round)"), (busy, "cores busy")):
        name_rows(axes, list(runs))
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    busy.tick_params(labelleft=False)
    busy.set_xlim(right=max(1.05, busy.get_xlim()[1]))
    finding(time, _race_title(runs))
    said = [
        f"{capital(name)}: {in_seconds(run.wall)}, {run.cores_busy:.2f} cores busy."
        for name, run in runs.items()
    ]
    for name, guess in (guesses or {}).items():
        base = loop_of("race_bars", runs).wall
        guess_mark(time, base / guess.value, list(runs).index(name), guess)
        said.append(f"{capital(name)}: {guess.said(base / runs[name].wall)}")
    return figure, " ".join(said)


def _race_title(runs: Mapping[str, Run]) -> str:
    fastest = min(runs, key=lambda name: runs[name].wall)
    loops = [run for run in runs.values() if run.strategy == "serial"]
    if len(loops) != 1:
        return f"Fastest here: {fastest}"
    if runs[fastest] is loops[0]:
        return "Nothing beat the serial loop"
    gain = loops[0].wall / runs[fastest].wall
    return f"{capital(fastest)}: {gain:.1f} times as fast as the serial loop"


@shown
def gains(races: Mapping[str, Mapping[str, Run]]) -> Drawn:
    """Show how much faster than the serial loop each function ran in each way.

    Args:
        races: by name of the function, what `race` returned, "serial" among it.

    Raises:
        ValueError: there is no race, one without "serial" or without a way that
            another has, or a run without tasks.
    """
    ways = ways_of("gains", races.values())
    figure = new_figure(0.34 * len(ways) * len(races) + 1.3)
    axes = figure.subplots()
    height = 0.8 / len(ways)
    for row, runs in enumerate(races.values()):
        base = runs["serial"].wall
        for number, way in enumerate(ways):
            place = row - 0.4 + height * (number + 0.5)
            gain, rounds = base / runs[way].wall, runs[way].rounds
            bar(axes, place, way, gain, [base / r.wall for r in rounds], 0.9 * height)
            note(axes, gain, place, f"{gain:.1f} ×  {way}")
    axes.axvline(1, color=SERIAL.colour, linestyle=SERIAL.line)
    name_rows(axes, list(races))
    axes.set_xlim(0, 1.35 * max(axes.get_xlim()[1], 1))
    axes.set_xlabel("times as fast as the serial loop (dotted: no gain)")
    workers = max(run.workers for runs in races.values() for run in runs.values())
    finding(axes, f"What {quantity(workers, 'worker')} gain{'s' * (workers == 1)}")
    return figure, " ".join(
        f"{capital(name)}: "
        + ", ".join(
            f"{runs['serial'].wall / runs[way].wall:.1f} × {way}" for way in ways
        )
        + "."
        for name, runs in races.items()
    )


@shown
def startups(
    runs: Mapping[str, Run], guesses: "Mapping[str, Guess] | None" = None
) -> Drawn:
    """Show how long each way took until all of its workers were there.

    Args:
        runs: by name of the way.
        guesses: by name of a way: how many milliseconds it would take.

    Raises:
        ValueError: there is no run.
    """
    if not runs:
        raise ValueError("startups: there is no run to draw")
    figure = new_figure(0.4 * len(runs) + 1.1)
    axes = figure.subplots()
    for row, (name, run) in enumerate(runs.items()):
        bar(axes, row, name, 1e3 * run.startup)
    # Beside the names they are in no guess's way.
    name_rows(axes, [f"{name}: {_startup(run)}" for name, run in runs.items()])
    axes.set_xlim(0, 1.05 * axes.get_xlim()[1])
    workers = max(run.workers for run in runs.values())
    there = "1 worker was" if workers == 1 else f"{workers} workers were"
    axes.set_xlabel(f"milliseconds until {there} there")
    slowest = max(runs, key=lambda name: runs[name].startup)
    finding(axes, f"Slowest to start: {slowest}")
    said = [f"{capital(name)}: {_startup(run)}." for name, run in runs.items()]
    for name, guess in (guesses or {}).items():
        guess_mark(axes, guess.value, list(runs).index(name), guess)
        said.append(f"{capital(name)}: {guess.said(1e3 * runs[name].startup)}")
    return figure, " ".join(said)


def _startup(run: Run) -> str:
    """Return how long the start took, and how many came if not all did."""
    late = 0 < run.ready < run.workers
    came = f" ({run.ready} of {run.workers} workers)" if late else ""
    return f"{1e3 * run.startup:.0f} ms{came}"


@shown
def cores(counted: Cores, ceiling: float, guess: "Guess | None" = None) -> Drawn:
    """Show how many cores there are: counted, allowed, and what they really give.

    Args:
        counted: from `machine.cores()`.
        ceiling: from `machine.ceiling()`, for as many workers as allowed cores.
        guess: what the ceiling would be.
    """
    figure = new_figure(2.4)
    axes = figure.subplots()
    logical, allowed = counted
    counts, greys = (logical, allowed, ceiling), ("#BFBFBF", "#8C8C8C", "#404040")
    axes.barh(range(3), counts, height=0.6, color=greys)
    # Beside the names they are in no guess's way.
    names = [f"logical: {logical}", f"allowed: {allowed}", f"measured: {ceiling:.2f}"]
    name_rows(axes, names)
    axes.set_ylim(2.6, -0.8)
    axes.set_xlim(0, 1.12 * max(*counts, guess.value if guess else 0))
    whole_numbers(axes)
    axes.set_xlabel("cores")
    _ceiling_line(axes, ceiling)
    words = quantity(allowed, "core")
    finding(axes, f"{words} allowed, {ceiling:.1f} cores' worth of work")
    sentence = (
        f"This machine has {quantity(logical, 'logical core')}, this Python may use "
        f"{allowed}, and together they do {ceiling:.2f} times the work of one."
        f"{_shortfall(allowed, ceiling)}"
    )
    if guess:
        guess_mark(axes, guess.value, 2, guess)
        sentence += f" {guess.said(ceiling)}"
    return figure, sentence


def _ceiling_line(axes: Axes, ceiling: float) -> None:
    axes.axvline(ceiling, color="black", linestyle="--")
    side = "left" if ceiling < axes.get_xlim()[1] / 2 else "right"
    offset = (6 if side == "left" else -6, 0)
    note(axes, ceiling, -0.5, "the ceiling", offset, side)


def _shortfall(allowed: int, ceiling: float) -> str:
    """Say why the cores do less together than they are, as far as it is known."""
    free = getattr(ceiling, "cores_free", math.nan)
    if free < FREE * allowed:
        return (
            f" So this machine is giving the lab {free:.1f} of its "
            f"{quantity(allowed, 'core')}: close other programs and run again."
        )
    if free >= FREE * allowed and ceiling < GIVEN * allowed:
        return (
            " The cores were free, so no other program is to blame: two logical cores "
            "may be the halves of one real core (hyper-threads), or each may be slower "
            "when all of them work."
        )
    return ""
