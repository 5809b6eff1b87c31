"""The site of the lessons: `python tools/website.py` builds it in the folder site/.

It shows what is stored: nothing runs, so it looks as the notebooks do on a code host,
with a search, an order and two themes. Sphinx gets a copy of the pages, in which each
picture has its words, each widget its text, and each link leads to a page of the site.
"""

import base64
import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import replays
from lessons import FOLDER, NOTEBOOKS, code_cells, read
from nbformat import NotebookNode
from nbformat.v4 import new_output

ROOT = FOLDER.parent
CONFIGURATION = ROOT / "docs"
PICTURES, REPLAYS = "pictures", "replays"
EXPLORER = re.compile(r"\bexplore\.(\w+)\(")
# Where a link in a text leads, if to a file or a heading here; and a picture of a
# badge, which its host would have to send.
LINK = re.compile(r"(?<=\]\()([^)\s#:]*)(#[^)\s]+)?(?=\))")
BADGE = re.compile(r"!\[([^]]*)\]\(https?://[^)]*\)")


# The outputs of a lesson.


def for_the_web(lesson: NotebookNode, pictures: Path, drawn: Mapping[str, str]) -> None:
    """Change the outputs of a lesson into what a page can show.

    Args:
        lesson: its outputs are replaced, and how its code is coloured is noted.
        pictures: the folder that its pictures are written to.
        drawn: the HTML of each explorer's replay, by its name.
    """
    # It knows cells that begin with %%.
    lesson.metadata.language_info.pygments_lexer = "ipython3"
    for cell in code_cells(lesson):
        explored = EXPLORER.search(cell.source)
        replay = drawn.get(explored[1]) if explored else None
        cell.outputs = [shown(each, pictures, replay) for each in cell.outputs]


def shown(output: NotebookNode, pictures: Path, replay: str | None) -> NotebookNode:
    """Return an output as a page shows it: in place of a widget its replay, if any."""
    data = output.get("data", {})
    if "image/png" in data:
        png, facts = base64.b64decode(data["image/png"]), output.metadata["image/png"]
        return as_html(picture(png, facts, pictures))
    words = data.get("text/plain", "")
    if words.startswith("An explorer."):
        return as_html(replay or without_kernel(words))
    if output.output_type == "display_data" and list(data) == ["text/plain"]:
        return as_html(without_kernel(words))
    return output


def as_html(text: str) -> NotebookNode:
    """Return an output that shows the HTML."""
    return new_output("display_data", {"text/html": text})


def picture(png: bytes, words: NotebookNode, folder: Path) -> str:
    """Write a picture into the folder; return the HTML that shows it with its words."""
    name = f"{hashlib.sha256(png).hexdigest()[:16]}.png"
    (folder / name).write_bytes(png)
    wide, high = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    width = words.get("width", wide)
    return (
        f'<img src="../{PICTURES}/{name}" alt="{html.escape(words["alt"])}" '
        f'width="{width}" height="{round(high * width / wide)}" loading="lazy">'
    )


def without_kernel(text: str) -> str:
    """Return the HTML for a widget, of which a page has the words only."""
    if text.startswith("An explorer."):
        text = text.replace("Run this cell", "Run this cell in JupyterLab", 1)
        return f'<div class="needs-kernel"><p>{html.escape(text)}</p></div>'
    question, _, guess = text.rpartition(" A common guess: ")
    return (
        f'<div class="needs-kernel"><p><strong>{html.escape(question)}</strong></p>'
        f"<p>A common guess: {html.escape(guess)}</p></div>"
    )


# The pages and their links.


def pages() -> list[Path]:
    """Return the files that become pages, the front page first."""
    guides = sorted((ROOT / "docs").rglob("*.md"))
    project = sorted(set(ROOT.glob("*.md")) - {ROOT / "README.md"})
    recorded = FOLDER / "recorded" / "README.md"
    return [ROOT / "README.md", *NOTEBOOKS, *guides, *project, recorded]


def page_of(path: Path) -> str:
    """Return where the page made from that file is, from the site's root."""
    name = path.relative_to(ROOT).as_posix()
    return "index.md" if name == "README.md" else name


