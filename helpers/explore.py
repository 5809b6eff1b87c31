"""Explorers: turn one knob, and see one picture change.

Each shows what a plain call of `measure` and `figures` shows, for the settings of its
controls. Measuring happens in the background and can be stopped; what was measured
once is kept.
"""

import base64
import html
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython
from matplotlib.figure import Figure

from helpers import figures, server
from helpers.elsewhere import Elsewhere
from helpers.jobs import Job
from helpers.laws import fit_amdahl
from helpers.machine import cores
from helpers.runs import Run, best_of, by_workers, load, save

SAVED = Path("saved_runs")
# How long after a cell an explorer waits for the next one before it measures again.
PAUSE = 0.3
# So many pictures of the same runs are kept, of a tenth of a megabyte each.
MOST_PICTURES = 30
# The runs of so many settings are kept: those of many tiny tasks take 7 MB each.
MOST_JOBS = 40
# A visible focus, and pictures that grow with the page but never out of it.
STYLE = """<style>
.explorer :focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
.explorer img { width: 740px; max-width: 100%; background: white; }
.explorer p { line-height: 1.4; max-width: 740px; }
</style>"""

# In what a run notes of its making: the file it was loaded from, or its name. Runs from
# two files are never mixed: the same way may have had other work there.
SOURCE = "source"

# A PNG, and the sentence that says the same.
Picture = tuple[bytes, str]

# A label is as long as its words, and no control is wider than the page.
WIDE = {
    "style": {"description_width": "initial"},
    "layout": {"width": "22em", "max_width": "98%"},
}

# Serialises drawing and the states of all explorers: matplotlib isn't made for several
# threads, and callbacks come on any (ipykernel 7 has one of its own for widgets).
_lock = threading.RLock()
_active: "Explorer | None" = None


