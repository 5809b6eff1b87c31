"""The lessons as files: `python tests/lessons.py` runs them and stores their outputs.

With names, only those: `python tests/lessons.py 01 03`. With `gil`, it records the two
runs in the README's picture, and draws it. With `simulate`, it writes the sweep of a
machine of 16 cores that is none: it stands in until one is recorded.
"""

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from nbformat import NotebookNode

from helpers.figures import png, stripes
from helpers.laws import amdahl
from helpers.measure import calibrate
from helpers.measure import run as measure
from helpers.runs import Round, Run, best_of, recorded, save
from helpers.trace import Span, watched_countdown

FOLDER = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"


def read(path: Path) -> NotebookNode:
    """Read the notebook at path."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(path: Path) -> NotebookNode:
    """Run the lesson at path in a new kernel; return it with its outputs."""
    notebook = read(path)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return notebook


def store(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook to path without what differs from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    for cell in code_cells(notebook):
        cell.outputs = list(_joined(cell.outputs))
        for output in cell.outputs:
            # A widget without its kernel is an error message; its text is its words.
            output.get("data", {}).pop(WIDGET, None)
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def _joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Yield the outputs, with pieces of one stream put together again."""
    last = None
    for output in outputs:
        same = last and output.output_type == "stream" == last.output_type
        if same and output.name == last.name:
            last.text += output.text
            continue
        if last:
            yield last
        last = output
    if last:
        yield last


def record_gil() -> None:
    """Record two threads and two processes that count, and draw what was recorded."""
    folder = FOLDER / "recorded"
    n = calibrate(watched_countdown, seconds=0.25)
    for strategy in ("threads", "processes"):
        counted = measure(watched_countdown, [n, n], strategy, workers=2)
        counted.save(folder / f"gil_{strategy}.json")
    runs = recorded(folder)
    figure, sentence = stripes.draw(runs["gil_threads"], runs["gil_processes"])
    (folder / "gil.png").write_bytes(png(figure, sentence))
    print(sentence)


def simulated(
    workers: Iterable[int],
    serial: float,
    cost: float = 0.0,
    cores: int = 16,
    rounds: int = 5,
    noise: float = 0.02,
    seed: int = 0,
) -> dict[int, Run]:
    """Return a sweep that nobody measured, made from Amdahl's law with overhead.

    Args:
        workers: the counts of workers; the plain loop, at 0, comes with them.
        serial: the share of the loop that is serial.
        cost: what each worker after the first costs, as a share of the loop.
        cores: how many the workers have. More workers than cores share them.
        rounds: of each count.
        noise: by how much a round is longer than the law says, on average (half a
            bell curve: other programs only ever make it slower).
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    made = {
        "simulated": True,
        "python": platform.python_version(),
        "model": f"Amdahl's law with overhead, serial part {serial:g}, cost of each "
        f"further worker {cost:g}, {cores} cores, noise {noise:g}",
        "allowed cores": cores,
    }

    def one_round(count: int) -> Run:
        at_once = max(1, min(count, cores))
        wall = 1 / amdahl(at_once, serial) + cost * (max(1, count) - 1)
        wall *= 1 + abs(random.normal(scale=noise * np.sqrt(np.pi / 2)))
        each = (1 - serial) / max(1, count)
        spans = tuple(
            Span(task, 1 + task, 1, wall - (1 - serial) / at_once, wall, each)
            for task in range(max(1, count))
        )
        way = "processes" if count else "serial"
        busy = (1 - serial) / wall
        idle = cores * wall - (1 - serial) - serial
        return Run(
            function="simulated",
            strategy=way,
            workers=max(1, count),
            startup=0.0,
            began=0.0,
            wall=wall,
            spans=spans,
            idle=max(0.0, idle),
            first=serial,
            rounds=(Round(wall, busy),),
            made=made,
        )

    return {
        count: best_of(one_round(count) for _ in range(rounds))
        for count in (0, *workers)
    }


def simulate() -> None:
    """Write the sweep of a machine of 16 cores that is none, and say so in the file."""
    runs = simulated([1, 2, 4, 8, 12, 16, 24, 32], serial=0.04, cost=0.001)
    save(FOLDER / "recorded" / "speedup_16_cores_simulated.json", runs.values())


if __name__ == "__main__":
    commands = {"gil": record_gil, "simulate": simulate}
    if len(sys.argv) == 2 and sys.argv[1] in commands:
        commands[sys.argv[1]]()
        sys.exit()
    # As under nbval: no progress bar, and no page of red from workers that end.
    os.environ["PYTEST_CURRENT_TEST"] = "the lessons are being stored"
    wanted = tuple(sys.argv[1:])
    for lesson in LESSONS:
        if not wanted or lesson.name.startswith(wanted):
            print(lesson.name, flush=True)
            store(run(lesson), lesson)
