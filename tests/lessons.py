"""The lessons as files: `python tests/lessons.py` runs them and stores their outputs.

With names, only those: `python tests/lessons.py 01 03`. With `gil`, it records the two
runs in the README's picture, and draws it.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from helpers.figures import png, stripes
from helpers.measure import calibrate, recorded
from helpers.measure import run as measure
from helpers.trace import watched_countdown

FOLDER = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


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


if __name__ == "__main__":
    if sys.argv[1:] == ["gil"]:
        record_gil()
        sys.exit()
    # As under nbval: no progress bar, and no page of red from workers that end.
    os.environ["PYTEST_CURRENT_TEST"] = "the lessons are being stored"
    wanted = tuple(sys.argv[1:])
    for lesson in LESSONS:
        if not wanted or lesson.name.startswith(wanted):
            print(lesson.name, flush=True)
            store(run(lesson), lesson)