class Kept:
    """What was measured for a job, in the order it came, and the pictures of it."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs = list(runs)
        self.pictures: dict[tuple, str] = {}

    def best(self) -> list[Run]:
        """Return the best run of each way, with the times of all its rounds."""
        ways: dict[tuple[str, int, str], list[Run]] = {}
        for run in self.runs:
            way = (run.strategy, run.workers, str(run.made))
            ways.setdefault(way, []).append(run)
        return [best_of(runs) for runs in ways.values()]


class Explorer(widgets.VBox):
    """The frame that all explorers share.

    Args:
        name: what its saved runs are called.
        controls: the widgets that the reader turns, by the name of their setting.
        plan: returns what to measure, for the settings.
        draw: returns pictures of runs for the settings: PNGs, each with its sentence.
        runs: what a plain call has measured: shown until a control is moved.

    Attributes:
        controls: as given.
        progress, status, picture: the widgets that show how far the measuring is, what
            happened last, and the figures with their sentences.
    """

    def __init__(
        self,
        name: str,
        controls: Mapping[str, Any],
        plan: Callable[..., Job],
        draw: Callable[..., list[Picture]],
        runs: Iterable[Run] = (),
    ) -> None:
        self._name, self._plan, self._draw = name, plan, draw
        self.controls = controls
        self._elsewhere = Elsewhere(self._heard)
        self._kept: dict[Job, Kept] = {}
        self._shown = Kept(runs)
        self._planned = plan(**self.settings)
        # The job under way, its number, and whether it waits for a cell to end.
        self._job: Job | None = None
        self._number = 0
        self._put_off = False
        self._make_frame()
        wrapped = {"flex_flow": "row wrap"}
        super().__init__(
            [
                widgets.HTML(STYLE),
                widgets.HBox(list(controls.values()), layout=wrapped),
                widgets.HBox([self._run, self._stop, self.progress], layout=wrapped),
                self.status,
                self.picture,
                widgets.HBox([self._save, self._load], layout=wrapped),
            ]
        )
        self.add_class("explorer")
        with _lock:  # one whose cell is run again has no Stop any more
            if _active and _active._name == name:
                _active.stop()
        for control in controls.values():
            control.observe(self._moved, "value")
        self._show(self._shown)
        drawn = "Drawn from a run of this lesson"
        first = drawn if self._shown.runs else "Nothing measured yet"
        self._say(f"{first}. Move a control, or press Run.")
        _watch_cells()

    def _make_frame(self) -> None:
        self._run = widgets.Button(description="Run", tooltip="measure these settings")
        self._stop = widgets.Button(description="Stop", tooltip="end the measuring")
        self._save = widgets.Button(
            description="Save this run", tooltip=f"write it into the folder {SAVED}"
        )
        self._load = widgets.FileUpload(
            description="Load a run", accept=".json", multiple=True
        )
        self.progress = widgets.IntProgress(max=1, description="progress")
        self.status = widgets.HTML()
        self.picture = widgets.HTML()
        self._run.on_click(lambda _: self.run())
        self._stop.on_click(lambda _: self.stop())
        self._save.on_click(lambda _: self.save())
        self._load.observe(self._uploaded, "value")

    @property
    def settings(self) -> dict[str, Any]:
        """The values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def measuring(self) -> bool:
        """Whether a job is under way, or waits for a cell to end."""
        return self._job is not None

    def run(self) -> None:
        """Measure for the settings, also if that has been done before."""
        with _lock:
            self._measure(self._plan(**self.settings))

    def stop(self) -> None:
        """End the measuring, and every process that takes part, within a second."""
        with _lock:
            if self._end():
                drawn = self.picture.value and " What is drawn was measured before."
                self._say(f"Stopped.{drawn}")
            self._elsewhere.stop()  # it waits for more to do, too

    def save(self) -> None:
        """Write the runs that are drawn to a new file, in the folder of saved runs."""
        with _lock:
            runs = self._shown.best()
            if not runs:
                self._say("There is no run to save yet.")
                return
            numbers = itertools.count(1)
            while (path := SAVED / f"{self._name}_{next(numbers)}.json").exists():
                pass
            try:
                SAVED.mkdir(exist_ok=True)
                save(path, _from(runs, None))
            except OSError as error:
                self._say(f"Not saved: {error.strerror}")
            else:
                self._say(f"Saved as {path.as_posix()}.")

    def load(self, *paths: str | Path) -> None:
        """Draw the runs in these files; a line tells of each that can't be read."""
        found, said = [], []
        for path in map(Path, paths):
            try:
                runs = load(path)
            except ValueError as error:
                said.append(str(error))
            except OSError as error:
                said.append(f"{path.name}: {error.strerror}")
            else:
                found += _from(runs, path.name)
                said.append(f"{path.name}: {_origin(runs)}")
        with _lock:
            if found:
                self._end()
                said.append(self._why_not_drawn(Kept(found)))
            self._say(*filter(None, said))

    def _uploaded(self, change: Any) -> None:
        if not self._load.value:
            return
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for file in self._load.value:
                paths.append(Path(folder) / Path(file["name"]).name)
                paths[-1].write_bytes(file["content"])
            self.load(*paths)
        self._load.value = ()  # so that the same file can be loaded again

    def _moved(self, change: Any) -> None:
        with _lock:
            job, before = self._plan(**self.settings), self._planned
            self._planned = job
            if job == before:
                self._show(self._shown)
                return
            kept = self._kept.get(job)
            if kept and len(kept.runs) == job.rounds * len(job.ways):
                self._end()
                self._show(kept)
                self._say("Drawn from kept runs. Run measures again.")
            elif job != self._job:
                if kept and len(kept.runs) >= len(job.ways):
                    self._show(kept)  # fewer rounds than wanted, but at once
                self._measure(job)

    def _measure(self, job: Job) -> None:
        global _active
        if _active not in (None, self):
            _active.stop()
        # A job that would take long to make room is ended; else it ends by itself.
        if self._job and self._job.tasks * self._job.seconds > 0.5:
            self._end()
        _active, self._job, self._put_off = self, job, False
        self._kept.pop(job, None)
        self._kept[job] = Kept()
        if len(self._kept) > MOST_JOBS:
            del self._kept[next(iter(self._kept))]  # the oldest
        self.progress.max, self.progress.value = job.rounds * len(job.ways), 0
        if _cell_runs:
            self._put_off_for_cell()
            return
        self._say("Measuring …")
        try:
            self._number = self._elsewhere.ask(job)
        except OSError as error:
            self._job = None
            self._say(f"No process to measure in could be started: {error}")

    def _end(self) -> bool:
        """End the job under way; return whether there was one."""
        job, self._job, self._put_off = self._job, None, False
        if job:
            self._elsewhere.stop()
            self.progress.value = 0
        return job is not None

    def _heard(self, number: int, answer: Run | str | None) -> None:
        with _lock:
            job = self._job
            if job is None or number != self._number:
                return
            if isinstance(answer, Run):
                kept = self._kept[job]
                kept.runs.append(answer)
                self.progress.value = len(kept.runs)
                # After the first turn and the last: drawing takes a core from a round.
                if len(kept.runs) in (len(job.ways), self.progress.max):
                    self._show_or_say(kept)
                return
            self._job = None
            if answer:
                self._say(f"This could not be measured: {answer}")
            else:
                self._say(f"Measured {job.rounds} times; the best is drawn.")

    def _put_off_for_cell(self) -> None:
        if self._job and not self._put_off:
            self._put_off = True
            self._elsewhere.stop()
            self._say("A cell is running. The measuring begins again after it.")

    def _take_up_again(self) -> None:
        with _lock:
            if self._job and self._put_off and not _cell_runs:
                self._measure(self._job)

    def _show_or_say(self, kept: Kept) -> None:
        if why := self._why_not_drawn(kept):
            self._end()
            self._say(why)

    def _why_not_drawn(self, kept: Kept) -> str:
        """Show what was measured; return why not, if somebody's runs lack something."""
        try:
            self._show(kept)
        except Exception as error:
            return f"These runs can't be drawn here: {error}"
        return ""

    def _show(self, kept: Kept) -> None:
        key = (len(kept.runs), *self.settings.values())
        if kept.runs and key not in kept.pictures:
            if len(kept.pictures) >= MOST_PICTURES:
                kept.pictures.clear()
            pictures = self._draw(kept.best(), **self.settings)
            kept.pictures[key] = "".join(map(_as_html, pictures))
        self.picture.value = kept.pictures.get(key, "")
        self._shown = kept

    def _say(self, *lines: str) -> None:
        escaped = "<br>".join(map(html.escape, lines))
        self.status.value = f'<p role="status">{escaped}</p>'

    def __repr__(self) -> str:
        names = ", ".join(c.description for c in self.controls.values())
        return f"An explorer. Run this cell to move its controls: {names}."


