"""The form of the lessons: what a reader, GitHub and nbval rely on."""

import itertools
import json
import re
import statistics
from pathlib import Path
from urllib.parse import unquote, urlparse

import nbformat
import pytest
from lessons import FOLDER, LESSONS, NOTEBOOKS, code_cells, read, said
from nbformat import NotebookNode

KNOWN_TAGS = {"nbval-ignore-output", "raises-exception"}
MOST_LINES, MOST_COLUMNS = 20, 80
# What a sentence must not start with: it says what the reader sees anyway.
FILLERS = ("Let's", "In this section")
# Not to be read through, but to look things up: its form is in test_phrases.py.
BOOK = FOLDER / "13_phrase_book.ipynb"
to_read_through = pytest.mark.parametrize(
    "path", [path for path in LESSONS if path != BOOK], ids=lambda path: path.stem
)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def lesson(path: Path) -> NotebookNode:
    return read(path)


def texts(lesson: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in lesson.cells if cell.cell_type == "markdown"]


def headings(lesson: NotebookNode) -> list[tuple[int, str]]:
    found = []
    for cell in texts(lesson):
        without_code = re.sub(r"(?s)```.*?```", "", cell.source)
        for marks, words in re.findall(r"(?m)^(#+) (.+)$", without_code):
            found.append((len(marks), words))
    return found


def lines_of(cell: NotebookNode) -> list[str]:
    return [line for line in cell.source.splitlines() if line.strip()]


def test_there_are_lessons() -> None:
    numbers = [path.name[:2] for path in LESSONS]
    assert len(numbers) == len(set(numbers)) >= 7


def test_it_is_a_valid_notebook_with_readable_cell_ids(lesson: NotebookNode) -> None:
    nbformat.validate(lesson)
    for cell in lesson.cells:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", cell.id), cell.id
        assert not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f-]+)?", cell.id), cell.id


def test_it_has_one_title_a_question_and_skips_no_level(lesson: NotebookNode) -> None:
    levels = headings(lesson)
    titles = [words for level, words in levels if level == 1]
    assert len(titles) == 1 and titles[0].endswith("?")
    assert levels[0][0] == 1
    for (before, _), (level, words) in itertools.pairwise(levels):
        assert level <= before + 1, words


@to_read_through
def test_its_frame(lesson: NotebookNode) -> None:
    first = lesson.cells[0].source
    assert "**To test:**" in first
    assert re.search(r"About \d+ minutes", first)
    assert re.search(r"Version \d\S*, \w+ \d{4}", first)
    named = [words for _, words in headings(lesson)]
    assert named[-1] == "What to remember" and "Try it" in named
    assert "### Predict" in "\n".join(cell.source for cell in texts(lesson))
    remember = lesson.cells[-1].source
    assert 3 <= len(re.findall(r"(?m)^- ", remember)) <= 6
    assert "**Read on:**" in remember and ".ipynb" in remember


def test_the_first_code_cell_imports(lesson: NotebookNode) -> None:
    assert re.match(r"(from|import) ", code_cells(lesson)[0].source)


@to_read_through
def test_text_comes_before_code(lesson: NotebookNode) -> None:
    kinds = [cell.cell_type for cell in lesson.cells]
    code = kinds.count("code")
    after_text = sum(pair == ("markdown", "code") for pair in itertools.pairwise(kinds))
    assert after_text / code >= 0.8


def test_cells_are_short(lesson: NotebookNode) -> None:
    sizes = [len(lines_of(cell)) for cell in code_cells(lesson)]
    assert statistics.median(sizes) <= 4
    for cell in code_cells(lesson):
        assert len(lines_of(cell)) <= MOST_LINES, cell.id
        for line in cell.source.splitlines():
            assert len(line) <= MOST_COLUMNS, (cell.id, line)


@to_read_through
def test_it_is_a_lesson_and_not_a_book(lesson: NotebookNode) -> None:
    """The exercises, which a reader may leave out or do later, are not counted."""
    sources = [cell.source for cell in lesson.cells]
    before = next(n for n, text in enumerate(sources) if text.startswith("## Try it"))
    to_read = [c.source for c in lesson.cells[:before] if c.cell_type == "markdown"]
    prose = re.sub(r"(?s)```.*?```", "", "\n".join(to_read))
    assert 600 <= len(prose.split()) <= 2000
    assert 25 <= before <= 90 and len(lesson.cells) <= 120
    for filler in FILLERS:
        assert filler not in "\n".join(sources)


def test_only_known_tags(lesson: NotebookNode) -> None:
    for cell in lesson.cells:
        assert set(cell.metadata.get("tags", [])) <= KNOWN_TAGS, cell.id


def test_it_is_stored_from_one_run_in_order(lesson: NotebookNode) -> None:
    """nbval skips a cell that has not run: a stripped lesson always "passes"."""
    counts = [cell.execution_count for cell in code_cells(lesson)]
    assert counts == list(range(1, len(counts) + 1))


def test_claims_are_tested_and_hold_as_stored(lesson: NotebookNode) -> None:
    claims = [
        cell for cell in code_cells(lesson) if re.search(r"\bclaim\(", cell.source)
    ]
    assert claims
    for cell in claims:
        assert not cell.metadata.get("tags"), f"{cell.id}: nbval must compare a claim"
        marked = re.findall(r"(?m)^([✓✗–]) ", said(cell))
        assert marked and set(marked) == {"✓"}, said(cell)


def test_errors_are_announced(lesson: NotebookNode) -> None:
    for cell in code_cells(lesson):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in cell.metadata.get("tags", [])), cell.id


def test_every_picture_has_its_words(lesson: NotebookNode) -> None:
    shown = 0
    for cell in code_cells(lesson):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                words = output.metadata["image/png"]["alt"]
                assert words and words in said(cell), cell.id
                assert cell.metadata.tags == ["nbval-ignore-output"], cell.id
                shown += 1
    assert shown or "figures" not in code_cells(lesson)[0].source


def test_it_stores_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert set(stored["metadata"]) == {"kernelspec", "language_info"}
    assert stored["metadata"]["language_info"] == {"name": "python"}
    for cell in stored["cells"]:
        assert set(cell["metadata"]) <= {"tags", "slideshow"}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
        outputs = json.dumps(cell.get("outputs", []))
        assert not re.search(r"(?<![\w.:/])/(?:[\w.-]+/){2,}[\w.-]+", outputs), cell[
            "id"
        ]
        assert not re.search(r"[A-Z]:\\\\", outputs), cell["id"]
        assert "ipykernel_" not in outputs, cell["id"]


def test_its_links_lead_somewhere(path: Path, lesson: NotebookNode) -> None:
    for cell in texts(lesson):
        for target in re.findall(r"\]\(([^)]+)\)", cell.source):
            parts = urlparse(target)
            if parts.scheme:
                assert parts.scheme == "https" and parts.netloc, target
                continue
            other = FOLDER / unquote(parts.path) if parts.path else path
            assert other.exists(), target
            if parts.fragment:
                names = [words.replace(" ", "-") for _, words in headings(read(other))]
                assert parts.fragment in names, target


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_is_in_the_contents(path: Path) -> None:
    contents = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert path.name in contents
    if path != LESSONS[0]:
        first = "\n".join(cell.source for cell in texts(read(LESSONS[0])))
        assert path.name in first
