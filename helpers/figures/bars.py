"""How much of something: a bar for each way, every round a point."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from helpers.claims import FREE, GIVEN
from helpers.figures.look import (
    SERIAL,
    Drawn,
    at_a_time,
    bar,
    bare,
    capital,
    finding,
    guess_mark,
    in_seconds,
    label,
    labels,
    loop_of,
    name_rows,
    need_tasks,
    new_figure,
    note,
    python_of,
    quantity,
    several_pythons,
    shown,
    ways_of,
    whole_numbers,
)
from helpers.machine import Cores
from helpers.runs import Run

if TYPE_CHECKING:
    from helpers.advice import Advice
    from helpers.predict import Guess

# What a process needs once weighs more in fewer waits than each of them does.
FEW = 100


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
    named = labels(runs)
    figure = new_figure(0.5 * len(runs) + 1.1)
    time, busy = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    for row, (name, run) in enumerate(runs.items()):
        bar(time, row, name, run.wall, [again.wall for again in run.rounds])
        bar(busy, row, name, run.cores_busy, [r.cores_busy for r in run.rounds])
    for axes, words in ((time, "seconds (bar: best round)"), (busy, "cores busy")):
        name_rows(axes, list(named.values()))
        axes.set_xlabel(words)
        axes.set_xlim(left=0)
    busy.tick_params(labelleft=False)
    busy.set_xlim(right=max(1.05, busy.get_xlim()[1]))
    finding(time, _race_title(runs, named))
    said = [
        f"{capital(named[name])}: {in_seconds(run.wall)}, "
        f"{run.cores_busy:.2f} cores busy."
        for name, run in runs.items()
    ]
    for name, guess in (guesses or {}).items():
        base = loop_of("race_bars", runs).wall
        guess_mark(time, base / guess.value, list(runs).index(name), guess)
        said.append(f"{capital(named[name])}: {guess.said(base / runs[name].wall)}")
    return figure, " ".join(said)


def _race_title(runs: Mapping[str, Run], named: Mapping[str, str]) -> str:
    fastest = min(runs, key=lambda name: runs[name].wall)
    loops = [run for run in runs.values() if run.strategy == "serial"]
    if len(loops) != 1:
        return f"Fastest here: {named[fastest]}"
    if runs[fastest] is loops[0]:
        return "Nothing beat the serial loop"
    gain = loops[0].wall / runs[fastest].wall
    return f"{capital(named[fastest])}: {gain:.1f} times as fast as the serial loop"


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
    rows, named = _gains_names(races)
    figure = new_figure(0.34 * len(ways) * len(races) + 1.3)
    axes = figure.subplots()
    height = 0.8 / len(ways)
    for row, runs in enumerate(races.values()):
        base = runs["serial"].wall
        for number, way in enumerate(ways):
            place = row - 0.4 + height * (number + 0.5)
            gain, rounds = base / runs[way].wall, runs[way].rounds
            bar(axes, place, way, gain, [base / r.wall for r in rounds], 0.9 * height)
            note(axes, gain, place, f"{gain:.1f} ×  {named[row][way]}")
    axes.axvline(1, color=SERIAL.colour, linestyle=SERIAL.line)
    name_rows(axes, rows)
    axes.set_xlim(0, 1.35 * max(axes.get_xlim()[1], 1))
    axes.set_xlabel("times as fast as the serial loop (dotted: no gain)")
    workers = max(run.workers for runs in races.values() for run in runs.values())
    finding(axes, f"What {quantity(workers, 'worker')} gain{'s' * (workers == 1)}")
    return figure, " ".join(
        f"{capital(name)}: "
        + ", ".join(
            f"{runs['serial'].wall / runs[way].wall:.1f} × {names[way]}" for way in ways
        )
        + "."
        for name, names, runs in zip(rows, named, races.values(), strict=True)
    )


def _gains_names(
    races: Mapping[str, Mapping[str, Run]],
) -> tuple[list[str], list[dict[str, str]]]:
    """Return what the races are called, and in each of them what its ways are.

    Where each race has a Python of its own, the race is named after it.
    """
    named = [labels(runs) for runs in races.values()]
    several = several_pythons(run for runs in races.values() for run in runs.values())
    if not several or any(several_pythons(runs.values()) for runs in races.values()):
        return list(races), named
    return [label(name, runs["serial"]) for name, runs in races.items()], named


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
    named = labels(runs)
    figure = new_figure(0.4 * len(runs) + 1.1)
    axes = figure.subplots()
    for row, (name, run) in enumerate(runs.items()):
        bar(axes, row, name, 1e3 * run.startup)
    # Beside the names they are in no guess's way.
    name_rows(axes, [f"{named[name]}: {_startup(run)}" for name, run in runs.items()])
    axes.set_xlim(0, 1.05 * axes.get_xlim()[1])
    workers = max(run.workers for run in runs.values())
    there = "1 worker was" if workers == 1 else f"{workers} workers were"
    axes.set_xlabel(f"milliseconds until {there} there")
    slowest = max(runs, key=lambda name: runs[name].startup)
    finding(axes, f"Slowest to start: {named[slowest]}")
    said = [f"{capital(named[name])}: {_startup(run)}." for name, run in runs.items()]
    for name, guess in (guesses or {}).items():
        guess_mark(axes, guess.value, list(runs).index(name), guess)
        said.append(f"{capital(named[name])}: {guess.said(1e3 * runs[name].startup)}")
    return figure, " ".join(said)


def _startup(run: Run) -> str:
    """Return how long the start took, and how many came if not all did."""
    late = 0 < run.ready < run.workers
    came = f" ({run.ready} of {run.workers} workers)" if late else ""
    return f"{1e3 * run.startup:.0f} ms{came}"


@shown
def waits(runs: Iterable[Run]) -> Drawn:
    """Show what waiting costs in each run: wall time, threads, and memory for a wait.

    Args:
        runs: made with `run(..., memory=True)`; one made without has no memory to show.

    Raises:
        ValueError: there is no run, or no task in one.
    """
    runs = list(runs)
    need_tasks("waits", runs)
    names = _waits_names(runs)
    figure = new_figure(0.45 * len(runs) + 1.1)
    wall, threads, memory = drawn = figure.subplots(1, 3, sharey=True)
    for row, run in enumerate(runs):
        rounds = [again.wall for again in run.rounds]
        _told_bar(wall, row, run, run.wall, in_seconds(run.wall), rounds)
        count = len(run.by_worker)
        _told_bar(threads, row, run, count, f"{count:,}", [])
        _told_bar(memory, row, run, _kilobytes(run), _memory_words(run), [])
    name_rows(wall, [name.replace(", ", ",\n", 1) for name in names])
    again = any(len(run.rounds) > 1 for run in runs)
    seconds = "seconds (bar: best)" if again else "seconds"
    axis_words = (seconds, "threads", "kB of memory for each")
    for axes, words in zip(drawn, axis_words, strict=True):
        _few_numbers(axes, words)
    if all(run.memory is None for run in runs):
        memory.set_xticks([])
    finding(wall, _waits_title(runs, names))
    return figure, " ".join(map(_waits_sentence, names, runs))


@shown
def predictions(advice: "Advice") -> Drawn:
    """Show how long the whole loop would take each way, and how sure that is.

    Args:
        advice: what `advise` returned.

    Raises:
        ValueError: nothing was measured.
    """
    predicted = advice.predicted
    if not predicted:
        raise ValueError(f"predictions: {advice.function} was not measured")
    figure = new_figure(0.42 * len(predicted) + 1.1)
    axes = figure.subplots()
    for row, (way, (best, low, high)) in enumerate(predicted.items()):
        bar(axes, row, way, best)
        sides = [[best - low], [high - best]]
        axes.errorbar(best, row, xerr=sides, color="black", capsize=4)
    axes.axvline(predicted["serial"].best, color="dimgrey", linestyle=":")
    name_rows(axes, [_way(each) for each in predicted])
    bare(axes)
    axes.set_xlabel("seconds for the whole loop (black: two standard errors)")
    axes.set_xlim(left=0)
    words = "Leave it a loop: no other way gains enough"
    if advice.way != "serial":
        gain = predicted["serial"].best / predicted[advice.way].best
        words = f"{_way(advice.way)}: {gain:.1f} times as fast as the loop"
    finding(axes, words)
    said = [
        f"{_way(way)}: {in_seconds(best)}, from {in_seconds(low)} to "
        f"{in_seconds(high)}."
        for way, (best, low, high) in predicted.items()
    ]
    return figure, " ".join(said)


def _way(name: str) -> str:
    """Return a way as a reader says it: "processes 3" sends three tasks at a time."""
    kind, *size = name.split()
    words = capital(kind.replace("_", " "))
    return f"{words}, chunks of {size[0]}" if size else words


def _few_numbers(axes: Axes, label: str) -> None:
    """Let a narrow axis count what its label says, with room beside the longest bar."""
    bare(axes)
    axes.set_xlabel(label)
    axes.set_xlim(0, 1.65 * axes.get_xlim()[1])
    steps = [1, 2, 5, 10]
    # Without the last number, which would meet the first of the next axis.
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=steps, prune="upper"))
    axes.xaxis.set_major_formatter("{x:,g}")


def _told_bar(
    axes: Axes, row: int, run: Run, value: float, words: str, rounds: Sequence[float]
) -> None:
    """Draw a bar, and beside it what it says."""
    bar(axes, row, run.strategy, value, rounds)
    # The layout leaves no room for it: the axis does.
    note(axes, max(value, *rounds, 0), row, words).set_in_layout(False)


def _waits_names(runs: Sequence[Run]) -> list[str]:
    """Return what tells the runs apart: how many waits, and in which way."""
    names: list[str] = []
    several = several_pythons(runs)
    for run in runs:
        loop, tasks = run.strategy == "serial", len(run.spans)
        python = python_of(run) if several else ""
        many = quantity(tasks, "wait") + (f" in {python}" if python else "")
        name = f"{many}, {'in a loop' if loop else run.strategy}"
        if not loop and run.workers < tasks:
            name += f", {at_a_time(run.workers)}"
        if name in names:
            name += f", {run.made.get('source', 'again')}"
        names.append(name)
    return names


def _waits_title(runs: Sequence[Run], names: Sequence[str]) -> str:
    costs: dict[str, Run] = {}
    most = max(len(run.spans) for run in runs)
    for run in sorted(runs, key=lambda run: run.workers):
        if run.strategy != "serial" and len(run.spans) == most and _kilobytes(run):
            costs[run.strategy] = run
    if len(costs) == 2:
        if any(run.strategy == "serial" for run in runs):  # then it is about time
            words = [f"{in_seconds(run.wall)} in {way}" for way, run in costs.items()]
            return f"{most:,} waits: {', '.join(words)}"
        words = [f"{_memory_words(run)} in {way}" for way, run in costs.items()]
        return f"A wait takes {', '.join(words)}"
    row = max(range(len(runs)), key=lambda row: len(runs[row].spans) / runs[row].wall)
    threads = quantity(len(runs[row].by_worker), "thread")
    return f"{names[row]}: {in_seconds(runs[row].wall)} in {threads}"


def _memory_words(run: Run) -> str:
    """Return the memory for each wait, in words."""
    if run.memory is None or len(run.spans) < FEW:
        return "not measured" if run.memory is None else "too few"
    each = _kilobytes(run)
    return f"{each:.1f} kB" if each < 10 else f"{each:,.0f} kB"


def _kilobytes(run: Run) -> float:
    few = len(run.spans) < FEW
    return 0 if few else (run.memory or 0) / len(run.spans) / 1e3


def _waits_sentence(name: str, run: Run) -> str:
    said = f"{name}: {in_seconds(run.wall)}, {quantity(len(run.by_worker), 'thread')}"
    if run.memory is None:
        return f"{said}, memory not measured."
    each = f", {_memory_words(run)} of memory for each" if _kilobytes(run) else ""
    return f"{said}{each}."


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
