"""A reader's view: the lessons in a real JupyterLab, in a real browser.

With SCREENSHOTS set to the name of a folder, every lesson runs to its end, and each
screenful is stored there: light and dark, 1280 and 800 wide.
"""

import os
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat
import psutil
import pytest
from conftest import until
from lab import (
    accessibility_faults,
    close_notebook,
    open_notebook,
    run_all,
    show_cell,
    wait_for_words,
)
from lessons import CLASS, LESSONS, NOTEBOOKS, answer, code_cells, read, said
from nbformat.v4 import new_code_cell, new_notebook

from helpers.quiz import load_answers, questions

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest.importorskip("playwright.sync_api")
# For each explorer: the key that moves its first slider.
MOVES = {
    "gil": "ArrowRight",
    "pools": "ArrowRight",
    "joblib": "ArrowRight",
    "speedup": "ArrowLeft",
    "chunks": "ArrowRight",
    "nested": "ArrowLeft",
    "waiting": "ArrowLeft",
    "pythons": "ArrowRight",
    "faults": "ArrowRight",
}
SCREENSHOTS = os.environ.get("SCREENSHOTS")
# nbval runs them all: here the first, and one with an explorer, are enough.
WHOLE = NOTEBOOKS if SCREENSHOTS else LESSONS[:2]

# The handles of ipywidgets' sliders: their labels stand beside them, unconnected.
NOT_OURS = ".noUi-handle"


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_lesson_runs_to_the_end(lab: str, page: "Page", path: Path) -> None:
    open_notebook(page, lab, path.name)
    assert page.get_by_text("Would you like to").count() == 0
    cells = code_cells(read(path))
    state = run_all(page, len(cells))
    assert state["errors"] == []
    assert "✓" in state["said"] and "✗" not in state["said"], state["said"]
    stored = [output for cell in cells for output in cell.outputs]
    assert state["pictures"] == sum("image/png" in o.get("data", {}) for o in stored)
    if SCREENSHOTS:
        take_screenshots(page, Path(SCREENSHOTS) / path.stem)
    close_notebook(page)


def test_explorers_follow_the_keys(lab: str, page: "Page", folder: Path) -> None:
    sources = "\n".join(cell.source for path in LESSONS for cell in read(path).cells)
    assert set(MOVES) == set(re.findall(r"^explore\.(\w+)\(", sources, re.MULTILINE))
    calls = [new_code_cell(f"explore.{name}()", id=name) for name in MOVES]
    cells = [new_code_cell("from helpers import explore", id="imports"), *calls]
    open_new(page, lab, folder / "explorers.ipynb", cells)
    assert run_all(page, len(cells))["errors"] == []
    for name, key in MOVES.items():
        explorer = show_cell(page, name).locator(".explorer")
        explorer.wait_for(timeout=60_000)
        before = picture(explorer)
        press(explorer, 0, key)
        wait_for_words(explorer, "Measured|Drawn from kept")
        assert picture(explorer) != before and words(explorer), name
        assert accessibility_faults(page, ".explorer", but=NOT_OURS) == [], name
    close_notebook(page)


def test_only_the_token_opens_the_lab(lab: str) -> None:
    address, _, token = lab.partition("?")
    contents = f"{address.removesuffix('/lab')}/api/contents"
    with pytest.raises(HTTPError, match="403"):
        urlopen(contents)
    assert urlopen(f"{contents}?{token}").status == 200


def test_stop_save_and_load_in_an_explorer(
    lab: str, page: "Page", folder: Path
) -> None:
    source = "from helpers import explore\nexplore.pools()"
    cells = [new_code_cell(source, id="pools")]
    open_new(page, lab, folder / "pools.ipynb", cells)
    assert run_all(page, 1)["errors"] == []
    explorer = show_cell(page, "pools").locator(".explorer")
    press(explorer, -1, "End")  # sixteen tasks of 100 ms
    wait_for_words(explorer, "Measuring")
    assert until(measuring_processes)
    explorer.get_by_role("button", name="Stop").press("Enter")
    wait_for_words(explorer, "Stopped")
    assert not measuring_processes()
    press(explorer, -1, "Home")
    wait_for_words(explorer, "Measured")
    kept = words(explorer)
    explorer.get_by_role("button", name="Save this run").press("Enter")
    wait_for_words(explorer, "Saved as saved_runs/pools_1.json")
    (folder / "broken.json").write_text("{")
    press(explorer, -1, "ArrowRight")
    wait_for_words(explorer, "Measured")
    assert words(explorer) != kept
    with page.expect_file_chooser() as chooser:
        explorer.get_by_role("button", name="Load a run").click()
    saved = folder / "saved_runs" / "pools_1.json"
    chooser.value.set_files([folder / "broken.json", saved])
    read = "broken.json: this is not JSON.*pools_1.json: 3 runs"
    wait_for_words(explorer, read)
    assert re.sub(r" Recorded on .*? cores?\.", "", words(explorer)) == kept
    close_notebook(page)


@pytest.mark.parametrize(
    ("lesson", "name"),
    [
        ("01_the_gil", "wait_together"),
        ("08_waiting_well", "ten_at_a_time"),
        ("10_when_it_goes_wrong", "stop_in_time"),
    ],
)
def test_an_exercise_is_solved_by_typing(
    lab: str, page: "Page", lesson: str, name: str
) -> None:
    open_notebook(page, lab, f"{lesson}.ipynb")
    select_and_run(page, "imports")
    select_and_run(page, "exercises-import")
    cell = name.replace("_", "-")
    stub, check = (f"{cell}-{part}" for part in ("stub", "check"))
    select_and_run(page, stub)
    select_and_run(page, check)
    said = show_cell(page, check).locator(".jp-OutputArea")
    said.get_by_text("○").first.wait_for()
    editor = show_cell(page, stub).locator(".cm-content")
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(answer(name, "solution"))
    select_and_run(page, stub)
    select_and_run(page, check)
    said = show_cell(page, check).locator(".jp-OutputArea")
    said.get_by_text("All right").wait_for()
    assert said.get_by_text("○").count() == 0
    close_notebook(page)


