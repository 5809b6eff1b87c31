"""`python tools/bench.py`: the table of benchmarks, each a ratio measured in one run.

With names, only those whose functions' names begin so: `python tools/bench.py tracing`.
It hides no miss, and always exits with 0: the numbers are there to be read.
"""

import asyncio
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import (
    AbstractContextManager,
    ExitStack,
    nullcontext,
    redirect_stdout,
)
from functools import partial
from multiprocessing import Pool, get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import lab
import nbformat
from joblib import Parallel, delayed
from jupyter_client.manager import start_new_kernel
from lessons import FOLDER, NOTEBOOKS
from nbformat.v4 import new_code_cell, new_notebook

from helpers import figures, gallery, machine, server
from helpers.advice import advise
from helpers.measure import calibrate, race, run
from helpers.probe import Probe
from helpers.strategies import start
from helpers.trace import Traced, watched_countdown
from helpers.travel import Map, packed
from helpers.workers import begin_work
from helpers.workloads import Multiply, countdown, fetch, fetch_async, nap, nap_async

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests"))  # workers find it too
loops = importlib.import_module("loops")
PUBLISHED = 1.67


def took(map_: Map, function: Callable[[Any], Any], inputs: Iterable[Any]) -> float:
    """Run function over inputs; return the seconds until all results were there."""
    gc.disable()  # as `timeit` does
    began = perf_counter()
    for _ in map_(function, inputs):
        pass
    spent = perf_counter() - began
    gc.enable()
    return spent


def by_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the least of what each call returned, the first time not counted."""
    returned: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + rounds):
        for name, call in calls.items():
            returned[name].append(call())
    return {name: min(values[1:]) for name, values in returned.items()}


def row(what: str, measured: float, reach: str, ok: bool, note: str = "") -> None:
    """Print one line of the table."""
    print(
        f"{what:<66} {measured:>8.3g}  {reach:<12} {'ok' if ok else 'short'}  {note}",
        flush=True,
    )


def pools_reach_the_ceiling(rounds: int = 12) -> None:
    """Speed-up of pools and of separate interpreters, by turns, the best of each."""
    workers = machine.cores().allowed
    steps = int(0.3 * machine._steps_per_second())
    inputs = [steps] * workers  # one each, as the interpreters have it
    walls: dict[str, list[float]] = {}
    with ExitStack() as stack:
        maps = {
            name: stack.enter_context(start(name, workers))
            for name in ("processes", "joblib")
        }
        for map_ in maps.values():
            took(map_, nap, [0.05] * 2 * workers)
        for _ in range(rounds):
            apart = [machine._count_apart(n, steps)[0] for n in (1, workers)]
            walls.setdefault("alone", []).append(apart[0])
            walls.setdefault("apart", []).append(apart[1])
            for name, map_ in {"serial": map, **maps}.items():
                walls.setdefault(name, []).append(took(map_, countdown, inputs))
    best = {name: min(times) for name, times in walls.items()}
    ceiling = workers * best["alone"] / best["apart"]
    for name in maps:
        gain = best["serial"] / best[name]
        note = f"{gain:.2f} of {ceiling:.2f}, {workers} workers"
        row(
            f"{name}: speed-up ÷ ceiling",
            gain / ceiling,
            "≥ 0.95",
            gain >= 0.95 * ceiling,
            note,
        )


def tracing_is_cheap(rounds: int = 15) -> None:
    """Tasks of 1 ms, as a run traces them, and through the pool's own map."""
    tasks = [calibrate(countdown, 0.001)] * 400
    with ProcessPoolExecutor(2, get_context(), begin_work) as pool:
        traced, numbered = Traced(countdown), list(enumerate(tasks))
        spent = by_turns(
            {
                "bare": partial(took, pool.map, countdown, tasks),
                "traced": partial(took, packed(pool.map), traced, numbered),
            },
            rounds,
        )
    ratio = spent["traced"] / spent["bare"]
    note = f"{1e3 * spent['traced']:.0f} and {1e3 * spent['bare']:.0f} ms"
    what = "traced pool ÷ bare pool.map, 400 tasks of 1 ms"
    row(what, ratio, "≤ 1.05", ratio <= 1.05, note)


