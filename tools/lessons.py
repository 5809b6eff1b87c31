"""The lessons as files: `python tools/lessons.py` runs them and stores their outputs.

With names, only those: `python tools/lessons.py 01 03 class`. With `--slides`, none is
run: their cells only get what they are on the slides, by the rule in slides.py.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import slides
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
# No lesson, but written as one: what a class does before the course and after it.
CLASS = FOLDER / "class.ipynb"
NOTEBOOKS = [*LESSONS, CLASS]
WIDGET = "application/vnd.jupyter.widget-view+json"


def read(path: Path) -> NotebookNode:
    """Read the notebook at path."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(cell: NotebookNode) -> str:
    """Return what the cell said: what it printed, and its sentences, as plain text."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", ""))
        data = output.get("data", {})
        if "text/html" in data:  # a picture's or a widget's text is no sentence
            parts.append(data["text/plain"] + "\n")
    return "".join(parts)


def answer(exercise: str, kind: str) -> str:
    """Return an answer to an exercise as a lesson has it.

    Args:
        exercise: its name: "wait_together".
        kind: "stub", which is a cell, or "solution", which stands in a text.
    """
    wanted = f"{exercise.replace('_', '-')}-{kind}"
    cells = (cell for path in LESSONS for cell in read(path).cells)
    source = next(cell.source for cell in cells if cell.id == wanted)
    if kind == "stub":
        return source
    return source.split("```python\n")[1].split("```")[0].strip()


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
    write(notebook, path)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook to path, each cell with what it is on the slides."""
    slides.set_types(notebook)
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


def main(words: list[str]) -> None:
    """Run the lessons whose names begin so, or all of them, and store their outputs."""
    # As under nbval: no progress bar, and no page of red from workers that end.
    os.environ["PYTEST_CURRENT_TEST"] = "the lessons are being stored"
    names = tuple(word for word in words if word != "--slides")
    for lesson in NOTEBOOKS:
        if not names or lesson.name.startswith(names):
            print(lesson.name, flush=True)
            if "--slides" in words:
                write(read(lesson), lesson)
            else:
                store(run(lesson), lesson)


if __name__ == "__main__":
    main(sys.argv[1:])