def test_the_quiz_is_answered_by_key(lab: str, page: "Page", folder: Path) -> None:
    open_notebook(page, lab, CLASS.name)
    select_and_run(page, "imports")
    select_and_run(page, "before")
    shown = show_cell(page, "before").locator(".quiz")
    shown.wait_for(timeout=60_000)
    assert accessibility_faults(page, ".quiz") == []
    asked = questions()
    for each in asked:
        first = shown.get_by_label(each.options[0], exact=True).first
        first.focus()
        for _ in range(each.right):
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
    page.keyboard.press("Tab")
    shown.get_by_role("button", name="Save my answers").press("Enter")
    wait_for_words(shown, "10 of 10 answered, and saved as quiz_before.json")
    saved = load_answers(folder / "quiz_before.json")
    assert saved == {each.name: each.answer for each in asked}
    assert shown.get_by_text("shows it").count() == 0
    close_notebook(page)


def press(explorer: "Locator", slider: int, key: str) -> None:
    """Press a key on one of the explorer's sliders."""
    explorer.get_by_role("slider").nth(slider).press(key)


# What does not stand right on the page: the first words of its paragraph, and why.
MISFITS = """() => {
  const font = document.createElement("p");
  font.style.fontFamily = "var(--jp-content-font-family)";
  document.querySelector(".jp-NotebookPanel").append(font);
  const expected = getComputedStyle(font).fontFamily;
  font.remove();
  const lines = word => new Set(Array.from(word.getClientRects(), r => r.top)).size;
  return Array.from(document.querySelectorAll(".jp-RenderedHTML p")).flatMap(p => {
    const wrong = p.scrollWidth > p.clientWidth ? ["cut"] : [];
    if (getComputedStyle(p).fontFamily !== expected) wrong.push("font");
    for (const text of p.childNodes) {
      for (const match of text.textContent.matchAll(/\\S+/g)) {
        const word = document.createRange();
        const node = text.firstChild ?? text;
        word.setStart(node, match.index);
        word.setEnd(node, match.index + match[0].length);
        if (lines(word) > 1) wrong.push("broken: " + match[0]);
      }
    }
    return wrong.length ? [[p.innerText.slice(0, 40), ...wrong]] : [];
  });
}"""


def test_sentences_fit_the_page(lab: str, page: "Page", folder: Path) -> None:
    said_in = [sentences_of(path) for path in LESSONS]
    assert sum(map(len, said_in)) > 50
    calls = [f"say(*{sentences!r}, stressed=1)" for sentences in said_in]
    source = "\n".join(["from helpers.said import say", *calls])
    cells = [new_code_cell(source, id="sentences")]
    open_new(page, lab, folder / "sentences.ipynb", cells)
    assert run_all(page, 1)["said"].splitlines() == [*chain(*said_in)]
    page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
    for width in (400, 800, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)  # JupyterLab lays its panels out anew
        assert page.locator(".jp-RenderedHTML p").count() == len(LESSONS)
        assert page.evaluate(MISFITS) == [], width
    close_notebook(page)


def sentences_of(path: Path) -> list[str]:
    """Return the claims of the lesson at path, and what stands under its pictures."""
    found = []
    for code in code_cells(read(path)):
        found += re.findall(r"(?m)^✓ .*", said(code))
        for output in code.outputs:
            if picture := output.get("metadata", {}).get("image/png"):
                found.append(picture["alt"])
    return found


def open_new(
    page: "Page", lab: str, path: Path, cells: list[nbformat.NotebookNode]
) -> None:
    """Open a new notebook, of these cells, in the folder that JupyterLab serves."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    new = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(new, path)
    open_notebook(page, lab, path.name)


def select_and_run(page: "Page", cell_id: str) -> None:
    """Run one cell, and wait until it has run."""
    show_cell(page, cell_id)
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell')")


def words(explorer: "Locator") -> str:
    """Return what the explorer says of its pictures, or nothing yet."""
    drawn = explorer.locator("img")
    return " ".join(image.get_attribute("alt") or "" for image in drawn.all())


def picture(explorer: "Locator") -> str:
    """Return what the explorer draws, or nothing yet."""
    drawn = explorer.locator("img")
    return "".join(image.get_attribute("src") or "" for image in drawn.all())


def measuring_processes() -> list[psutil.Process]:
    """Return the processes that measure for explorers, below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "helpers.elsewhere" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            pass
    return found


def take_screenshots(page: "Page", folder: Path) -> None:
    for theme, width in (
        ("Light", 1280),
        ("Light", 800),
        ("Dark", 1280),
        ("Dark", 800),
    ):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {theme}",
        )
        scroll_through(page, folder / f"{theme.lower()}-{width}")
    page.set_viewport_size({"width": 1280, "height": 900})


def scroll_through(page: "Page", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scroller = page.locator(".jp-NotebookPanel:visible .jp-WindowedPanel-outer").first
    top, number = -1, 0
    scroller.evaluate("box => box.scrollTop = 0")
    while (now := scroller.evaluate("box => box.scrollTop")) > top and number < 60:
        page.wait_for_timeout(300)  # for the picture only: what scrolled in is drawn
        page.screenshot(path=folder / f"{number:02}.png")
        top, number = now, number + 1
        scroller.evaluate("box => box.scrollTop += 0.85 * box.clientHeight")
