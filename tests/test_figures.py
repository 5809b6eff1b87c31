"""Every figure is drawn for any sensible run, shown, and said in a sentence."""

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate, combinations, pairwise
from typing import Any

import matplotlib
import numpy
import pytest
from IPython.display import Image
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from simulated import simulated

from helpers import figures
from helpers.advice import Advice, Found, Seconds
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


def at_once(waits: int, limit: int = 1000, length: float = 0.5) -> Run:
    """Return a run of waits that share a thread, up to so many at a time."""
    run = a_run("asyncio", min(limit, waits), waits, length)
    spans = tuple(span._replace(thread=1, stretches=()) for span in run.spans)
    return replace(run, workers=limit, spans=spans, memory=3000 * waits)


def gone_wrong(run: Run, **made: Any) -> Run:
    """Return a run in which the last task went wrong, in the middle of its time."""
    *others, last = run.spans
    end = (last.start + last.end) / 2
    seen = {
        "fault": "crash",
        "moment": last.task,
        "fault at": end - run.began,
        "came": "BrokenProcessPool",
        "came after": end - run.began,
        "out after": run.wall,
        "results": len(others),
        "unfinished": str(last.task),
        "still ran": "",
        "left": 0,
    }
    spans = (*others, last._replace(end=end))
    return replace(run, spans=spans, made=run.made | seen | made)


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
    "waits": at_once(300),
    "waits, few at a time": at_once(300, 10),
    "gone wrong": gone_wrong(a_run()),
    "gone wrong, hangs": gone_wrong(
        a_run(), **{"came": "nothing", "came after": None, "out after": None}
    ),
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
        "heat_map": ({"long": race(run), "short": {}}, "speed-up", "useful share"),
        "startups": (race(run),),
        "break_even": ([race(run), race(RUNS["long"])],),
        "batches": (race(run),),
        "speedup": ({"threads": swept(run)}, 1.8, FITTED, None, 0.3),
        "cores": (Cores(run.workers, run.workers), 0.9 * run.workers),
        "waits": ([race(run)["serial"], RUNS["usual"], run],),
        "heartbeats": (ticks_of(run),),
        "predictions": (advised(race(run)),),
        "decision": (advised(race(run)),),
        "laptops": ({"ada": swept(run), "bob": swept(RUNS["usual"])}, {"ada": 1.9}),
        "systems": (
            {"Linux": {"threads": run, "processes": run}, "macOS": {"threads": run}},
        ),
        "guesses": (
            {
                "How long?": [figures.Told(run.wall, 2.0, True, "s")],
                "Which?": [
                    figures.Told("threads", "processes"),
                    figures.Told("a", "b"),
                ],
            },
        ),
        "answers": (
            {"GIL": [True, False], "locks": [False]},
            {"GIL": [True, True], "waits": [True]},
        ),
    }


def advised(runs: dict[str, Run]) -> Advice:
    """Return the advice that a race gives, each way within a tenth."""
    predicted = {
        name: Seconds(run.wall, 0.9 * run.wall, 1.1 * run.wall)
        for name, run in runs.items()
    }
    return Advice(
        *("work", "processes", 2, "", "", ""),
        *(predicted, {}, Found(2), tuple(runs.values())),
    )


def ticks_of(run: Run) -> dict[str, list[float]]:
    """Return heartbeats: one that ticks for as long as the run, one with it as gap."""
    wall = run.wall
    steady = [10 + wall * tick / 50 for tick in range(51)]
    return {"awaits": steady, "blocks": [10.0, 10 + 0.01 * wall, 10 + wall]}


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
    names = ["serial", "threads", "processes", "joblib", "interpreters", "asyncio"]
    assert len({look_of(name).colour for name in names}) == len(names)
    looks = [*map(look_of, names), look.OTHER]
    assert len({each.marker for each in looks} - {"D"}) == len(looks) - 2
    assert len({str(each.line) for each in looks} - {"-"}) == len(looks) - 2
    assert look_of("processes spawn") == look_of("processes")
    assert look_of("some map of yours") not in look.LOOKS.values()


@pytest.mark.parametrize("name", [*look.LOOKS, "another"])
def test_a_role_is_seen_on_white_and_on_black(name: str) -> None:
    """By the contrast of WCAG 2; the dark grey of the loop is for white paper."""
    light = light_of(to_rgb(look_of(name).colour))
    assert 1.05 / (light + 0.05) >= 3
    assert (light + 0.05) / 0.05 >= 3 or name == "serial"


