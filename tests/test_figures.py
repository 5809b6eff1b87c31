"""Every figure is drawn for any sensible run, shown, and said in a sentence."""

import subprocess
import sys
from dataclasses import replace

import pytest
from IPython.display import Image
from matplotlib.figure import Figure

from helpers import figures
from helpers.machine import Cores
from helpers.measure import Round, Run
from helpers.trace import Span


def a_run(
    strategy: str = "threads", workers: int = 2, tasks: int = 4, length: float = 0.5
) -> Run:
    """Return a run of tasks of equal length, the workers side by side."""
    turns = -(-tasks // workers)
    spans = []
    for task in range(tasks):
        start = 10 + length * (task // workers)
        end = start + length
        middle = (start + end) / 2
        stretches = ((start, middle), (middle, middle), (middle, end))
        thread = task % workers
        spans.append(Span(task, 1, thread, start, end, length / 2, stretches))
    wall = max(turns * length, 1e-9)
    rounds = (Round(wall, 1.0), Round(1.2 * wall, 0.9))
    return Run("work", strategy, workers, 0.1, 10.0, wall, tuple(spans), rounds=rounds)


RUNS = {
    "usual": a_run(),
    "one worker": a_run(workers=1),
    "one task": a_run(tasks=1),
    "zero length": a_run(length=0.0),
    "short": a_run(length=1e-6),
    "long": a_run(length=1e4),
    "many tasks": a_run(tasks=5000, length=0.001),
    "many workers": a_run("processes spawn", 32, 64),
    "your own map": a_run("pool map"),
}
NO_STRETCHES = replace(
    RUNS["usual"], spans=tuple(s._replace(stretches=()) for s in RUNS["usual"].spans)
)


def race(run: Run) -> dict[str, Run]:
    return {
        "serial": a_run("serial", 1, len(run.spans)),
        "threads": run,
        "processes": replace(run, wall=run.wall / 2, strategy="processes"),
        "joblib": replace(run, wall=3 * run.wall, strategy="joblib"),
    }


def calls(run: Run) -> dict[str, tuple]:
    """Return what each function of figures is called with to show run."""
    return {
        "stripes": (run, run),
        "timeline": (run, RUNS["usual"]),
        "race_bars": (race(run),),
        "gains": ({"work": race(run), "other": race(RUNS["usual"])},),
        "startups": (race(run),),
        "break_even": ([race(run), race(RUNS["long"])],),
        "cores": (Cores(run.workers, run.workers), 0.9 * run.workers),
    }


def test_every_figure_is_called_here() -> None:
    drawn = {name for name, f in vars(figures).items() if hasattr(f, "__wrapped__")}
    assert drawn == set(calls(RUNS["usual"]))


@pytest.mark.parametrize("name", calls(RUNS["usual"]))
@pytest.mark.parametrize("case", RUNS)
def test_draws(name: str, case: str) -> None:
    figure, sentence = getattr(figures, name).draw(*calls(RUNS[case])[name])
    assert isinstance(figure, Figure)
    assert sentence.endswith(".")
    assert "nan" not in sentence
    assert "\n" not in sentence
    assert figures.png(figure, sentence).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["stripes", "timeline"])
def test_draws_one_run_without_stretches(name: str) -> None:
    figure, _ = getattr(figures, name).draw(NO_STRETCHES)
    assert len(figure.axes) == 1
    assert figures.png(figure, "")


@pytest.mark.parametrize("name", calls(RUNS["usual"]))
def test_shows_itself_and_returns_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    show, arguments = getattr(figures, name), calls(RUNS["usual"])[name]
    shown: list[Image] = []
    monkeypatch.setattr(figures, "display", shown.append)
    assert show(*arguments) is None
    _, sentence = show.draw(*arguments)
    assert capsys.readouterr().out == sentence + "\n"
    assert shown[0].alt == sentence
    assert shown[0].width == 740


def test_a_busy_machine_says_so() -> None:
    _, sentence = figures.cores.draw(Cores(4, 2), 1.1)
    assert "giving the lab 1.1 of its 2 cores" in sentence
    assert "close other programs" in sentence
    _, sentence = figures.cores.draw(Cores(4, 2), 1.9)
    assert "close" not in sentence


def test_the_title_states_the_finding() -> None:
    figure, _ = figures.race_bars.draw(race(RUNS["usual"]))
    assert "times as fast as the serial loop" in figure.axes[0].get_title("left")
    slow = {"serial": a_run("serial", 1), "threads": a_run(length=9.0)}
    figure, _ = figures.race_bars.draw(slow)
    assert figure.axes[0].get_title("left") == "Nothing beat the serial loop"


def test_the_roles_look_different() -> None:
    names = ["serial", "threads", "processes", "joblib", "interpreters"]
    assert len({figures.look(name)[0] for name in names}) == len(names)
    assert figures.look("processes spawn") == figures.look("processes")
    assert figures.look("some map of yours")


def test_pyplot_stays_out() -> None:
    """Its state is global, and widgets draw from other threads."""
    code = (
        "import sys; from helpers import figures; from helpers.machine import Cores\n"
        "figures.png(*figures.cores.draw(Cores(2, 2), 1.9))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
