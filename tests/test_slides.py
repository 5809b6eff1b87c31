"""The rule that says where a slide begins, and what `make slides` says."""

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import slides
from lessons import FOLDER, LESSONS, read
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output


def text(source: str = "A sentence.") -> NotebookNode:
    return new_markdown_cell(source)


def code(source: str = "f()", lines: int = 0) -> NotebookNode:
    """Return a cell of code that has printed so many lines."""
    printed = new_output("stream", text="a line\n" * lines)
    return new_code_cell(source, outputs=[printed] if lines else [])


GUESS = [text("### Predict\n\nHow long?"), code("guess = number('Seconds?', 0, 9, 2)")]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_cell_is_stored_with_its_place_on_the_slides(path: Path) -> None:
    cells = read(path).cells
    stored = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in cells]
    assert stored == slides.types(cells), "run: python tools/lessons.py --slides"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_guess_stands_on_a_slide_with_a_later_run(path: Path) -> None:
    """Nor an exercise with its solution."""
    for slide in slides_of(path):
        for before, cell in itertools.pairwise(slide):
            assert "<details>" not in before.source + cell.source
            guessed = "number(" in before.source or "choice(" in before.source
            assert not guessed or cell.cell_type == "markdown", before.id


def slides_of(path: Path) -> list[list[NotebookNode]]:
    """Return the lesson's cells, slide by slide."""
    found: list[list[NotebookNode]] = []
    for cell in read(path).cells:
        kind = cell.metadata.slideshow.slide_type
        if kind in ("slide", "subslide"):
            found.append([])
        if kind != "skip":
            found[-1].append(cell)
    return found


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        # A section begins a slide; a text stands with its code, or asks for it.
        ([text("# Why?"), code(), text("## How?"), code()], "slide - slide -"),
        ([text("# Why?"), text(), code()], "slide fragment -"),
        ([text("# Why?"), code(), code()], "slide - fragment"),
        # What doesn't fit goes below, with its text if both fit there.
        ([text("# Why?"), text(), code(lines=19)], "slide subslide -"),
        ([text("# Why?"), text(), code(lines=30)], "slide fragment subslide"),
        # A guess is made before its run is seen; the text between tells nothing.
        ([*GUESS, code()], "slide - subslide"),
        ([text(), *GUESS, text(), code()], "slide subslide - subslide -"),
        ([*GUESS, text(), code(lines=30)], "slide - fragment subslide"),
        # An exercise, its solution and an explorer have slides of their own.
        ([text(), code(), text("### Try"), code()], "slide - subslide -"),
        ([text(), text("<details>So"), text()], "slide subslide subslide"),
        ([text(), code("explore.gil()"), code()], "slide subslide subslide"),
        # Nobody can read this on a slide.
        ([text("# Why?"), text("many words " * 1000), code()], "slide skip fragment"),
    ],
)
def test_the_rule(cells: list[NotebookNode], kinds: str) -> None:
    assert slides.types(cells) == kinds.split()


def test_what_stands_on_the_slides_changes_nothing_else(tmp_path: Path) -> None:
    for path in LESSONS:
        lesson = read(path)
        slides.set_types(lesson)
        assert lesson == read(path)


def made(*words: str) -> subprocess.CompletedProcess[str]:
    """Call make as from a terminal, also where a make has started these tests."""
    here = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words], cwd=FOLDER.parent, env=here, capture_output=True, text=True
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("words", [[], ["LESSON=99"], ["LESSON=01 02"], ["LESSON=0"]])
def test_make_slides_lists_the_lessons_where_none_is_meant(words: list[str]) -> None:
    asked = made("--dry-run", "slides", *words)
    assert asked.returncode != 0 and asked.stdout == ""
    [line] = asked.stderr.splitlines()
    assert "Which lesson?" in line
    assert all(path.stem in line for path in LESSONS)


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("name", ["01", "01_the_gil"])
def test_make_slides_takes_a_number_or_a_name(name: str) -> None:
    asked = made("--dry-run", "slides", f"LESSON={name}")
    assert asked.returncode == 0
    assert "/rise/notebooks/01_the_gil.ipynb" in asked.stdout
    assert "--ServerApp.ip=127.0.0.1" in asked.stdout