def light_of(colour: tuple[float, ...]) -> float:
    """Return the relative luminance of WCAG 2: what is left of a colour in grey."""
    channels = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in colour
    ]
    return sum(map(float.__mul__, (0.2126, 0.7152, 0.0722), channels))


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


def test_asyncio_has_a_row_for_each_wait() -> None:
    for waits, limit, words in (
        (8, 8, "asyncio, all at once: 8 tasks"),
        (8, 1000, "asyncio, all at once: 8 tasks"),
        (2000, 1000, "asyncio, 1,000 at a time: 2,000 tasks"),
    ):
        figure, sentence = figures.timeline.draw(at_once(waits, limit))
        (axes,) = figure.axes
        assert sentence.startswith(words) and axes.get_title("left") + "." == sentence
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names[0] == "wait 1"
        assert names[-1] == f"wait {min(waits, limit):,}"
        assert f"wait {min(waits, limit) // 2:,}" in names
    figure, _ = figures.timeline.draw(RUNS["many workers"])
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "worker 64"


@pytest.mark.parametrize("name", ["timeline", "outcomes"])
def test_a_thousand_rows_are_a_picture_that_is_soon_there(name: str) -> None:
    runs = [a_run("serial", 1, 10), a_run("threads", 1000, 1000), at_once(1000)]
    began = time.thread_time()
    figures.png(*getattr(figures, name).draw(*([a_run("threads", 10, 10)] * 3)))
    few = time.thread_time() - began
    figure, sentence = getattr(figures, name).draw(*runs)
    picture = figures.png(figure, sentence)
    assert time.thread_time() - began < 15 * few
    assert len(picture) < 300_000
    assert figure.get_figheight() <= look.TALLEST
    loop, *others = [axes.get_window_extent().height for axes in figure.axes]
    assert loop > 0.04 * sum(others), "one row beside thousands can be seen"
    assert all(axes.get_title("left")[-1] != "…" for axes in figure.axes)


@pytest.mark.parametrize("rows", [1, 2, 9, 10, 99, 143, 527, 1000, 4096])
@pytest.mark.parametrize("least", [0.4, 1, 1.5, 4, 22, 50, 333])
def test_rows_are_named_by_round_numbers(rows: int, least: float) -> None:
    numbers = look.every_few(rows, least)
    assert numbers[0] == 1 and numbers[-1] <= rows < numbers[-1] + 10 * least + 1
    assert all(later - number >= least for number, later in pairwise(numbers))
    assert len({later - number for number, later in pairwise(numbers[1:])}) <= 1
    assert least <= 5 or all(number % 10 == 0 for number in numbers[1:])


def beats(gaps: Mapping[int, float], ticks: int = 60) -> list[float]:
    """Return when a heartbeat of 10 ms ticked that was held up at some ticks."""
    lengths = [gaps.get(tick, 0.01) for tick in range(1, ticks)]
    return list(accumulate(lengths, initial=4.0))


def test_heartbeats_say_which_rows_stood_still() -> None:
    ticks = {
        "await asyncio.sleep": beats({}),
        "time.sleep": beats({7: 0.31, 30: 0.2}),
        "to_thread": beats({3: 0.049}),
    }
    figure, sentence = figures.heartbeats.draw(ticks)
    (axes,) = figure.axes
    assert axes.get_title("left") == "The heartbeat stopped beside time.sleep"
    (words,) = [text.get_text() for text in axes.texts]
    assert words == "0.31 s without a tick"
    (gap,) = [each for each in axes.collections if each.get_hatch()]
    ends = gap.get_paths()[0].get_extents()
    assert (ends.x0, ends.x1) == pytest.approx((0.06, 0.37))
    assert sentence == (
        "await asyncio.sleep: 60 ticks in 0.59 s, at most 10.0 ms apart. "
        "time.sleep: 60 ticks in 1.08 s, at most 0.31 s apart. "
        "to_thread: 60 ticks in 0.63 s, at most 49.0 ms apart."
    )
    figure, _ = figures.heartbeats.draw(ticks, every=0.1)
    title = "No row stood still: at most 0.31 s without a tick (time.sleep)"
    assert figure.axes[0].get_title("left") == title
    many = {f"{row} calls of something that blocks": beats({9: 1}) for row in range(9)}
    figure, _ = figures.heartbeats.draw({**many, "other": beats({})})
    title = "The heartbeat stopped in 9 of 10 rows, for up to 1.00 s"
    assert figure.axes[0].get_title("left") == title


