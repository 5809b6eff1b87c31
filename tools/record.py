"""`python tools/record.py` records the runs in notebooks/recorded/ anew.

With words, only those: `gil` (the two runs of the README's picture, and the picture),
`lessons` (what stands in for Pythons that a reader doesn't have), `pythons` (the main
measurements of the series, by each Python that is found here). The machine should have
nothing else to do: each line says how many cores its workers kept busy.
"""

import os
import sys
from dataclasses import replace

from lessons import FOLDER, LESSONS, code_cells, read
from lessons import run as run_lesson

from helpers.figures import png, stripes
from helpers.measure import calibrate, race, run, save, sweep
from helpers.pythons import RECORD, Python, pythons
from helpers.runs import Run
from helpers.trace import watched_countdown
from helpers.workloads import countdown

RECORDED = FOLDER / "recorded"
# The first version with the strategy "interpreters".
INTERPRETERS = (3, 14)


def record_gil() -> None:
    """Record two threads and two processes that count, and draw them."""
    n = calibrate(watched_countdown, seconds=0.25)
    files = [RECORDED / f"gil_{strategy}.json" for strategy in ("threads", "processes")]
    for path in files:
        strategy = path.stem.removeprefix("gil_")
        run(watched_countdown, [n, n], strategy, workers=2).save(path)
    figure, sentence = stripes.draw(*map(Run.load, files))
    (RECORDED / "gil.png").write_bytes(png(figure, sentence))
    print(sentence)


def record_lessons() -> None:
    """Run the lessons that measure in other Pythons; those that are missing stay."""
    os.environ[RECORD] = os.environ["TQDM_DISABLE"] = "1"
    for lesson in LESSONS:
        if any("recorded=" in cell.source for cell in code_cells(read(lesson))):
            run_lesson(lesson)
            print(f"{lesson.name}: recorded")


def record_pythons() -> None:
    """Record the main measurements, by the newest Python of each version and build."""
    n = calibrate(countdown, seconds=0.25)
    for name, python in {python.name: python for python in pythons()}.items():
        for kind, runs in measurements(python, n).items():
            busy = max(each.cores_busy for each in runs)
            noted = [replace(each, made=each.made | {"n": n}) for each in runs]
            save(RECORDED / f"{kind}_python_{name}.json", noted)
            print(f"{kind} in Python {name}: {busy:.2f} cores busy at most")


def measurements(python: Python, n: int) -> dict[str, list[Run]]:
    """Return by name what that Python makes: stripes, a race, a sweep."""
    version = tuple(int(part) for part in python.version.split("."))
    ways = {"serial": 1, "threads": 2, "processes": 2}
    ways |= {"interpreters": 2} if version >= INTERPRETERS else {}
    short = n // 3  # a picture shows a tenth of a second
    watched = [
        run(watched_countdown, [short] * 2, way, 2, python=python.path)
        for way in list(ways)[1:]
    ]
    raced = race(countdown, [n] * 4, ways, python=python.path)
    swept = sweep(countdown, [n] * 4, "processes", [0, 1, 2, 4], python=python.path)
    return {"stripes": watched, "race": [*raced.values()], "sweep": [*swept.values()]}


RECORDERS = {"gil": record_gil, "lessons": record_lessons, "pythons": record_pythons}


if __name__ == "__main__":
    for word in sys.argv[1:] or RECORDERS:
        RECORDERS[word]()
