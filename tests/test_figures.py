"""Every figure is drawn for any sensible run, shown, and said in a sentence."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy
import pytest
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from simulated import simulated

from helpers import figures
from helpers.figures import look
from helpers.figures.look import look_of
from helpers.laws import fit_amdahl, fit_overhead
from helpers.machine import Ceiling, Cores
from helpers.predict import Guess, number
from helpers.runs import Round, Run
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
    results = ["old" if task % 3 else "new" for task in range(tasks)]
    return Run(
        "work",
        strategy,
        workers,
        0.1,
        10.0,
        wall,
        tuple(spans),
        rounds=rounds,
        results=results,
    )


RUNS = {
    "usual": a_run(),
    "one worker": a_run(workers=1),
    "one task": a_run(tasks=1),
    "zero length": a_run(length=0.0),
    "short": a_run(length=1e-6),
    "long": a_run(length=1e4),
    "many tasks": a_run(tasks=5000, length=0.001),
    "many workers": a_run("processes spawn", 64, 128),
    "your own map": a_run("pool map"),
}
NO_STRETCHES = replace(
    RUNS["usual"], spans=tuple(s._replace(stretches=()) for s in RUNS["usual"].spans)
)
FITTED = fit_amdahl(simulated([2], 0.1))


def slowed(run: Run, strategy: str, factor: float) -> Run:
    rounds = tuple(Round(factor * r.wall, r.cores_busy / factor) for r in run.rounds)
    return replace(run, strategy=strategy, wall=factor * run.wall, rounds=rounds)


def race(run: Run) -> dict[str, Run]:
    loop = a_run("serial", 1, len(run.spans), run.spans[0].end - run.spans[0].start)
    return {
        "serial": loop,
        "threads": run,
        "processes": slowed(run, "processes", 0.5),
        "joblib": slowed(run, "joblib", 3),
    }


def swept(run: Run) -> dict[int, Run]:
    loop = replace(a_run("serial", 1, len(run.spans)), made={"allowed cores": 2})
    return {0: loop, 1: replace(run, workers=1), run.workers: run}


def calls(run: Run) -> dict[str, tuple]:
    """Return what each function of figures is called with to show run."""
    return {
        "stripes": (run, run),
        "timeline": (run, RUNS["usual"]),
        "race_bars": (race(run),),
        "gains": ({"work": race(run), "other": race(RUNS["usual"])},),
        "outcomes": (run, RUNS["usual"]),
        "grid": ({"len": {"pickle": "yes"}, "λ": {"pickle": "no"}}, "yes", "What"),
        "startups": (race(run),),
        "break_even": ([race(run), race(RUNS["long"])],),
        "batches": (race(run),),
        "speedup": ({"threads": swept(run)}, 1.8, FITTED, None, 0.3),
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
    monkeypatch.setattr(look, "display", shown.append)
    assert show(*arguments) is None
    _, sentence = show.draw(*arguments)
    assert capsys.readouterr().out == sentence + "\n"
    assert shown[0].alt == sentence
    assert shown[0].width == 740


def measured(speedup: float, free: float) -> Ceiling:
    """Return what `machine.ceiling` would have measured with that many cores free."""
    ceiling = Ceiling(speedup)
    ceiling.cores_free = free
    return ceiling


def test_a_busy_machine_says_so() -> None:
    _, sentence = figures.cores.draw(Cores(4, 2), measured(1.1, 1.2))
    assert "giving the lab 1.2 of its 2 cores" in sentence
    assert "close other programs" in sentence
    assert "hyper-threads" not in sentence


@pytest.mark.parametrize(
    ("cores", "speedup", "free"), [(8, 5.0, 7.9), (64, 38.0, 63.0), (2, 1.1, 2.0)]
)
def test_free_cores_that_do_less_are_not_blamed_on_programs(
    cores: int, speedup: float, free: float
) -> None:
    _, sentence = figures.cores.draw(Cores(cores, cores), measured(speedup, free))
    assert "hyper-threads" in sentence
    assert "close" not in sentence


@pytest.mark.parametrize(
    "ceiling", [measured(1.9, 1.99), measured(2.3, 2.0), measured(1.7, 1.9), 1.1]
)
def test_nothing_is_blamed_without_need_or_knowledge(ceiling: float) -> None:
    _, sentence = figures.cores.draw(Cores(2, 2), ceiling)
    assert sentence.endswith("times the work of one.")


def test_one_core_is_one_core() -> None:
    figure, sentence = figures.cores.draw(Cores(1, 1), measured(0.99, 1.0))
    assert sentence.startswith("This machine has 1 logical core, this")
    assert sentence.endswith("times the work of one.")
    assert figure.axes[0].get_title("left").startswith("1 core allowed")


def test_the_title_states_the_finding() -> None:
    figure, _ = figures.race_bars.draw(race(RUNS["usual"]))
    assert "times as fast as the serial loop" in figure.axes[0].get_title("left")
    slow = {"serial": a_run("serial", 1), "threads": a_run(length=9.0)}
    figure, _ = figures.race_bars.draw(slow)
    assert figure.axes[0].get_title("left") == "Nothing beat the serial loop"


@pytest.mark.parametrize("workers", [[1], [1, 2, 4], [1, 2, 4, 8, 16, 32, 64]])
def test_speedup_and_efficiency_of_every_count(workers: list[int]) -> None:
    runs = simulated(workers, 0.1, cores=64)
    figure, sentence = figures.speedup.draw({"processes": runs})
    assert figures.png(figure, sentence)
    units = (lambda count: 1, lambda count: count)
    for panel, per in zip(figure.axes, units, strict=True):
        line = lines_of(panel)["processes (simulated)"]
        assert numpy.asarray(line.get_xdata()).tolist() == workers
        gained = [runs[0].wall / runs[count].wall / per(count) for count in workers]
        assert line.get_ydata() == pytest.approx(gained)
    assert all(f"× with {count} (" in sentence for count in workers)


def lines_of(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.lines}


def test_speedup_beside_another_machine() -> None:
    own, other = simulated([1, 2, 4], 0.2, cores=2), simulated([1, 2, 16], 0.1)
    measured = {count: replace(run, made={}) for count, run in own.items()}
    law = fit_overhead(simulated([2, 4, 8], 0.1))
    sweeps = {"processes": measured, "recorded: 16 cores": other}
    figure, sentence = figures.speedup.draw(sweeps, 1.9, law)
    drawn = set(lines_of(figure.axes[0]))
    assert {"processes", "recorded: 16 cores (simulated)"} < drawn
    assert {"ideal", "the ceiling", law.law} < drawn
    assert "Recorded: 16 cores (simulated), speed-up" in sentence
    assert law.sentence in sentence


def test_a_law_without_enough_points_is_not_drawn_but_said() -> None:
    runs = simulated([1, 2], 0.2, cores=2)
    law = fit_overhead(runs)
    figure, sentence = figures.speedup.draw({"processes": runs}, None, law)
    assert law.law not in lines_of(figure.axes[0])
    assert "Too few points" in sentence


def test_the_title_of_a_speedup_names_the_fewest_workers_that_do() -> None:
    runs = simulated([1, 2, 4], 0.1, cores=2, noise=0.001)
    figure, _ = figures.speedup.draw({"processes": runs})
    title = figure.axes[0].get_title("left")
    assert title.endswith("1.8 times as fast with 2 workers")
    figure, _ = figures.speedup.draw({"threads": simulated([2], 1.0, cost=0.1)})
    assert "never faster than the loop" in figure.axes[0].get_title("left")


def test_the_roles_look_different() -> None:
    names = ["serial", "threads", "processes", "joblib", "interpreters"]
    assert len({look_of(name).colour for name in names}) == len(names)
    assert look_of("processes spawn") == look_of("processes")
    assert look_of("some map of yours") not in look.LOOKS.values()


def test_pyplot_stays_out() -> None:
    """Its state is global, and widgets draw from other threads."""
    code = (
        "import sys; from helpers import figures; from helpers.machine import Cores\n"
        "figures.png(*figures.cores.draw(Cores(2, 2), 1.9))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_batches_are_read_off_the_spans() -> None:
    """Tasks of one batch follow each other at once; each way to a worker takes long."""
    start, spans = 10.0, []
    for task in range(12):
        worker = task // 4 % 2
        start += 1e-3 if task % 4 == 0 else 2e-6
        spans.append(Span(task, worker, 1, start, start + 1e-5, 1e-5))
        start += 1e-5
    sent = Run("f", "joblib", 2, 0.0, 10.0, start - 10.0, tuple(spans))
    assert [[span.task for span in batch] for batch in sent.batches] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    figure, sentence = figures.batches.draw(
        {
            "serial": replace(sent, strategy="serial", rounds=(Round(1e-3, 1.0),)),
            "joblib": replace(sent, rounds=(Round(2e-3, 1.0),)),
        }
    )
    assert "12 tasks in about 3 batches" in sentence
    assert len(figure.axes) == 2


VERSIONS = ["the first version"] * 3 + ["a better version"]


def test_outcomes_shows_who_returned_what() -> None:
    old = replace(RUNS["usual"], results=["the first version"] * 4)
    mixed = replace(RUNS["usual"], results=VERSIONS)
    figure, sentence = figures.outcomes.draw(old, mixed, names=["before", "after"])
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles[0] == "before: 4 of 4 tasks returned 'the first version'"
    assert "after: 3 of 4 tasks returned 'the first version', 1 returned" in titles[1]
    assert "Before: 4 of 4" in sentence
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["'the first version'", "'a better version'"]
    first, *_, last = figure.axes[1].collections
    assert first.get_hatch() != last.get_hatch()
    assert first.get_hatch() == figure.axes[0].collections[0].get_hatch()


def test_outcomes_refuses_in_one_line_what_it_cannot_show() -> None:
    with pytest.raises(ValueError, match="a file keeps none"):
        figures.outcomes.draw(replace(RUNS["usual"], results=[]))
    with pytest.raises(ValueError, match="5000 different results"):
        figures.outcomes.draw(replace(RUNS["many tasks"], results=list(range(5000))))
    with pytest.raises(ValueError, match="1 names for 2 runs"):
        figures.outcomes.draw(RUNS["usual"], RUNS["usual"], names=["one"])


def test_a_grid_fills_the_good_cells() -> None:
    found = {
        "len": {"pickle": "travels", "cloudpickle": "travels"},
        "a file": {"pickle": "stays", "cloudpickle": "stays"},
        "a lambda": {"pickle": "stays", "cloudpickle": "travels"},
        "partial": {"pickle": "travels", "cloudpickle": "travels", "dill": "?"},
    }
    figure, sentence = figures.grid.draw(found, "travels", "What travels")
    (axes,) = figure.axes
    assert axes.get_title("left") == "What travels"
    assert "pickle: “travels” for len and partial." in sentence
    assert "cloudpickle: “travels” for all but a file." in sentence
    assert "dill: “travels” for none of them." in sentence
    words = [text.get_text() for text in axes.texts]
    dark = [max(to_rgb(patch.get_facecolor())) < 0.5 for patch in axes.patches]
    assert dark == [word == "travels" for word in words]
    with pytest.raises(ValueError, match="nothing was found"):
        figures.grid.draw({}, "travels", "What travels")


def guessed(value: float, unit: str = "×") -> Guess:
    return number("How many?", 0, 128, value, unit, step=0.01)


def machines(workers: int) -> dict[str, tuple[Figure, str]]:
    """Return every figure as a machine of that many cores gives it, with guesses."""
    run = a_run("threads", workers, 4 * workers)
    old = replace(run, results=VERSIONS * workers)
    counts = [2**power for power in range(7) if 2**power <= workers]
    many = simulated(counts, 0.05, cores=workers)
    runs, lengths = race(run), (1e-5, 1e-4, 1e-3)
    races = [race(a_run("threads", workers, 64, length)) for length in lengths]
    # Ends that lie close together, as they often do.
    races = [{**r, "joblib": slowed(r["threads"], "joblib", 0.51)} for r in races]
    ceiling, near = measured(0.98 * workers, workers), guessed(workers)
    return {
        "stripes": figures.stripes.draw(run, run, first=0.5),
        "timeline": figures.timeline.draw(run, run, guess=guessed(2, "s")),
        "outcomes": figures.outcomes.draw(old, old, names=["before", "after"]),
        "batches": figures.batches.draw(runs),
        "race_bars": figures.race_bars.draw(runs, {"threads": near}),
        "gains": figures.gains.draw({"count": runs, "hash": runs}),
        "startups": figures.startups.draw(runs, {"joblib": guessed(99, "ms")}),
        "cores": figures.cores.draw(Cores(workers, workers), ceiling, near),
        "pinned": figures.cores.draw(Cores(64, 1), measured(1, 1), guessed(1.5)),
        "break_even": figures.break_even.draw(races, guessed(0.1, "ms")),
        "speedup": figures.speedup.draw({"threads": many}, ceiling, None, near),
        "grid": figures.grid.draw({"len": {"pickle": "yes"}}, "yes", "What travels"),
    }


def seen(figure: Figure) -> list[Text]:
    """Return the words of a figure that are drawn."""
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    unseen |= {tick.label1, tick.label2}
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    return [text for text in texts if text.get_visible() and text not in unseen]


@pytest.mark.parametrize("workers", [1, 2, 16, 64])
def test_no_word_lies_over_another_or_outside(workers: int) -> None:
    for name, (figure, _) in machines(workers).items():
        FigureCanvasAgg(figure).draw()
        boxes = [(text.get_text(), text.get_window_extent()) for text in seen(figure)]
        assert boxes, name
        for word, box in boxes:
            inside = box.x0 > -1 and box.x1 < figure.bbox.x1 + 1
            assert inside and box.y0 > -1 and box.y1 < figure.bbox.y1 + 1, (name, word)
        for (word, box), (other, second) in combinations(boxes, 2):
            assert not box.padded(-1).overlaps(second.padded(-1)), (name, word, other)


@pytest.mark.parametrize("guess", [0.25, 1.5, 1.97, 2, 4])
def test_no_guess_hides_what_was_measured(guess: float) -> None:
    ceiling = measured(1.97, 1.99)
    figure, _ = figures.cores.draw(Cores(2, 2), ceiling, guessed(guess))
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    for text in seen(figure):
        assert not star.get_window_extent().overlaps(text.get_window_extent())
    assert "measured: 1.97" in [text.get_text() for text in seen(figure)]


def test_workers_that_did_not_come_are_missed() -> None:
    late = a_run("processes")
    object.__setattr__(late, "ready", 1)
    _, sentence = figures.startups.draw({"processes": late})
    assert sentence == "Processes: 100 ms (1 of 2 workers)."
    object.__setattr__(late, "ready", 2)
    assert figures.startups.draw({"processes": late})[1] == "Processes: 100 ms."


def test_another_machine_looks_like_nothing_else() -> None:
    sweeps = {name: simulated([1, 2, 4], 0.1) for name in ("processes", "simulated: 4")}
    figure, _ = figures.speedup.draw(sweeps, serial=0.2)
    lines = lines_of(figure.axes[0])
    looks = {
        (line.get_color(), line.get_linestyle(), line.get_marker())
        for name, line in lines.items()
        if not name.startswith("_")
    }
    assert len(looks) == len({name for name in lines if not name.startswith("_")})
    (law,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "-."]
    assert law.get_color() == "black"


NOTHING = replace(RUNS["usual"], spans=(), results=[])
UNCOMPARED = {"threads": RUNS["usual"]}
MISSING: dict[str, list[tuple]] = {
    "stripes": [(), (NOTHING,)],
    "timeline": [(), (NOTHING,)],
    "outcomes": [(), (NOTHING,)],
    "batches": [({},), ({"threads": NOTHING},)],
    "race_bars": [({},), ({"threads": NOTHING},), (UNCOMPARED, {"threads": None})],
    "gains": [({},), ({"f": UNCOMPARED},), ({"f": {"serial": RUNS["usual"]}},)],
    "startups": [({},)],
    "break_even": [([],), ([UNCOMPARED],), ([race(RUNS["usual"]), UNCOMPARED],)],
    "speedup": [({},), ({"threads": {0: RUNS["usual"]}},), ({"threads": {}},)],
    "grid": [({}, "yes", "What travels"), ({"len": {}}, "yes", "What travels")],
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_said_in_one_line(name: str) -> None:
    for arguments in MISSING[name]:
        with pytest.raises(ValueError, match=r"^\w+: [^\n]+$"):
            getattr(figures, name).draw(*arguments)