def gathered(function: Callable[[Any], Any], inputs: Iterable[Any]) -> list[Any]:
    """Await a function over inputs, all at once, as a script would."""

    async def main() -> list[Any]:
        return await asyncio.gather(*map(function, inputs))

    return asyncio.run(main())


# What a reader would write for each strategy, two workers. What it yields is a map, or
# has one, or is a `Parallel`.
BARE: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "serial": partial(nullcontext, map),
    "threads": partial(ThreadPoolExecutor, 2),
    "processes": partial(ProcessPoolExecutor, 2),
    "multiprocessing_pool": partial(Pool, 2),
    "joblib": partial(Parallel, 2),
    "joblib threading": partial(Parallel, 2, backend="threading"),
    "asyncio": partial(nullcontext, gathered),
}
if sys.version_info >= (3, 14):
    from concurrent.futures import InterpreterPoolExecutor

    BARE["interpreters"] = partial(InterpreterPoolExecutor, 2)


def map_of(bare: Any) -> Map:
    """Return the map of what a call in BARE yields."""
    if isinstance(bare, Parallel):
        return lambda function, inputs: bare(delayed(function)(x) for x in inputs)
    return getattr(bare, "map", bare)


def strategies_cost_little(rounds: int = 15) -> None:
    """The strategies' maps and the bare ones; both pools are there before the clock."""
    one_ms = calibrate(countdown, 0.001)
    work: list[tuple[str, Callable[[Any], Any], list[int], float]] = [
        ("4,000 × abs", abs, list(range(4000)), 2.0),
        ("200 tasks of 1 ms", countdown, [one_ms] * 200, 1.05),
    ]
    for name, begin in BARE.items():
        workers = 1 if name == "serial" else 2
        with start(name, workers) as kit, begin() as entered:
            maps = {"kit": kit, "bare": map_of(entered)}
            for what, function, inputs, reach in work:
                do = awaited(function) if name == "asyncio" else function
                calls = {
                    whose: partial(took, map_, do, inputs)
                    for whose, map_ in maps.items()
                }
                spent = by_turns(calls, rounds)
                each = [1e6 * spent[whose] / len(inputs) for whose in maps]
                ratio = spent["kit"] / spent["bare"]
                note = f"{each[0]:.3g} and {each[1]:.3g} µs each"
                title = f"{name} ÷ the bare call, {what}"
                row(title, ratio, f"≤ {reach:g}", ratio <= reach, note)


def dask_costs_little(rounds: int = 5) -> None:
    """The strategy `dask` and the bare client's map, both with a cluster of two."""
    try:
        from helpers.cluster import client_of

        with start("dask", 2) as kit, client_of(2) as client:

            def bare(function: Callable[[Any], Any], inputs: Iterable[Any]) -> Any:
                return client.gather(client.map(function, list(inputs), pure=False))

            maps: dict[str, Map] = {"kit": kit, "bare": bare}
            calls = {who: partial(took, maps[who], abs, range(500)) for who in maps}
            spent = by_turns(calls, rounds)
    except ValueError as missing:
        print(f"dask ÷ the bare client.map: {missing}")
        return
    ratio = spent["kit"] / spent["bare"]
    note = f"{2 * spent['kit']:.3g} and {2 * spent['bare']:.3g} ms each"
    row("dask ÷ the bare client.map, 500 × abs", ratio, "≤ 2", ratio <= 2, note)