def test_waits_say_what_each_run_costs() -> None:
    loop = replace(a_run("serial", 1, 10), memory=200_000)
    threads = replace(a_run("threads", 1000, 1000), memory=42_300_000)
    few = replace(a_run("threads", 100, 1000), memory=None)
    figure, sentence = figures.waits.draw([loop, threads, at_once(1000), few])
    assert sentence == (
        "10 waits, in a loop: 5.00 s, 1 thread. "
        "1,000 waits, threads: 0.50 s, 1,000 threads, 42 kB of memory for each. "
        "1,000 waits, asyncio: 0.50 s, 1 thread, 3.0 kB of memory for each. "
        "1,000 waits, threads, 100 at a time: 5.00 s, 100 threads, "
        "memory not measured."
    )
    title = "1,000 waits: 0.50 s in threads, 0.50 s in asyncio"
    assert figure.axes[0].get_title("left") == title
    said = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert said == [
        ["5.00 s", "0.50 s", "0.50 s", "5.00 s"],
        ["1", "1,000", "1", "100"],
        ["too few", "42 kB", "3.0 kB", "not measured"],
    ]
    figure, _ = figures.waits.draw([threads, at_once(1000)])
    title = "A wait takes 42 kB in threads, 3.0 kB in asyncio"
    assert figure.axes[0].get_title("left") == title
    figure, _ = figures.waits.draw([loop, few])
    title = "1,000 waits, threads, 100 at a time: 5.00 s in 100 threads"
    assert figure.axes[0].get_title("left") == title


def test_waits_tells_runs_of_the_same_way_apart() -> None:
    theirs = replace(at_once(100), made={"source": "theirs.json"})
    _, sentence = figures.waits.draw([at_once(100), theirs, at_once(100)])
    assert "100 waits, asyncio: " in sentence
    assert "100 waits, asyncio, theirs.json: " in sentence
    assert "100 waits, asyncio, again: " in sentence


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


def lasting(wall: float, spent: float | None = None, workers: int = 2) -> Run:
    """Return a run of that wall time and that CPU time, of which the tasks had 1 s."""
    return replace(a_run("processes", workers), wall=wall, spent=spent)


# Speed-ups by length of a task and size of a chunk, and useful shares: as on a machine
# of two cores, but for one cell that nobody knows and one that nobody has measured.
GAINS = {"10 µs": (0.03, 0.2, 0.8), "1 ms": (0.9, 1.2, 1.5), "10 ms": (1.25, 1.7, 1.6)}
SHARES = {"10 µs": (0.05, 0.3, 0.6), "1 ms": (0.8, 0.9, None), "10 ms": (0.9, 0.97, 1)}
CHUNKS: dict[str, dict[object, Run | None]] = {
    length: {
        "serial": replace(lasting(1), strategy="serial"),
        **{
            size: lasting(1 / gain, share and 1 / share)
            for size, gain, share in zip(
                (1, 10, 100), gains, SHARES[length], strict=True
            )
        },
    }
    for length, gains in GAINS.items()
}
CHUNKS["10 ms"][1] = None


def nested_on(cores: int) -> dict[int, dict[int, Run]]:
    """Return runs that nobody made: processes and threads, up to twice the cores.

    The second half of the cores are hyper-threads: each gives a quarter. Too many
    threads slow each other down.
    """
    counts = [2**power for power in range(8) if 2**power <= 2 * cores]
    whole = max(1, cores // 2)

    def seconds(workers: int) -> float:
        used = min(workers, cores)
        gain = min(used, whole) + 0.25 * max(0, used - whole)
        return 10 / gain * max(1, workers / cores) ** 0.3

    return {
        processes: {
            threads: lasting(
                seconds(processes * threads),
                seconds(processes * threads) * min(processes * threads, cores),
                processes,
            )
            for threads in counts
        }
        for processes in counts
    }


def cells_of(axes: Axes) -> dict[tuple[int, int], tuple[str, tuple, Text]]:
    """Return by row and column what a heat map's cell shows: number, shade, text."""
    shades = {
        (round(patch.get_y() + 0.5), round(patch.get_x() + 0.5)): to_rgb(
            patch.get_facecolor()
        )
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_fill()
    }
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): (
            text.get_text(),
            shades[round(text.get_position()[1]), round(text.get_position()[0])],
            text,
        )
        for text in axes.texts
    }


