"""A class without readers: what laptops hand in, measured by the Pythons found here.

`python tools/classroom.py FOLDER` measures as notebooks/class.ipynb does, with each
Python, on all cores and on one (as `taskset` would), and adds files that are broken or
hostile: thirty in all where five Pythons are found. Guesses and answers are drawn by
lot, and the files say so. It takes some ten minutes.
"""

import io
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from lessons import CLASS, code_cells, read

from helpers import machine, predict
from helpers.gallery import save_for_class
from helpers.measure import calibrate, race, sweep
from helpers.predict import Guess
from helpers.pythons import Python, pythons
from helpers.quiz import ROUNDS, file_of, questions, save_answers
from helpers.runs import Run
from helpers.trace import watched_countdown
from helpers.workloads import countdown

# Which cores a laptop of the class has, by their places among the allowed ones; None:
# all of them.
Cores = int | None
THREE_TO_ONE: Sequence[Cores] = (None, None, None, 0, 1)
# Seconds that another Python may take: the machine may have other things to do.
PATIENCE = 600
# How many of the answers to the quiz are right: one in three, then three in four.
RIGHT = dict(zip(ROUNDS, (0.35, 0.75)))


def record(folder: Path, laptops: Sequence[Cores] = (None, 0), most: int = 25) -> None:
    """Write what laptops of a class would hand in, for each Python that is found.

    What is there already isn't measured again.

    Args:
        folder: where the files go.
        laptops: the cores of each laptop with one Python.
        most: how many files at most.
    """
    folder.mkdir(exist_ok=True, parents=True)
    found = {python.name: python for python in pythons()}.values()
    every = [(python, place) for place in laptops for python in found]
    for number, (python, place) in enumerate(every[:most], 1):
        if any(folder.glob(f"class_{number}_*.json")):
            continue
        cores = "all cores" if place is None else "one core"
        with on_core(place):
            path = hand_in(folder, f"{number}: {python.name}", python, number)
        print(f"{path.name}: Python {python.version}, {cores}", flush=True)


@contextmanager
def on_core(place: Cores) -> Iterator[None]:
    """Let this process, and what it starts, use one core only; None: all of them."""
    if place is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [sorted(allowed)[place % len(allowed)]])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def hand_in(folder: Path, nickname: str, python: Python, seed: int) -> Path:
    """Measure with a Python, and write the file; return where it is."""
    chance = random.Random(seed)
    runs, measured, top = measure(python)
    guesses = dict(zip(guesses_by_lot(chance), measured, strict=True))
    with tempfile.TemporaryDirectory() as desk, redirect_stdout(io.StringIO()):
        answer_by_lot(Path(desk), chance)
        saved = save_for_class(nickname, runs, guesses, top, desk)
        content = json.loads(saved.read_text(encoding="utf-8"))
    content["notes"] |= {"made up": True, "number": f"{seed:08x}"}
    path = folder / saved.name
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return path


def measure(python: Python) -> tuple[list[Run], list[float], float]:
    """Return the runs that class.ipynb hands in, what it measures, and the ceiling."""
    cores = machine.cores().allowed
    n = calibrate(watched_countdown, 0.15)
    ways = {"serial": 1, "threads": 2, "processes": 2}
    there: dict[str, Any] = {"python": python.path, "limit": PATIENCE}
    turns = race(watched_countdown, [n, n], ways, **there)
    tasks = [calibrate(countdown, 1.2 / (4 * cores))] * 4 * cores
    counts = sorted({0, 1, 2, 4, cores})
    swept = sweep(countdown, tasks, "processes", counts, **there)
    measured = [
        turns["serial"].wall / turns["threads"].wall,
        100 * swept[0].wall / swept[cores].wall / cores,
        1000 * turns["processes"].startup,
    ]
    runs = [turns["threads"], turns["processes"], *swept.values()]
    return runs, measured, machine.ceiling(cores)


def guesses_by_lot(chance: random.Random) -> list[Guess]:
    """Return the guesses that class.ipynb asks for; one in six is left as it was."""
    found: dict[str, object] = {"number": predict.number}
    with redirect_stdout(io.StringIO()):
        for cell in code_cells(read(CLASS)):
            if cell.id.startswith("guess-"):
                exec(cell.source, found)
    guesses = [each for each in found.values() if isinstance(each, Guess)]
    for guess in guesses:
        slider = guess.children[-1]
        place = chance.triangular(slider.min, slider.max, slider.min + slider.max / 2)
        if chance.random() < 5 / 6:
            slider.value = 10**place if hasattr(slider, "base") else place
    return guesses


def answer_by_lot(folder: Path, chance: random.Random) -> None:
    """Save answers to the quiz, before and after, there."""
    for when, share in RIGHT.items():
        answers = {
            each.name: each.answer
            if chance.random() < share
            else chance.choice(list(each.options))
            for each in questions()
        }
        save_answers(file_of(when, folder), answers)


def spoil(folder: Path) -> None:
    """Add three files that are broken and two that are hostile, under usual names.

    Args:
        folder: where at least one sound file is.
    """
    sound = min(folder.glob("class_*.json")).read_text(encoding="utf-8")
    far = json.loads(sound)
    for run in far["runs"]:
        run["wall"], run["rounds"] = 1e200, [[1e-200, 1.0]]
    spoilt = {
        "class_cut_off.json": sound[: len(sound) // 2],
        "class_empty.json": "",
        "class_notebook.json": '{"cells": [], "nbformat": 4}',
        "class_deep.json": "[" * 200_000,
        "class_far_away.json": json.dumps(far),
    }
    for name, text in spoilt.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    record(where, THREE_TO_ONE)
    spoil(where)