def awaited(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function, written with `async def`."""

    async def twin(x: Any) -> Any:
        return function(x)

    return twin


def a_thousand_wait(rounds: int = 10) -> None:
    """1,000 waits of 0.2 s in one thread and in a thousand, and the bare calls."""
    waits = machine.connections(1000)
    urls, naps = [f"{server.start()}?delay=0.2"] * waits, [0.2] * waits
    work: dict[str, tuple[Any, Any, list[Any]]] = {
        "fetches": (fetch_async, fetch, urls),
        "naps": (nap_async, nap, naps),
    }
    with ThreadPoolExecutor(waits) as pool:
        list(pool.map(nap, [1.0] * waits))
        for what, (coroutine, function, inputs) in work.items():
            calls: dict[str, Callable[[], float]] = {
                "asyncio": partial(wall_of_a_run, coroutine, inputs, "asyncio", waits),
                "a bare gather": partial(took, gathered, coroutine, inputs),
                "threads": partial(wall_of_a_run, function, inputs, "threads", waits),
                "a bare pool": partial(took, pool.map, function, inputs),
            }
            spent = by_turns(calls, rounds)
            note = ", ".join(f"{way} {spent[way]:.2f}" for way in calls)
            title = f"asyncio, {waits:,} {what} of 0.2 s: wall ÷ one wait"
            row(title, spent["asyncio"] / 0.2, "≤ 5", spent["asyncio"] <= 1.0, note)
            for way, bare in (("asyncio", "a bare gather"), ("threads", "a bare pool")):
                ratio = spent[way] / spent[bare]
                title = f"{way} ÷ {bare}, {waits:,} {what} of 0.2 s"
                row(title, ratio, "≤ 1.10", ratio <= 1.1)
    server.stop()


# In a process of its own, which spawned workers have no file of to import first.
START = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool, get_context
from time import perf_counter
from empty import nothing
from helpers.workloads import nap
for _ in range(15):
    for function in (nap, nothing):
        began = perf_counter()
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            list(pool.map(function, [0, 0]))
        print(perf_counter() - began)
"""


def workers_start_fast() -> None:
    """Two spawned workers that import helpers.workloads, or an empty module."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.py").write_text("def nothing(x):\n    pass\n")
        done = subprocess.run(
            [sys.executable, "-c", START],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([folder, str(ROOT)])},
            capture_output=True,
            text=True,
            check=True,
        )
    spent = [float(word) for word in done.stdout.split()]
    full, bare = min(spent[::2]), min(spent[1::2])
    note = f"{1e3 * full:.0f} and {1e3 * bare:.0f} ms"
    what = "two spawned workers with helpers.workloads ÷ an empty module"
    row(what, full / bare, "≤ 1.10", full <= 1.1 * bare, note)


def other_pythons_measure_alike(rounds: int = 4) -> None:
    """The same tasks here and in another process; what its start and its end cost.

    The quickest of ten tasks counts: a virtual machine may give a new process half a
    core at first (here 0.4 s, in which it counts 1.5 times as long).
    """
    n = calibrate(countdown, seconds=0.1)
    bare = getattr(sys, "_base_executable", sys.executable)
    for kind, python in {"the venv's": sys.executable, "a bare one": bare}.items():
        least = by_turns(
            {
                "here": partial(quickest_task, n),
                "there": partial(quickest_task, n, python=python),
                "start and end": partial(seconds_beside_work, python),
            },
            rounds,
        )
        ratio, start = least["there"] / least["here"], least["start and end"]
        row(f"another Python, {kind}: work ÷ here", ratio, "≤ 1.05", ratio <= 1.05)
        row(f"another Python, {kind}: start and end, s", start, "≤ 0.3", start <= 0.3)


def quickest_task(n: int, python: str | None = None) -> float:
    made = run(countdown, [n] * 10, python=python)
    return min(span.end - span.start for span in made.spans)


def seconds_beside_work(python: str) -> float:
    """Return how long another Python takes, beside what it measures."""
    began = perf_counter()
    made = run(countdown, [1], python=python)
    return perf_counter() - began - made.wall


def stripes_show_the_switch_interval() -> None:
    if not machine.gil_enabled():
        print("switch interval: this Python runs without its GIL")
        return
    before = sys.getswitchinterval()
    for interval in (0.001, 0.005, 0.02):
        n = calibrate(countdown, max(0.2, 30 * interval))
        sys.setswitchinterval(interval)
        runs = [run(watched_countdown, [n, n], "threads", 2) for _ in range(5)]
        sys.setswitchinterval(before)
        read = statistics.median(run.switch_interval for run in runs) / interval
        row(
            f"switch interval read ÷ set, {1e3 * interval:.0f} ms",
            read,
            "0.8 to 1.25",
            0.8 <= read <= 1.25,
        )


def chunks_leave_more_for_the_tasks() -> None:
    """Useful share of the CPU time, tasks of 10 µs in chunks of 100 and of 1."""
    tasks = [calibrate(countdown, 1e-5)] * 10_000
    ways = {"serial": 1, "processes 1": 2, "processes 100": 2}
    runs = race(countdown, tasks, ways, rounds=3, budget=0)
    one, many = (runs[way].useful_share for way in ("processes 1", "processes 100"))
    note = f"{100 * many:.0f} and {100 * one:.0f} %"
    what = "useful share of the CPU time, 10 µs, chunks of 100 ÷ of 1"
    row(what, many / one, "≥ 3", many >= 3 * one, note)


def heat_maps_are_soon_there() -> None:
    """The grids of lessons 06 and 07, measured as there, and the pictures of them."""
    began = perf_counter()
    chunks = {
        length: race(
            countdown,
            [calibrate(countdown, length)] * tasks,
            {"serial": 1, **{f"processes {size}": 2 for size in (1, 10, 100)}},
            rounds=1,
            budget=1,
        )
        for length, tasks in ((1e-5, 10_000), (1e-4, 2000), (1e-3, 200), (1e-2, 20))
    }
    middle = perf_counter()
    nested = {
        count: {
            threads: run(Multiply(500, threads), [2] * 16, "processes", count)
            for threads in (1, 2, 4)
        }
        for count in (1, 2, 4)
    }
    spent = {"06": (middle - began, 12), "07": (perf_counter() - middle, 20)}
    for lesson, (took, most) in spent.items():
        what = f"seconds to measure the heat map of lesson {lesson}"
        row(what, took, f"≤ {most}", took <= most)
    drawn: dict[str, Callable[[], float]] = {
        "06": lambda: drawing(chunks, "speed-up", "useful share"),
        "07": lambda: drawing(nested, "wall", "CPU time", cores=2),
    }
    for lesson, took in by_turns(drawn, rounds=5).items():
        row(f"seconds to draw that of lesson {lesson}", took, "≤ 0.5", took <= 0.5)


def galleries_are_soon_there(files: int = 100) -> None:
    """So many files for the class, a tenth of them broken, read, drawn and shown."""
    recorded = sorted((FOLDER / "recorded" / "class").glob("*.json"))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            content = json.loads(recorded[number % len(recorded)].read_text("utf-8"))
            content["notes"] |= {"number": str(number), "nickname": f"reader {number}"}
            text = json.dumps(content)
            whole = text if number % 10 else text[:-100]
            Path(folder, f"class_{number}.json").write_text(whole, encoding="utf-8")
        began = perf_counter()
        with redirect_stdout(None):
            gallery.class_gallery(folder)
        spent = perf_counter() - began
    what = f"seconds to read and draw {files} files for the class"
    row(what, spent, "≤ 5", spent <= 5)


def drawing(*what: Any, **options: Any) -> float:
    """Draw a heat map as a PNG; return the seconds it took."""
    began = perf_counter()
    figures.png(*figures.heat_map.draw(*what, **options))
    return perf_counter() - began


def joblib_counts_down() -> None:
    runs = race(countdown, [10**7] * 20, {"serial": 1, "joblib": 2}, rounds=2, budget=0)
    gain = runs["serial"].wall / runs["joblib"].wall
    walls = [f"{runs[name].wall:.1f}" for name in ("serial", "joblib")]
    note = f"{' and '.join(walls)} s, ceiling {machine.ceiling(2):.2f}"
    row(
        "joblib, 20 countdowns of 10**7: serial ÷ two jobs",
        gain,
        f"> {PUBLISHED}",
        gain > PUBLISHED,
        note,
    )


def tiny_tasks_do_not_add_up(few: int = 10_000, many: int = 100_000) -> None:
    """Time and memory per task must not grow with the number of tasks."""
    for name, workers in (("serial", 1), ("threads", 2)):
        with BARE[name]() as entered:
            calls: dict[str, Callable[[], float]] = {}
            for tasks in (few, many):
                calls[f"run {tasks}"] = partial(
                    wall_of_a_run, abs, range(tasks), name, workers
                )
                calls[f"bare {tasks}"] = partial(
                    took, map_of(entered), abs, range(tasks)
                )
            spent = by_turns(calls, rounds=7)
        ours, bare = (
            spent[f"{whose} {many}"] / many / (spent[f"{whose} {few}"] / few)
            for whose in ("run", "bare")
        )
        what = f"{name}: time per task, {many:,} ÷ {few:,}, ÷ the bare map's"
        note = f"{ours:.2f} and {bare:.2f}"
        row(what, ours / bare, "≤ 1.1", ours <= 1.1 * bare, note)
        less, more = (memory_of_a_run(name, workers, tasks) for tasks in (few, many))
        what = f"{name}: memory per task, {many:,} ÷ {few:,}"
        note = f"{more:.0f} and {less:.0f} B"
        row(what, more / less, "≤ 1.1", more <= 1.1 * less, note)


def wall_of_a_run(*how: Any) -> float:
    """Return the wall time of a run, in seconds."""
    return run(*how).wall


def memory_of_a_run(name: str, workers: int, tasks: int) -> float:
    """Return the bytes that such a run takes for each task."""
    tracemalloc.start()
    run(abs, range(tasks), name, workers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / tasks


# In a kernel, where a changed widget is also sent. Prints the seconds of each move.
MOVES = """
import time
from time import perf_counter
from helpers import explore

def measured(explorer, name, values):
    control = explorer.controls[name]
    for value in values:
        control.value = value
        while explorer.measuring and explorer.progress.value < explorer.progress.max:
            time.sleep(0.01)
        time.sleep(0.2)  # until it has told that it is done
    return control

def moves(control, values):
    for value in values:
        began = perf_counter()
        control.value = value
        print(perf_counter() - began)

explore.Explorer.conductor.gives_way = False  # measure during this cell
explorer = explore.gil()
moves(measured(explorer, "workers", [3, 4, 2]), [3, 4, 2] * 17)
explorer = explore.speedup()
measured(explorer, "workers", [2])
moves(explorer.controls["serial"], [n / 100 for n in range(50)])
"""


def explorers_redraw_at_once() -> None:
    """Milliseconds in the kernel from a control's move to the picture of kept runs."""
    manager, client = start_new_kernel(kernel_name="python3")
    said: list[str] = []
    client.execute_interactive(
        MOVES,
        output_hook=lambda message: said.append(message["content"].get("text", "")),
    )
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    spent = [1e3 * float(word) for word in "".join(said).split()]
    for what, times in (
        ("kept runs", spent[:51]),
        ("kept runs, the serial part's slider", spent[51:]),
    ):
        median = statistics.median(times)
        note = f"{len(times)} moves, at most {max(times):.0f}"
        row(f"ms to redraw from {what}, median", median, "≤ 50", median <= 50, note)


# Notes for each key press how long it takes until the new picture is on the screen.
STOPWATCH = """box => {
  window.took = [];
  let pressed = 0;
  document.addEventListener("keydown", () => pressed = performance.now(), true);
  new MutationObserver(() => {
    box.querySelector("img").decode().then(() => requestAnimationFrame(
      () => setTimeout(() => window.took.push(performance.now() - pressed))));
  }).observe(box, {subtree: true, childList: true, attributeFilter: ["src"]});
}"""


def keys_change_the_picture(presses: int = 50) -> None:
    """Milliseconds in the browser from a key press to changed pixels."""
    program = lab.browser()
    if program is None:
        print("ms from key press to picture: no Chromium here")
        return
    cells = ["from helpers import explore", "explorer = explore.gil()\nexplorer"]
    notebook = new_notebook(
        cells=[new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    with tempfile.TemporaryDirectory() as name, lab.serving(Path(name)) as address:
        nbformat.write(notebook, Path(name) / "explorer.ipynb")
        with lab.browsing(program) as page:
            lab.open_notebook(page, address, "explorer.ipynb")
            lab.run_all(page, len(cells))
            explorer = lab.show_cell(page, "cell-1").locator(".explorer")
            slider = explorer.get_by_role("slider").first
            for key in ("ArrowRight", "ArrowLeft"):
                slider.press(key)
                lab.wait_for_words(explorer, "Measured")
            explorer.evaluate(STOPWATCH)
            for number in range(presses):
                slider.press("ArrowRight" if number % 2 == 0 else "ArrowLeft")
                page.wait_for_function(f"() => window.took.length > {number}")
            took = page.evaluate("() => window.took")
    median = statistics.median(took)
    note = f"at most {max(took):.0f}"
    what = "ms in the browser from key press to changed pixels, median"
    row(what, median, "≤ 250", median <= 250, note)


def advice_comes_true(budget: float = 12.0) -> None:
    """Each loop of the tests, whole, in the way that was advised for it.

    Loops that take over a minute are left out, and those with nothing to predict.
    """
    off = {}
    for name, (function, inputs, _) in loops.LOOPS.items():
        with redirect_stdout(None):
            told = advise(function, inputs, budget)
        if told.found.alone or told.predicted[told.way].best > 60:
            continue
        made = run(function, inputs, told.way, told.workers)
        measured = made.startup + made.wall
        if told.way == "serial":  # without what notes who did a task
            measured = took(map, function, inputs)
        off[name] = abs(told.predicted[told.way].best / measured - 1)
    near = sum(each <= 0.25 for each in off.values())
    far = sorted(
        (name for name in off if off[name] > 0.25), key=lambda name: -off[name]
    )
    note = f"{near} of {len(off)}" + (f", not {', '.join(far)}" if far else "")
    what = "advice: loops whose predicted time is within 25 % ÷ all"
    row(what, near / len(off), "≥ 0.75", near >= 0.75 * len(off), note)


def advice_costs_little(budget: float = 12.0) -> None:
    """The share of an advice's time in which its function ran nowhere."""
    n = calibrate(countdown, 0.01)
    counted = Probe(countdown)
    with tempfile.TemporaryDirectory() as folder:
        counted.begin(Path(folder, "calls"))
        with redirect_stdout(None):
            told = advise(counted, [n] * 1000, budget)
        spans = [(each.span.start, each.span.end) for each in counted.calls()]
    inside, until = 0.0, 0.0
    for start_, end in sorted(spans):
        inside += max(0.0, end - max(start_, until))
        until = max(until, end)
    outside = 1 - inside / told.found.spent
    note = f"{outside * told.found.spent:.1f} of {told.found.spent:.1f} s"
    what = "advice: time when its function ran nowhere ÷ all of it"
    row(what, outside, "≤ 0.33", outside <= 0.33, note)


def lessons_are_short() -> None:
    for lesson in NOTEBOOKS:
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-x", str(lesson)]
        began = perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        took = perf_counter() - began
        note = "" if done.returncode == 0 else "nbval is red"
        row(
            f"seconds under nbval: {lesson.name}",
            took,
            "≤ 45",
            took <= 45 and not note,
            note,
        )


BENCHMARKS = (
    pools_reach_the_ceiling,
    tracing_is_cheap,
    strategies_cost_little,
    dask_costs_little,
    a_thousand_wait,
    workers_start_fast,
    other_pythons_measure_alike,
    stripes_show_the_switch_interval,
    joblib_counts_down,
    chunks_leave_more_for_the_tasks,
    heat_maps_are_soon_there,
    galleries_are_soon_there,
    tiny_tasks_do_not_add_up,
    explorers_redraw_at_once,
    keys_change_the_picture,
    advice_costs_little,
    advice_comes_true,
    lessons_are_short,
)


def main(names: list[str]) -> None:
    """Print the table, or the rows of the benchmarks whose names begin so."""
    os.environ["TQDM_DISABLE"] = "1"  # nothing but the table
    facts = machine.facts()
    made_by = [facts[name] for name in ("python", "system", "start method")]
    print("Python", *made_by, f"{machine.cores().allowed} cores allowed")
    print(f"{'what':<66} {'measured':>8}  {'reach':<12} ok?")
    for benchmark in BENCHMARKS:
        if not names or benchmark.__name__.startswith(tuple(names)):
            benchmark()


if __name__ == "__main__":
    main(sys.argv[1:])