def with_links(text: str, path: Path, folder: Path) -> str:
    """Return a text in which links lead to pages, or to files that come with them.

    Args:
        text: Markdown, of the file at path or of a cell in it.
        path: where its links start from.
        folder: where the site's sources are; a file that is no page is copied there.
    """

    def led(link: re.Match[str]) -> str:
        target, heading = link.groups(default="")
        return to_page(target, path, folder) + heading_id(heading)

    return LINK.sub(led, BADGE.sub(r"\1", text))


def to_page(target: str, path: Path, folder: Path) -> str:
    """Return the link to what target, a link in the file at path, leads to."""
    there = Path(os.path.normpath(path.parent / target))
    if not target or not there.is_relative_to(ROOT) or not there.exists():
        return target
    if there.is_dir():
        there /= "README.md"
    name = page_of(there)
    if there.is_file() and not (folder / name).exists():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(there, folder / name)
    start = (ROOT / page_of(path)).parent
    return Path(os.path.relpath(ROOT / name, start)).as_posix()


def heading_id(link: str) -> str:
    """Return a link to a heading as Sphinx has it: Jupyter keeps capitals and marks."""
    return re.sub(r"[^\w#-]", "", link.lower())


def contents(caption: str, entries: Sequence[str]) -> str:
    """Return a part of the table of contents with these pages, nothing if none."""
    lines = ["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"]
    return "\n".join(["", *lines, ""]) if entries else ""


def contents_under(path: Path, paths: list[Path]) -> str:
    """Return the part of the table of contents that stands on the page of path."""
    if path == ROOT / "README.md":
        guides = [each for each in paths if each.is_relative_to(ROOT / "docs")]
        beginnings = [each for each in guides if each.name == "index.md"] or guides
        lessons = [each for each in paths if each.suffix == ".ipynb"]
        rest = [each for each in paths[1:] if each not in lessons + guides]
        return (
            contents("Lessons", [f"{numbered(each)} <{doc(each)}>" for each in lessons])
            + contents("For teachers", [doc(each) for each in beginnings])
            + contents("The kit", [doc(each) for each in rest])
        )
    if path.name == "index.md":
        beside = [each for each in paths if each.parent == path.parent != ROOT]
        return contents("Guides", [doc(each) for each in beside if each != path])
    return ""


def doc(path: Path) -> str:
    """Return what the table of contents calls the page of that file."""
    return "/" + page_of(path).rpartition(".")[0]


def numbered(lesson: Path) -> str:
    """Return a lesson's title with its number, if it has one."""
    title = read(lesson).cells[0].source.splitlines()[0].removeprefix("# ")
    number = lesson.name[:2]
    return f"{number} · {title}" if number.isdecimal() else title


# The site.


def gather(folder: Path, extra: Path) -> None:
    """Write the site's sources into a folder, and its pictures into another."""
    pictures = extra / PICTURES
    pictures.mkdir(parents=True)
    (extra / REPLAYS).mkdir()
    drawn = replays.pages(extra / REPLAYS, f"../{REPLAYS}")
    paths = pages()
    for path in paths:
        new = folder / page_of(path)
        new.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            lesson = read(path)
            for_the_web(lesson, pictures, drawn)
            for cell in lesson.cells:
                if cell.cell_type == "markdown":
                    cell.source = with_links(cell.source, path, folder)
            nbformat.write(lesson, new)
        else:
            text = with_links(path.read_text(encoding="utf-8"), path, folder)
            new.write_text(text + contents_under(path, paths), encoding="utf-8")


def build(site: Path, work: Path) -> int:
    """Build the site; return 0 where all went well, and every link leads somewhere.

    Args:
        site: its folder, which is replaced.
        work: a folder for what Sphinx builds it from, which is replaced too.
    """
    for old in (site, work):
        shutil.rmtree(old, ignore_errors=True)
    gather(work / "pages", work / "extra")
    options = [
        *("-c", str(CONFIGURATION), "-D", f"html_extra_path={work / 'extra'}"),
        *("-d", str(work / "doctrees"), "-j", "auto", "-q", "-W", "--keep-going"),
    ]
    # MyST-NB writes beside what it builds.
    folders = [str(work / "pages"), str(work / "html")]
    done = subprocess.run([sys.executable, "-m", "sphinx", *options, *folders])
    shutil.move(work / "html", site)
    return done.returncode


if __name__ == "__main__":
    sys.exit(build(ROOT / "site", ROOT / "build"))