def _picture(figure: Figure, sentence: str) -> Picture:
    return figures.png(figure, sentence), sentence


def _as_html(picture: Picture) -> str:
    data, words = base64.b64encode(picture[0]).decode(), html.escape(picture[1])
    return f'<img alt="{words}" src="data:image/png;base64,{data}"><p>{words}</p>'


def _origin(runs: list[Run]) -> str:
    """Return, in a few words, how many runs there are and where they are from."""
    made = runs[0].made
    many = f"{len(runs)} run" + "s" * (len(runs) != 1)
    if made.get("simulated"):
        return f"{many}, simulated"
    return (
        f"{many}, made {made.get('date', 'some day')} with "
        f"Python {made.get('python', '?')} on {made.get('system', '?')}, "
        f"{made.get('allowed cores', '?')} cores"
    )


def _from(runs: Iterable[Run], source: str | None) -> list[Run]:
    """Return runs with the file or the name they are from, or without it."""
    tag = {SOURCE: source} if source else {}
    return [
        replace(run, made={k: v for k, v in run.made.items() if k != SOURCE} | tag)
        for run in runs
    ]


def _named(runs: Iterable[Run]) -> dict[str, Run]:
    """Return runs by strategy, with what tells them apart where it is the same."""
    named: dict[str, Run] = {}
    for run in runs:
        name = run.strategy
        if name in named and named[name].workers != run.workers:
            name += f", {run.workers} workers"
        elif name in named:
            name += f", {run.made.get(SOURCE, '?')}"
        while name in named:
            name += ", again"
        named[name] = run
    return named