def test_a_heat_map_shows_its_numbers_and_the_best() -> None:
    figure, sentence = figures.heat_map.draw(
        CHUNKS, "speed-up", "useful share", rows="task", columns="chunk"
    )
    gains, shares = map(cells_of, figure.axes)
    assert [gains[0, column][0] for column in range(3)] == ["0.03", "0.20", "0.80"]
    assert [shares[1, column][0] for column in range(3)] == ["80", "90", "?"]
    assert (2, 0) not in gains, "nobody has measured it"
    for cells, best in ((gains, (2, 1)), (shares, (2, 2))):
        bold = [
            cell
            for cell, (_, _, text) in cells.items()
            if text.get_fontweight() == "bold"
        ]
        assert bold == [best]
    for axes, (row, column) in zip(figure.axes, ((2, 1), (2, 2)), strict=True):
        (frame,) = [patch for patch in axes.patches if not patch.get_fill()]
        assert (
            frame.get_path()
            .get_extents(frame.get_patch_transform())
            .contains(column, row)
        )
    assert figure.get_suptitle() == (
        "Speed-up over the loop: at best 1.70 × (task 10 ms, chunk 10), at worst 0.03 ×"
    )
    assert sentence == (
        "Speed-up over the loop: at best 1.70 × (task 10 ms, chunk 10), "
        "at worst 0.03 × (task 10 µs, chunk 1). "
        "Useful share of the CPU time: at best 100 % (task 10 ms, chunk 100), "
        "at worst 5 % (task 10 µs, chunk 1), unknown (“?”) in 1 of 8: "
        "less than 0.1 s of CPU time in all, or a system that doesn't count it. "
        "As fast as the loop or faster (task, with chunk): "
        "1 ms and 10 ms with 10 and 100; no other."
    )


def test_a_heat_map_draws_break_even_between_cells() -> None:
    figure, _ = figures.heat_map.draw(CHUNKS, "useful share", "speed-up")
    share, gain = (
        {
            tuple(map(tuple, line))
            for each in axes.collections
            for line in lines_in(each)
        }
        for axes in figure.axes
    )
    assert gain - share == {
        ((0.5, 0.5), (1.5, 0.5)),
        ((1.5, 0.5), (2.5, 0.5)),
        ((0.5, 0.5), (0.5, 1.5)),
    }
    drawn = {text.get_text() for text in figure.legends[0].get_texts()}
    assert "break-even: as fast as the loop" in drawn
    figure, sentence = figures.heat_map.draw(
        {"a": {"serial": lasting(1), 1: lasting(2)}}, "speed-up"
    )
    assert figure.get_suptitle() == "Never as fast as the loop: at best 0.50 × (a, 1)"
    assert "No cell is as fast as the loop" in sentence
    drawn = {text.get_text() for text in figure.legends[0].get_texts()}
    assert drawn == {"darker: more", "the best"}


def lines_in(drawn: Artist) -> list:
    """Return the lines of a collection, but for the pale ones around empty cells."""
    if not isinstance(drawn, LineCollection) or drawn.get_zorder() == 0:
        return []
    return drawn.get_segments()


@pytest.mark.parametrize("cores", [2, 8, 64])
def test_a_heat_map_keeps_its_order_in_grey_and_its_numbers_readable(
    cores: int,
) -> None:
    figure, _ = figures.heat_map.draw(nested_on(cores), "wall", "CPU time")
    for axes, of in zip(figure.axes, ("wall", "spent"), strict=True):
        cells, shades = cells_of(axes), []
        for row, cells_there in enumerate(nested_on(cores).values()):
            for column, run in enumerate(cells_there.values()):
                shades.append((getattr(run, of), light_of(cells[row, column][1])))
        shades.sort(key=lambda each: (each[0], -each[1]))
        assert all(light >= darker for (_, light), (_, darker) in pairwise(shades))
        assert shades[0][1] > 10 * shades[-1][1]
        for _, shade, text in cells.values():
            lights = sorted([light_of(shade), light_of(to_rgb(text.get_color()))])
            assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def test_a_heat_map_goes_by_logarithms_where_values_lie_far_apart() -> None:
    for walls, even in (([1, 30, 900], True), ([1, 2, 9], False)):
        row = {column: lasting(wall) for column, wall in enumerate(walls)}
        figure, _ = figures.heat_map.draw({"a": row}, "wall")
        cells = cells_of(figure.axes[0])
        middle = to_rgb(matplotlib.colormaps["cividis_r"](0.5))
        assert (cells[0, 1][1] == pytest.approx(middle, abs=0.01)) == even


@pytest.mark.parametrize("cores", [2, 8, 64])
def test_a_heat_map_joins_the_cells_that_fill_the_cores(cores: int) -> None:
    names: dict[str, Any] = {"rows": "processes", "columns": "threads"}
    nested = nested_on(cores)
    figure, sentence = figures.heat_map.draw(nested, "wall", **names, cores=cores)
    line = joined(figure)
    powers = len(nested) - 1
    inside = [tuple(point) for point in line[1:-1]]
    assert inside == [(column, powers - 1 - column) for column in range(powers)]
    assert f"Wall time where processes × threads = {cores} cores: " in sentence
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert f"processes × threads = {cores} cores" in legend


