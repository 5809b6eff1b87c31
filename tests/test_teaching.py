"""The teachers' guides: what each says of its lesson is what the lesson says."""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlparse

import pytest
from lessons import FOLDER, LESSONS, code_cells, read, said
from nbformat import NotebookNode
from test_lessons import headings

GUIDES = FOLDER.parent / "docs" / "teaching"
WRITTEN = sorted(GUIDES.glob("[0-9][0-9]_*.md"))
MINUTES, GUESSES, THINK, LAPTOPS, DOOR = (
    "Minute by minute",
    "Before each guess",
    "What they think, and the cell that shows otherwise",
    "On unequal laptops",
    "At the door",
)
FEWEST_MISCONCEPTIONS = 20
# How a guide says that of a section not all cells are run.
PARTLY = r"\*[^*]+\* as far as|\bof \*[^*]+\*"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@pytest.fixture(params=WRITTEN, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def guide(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture
def lesson(path: Path) -> NotebookNode:
    return read(FOLDER / f"{path.stem}.ipynb")


def sections(guide: str) -> dict[str, str]:
    """Return what stands under each `##` of a guide; under "", what stands before."""
    before, *parts = re.split(r"(?m)^## ", guide)
    found = {"": before}
    for part in parts:
        heading, _, text = part.partition("\n")
        assert heading not in found, heading
        found[heading] = text
    return found


def rows(text: str) -> list[list[str]]:
    """Return the cells of each table's rows, without the lines below the heads."""
    lines = re.findall(r"(?m)^\|(.*)\|$", text)
    table = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in table if set("".join(row)) != {"-"}]


def calls(lesson: NotebookNode, *names: str) -> Iterator[tuple[NotebookNode, ast.Call]]:
    """Yield each call of a function with one of these names, with its cell."""
    for cell in code_cells(lesson):
        python = re.sub(r"(?m)^%.*$", "", cell.source)
        for node in ast.walk(ast.parse(python)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                yield cell, node


def words(node: ast.expr) -> str:
    """Return a text as the code has it, with … for what an f-string fills in."""
    if not isinstance(node, ast.JoinedStr):
        return str(ast.literal_eval(node))
    return "".join(
        words(part) if isinstance(part, ast.Constant) else "…" for part in node.values
    )


def questions(lesson: NotebookNode) -> list[str]:
    """Return the question of each guess, in order."""
    return [words(call.args[0]) for _, call in calls(lesson, "number", "choice")]


def claims(lesson: NotebookNode) -> set[str]:
    """Return the lines of the claims, as the lesson has stored them."""
    cells = {cell.id: cell for cell, _ in calls(lesson, "claim")}.values()
    return {line for cell in cells for line in said(cell).splitlines()}


def length(text: str) -> int | None:
    """Return how many minutes a lesson, or a guide, says that it takes."""
    told = re.search(r"About (\d+) minutes", text)
    return int(told[1]) if told else None


def assert_no_gap(spans: list[str], end: int) -> None:
    """Raise unless the spans, "0–4" and so on, lead from 0 to the end."""
    now = 0
    for span in spans:
        first, _, last = span.partition("–")
        assert int(first) == now < int(last), span
        now = int(last)
    assert now == end


def test_every_lesson_has_its_guide_and_every_guide_its_lesson() -> None:
    assert [path.stem for path in WRITTEN] == [path.stem for path in LESSONS]


def test_its_title_is_the_lessons(path: Path, guide: str, lesson: NotebookNode) -> None:
    (_, title), *_ = headings(lesson)
    assert guide.startswith(f"# {path.name[:2]} · {title}\n\n")
    assert guide.count("\n# ") == 0


def test_its_sections(guide: str, lesson: NotebookNode) -> None:
    wanted = ["", MINUTES, GUESSES, THINK, LAPTOPS, DOOR]
    if not questions(lesson):
        wanted.remove(GUESSES)
    assert list(sections(guide)) == wanted
    assert all(text.strip() for text in sections(guide).values())


def test_its_minutes_are_those_of_the_lesson(guide: str, lesson: NotebookNode) -> None:
    head, *table = rows(sections(guide)[MINUTES])
    assert head == ["minutes", "section", "what you do"]
    assert [section for _, section, _ in table] == [
        heading for level, heading in headings(lesson) if level == 2
    ]
    assert all(what for _, _, what in table)
    of_the_lesson = length(lesson.cells[0].source)
    spans = [span for span, _, _ in table]
    if of_the_lesson is None:  # it is to look up: what isn't shown has no minutes
        spans = [span for span in spans if span != "–"]
    end = of_the_lesson or length(guide)
    assert end
    assert_no_gap(spans, end)


def test_readme_says_the_same_minutes(path: Path, lesson: NotebookNode) -> None:
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    told = length(lesson.cells[0].source) or "to look up"
    assert re.search(rf"(?m)^\| \[.*{path.stem}.* \| {told} \|$", readme)


def in_half_the_time(guide: str) -> str:
    """Return what a guide says of that, on one line."""
    *_, last = sections(guide)[MINUTES].strip().split("\n\n")
    bold, told = "**In half the time:** ", " ".join(last.split())
    assert told.startswith(bold)
    return told.removeprefix(bold)


def named_in(told: str) -> list[str]:
    """Return the sections that a text names."""
    return re.findall(r"\*([^*]+)\*", told)


def test_half_the_time_names_sections(guide: str, lesson: NotebookNode) -> None:
    named = named_in(in_half_the_time(guide))
    assert named and set(named) <= {heading for _, heading in headings(lesson)}


class Names(NamedTuple):
    """The names that code reads at once, those its functions read, those it gives."""

    read: set[str]
    read_later: set[str]
    given: set[str]


def names(source: str) -> Names:
    """Return the names that a cell's code reads and gives."""
    found = Names(set(), set(), set(re.findall(r"%%importable (\w+)", source)))
    tree = ast.parse(re.sub(r"(?m)^%.*$", "", source))
    functions = (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))
    later = {node for each in functions for node in ast.walk(each)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                (found.read_later if node in later else found.read).add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                found.given.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.given.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                found.given.add(name)
            case ast.alias(name=name, asname=other):
                found.given.add(other or name.partition(".")[0])
    return found


def missing(lesson: NotebookNode, kept: list[str], partly: list[str]) -> set[str]:
    """Return the names that no cell has given when only those sections are run.

    What stands before the first section, and the imports, are always run. Which cells
    of a part of a section are run isn't known: they give names, and need none.
    """
    have, lacking, section = {*dir(builtins), "display", "get_ipython"}, set(), ""
    later = set()
    for cell in lesson.cells:
        if cell.cell_type != "code":
            section = (re.findall(r"(?m)^## (.+)", cell.source) or [section])[-1]
        elif section in ("", *kept, *partly) or cell.id == "imports":
            found = names(cell.source)
            have |= found.given
            if section not in partly:
                lacking |= found.read - have
                later |= found.read_later
    return lacking | (later - have)


def test_half_the_time_has_the_names_that_it_needs(
    guide: str, lesson: NotebookNode
) -> None:
    told = re.split("To read at home|The rest|Leave", in_half_the_time(guide))[0]
    partly = named_in(" ".join(re.findall(PARTLY, told)))
    kept = set(named_in(told)) - set(partly)
    assert missing(lesson, sorted(kept), partly) == set()


def test_a_name_of_a_section_that_is_left_out_is_missed() -> None:
    lesson = read(next(path for path in LESSONS if path.name.startswith("04")))
    fails = "When a task fails"
    assert missing(lesson, [fails], []) == {"who", "here"}
    assert missing(lesson, [fails], ["Who does the work?"]) == set()


def test_every_guess_is_led_into(guide: str, lesson: NotebookNode) -> None:
    text = sections(guide).get(GUESSES, "")
    before, *parts = re.split(r"(?m)^### ", text)
    assert not before.strip()
    assert [part.partition("\n")[0] for part in parts] == [
        f"“{question}”" for question in questions(lesson)
    ]
    for part in parts:
        assert re.search(r"(?s)\nSay: .+\nExpect: .+\nAfter: .+", part), part


def misconceptions(guide: str) -> list[list[str]]:
    head, *table = rows(sections(guide)[THINK])
    assert head == ["they think", "the cell says"]
    return table


def test_each_misconception_is_refuted_by_a_claim(
    guide: str, lesson: NotebookNode
) -> None:
    table = misconceptions(guide)
    assert len(table) >= 2
    for thought, says in table:
        assert re.fullmatch("“.+”", thought), thought
        assert says.startswith("✓ ") and says in claims(lesson), says


def test_there_are_enough_misconceptions() -> None:
    guides = (path.read_text(encoding="utf-8") for path in WRITTEN)
    found = [thought for guide in guides for thought, _ in misconceptions(guide)]
    assert len(set(found)) == len(found) >= FEWEST_MISCONCEPTIONS


def test_three_questions_at_the_door(guide: str) -> None:
    asked = re.findall(r"(?m)^(\d)\. \*\*[^*]+\?\*\*\s+\S", sections(guide)[DOOR])
    assert asked == ["1", "2", "3"]


@pytest.mark.parametrize(
    "page", [GUIDES / "index.md", *WRITTEN], ids=lambda page: page.stem
)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        parts = urlparse(target)
        if parts.scheme:
            assert parts.scheme == "https" and parts.netloc, target
        else:
            assert (page.parent / unquote(parts.path)).is_file(), target


@pytest.fixture
def index() -> str:
    return (GUIDES / "index.md").read_text(encoding="utf-8")


def test_the_index_leads_to_every_guide(index: str) -> None:
    head, *table = rows(sections(index)[""])
    assert head == ["lesson", "guide", "minutes"]
    for path, row in zip(LESSONS, table, strict=True):
        lesson = read(path)
        (_, title), *_ = headings(lesson)
        minutes = length(lesson.cells[0].source) or "to look up"
        assert row == [path.name[:2], f"[{title}]({path.stem}.md)", str(minutes)]


@pytest.mark.parametrize(
    ("heading", "end"),
    [("Your hour of preparation", 60), ("Fifty minutes", 50), ("Half a day", 210)],
)
def test_a_path_has_no_gap(index: str, heading: str, end: int) -> None:
    (head, *_), *table = rows(sections(index)[heading])
    assert head == "minutes"
    assert_no_gap([span for span, *_ in table], end)


def test_the_short_path_names_sections(index: str) -> None:
    _, *table = rows(sections(index)["Fifty minutes"])
    of = {path.name[:2]: read(path) for path in LESSONS}
    for _, number, what in table:
        if number:
            first = re.findall(r"\*([^*]+)\*", what)[0]
            assert first in [words for _, words in headings(of[number])], what
