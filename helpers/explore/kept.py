"""What explorers keep: the runs and pictures of jobs, and files of runs."""

import base64
import html
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.figures.look import in_a_line, origins
from helpers.jobs import Job
from helpers.runs import Run, best_of, load, save

SAVED = Path("saved_runs")
# In what a run notes of its making: the file it was loaded from, or its name. Runs from
# two files are never mixed: the same way may have had other work there.
SOURCE = "source"
# So many pictures of the same runs are kept, of a tenth of a megabyte each.
MOST_PICTURES = 30
# The runs of so many settings are kept: those of many tiny tasks take 7 MB each.
MOST_JOBS = 40
# A notebook's page drops what is more without a word, before it gets to the kernel.
MOST_MEGABYTES = 10
# The slowest picture of so many takes two seconds, of five times as many seventeen.
MOST_ROWS = 1000

# A PNG, and the sentence that says the same.
Picture = tuple[bytes, str]
Draw = Callable[..., list[Picture]]


class Kept:
    """What was measured for a job, in the order it came, and the pictures of it.

    Args:
        runs: what is there already.
        job: what they are measured for; None: somebody else's runs.
    """

    def __init__(self, runs: Iterable[Run] = (), job: Job | None = None) -> None:
        self.runs = list(runs)
        self.job = job
        self._pictures: dict[tuple[Any, ...], str] = {}

    @property
    def rounds(self) -> float:
        """How often each way of the job has run; a fraction in mid-round."""
        return len(self.runs) / len(self.job.ways) if self.job else 0

    @property
    def complete(self) -> bool:
        """Whether all that the job wants is there."""
        return self.job is not None and self.rounds == self.job.rounds

    def best(self) -> list[Run]:
        """Return the best run of each way, with the times of all its rounds."""
        ways: dict[tuple[str, int, int, str], list[Run]] = {}
        for run in self.runs:
            way = (run.strategy, run.workers, len(run.spans), str(run.made))
            ways.setdefault(way, []).append(run)
        return [best_of(runs) for runs in ways.values()]

    def outdate(self) -> None:
        """Forget the pictures: they would be others now."""
        self._pictures.clear()

    def drawn(self, draw: Draw, settings: dict[str, Any]) -> str:
        """Return the pictures for the settings as HTML; nothing where nothing ran."""
        if not self.runs:
            return ""
        key = (len(self.runs), *settings.values())
        if key not in self._pictures:
            if len(self._pictures) >= MOST_PICTURES:
                self._pictures.clear()
            pictures = draw(self.best(), **settings)
            self._pictures[key] = "".join(map(_as_html, pictures))
        return self._pictures[key]


class Shelf:
    """What was measured for each of the last jobs.

    Args:
        first: what was there before any of them.
        together: whether each one's picture also shows the others' runs.
    """

    def __init__(self, first: Kept | None = None, together: bool = False) -> None:
        self._first, self._together = first or Kept(), together
        self._kept: dict[Job, Kept] = {}

    def clear(self) -> None:
        """Let go of all runs and pictures."""
        self._first = Kept()
        self._kept.clear()

    def drawing(self, draw: Draw, rest_of: Callable[[list[Run]], list[Run]]) -> Draw:
        """Return a function that draws, with all jobs' runs too if they go together.

        Args:
            draw: what draws runs, or runs and all jobs'.
            rest_of: returns what to draw with runs instead, if they are from elsewhere.
        """
        if not self._together:
            return draw
        return lambda runs, **settings: draw(
            runs, rest_of(runs) or self.best(), **settings
        )

    def best(self) -> list[Run]:
        """Return the best run of each way, of all jobs: the latest ones last."""
        together = (self._first, *self._kept.values())
        return [run for kept in together for run in kept.best()]

    def add(self, run: Run, kept: Kept) -> None:
        """Keep a run; forget the pictures of all jobs if it belongs in them too."""
        kept.runs.append(run)
        for each in self._kept.values() if self._together else ():
            each.outdate()

    def of(self, job: Job) -> Kept | None:
        """Return what was measured for the job, if it is still there."""
        return self._kept.get(job)

    def has(self, job: Job | None) -> bool:
        """Return whether all that the job wants has been measured."""
        kept = self._kept.get(job) if job else None
        return kept is not None and kept.complete

    def begun(self, job: Job) -> Kept:
        """Return a new place for the runs of the job, instead of what was kept."""
        self._kept.pop(job, None)
        self._kept[job] = Kept(job=job)
        if len(self._kept) > MOST_JOBS:
            del self._kept[next(iter(self._kept))]  # the oldest
        return self._kept[job]


def _as_html(picture: Picture) -> str:
    data, words = base64.b64encode(picture[0]).decode(), html.escape(picture[1])
    return f'<img alt="{words}" src="data:image/png;base64,{data}"><p>{words}</p>'


# Files of runs.


def stored(name: str, runs: Iterable[Run]) -> str:
    """Write runs to a new file in the folder of saved runs; return a line about it."""
    numbers = itertools.count(1)
    while (path := SAVED / f"{name}_{next(numbers)}.json").exists():
        pass
    try:
        SAVED.mkdir(exist_ok=True)
        save(path, from_source(None, runs))
    except OSError as error:
        return f"Not saved: {error.strerror}"
    return f"Saved as {path.as_posix()}."


def fetched(path: Path, name: str) -> tuple[list[Run], str]:
    """Return the runs in a file, and a line about them.

    Args:
        path: where the file is.
        name: what the reader calls it.

    Returns:
        The runs that have tasks, with the name as their source, and in a line who made
        them; or none, and why.
    """
    name = in_a_line(name) or "a file without a name"
    try:
        runs = _drawable(path)
    except ValueError as error:
        why = in_a_line(str(error).removeprefix(f"{path.name}: "))
        return [], f"{name}: {why}"
    except OSError as error:
        return [], f"{name}: {error.strerror}"
    return from_source(name, runs), f"{name}: {_origin(runs)}"


def _drawable(path: Path) -> list[Run]:
    """Load the runs that have tasks.

    Raises:
        OSError, ValueError: there is none, or they are too many to be drawn.
    """
    if path.stat().st_size > MOST_MEGABYTES * 1e6:
        raise ValueError(f"more than {MOST_MEGABYTES} MB are too many to draw")
    runs = [run for run in load(path) if run.spans]
    if not runs:
        raise ValueError("nothing ran: there is nothing to draw")
    if any(len(run.lanes) > MOST_ROWS for run in runs):
        raise ValueError(f"more than {MOST_ROWS:,} at a time are too many to draw")
    return runs


def from_source(source: str | None, runs: Iterable[Run]) -> list[Run]:
    """Return runs with the file or the name they are from, or without it."""
    tag = {SOURCE: source} if source else {}
    return [
        replace(run, made={k: v for k, v in run.made.items() if k != SOURCE} | tag)
        for run in runs
    ]


def _origin(runs: list[Run]) -> str:
    """Return, in a few words, how many runs there are and where they are from."""
    many = f"{len(runs)} run" + "s" * (len(runs) != 1)
    return f"{many}, {origins(runs) or 'simulated'}"