def joined(figure: Figure) -> numpy.ndarray:
    """Return the points of the one line that joins cells: drawn on a rim, so twice."""
    lines = [line for each in figure.axes[0].collections for line in lines_in(each)]
    assert len(lines) == 2
    return lines[0]


def test_a_heat_map_joins_nothing_that_is_not_so() -> None:
    names: dict[str, Any] = {"rows": "processes", "columns": "threads"}
    nested = nested_on(2)  # 1, 2 and 4 of each
    figure, sentence = figures.heat_map.draw(nested, "wall", **names, cores=6)
    line = joined(figure)
    between = 1 + numpy.log2(1.5)  # 3, between 2 and 4
    inside = [(between - 1, 2), (1, between), (between, 1), (2, between - 1)]
    assert line[1:-1] == pytest.approx(numpy.array(inside), abs=1e-6)
    assert "No cell here has processes × threads = 6 cores." in sentence
    figure, sentence = figures.heat_map.draw(nested, "wall", **names, cores=64)
    assert not [line for each in figure.axes[0].collections for line in lines_in(each)]
    assert "No cell here has processes × threads = 64 cores." in sentence
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {"darker: more", "the best"}
    with pytest.raises(ValueError, match="needs rows and columns of numbers"):
        figures.heat_map.draw(CHUNKS, "wall", cores=2)


def test_a_heat_map_marks_a_setting_measured_or_not() -> None:
    for place, said in (((4, 1), "9.85 s, 19.7 s"), ((8, 2), "not measured yet")):
        nested: Any = {**nested_on(2), 8: dict.fromkeys((1, 2, 4))}
        figure, sentence = figures.heat_map.draw(nested, "wall", "CPU time", mark=place)
        row, column = place
        assert f"Your setting ({row}, {column}): {said}." in sentence
        for axes in figure.axes:
            (mark,) = axes.lines
            corner = [numpy.log2(column) - 0.5, numpy.log2(row) - 0.5]
            assert numpy.asarray(mark.get_xydata()).tolist() == [corner]
    with pytest.raises(ValueError, match=r"^heat_map: there is no cell 3, 1 to mark$"):
        figures.heat_map.draw(nested_on(2), "wall", mark=(3, 1))