def _sweeps(runs: Iterable[Run]) -> dict[str, dict[int, Run]]:
    """Return runs as `sweep` does, for each strategy and each machine they are from."""
    machines: dict[str, list[Run]] = {}
    for run in runs:
        machines.setdefault(str(run.made), []).append(run)
    found: dict[str, dict[int, Run]] = {}
    for together in machines.values():
        for way in dict.fromkeys(run.strategy for run in together):
            if way != "serial":
                source = together[0].made.get(SOURCE, "?")
                name = f"{way} ({source})" if way in found else way
                mine = [run for run in together if run.strategy in (way, "serial")]
                found[name] = by_workers(mine)
    return found


# While a cell runs no explorer measures: each would slow the other down.

_cell_runs = False


def _watch_cells() -> None:
    shell = get_ipython()
    if shell is None:
        return
    events = {"pre_run_cell": _cell_begins, "post_run_cell": _cell_ends}
    for event, react in events.items():
        if react not in shell.events.callbacks[event]:
            shell.events.register(event, react)


def _cell_begins(info: Any) -> None:
    global _cell_runs
    with _lock:
        _cell_runs = True
        if _active:
            _active._put_off_for_cell()


def _cell_ends(result: Any) -> None:
    global _cell_runs
    with _lock:
        _cell_runs = False
        if _active and _active.measuring:
            timer = threading.Timer(PAUSE, _active._take_up_again)
            timer.daemon = True
            timer.start()


def _slider(description: str, value: int, low: int, high: int) -> widgets.IntSlider:
    return widgets.IntSlider(
        value, low, high, description=description, continuous_update=False, **WIDE
    )


def _steps(
    description: str, options: Mapping[str, Any], value: Any
) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(
        options=list(options.items()),
        value=value,
        description=description,
        continuous_update=False,
        **WIDE,
    )


def _list(description: str, options: list[str]) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, description=description, **WIDE)


def gil(*runs: Run) -> Explorer:
    """Explore who holds the GIL: workers, switch interval, threads or processes.

    Args:
        runs: of `watched_countdown`, to draw at first.
    """
    controls = {
        "workers": _slider("workers", 2, 1, 8),
        "kind": _list("kind", ["threads", "processes"]),
        "interval": _steps(
            "switch interval",
            {f"{ms:g} ms": ms for ms in (0.5, 1, 2, 5, 10, 20, 50)},
            5,
        ),
    }

    def plan(workers: int, kind: str, interval: float) -> Job:
        # Each worker gets a few turns, however long they are.
        seconds = max(0.1, 3 * interval / 1e3)
        ways = ((kind, workers),)
        return Job("count and watch", workers, seconds, ways, 2, interval / 1e3)

    def draw(
        runs: list[Run], workers: int, kind: str, interval: float
    ) -> list[Picture]:
        first = max(0.1, 2 * workers * interval / 1e3)
        return [_picture(*figures.stripes.draw(*runs, first=first))]

    return Explorer("gil", controls, plan, draw, runs)


