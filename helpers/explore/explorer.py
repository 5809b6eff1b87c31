"""An explorer: measures for the settings of its controls, and draws what came of it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from helpers.explore.conductor import Conductor
from helpers.explore.frame import Viewer
from helpers.explore.kept import Draw, Kept, Shelf, in_a_line
from helpers.jobs import Job
from helpers.runs import Run


class Explorer(Viewer):
    """Measures for the settings of its controls, and draws what came of it.

    There is one of each name: a new one closes the former.

    Args:
        name: what its saved runs are called.
        controls: the widgets that the reader turns, by the name of their setting.
        plan: returns what to measure, for the settings.
        draw: returns pictures of runs for the settings: PNGs, each with its sentence.
        runs: what a plain call has measured: shown until a control is moved.
        together: whether `draw` gets what was measured for all settings, too: second.

    Attributes:
        conductor: lets one explorer measure at a time; all have the same.
    """

    conductor: ClassVar = Conductor(Viewer.lock)
    _open: ClassVar[dict[str, "Explorer"]] = {}

    def __init__(
        self,
        name: str,
        controls: Mapping[str, Any],
        plan: Callable[..., Job],
        draw: Draw,
        runs: Iterable[Run] = (),
        together: bool = False,
    ) -> None:
        self._shelf = Shelf(first := Kept(runs), together)
        super().__init__(name, controls, self._shelf.drawing(draw, self.rest_of))
        self._plan, self._measured = plan, Kept()
        self.run_button.on_click(lambda _: self.run())
        self.stop_button.on_click(lambda _: self.stop())
        for control in controls.values():
            control.observe(self._moved, "value")
        with self.lock:
            if name in self._open:
                self._open[name].close()
            self._open[name] = self
            self._planned = self.job()
            known = "Drawn from a run of this lesson" * bool(first.runs)
            known = known or "Nothing measured yet"
            self.say(self.show(first) or f"{known}. Move a control, or press Run.")
        self.conductor.watch_cells()

    @property
    def measuring(self) -> bool:
        """Whether a job is under way, or waits for a cell to end."""
        return self.conductor.job_of(self) is not None

    def run(self) -> None:
        """Measure for the settings, also if that has been done before."""
        with self.lock:
            job = self.job()
            if job and not self.closed:
                self.conductor.measure(self, job)

    def stop(self) -> None:
        """End the measuring, and every process that takes part, within a second."""
        with self.lock:
            if self.conductor.stop(self):
                self.stopped()

    def close(self) -> None:
        """End the measuring, and let go of the widgets, the runs and the pictures."""
        if self.closed:
            return
        with self.lock:
            self.make_way()
            self._shelf.clear()
            self._measured = Kept()
            self._open.pop(self.name, None)
            super().close()

    def make_way(self) -> None:
        """End the measuring, if it goes on, for what is drawn instead."""
        if self.measuring:
            self.conductor.stop(self)
            self.progress.value = 0

    # What the conductor tells.

    def begun(self, job: Job) -> None:
        """Make place for the runs of a job."""
        self._measured = self._shelf.begun(job)
        self.progress.max, self.progress.value = job.rounds * len(job.ways), 0
        self.say("Measuring …")

    def came(self, run: Run) -> None:
        """Keep a run; draw after the first round and the last."""
        self._shelf.add(run, kept := self._measured)
        self.progress.value = len(kept.runs)
        # Not after each: drawing takes a core from the next round.
        if (kept.rounds == 1 or kept.complete) and (why_not := self.show(kept)):
            self.make_way()
            self.say(why_not)

    def ended(self, why: str) -> None:
        """Say that the job has ended, and why if it isn't done."""
        done = f"Measured {self._measured.rounds:.0f} times; the best is drawn."
        self.say(f"This could not be measured: {in_a_line(why)}" if why else done)

    def put_off(self) -> None:
        """Say that the job waits."""
        self.progress.value = 0
        self.say("A cell is running. The measuring begins again after it.")

    def stopped(self) -> None:
        """Say that the job has been ended."""
        self.progress.value = 0
        drawn = " What is drawn was measured before." * bool(self.picture.value)
        self.say(f"Stopped.{drawn}")

    # What the reader's moves do.

    def job(self) -> Job | None:
        """Return what to measure for the settings, or say why nothing can be."""
        try:
            return self._plan(**self.settings)
        except (OSError, RuntimeError) as error:  # no web server, say
            self.ended(str(error))
            return None

    def _moved(self, change: Any) -> None:
        with self.lock:
            job, before = self.job(), self._planned
            self._planned = job
            if self.turning:
                return
            recorded = None if self._shelf.has(job) else self.replay.at(self.settings)
            if recorded and not (self.measuring and job == before):
                self.turn_to(recorded, "Drawn from recorded runs. Run measures here.")
            elif job is None:
                self.make_way()
            elif job == before:
                self.show_or_say(self.shown)
            else:
                self._turn_to(job)

    def _turn_to(self, job: Job) -> None:
        """Draw what is kept of the job; measure what is missing."""
        kept = self._shelf.of(job)
        if kept and kept.complete:
            self.turn_to(kept, "Drawn from kept runs. Run measures again.")
        else:
            if kept and kept.rounds >= 1:
                self.show_or_say(kept)  # fewer rounds than wanted, but at once
            self.conductor.measure(self, job)
