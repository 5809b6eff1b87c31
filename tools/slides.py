"""The slides of a lesson: which cell begins one, found by a rule.

A teacher stands at a projector. A section's heading begins a slide. A guess is made
before its run is seen. What still fits on a slide comes when the space key asks for it;
what doesn't goes to the next slide, below. `notebooks/rise.css` gives the cells the
sizes that are assumed here; tests/test_slides.py measures them in a browser.
"""

import base64
import math
import re
import struct
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

# In pixels, on a slide that is 1280 wide and 720 high: what its cells may fill.
HEIGHT = 640
# Letters in a line of text, and in one of the two columns of a long text.
LETTERS, LETTERS_IN_COLUMN = 88, 54
# A text of so many parts stands in two columns.
PARTS_IN_COLUMNS = 8
# How high a line is: of text, of text in columns, of a table, of an output.
LINE, LINE_IN_COLUMN, TABLE_LINE, OUTPUT_LINE = 32, 24, 29, 27
# How high a line of code is, where there are at most so many; above a picture.
CODE_LINE = {14: 26, 22: 22, 28: 19, 99: 17}
CODE_LINE_ABOVE = {5: 26, 12: 20, 99: 18}
# How high a heading is, by its level.
HEADING = {1: 80, 2: 70, 3: 60}
# The space between parts of a text, around code or an output, and between cells.
AFTER, BOX, GAP = 14, 14, 12
# A picture can still be read at this share of its size; a guess has a control.
READABLE, CONTROL = 0.85, 110

Step = list[NotebookNode]


def set_types(notebook: NotebookNode) -> None:
    """Note in each cell's metadata what it is on the slides, in reveal.js's words."""
    for cell, kind in zip(notebook.cells, types(notebook.cells), strict=True):
        cell.metadata["slideshow"] = NotebookNode(slide_type=kind)


def types(cells: Sequence[NotebookNode]) -> list[str]:
    """Return for each cell what it is on the slides.

    Returns:
        "slide" where a section begins, "subslide" where the next slide of a section
        does, "fragment" for what comes when it is asked for, "-" for what stands with
        the cell before it, "skip" for a text that is too long for any slide.
    """
    found: list[str] = []
    left, before = 0, None
    for step in steps(cells):
        kind = _kind(step, before, left)
        if kind != "skip":
            left = (left if kind == "fragment" else HEIGHT) - _height_of(step)
            before = step[-1]
        found += [kind, *["-"] * (len(step) - 1)]
    return found


def steps(cells: Sequence[NotebookNode]) -> Iterator[Step]:
    """Yield what is shown at once: a text with the code it leads to, if both fit."""
    text: Step = []
    for cell in cells:
        if text and (cell.cell_type != "code" or _height_of([*text, cell]) > HEIGHT):
            yield text
            text = []
        text.append(cell)
        if cell.cell_type == "code":
            yield text
            text = []
    if text:
        yield text


def _kind(step: Step, before: NotebookNode | None, left: int) -> str:
    first, last = step[0], step[-1]
    if first.cell_type == "markdown" and height(first) > HEIGHT:
        return "skip"
    if before is None or re.match("##? ", first.source):
        return "slide"
    alone = any(_stands_alone(cell) for cell in (before, first, last))
    runs = _is_guess(before) and last.cell_type == "code"
    begins = first.source.startswith("### ") or alone or runs
    return "subslide" if begins or _height_of(step) > left else "fragment"


def _is_guess(cell: NotebookNode) -> bool:
    return bool(re.search(r"= (number|choice)\(", cell.source))


def _stands_alone(cell: NotebookNode) -> bool:
    """Return whether it is an explorer, or a solution that nobody may see too early."""
    return "explore." in cell.source or cell.source.startswith("<details>")


def _height_of(step: Step) -> int:
    return sum(height(cell) for cell in step) + GAP * (len(step) - 1)


def height(cell: NotebookNode) -> int:
    """Return about how high a cell is on a slide, with its stored outputs."""
    if cell.cell_type == "markdown":
        return _text_height(cell.source)
    if "explore." in cell.source:
        return HEIGHT
    pictures = sum(map(_picture_height, cell.outputs))
    code = _code_height(cell.source, CODE_LINE_ABOVE if pictures else CODE_LINE)
    code += CONTROL * _is_guess(cell)
    words = sum(map(_output_height, cell.outputs))
    # A picture gives way, as far as it must.
    return max(code + words, min(code + words + pictures, HEIGHT))


def _code_height(source: str, sizes: dict[int, int]) -> int:
    lines = source.count("\n") + 1
    return BOX + lines * next(sizes[most] for most in sizes if lines <= most)


def _output_height(output: NotebookNode) -> int:
    data = output.get("data", {})
    if "image/png" in data:
        return 0
    words = output.get("text") or data.get("text/plain") or output.get("evalue", "")
    lines = words.rstrip("\n").split("\n")
    return BOX + OUTPUT_LINE * sum(_lines(line, LETTERS) for line in lines)


def _picture_height(output: NotebookNode) -> int:
    """Return how high its picture must be for a reader in the last row."""
    picture = output.get("data", {}).get("image/png", "")
    if not picture:
        return 0
    wide, high = struct.unpack(">II", base64.b64decode(picture[:64])[16:24])
    shown = output.metadata["image/png"].get("width", wide)
    return BOX + int(READABLE * high * shown / wide)


def _text_height(source: str) -> int:
    parts = _parts(source)
    if len(parts) < PARTS_IN_COLUMNS:
        return sum(_part_height(part, LETTERS, LINE) for part in parts)
    both = sum(_part_height(p, LETTERS_IN_COLUMN, LINE_IN_COLUMN) for p in parts)
    return both // 2 + LINE  # the columns are seldom even


def _parts(source: str) -> list[str]:
    """Return the paragraphs, lists, tables, headings and listings of a text."""
    shown = re.sub(r"\]\([^)]*\)", "]", re.sub("</?(details|summary)>", "", source))
    found = re.findall(r"(?ms)^```.*?^```|(?:^(?!```)[^\n]+\n?)+", shown)
    return [part.strip("\n") for part in found if part.strip()]


def _part_height(part: str, letters: int, line: int) -> int:
    if level := re.match("#+ ", part):
        return HEADING[len(level[0]) - 1] * _lines(part, letters // 2)
    rows = part.split("\n")
    if part.startswith("```"):
        return BOX + AFTER + (len(rows) - 2) * CODE_LINE[22]
    if part.startswith("|"):
        return AFTER + sum(TABLE_LINE * (1 + len(row) // 130) for row in rows)
    return AFTER + sum(_lines(row, letters) * line for row in rows)


def _lines(text: str, letters: int) -> int:
    return max(1, math.ceil(len(text) / letters))