def pools(runs: Mapping[str, Run] | None = None) -> Explorer:
    """Explore pools: workload, strategy, workers, and the length of a task.

    Args:
        runs: what `race` returned, to draw at first.
    """
    names = ["threads", "processes", "multiprocessing_pool", "joblib"]
    both = "threads and processes"
    controls = {
        "workload": _list("workload", ["count", "hash", "sleep", "fetch"]),
        "strategy": _list("strategy", [both, *names]),
        "workers": _slider("workers", 2, 1, 8),
        "size": _steps(
            "one task takes", {f"{ms} ms": ms for ms in (0.01, 0.1, 1, 5, 20, 100)}, 20
        ),
    }

    def plan(workload: str, strategy: str, workers: int, size: float) -> Job:
        ways = [(name, workers) for name in strategy.split(" and ")]
        address = server.start() if workload == "fetch" else ""
        ways = (("serial", 1), *ways)
        return Job(workload, 16, size / 1e3, ways, address=address)

    def draw(runs: list[Run], **settings: Any) -> list[Picture]:
        parallel = [run for run in runs if run.strategy != "serial"]
        race = figures.race_bars.draw(_named(runs))
        return [_picture(*race), _picture(*figures.timeline.draw(*parallel or runs))]

    return Explorer("pools", controls, plan, draw, (runs or {}).values())


def joblib(runs: Mapping[str, Run] | None = None) -> Explorer:
    """Explore joblib: n_jobs, batch size, length of a task, and backend.

    Args:
        runs: what `race` returned, to draw at first.
    """
    lengths = {"1 µs": 1e-6, "10 µs": 1e-5, "0.1 ms": 1e-4, "1 ms": 1e-3, "10 ms": 1e-2}
    controls = {
        "n_jobs": _slider("n_jobs", 2, 1, 8),
        "batch_size": _steps(
            "batch_size",
            {str(size): size for size in ("auto", 1, 10, 100, 500)},
            "auto",
        ),
        "length": _steps("one task takes", lengths, 1e-5),
        "backend": _list("backend", ["loky", "threading"]),
    }

    def plan(n_jobs: int, batch_size: str | int, length: float, backend: str) -> Job:
        tasks = max(50, min(1000, round(0.3 / length)))
        way = f"joblib {backend}" + (f" {batch_size}" if batch_size != "auto" else "")
        return Job("count", tasks, length, (("serial", 1), (way, n_jobs)))

    def draw(runs: list[Run], **settings: Any) -> list[Picture]:
        return [_picture(*figures.batches.draw(_named(runs)))]

    return Explorer("joblib", controls, plan, draw, (runs or {}).values())


def speedup(
    sweeps: Mapping[str, Mapping[int, Run]] | None = None, ceiling: float | None = None
) -> Explorer:
    """Explore the speed-up: workload, strategies, workers, and the law behind it.

    Args:
        sweeps: what `sweep` returned, by name of the strategy, to draw at first.
        ceiling: from `machine.ceiling()`, to draw beside it.
    """
    most = min(16, 2 * cores().allowed)
    both = "threads and processes"
    controls = {
        "workload": _list("workload", ["count", "hash", "sleep"]),
        "strategy": _list("strategy", ["processes", "threads", "joblib", both]),
        "workers": _slider("workers up to", most, 1, most),
        "serial": widgets.FloatSlider(
            0.1, min=0, max=1, step=0.01, description="serial part", **WIDE
        ),
    }

    def plan(workload: str, strategy: str, workers: int, serial: float) -> Job:
        counts = range(1, workers + 1) if workers <= 8 else [1, 2, 3, 4, 6, 8, 12, 16]
        ways = [
            (name, count)
            for name in strategy.split(" and ")
            for count in counts
            if count <= workers
        ]
        return Job(workload, 24, 0.02, (("serial", 1), *ways))

    drawn: dict[tuple, figures.MovingSpeedup] = {}

    def draw(runs: list[Run], serial: float, **settings: Any) -> list[Picture]:
        key = tuple((run.strategy, run.workers, run.began, run.wall) for run in runs)
        if key not in drawn:
            drawn.clear()
            found = _sweeps(runs)
            law = fit_amdahl(next(iter(found.values()), {}))
            drawn[key] = figures.MovingSpeedup(found, ceiling, law)
        return [drawn[key].at(serial)]

    found = [
        run
        for name, runs in (sweeps or {}).items()
        for run in _from(runs.values(), name)
    ]
    return Explorer("speedup", controls, plan, draw, found)
