"""`python tools/record.py` records the runs in notebooks/recorded/ anew.

With words, only those: `gil` (the two runs of the README's picture, and the picture),
`lessons` (what stands in for Pythons that a reader doesn't have), `pythons` (the main
measurements of the series, by each Python that is found here), `class` (what a small
class hands in: each of these Pythons with all cores, and with one), `replays` (what
each explorer shows without a kernel; `replays:gil` that of one). The machine should
have nothing else to do: most lines say how many cores its workers kept busy.
"""

import itertools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import classroom
from lessons import FOLDER, LESSONS, code_cells, read
from lessons import run as run_lesson

from helpers import explore
from helpers.elsewhere import Elsewhere
from helpers.explore.replay import noted
from helpers.figures import png, stripes
from helpers.jobs import Job
from helpers.measure import calibrate, race, run, save, sweep
from helpers.pythons import RECORD, Python, pythons
from helpers.runs import Run, best_of
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


def record_class() -> None:
    """Record the files that class.ipynb draws."""
    for old in (RECORDED / "class").glob("class_*.json"):
        old.unlink()
    classroom.record(RECORDED / "class")


# What each explorer's controls are turned to: the values of each, in all combinations.
# Pythons are there by their names.
REPLAYED: dict[str, dict[str, list[Any]]] = {
    "gil": {
        "workers": [1, 2, 3, 4],
        "kind": ["threads", "processes"],
        "interval": [1, 5, 20],
    },
    "pools": {
        "workload": ["count", "sleep"],
        "strategy": ["threads", "processes"],
        "workers": [1, 2, 4],
        "size": [0.1, 20],
    },
    "joblib": {
        "n_jobs": [1, 2, 4],
        "batch_size": ["auto", 1, 10],
        "length": [1e-5, 1e-3],
    },
    "speedup": {
        "workload": ["count", "hash", "sleep"],
        "strategy": ["processes", "threads", "joblib"],
    },
    "chunks": {
        "length": ["10 µs", "100 µs", "1 ms", "10 ms"],
        "size": [1, 10, 100],
    },
    "nested": {
        "workers": [1, 2, 4],
        "threads": [1, 2, 4],
        "limit": [True, False],
    },
    "waiting": {"waits": [1, 10, 100, 200], "limit": [1, 10, 100]},
    "pythons": {
        "python": ["3.13", "3.13t", "3.14"],
        "strategy": ["threads", "processes", "interpreters"],
        "workers": [1, 2, 4],
    },
    "faults": {
        "fault": ["error", "sys.exit", "crash", "kill", "interrupt", "late"],
        "pool": ["processes", "multiprocessing_pool", "joblib", "threads"],
    },
}
# Controls that only change the picture of a run are not noted in it.
DRAWN_ONLY = {"serial"}
# Where an explorer has thousands of tasks, a file of so many is not too large.
FEWER_TASKS = {"chunks": 300, "joblib": 100}


def record_replays(*names: str) -> None:
    """Record what each explorer measures for some settings of its controls.

    Args:
        names: of the explorers; none: all.
    """
    for name in names or REPLAYED:
        explorer = getattr(explore, name)()
        runs = list(replayed(explorer))
        explorer.close()
        path = RECORDED / f"replay_{name}.json"
        save(path, runs)
        # Without a line for each number, which makes it three times as long.
        whole = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(whole, separators=(",", ":"))
        path.write_text(text + "\n", encoding="utf-8")
        print(f"{path.name}: {len(runs)} runs, {len(text) / 1000:.0f} kB")


def replayed(explorer: explore.Explorer) -> Iterator[Run]:
    """Yield the best run of each way, for all settings that can be measured here."""
    values = REPLAYED[explorer.name]
    for chosen in itertools.product(*values.values()):
        settings = dict(zip(values, chosen, strict=True))
        job = explorer.turn(settings) and explorer.job()
        if not job:
            print(f"{explorer.name}, {settings}: not here")
            continue
        # All of them: what was measured is not what another setting would be.
        at = {k: v for k, v in explorer.settings.items() if k not in DRAWN_ONLY}
        most = FEWER_TASKS.get(explorer.name, job.tasks)
        found = measured(job._replace(tasks=min(job.tasks, most)))
        for way in job.ways:
            best = best_of(r for r in found if (r.strategy, r.workers) == way)
            yield replace(best, made=best.made | noted(at))


def measured(job: Job) -> list[Run]:
    """Return the runs of a job, made as an explorer has them made.

    Raises:
        RuntimeError: the job failed; in a line.
    """
    heard: SimpleQueue[Run | str | None] = SimpleQueue()
    python = Elsewhere(lambda _, said: heard.put(said), job.python or sys.executable)
    python.ask(job)
    runs = list[Run]()
    while isinstance(said := heard.get(), Run):
        runs.append(said)
    python.stop()
    if said:
        raise RuntimeError(f"{job}: {said}")
    return runs


RECORDERS = {
    "gil": record_gil,
    "lessons": record_lessons,
    "pythons": record_pythons,
    "replays": record_replays,
    "class": record_class,
}


if __name__ == "__main__":
    for word in sys.argv[1:] or RECORDERS:
        kind, *names = word.split(":")
        RECORDERS[kind](*names)