def test_a_heat_map_of_numbers_is_in_their_order() -> None:
    cells: Any = {10: {100: lasting(1)}, 2: {20: lasting(2), 3: None}}
    figure, _ = figures.heat_map.draw(cells, "wall")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["3", "20", "100"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["2", "10"]
    assert cells_of(axes).keys() == {(0, 1), (1, 2)}


def test_what_nobody_measured_is_called_simulated_in_a_heat_map() -> None:
    runs = simulated([1, 2], 0.1)
    row = {"serial": runs[0], 1: runs[1], 2: runs[2]}
    figure, _ = figures.heat_map.draw({"loop": row}, "speed-up")
    assert figure.get_suptitle().endswith("(simulated)")


PYTHONS = ("3.11.15", "3.13.15", "3.13.15t", "3.14.10")


def by(run: Run, python: str, recorded: bool = True, **made: Any) -> Run:
    """Return a run as that Python would have made it, on a machine of two cores."""
    free_threaded = python.endswith("t")
    facts = {
        "date": "2026-11-25",
        "python": python.removesuffix("t"),
        "free-threaded build": free_threaded,
        "gil": not free_threaded,
        "system": "Linux",
        "allowed cores": 2,
        **({"recorded": True} if recorded else {}),
    }
    return replace(run, made=facts | made)


def all_by(thing: Any, python: str, recorded: bool = True, **made: Any) -> Any:
    """Return what a figure is called with, each run in it as that Python makes it."""
    if isinstance(thing, Run):
        return by(thing, python, recorded, **made)
    if isinstance(thing, Advice):
        runs = all_by(thing.runs, python, recorded, **made)
        return replace(thing, runs=runs)
    if isinstance(thing, Mapping):
        return {k: all_by(v, python, recorded, **made) for k, v in thing.items()}
    if type(thing) in (list, tuple):
        return type(thing)(all_by(each, python, recorded, **made) for each in thing)
    return thing


OF_OTHERS = {"answers", "cores", "grid", "guesses", "heartbeats"}
OF_RUNS = sorted(calls(RUNS["usual"]).keys() - OF_OTHERS)


def test_runs_of_a_whole_class_are_told_of_in_short() -> None:
    days = [f"2026-11-{day}" for day in range(10, 30)]
    runs = [by(RUNS["usual"], "3.14.2", date=day) for day in days]
    words = "recorded 2026-11-10 to 2026-11-29: Python 3.14.2, Linux"
    assert look.origins(runs) == words


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_recorded_run_is_called_recorded(name: str) -> None:
    draw, arguments = getattr(figures, name).draw, calls(RUNS["usual"])[name]
    words = "Recorded on 2026-11-25: Python 3.13.15t, Linux, 2 cores"
    live, said = draw(*all_by(arguments, "3.13.15t", recorded=False))
    figure, sentence = draw(*all_by(arguments, "3.13.15t"))
    assert sentence == f"{said} {words}."
    assert [text.get_text() for text in figure.texts][len(live.texts) :] == [words]
    assert figure.get_figheight() > live.get_figheight()
    _, sentence = draw(*all_by(arguments, "3.13.15t", simulated=True))
    assert "ecorded" not in sentence


def test_a_figure_of_recorded_runs_names_all_their_sources() -> None:
    runs = [by(RUNS["usual"], python) for python in PYTHONS[:3]]
    other = by(RUNS["usual"], "3.15.0", date="2027-01-31", system="Windows")
    _, sentence = figures.timeline.draw(*runs, *runs, other)
    assert sentence.endswith(
        "Recorded on 2026-11-25: Python 3.11.15, 3.13.15 and 3.13.15t, Linux, "
        "2 cores; recorded on 2027-01-31: Python 3.15.0, Windows, 2 cores."
    )
    _, sentence = figures.waits.draw(iter([runs[0], by(runs[0], "3.14.2", False)]))
    assert sentence.endswith("Recorded on 2026-11-25: Python 3.11.15, Linux, 2 cores.")
    unknown = replace(RUNS["usual"], made={"recorded": True})
    _, sentence = figures.timeline.draw(unknown)
    assert sentence.endswith("Recorded on some day: Python ?, ?, ? cores.")


def test_a_file_may_say_of_its_making_what_it_likes() -> None:
    said = "$\\frac{1}{$ \n\0\ud800" + "e" * 300
    run = by(RUNS["usual"], said, date=said, system=said)
    figure, sentence = figures.timeline.draw(run, by(run, "3.14.2"))
    assert figures.png(figure, sentence) and "\n" not in sentence


def test_where_several_pythons_ran_each_is_named() -> None:
    usual = RUNS["usual"]
    runs = [by(usual, "3.13.15"), by(usual, "3.13.15t"), by(usual, "3.13.1t", gil=True)]
    for draw in (figures.stripes.draw, figures.timeline.draw, figures.outcomes.draw):
        figure, sentence = draw(*runs)
        for axes, words in zip(
            figure.axes,
            (
                "2 threads, Python 3.13.15: ",
                "2 threads, Python 3.13.15t without the GIL: ",
                "2 threads, Python 3.13.1t with its GIL: ",
            ),
            strict=True,
        ):
            title = axes.get_title("left")
            assert words in sentence
            assert title.startswith((words, words.replace("Python ", "")))
        figure, sentence = draw(runs[1], runs[1])
        assert figure.axes[0].get_title("left").startswith("2 threads: ")


def rows_of(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("name", ["race_bars", "startups", "batches"])
def test_the_rows_of_several_pythons_name_them_once(name: str) -> None:
    keys = ("threads", "threads again", "threads, 3.13", "threads, 3.13.15t")
    runs = dict(zip(keys, (by(RUNS["usual"], python) for python in PYTHONS)))
    runs["threads, 3.13t"] = runs.pop("threads, 3.13")
    figure, sentence = getattr(figures, name).draw(runs)
    rows = [row.split(":")[0] for row in rows_of(figure)]
    assert rows == [
        "threads, 3.11.15",
        "threads again, 3.13.15",
        "threads, 3.13.15t, 3.14.10",
        "threads, 3.13t",
    ]
    for row in rows:
        assert f"{row[:1].upper()}{row[1:]}: " in sentence


def test_gains_name_the_python_of_the_race_or_of_the_way() -> None:
    runs = race(RUNS["usual"])
    races = {name: all_by(runs, python) for name, python in zip("abcd", PYTHONS)}
    figure, sentence = figures.gains.draw(races)
    assert rows_of(figure) == [f"{a}, {b}" for a, b in zip("abcd", PYTHONS)]
    assert "C, 3.13.15t: 2.0 × threads, 4.0 × processes" in sentence
    mixed = {"a": {**runs, "threads": by(runs["threads"], "3.13.15t", False)}}
    mixed["a"]["processes"] = by(runs["processes"], "3.14.10", False)
    figure, sentence = figures.gains.draw(mixed)
    assert rows_of(figure) == ["a"]
    assert "2.0 × threads, 3.13.15t, 4.0 × processes, 3.14.10, " in sentence


def test_the_lines_of_one_way_in_several_pythons_differ() -> None:
    sweeps = {
        f"threads on {name}": all_by(swept(RUNS["usual"]), python)
        for name, python in zip("abcd", PYTHONS)
    }
    sweeps["processes"] = all_by(
        swept(slowed(RUNS["usual"], "processes", 2)), "3.11.15"
    )
    figure, sentence = figures.speedup.draw(sweeps)
    lines = lines_of(figure.axes[0])
    names = [f"threads on {a}, {b}" for a, b in zip("abcd", PYTHONS)]
    assert {*names, "processes, 3.11.15"} < set(lines)
    assert len({lines[name].get_fillstyle() for name in names}) == len(names)
    assert lines["processes, 3.11.15"].get_fillstyle() == "full"
    assert "Threads on c, 3.13.15t, speed-up" in sentence
    ways = ("threads", "threads in b")
    longer = [
        {
            "serial": by(a_run("serial", 1, 4, length), "3.14.10"),
            **{
                way: by(a_run("threads", 2, 4, length), python)
                for way, python in zip(ways, PYTHONS)
            },
        }
        for length in (0.1, 1.0)
    ]
    figure, sentence = figures.break_even.draw(longer)
    assert "Threads in b, 3.13.15 beat the loop" in sentence
    ends = {text.get_text() for text in figure.axes[0].texts}
    assert {"threads, 3.11.15", "threads in b, 3.13.15"} < ends


def test_a_simulation_is_of_no_python() -> None:
    own = all_by(swept(RUNS["usual"]), "3.99.1", recorded=False)
    figure, _ = figures.speedup.draw({"threads": own, "16": simulated([1, 2], 0.1)})
    assert {"threads", "16 (simulated)"} < set(lines_of(figure.axes[0]))


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
        **going_wrong(workers),
        **heat_maps(workers),
        **waiting(workers),
        **in_pythons(workers),
    }


def going_wrong(workers: int) -> dict[str, tuple[Figure, str]]:
    """Return the timelines of tasks that went wrong early, late, and for good."""
    run = a_run("multiprocessing_pool", workers, 8, 0.1)
    early = {"fault at": 0.01, "came after": 0.01, "out after": 0.2}
    late = {"came after": 0.97 * run.wall, "came": "TerminatedWorkerError"}
    nothing = {"came": "nothing", "came after": None, "out after": None, "left": 2}
    death = nothing | {"came": "death"}
    runs = [gone_wrong(run, **made) for made in (early, late, nothing, death)]
    return {
        "gone wrong": figures.timeline.draw(*runs),
        "gone wrong beside none": figures.timeline.draw(runs[0], run),
    }


def test_what_went_wrong_is_said_in_full() -> None:
    made = {"came": "ValueError", "results": 3, "still ran": "4 5", "left": 1}
    run = gone_wrong(a_run(), **made, **{"came after": 0.8, "out after": 1.0})
    _, sentence = figures.timeline.draw(run)
    assert sentence == (
        "2 threads: after 0.75 s task 3 crashes. "
        "ValueError comes to the caller after 0.80 s, with 3 of 8 results. "
        "The pool lets it go on after 1.00 s. "
        "Tasks 4 and 5 still ran when the caller had been told. "
        "In the end 1 worker process is still there."
    )


@pytest.mark.parametrize(
    "made",
    [
        {"fault": None, "moment": "$x$", "came": 3, "fault at": "soon", "left": True},
        {"fault at": -1, "came after": 1e300, "out after": -1e300, "left": 1e300},
        {"results": "$^$", "unfinished": "\n", "still ran": 0.5, "came after": "x"},
        {"moment": None, "came": "e" * 300, "unfinished": None, "still ran": "x " * 99},
    ],
)
def test_strange_facts_of_what_went_wrong_do_no_harm(made: dict[str, Any]) -> None:
    figure, sentence = figures.timeline.draw(gone_wrong(a_run(), **made))
    assert figures.png(figure, sentence)
    assert "$" not in sentence and len(sentence) < 1000


def in_pythons(workers: int) -> dict[str, tuple[Figure, str]]:
    """Return figures of recorded runs of several Pythons, on several machines."""
    run = a_run("processes forkserver", workers, 4 * workers)
    runs = [by(run, python) for python in PYTHONS]
    older = [by(run, python, date="2026-01-31", system="Windows") for python in PYTHONS]
    raced = {
        f"{way} on {p}": by(slowed(run, way, 1), p)
        for way in ("threads", "processes forkserver")
        for p in PYTHONS
    }
    races = {f"count on {p}": all_by(race(run), p) for p in PYTHONS}
    counts = [2**power for power in range(7) if 2**power <= workers]
    sweeps = {
        f"threads on {python}": all_by(simulated(counts, 0.1), python, simulated=False)
        for python in PYTHONS
    }
    results = replace(run, results=VERSIONS * workers)
    return {
        "stripes of Pythons": figures.stripes.draw(*runs),
        "timeline of two": figures.timeline.draw(runs[2], older[1]),
        "outcomes of two": figures.outcomes.draw(
            by(results, "3.11.15"), by(results, "3.13.15t")
        ),
        "race of Pythons": figures.race_bars.draw({"serial": older[0], **raced}),
        "gains of Pythons": figures.gains.draw(races),
        "startups of Pythons": figures.startups.draw(raced),
        "speedup of Pythons": figures.speedup.draw(sweeps, 0.9 * workers),
        "recorded map": figures.heat_map.draw(
            all_by(nested_on(workers), "3.13.15t"), "wall", "CPU time", cores=workers
        ),
        "waits in Pythons": figures.waits.draw(
            [replace(run, strategy="threads") for run in runs]
        ),
    }


def heat_maps(workers: int) -> dict[str, tuple[Figure, str]]:
    """Return heat maps as a machine of that many cores gives them."""
    draw, nested = figures.heat_map.draw, nested_on(workers)
    names: dict[str, Any] = {"rows": "processes", "columns": "threads in each"}
    twelve = [*range(1, 13)]
    full = {
        a: {"serial": lasting(9), **{b: lasting(a * b) for b in twelve}} for a in twelve
    }
    return {
        "nested": draw(nested, "wall", "CPU time", **names, cores=workers, mark=(1, 1)),
        "one of them": draw(nested, "CPU time", cores=6, **names),
        "chunks": draw(
            CHUNKS, "speed-up", "useful share", rows="task", mark=("10 µs", 1)
        ),
        "twelve": draw(full, "speed-up", "wall", **names, cores=workers, mark=(12, 12)),
    }


def waiting(workers: int) -> dict[str, tuple[Figure, str]]:
    """Return the figures of waits as a machine of that many cores gives them."""
    slow = 3 * workers
    ways = [at_once(waits, limit) for waits in (1, 1000) for limit in (10, 1000)]
    costs = [a_run("serial", 1, 10, slow), a_run("threads", 1000, 1000, slow), *ways]
    ends = {f"row {at}": beats({at: 0.1 * workers}) for at in (1, 2, 30, 58, 59)}
    return {
        "waits": figures.waits.draw(costs),
        "one row of waits": figures.waits.draw([a_run("threads", 1, 1)]),
        "thousands": figures.timeline.draw(*costs[:3], at_once(10_000)),
        "few in many": figures.timeline.draw(at_once(37 * workers), ways[0]),
        "heartbeats": figures.heartbeats.draw({"f" * 40: beats({}), **ends}),
        "one heart": figures.heartbeats.draw({"x": [1.0, 1.0 + workers]}),
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
    "heat_map": [
        ({}, "wall"),
        ({"long": {}}, "wall"),
        ({"long": {1: None}}, "wall"),
        ({"long": {"serial": RUNS["usual"]}}, "wall"),
        ({"long": {1: NOTHING}}, "wall"),
        ({"threads": RUNS["usual"]}, "wall"),
        ({"long": {1: RUNS["usual"]}}, "speed-up"),
        ({"long": {1: RUNS["usual"], "serial": None}}, "speed-up"),
        ({"long": {1: RUNS["usual"]}},),
        ({"long": {1: RUNS["usual"]}}, "time"),
        ({"long": {1: RUNS["usual"]}}, "wall", "CPU time", "speed-up"),
    ],
    "waits": [([],), ([NOTHING],)],
    "heartbeats": [({},), ({"time.sleep": []},), ({"a": [1.0, 2.0], "b": [1.0]},)],
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_said_in_one_line(name: str) -> None:
    for arguments in MISSING[name]:
        with pytest.raises(ValueError, match=r"^\w+: [^\n]+$"):
            getattr(figures, name).draw(*arguments)
