"""A teacher's view: the lessons as slides, in a real JupyterLab, in a real browser.

With SCREENSHOTS set to the name of a folder, each slide is stored there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlparse

import pytest
from conftest import press_until, until
from lab import end_kernels, open_slides, serving, wait_for_words
from lessons import LESSONS, read

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("jupyterlab_rise")
WIDE, HIGH = 1280, 720
# The share of its own size down to which a picture's words can be read.
LEAST = 0.5

# What is wrong on the slide that is shown: the cell, and why.
FAULTS = """(wide, high, least) => {
  const slide = document.querySelector(".slides > .present > .present");
  const found = [];
  for (const cell of slide.querySelectorAll(".jp-Cell:not(.reveal-skip)")) {
    const fault = why => found.push([cell.innerText.slice(0, 40), why]);
    const parts = Array.from(cell.querySelectorAll("*")).filter(part =>
      part.checkVisibility() && part.getBoundingClientRect().height > 1
      && (part.textContent.trim() || part.matches("img") || part.querySelector("img")));
    const low = Math.max(...parts.map(part => part.getBoundingClientRect().bottom));
    const right = Math.max(...parts.map(part => part.getBoundingClientRect().right));
    if (low > high) fault(`down to ${low}`);
    if (right > wide) fault(`right to ${right}`);
    for (const part of parts) {
      const style = getComputedStyle(part);
      if (style.overflowY !== "visible" && part.scrollHeight > part.clientHeight + 2)
        fault(`${part.className} hides ${part.scrollHeight - part.clientHeight}`);
      if (style.overflowX !== "visible" && part.scrollWidth > part.clientWidth + 2)
        fault(`${part.className} hides ${part.scrollWidth - part.clientWidth}, right`);
    }
    for (const image of cell.querySelectorAll(".jp-RenderedImage img")) {
      const own = Number(image.getAttribute("width"));
      const scale = Math.min(image.clientWidth / own,
        image.clientHeight / (own * image.naturalHeight / image.naturalWidth));
      if (!(scale >= least)) fault(`a picture at ${scale}`);
    }
  }
  return found;
}"""
# Shows the slide of that name with all that it has, and then calls a function.
SHOW = """async (name, then) => {
  for (let frames = 0; frames < 1000; frames += 1) {
    const slide = document.querySelector(".slides > .present > .present");
    if (slide.id === name) {
      slide.querySelectorAll(".fragment").forEach(f => f.classList.add("visible"));
      slide.querySelectorAll("details").forEach(d => { d.open = true });
      await Promise.all(Array.from(slide.querySelectorAll("img"), i => i.decode()));
      await new Promise(requestAnimationFrame);
      return then();
    }
    // The notebook may have turned back to the cell that was active.
    location.hash = `#/${name}`;
    await new Promise(requestAnimationFrame);
  }
  throw new Error(`${name} was not shown`);
}"""
# Where the teacher is: on which slide, after how many fragments, in which cell.
PLACE = """() => {
  const slide = document.querySelector(".slides > .present > .present");
  const cells = Array.from(document.querySelectorAll(".slides .jp-Cell"));
  return [slide.id, slide.querySelectorAll(".fragment.visible").length,
    cells.findIndex(cell => cell.classList.contains("jp-mod-active"))];
}"""
# Whether the cell of that number has run, or is ready to: what its prompt says.
PROMPT = """cell => document.querySelectorAll(".slides .jp-Cell")[cell]
  .querySelector(".jp-InputPrompt").innerText.trim()"""


class Stop(NamedTuple):
    """What one more press of the space key shows.

    Attributes:
        slide: the name of the slide it is on.
        fragments: how many have been shown there by then.
        code: the number of the cell of code that comes with it, if one does.
    """

    slide: str
    fragments: int
    code: int | None


def stops(path: Path) -> list[Stop]:
    """Return where a teacher stops in the lesson at path, from first to last."""
    found: list[Stop] = []
    across, down, shown = -1, 0, 0
    for number, cell in enumerate(read(path).cells):
        kind = cell.metadata.slideshow.slide_type
        if kind == "skip":
            continue
        if kind == "slide":
            across, down, shown = across + 1, 0, 0
        elif kind == "subslide":
            down, shown = down + 1, 0
        elif kind == "fragment":
            shown += 1
        code = number if cell.cell_type == "code" else None
        if kind == "-":
            found[-1] = found[-1]._replace(code=code)
        else:
            found.append(Stop(f"slide-{across}-{down}", shown, code))
    return found


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a JupyterLab that serves the lessons with their outputs."""
    with serving(tmp_path_factory.mktemp("slides"), outputs=True) as address:
        yield address


@pytest.fixture
def hosts(page: "Page") -> Iterator[set[str]]:
    """Yield the hosts that the page has asked for anything, as they become known."""
    asked: set[str] = set()

    def note(request: Any) -> None:
        if request.url.startswith("http"):
            asked.add(str(urlparse(request.url).hostname))

    page.on("request", note)
    page.set_viewport_size({"width": WIDE, "height": HIGH})
    yield asked
    page.remove_listener("request", note)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_cell_overflows_its_slide(
    stored: str, page: "Page", hosts: set[str], path: Path
) -> None:
    open_slides(page, stored, path.name)
    slides = {stop.slide: stop.fragments for stop in stops(path)}
    shown = page.locator(".slides > section > section").evaluate_all(
        "slides => slides.map(slide => slide.id)"
    )
    assert shown == list(slides)
    faults = {}
    for slide in slides:
        faults[slide] = page.evaluate(
            f"slide => ({SHOW})(slide, {faults_at(LEAST)})", slide
        )
        take_screenshot(page, path.stem, slide)
    assert {slide: wrong for slide, wrong in faults.items() if wrong} == {}
    assert hosts == {"127.0.0.1"}
    end_kernels(stored)


def faults_at(least: float) -> str:
    """Return what calls FAULTS; least is for pictures, a share of their own size."""
    return f"() => ({FAULTS})({WIDE}, {HIGH}, {least})"


def take_screenshot(page: "Page", lesson: str, slide: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        across, down = map(int, slide.split("-")[1:])
        page.screenshot(path=Path(folder) / lesson / f"{across:02}-{down:02}.png")


def test_a_lesson_is_given_from_its_slides_by_the_keys(
    lab: str, page: "Page", hosts: set[str]
) -> None:
    path = next(path for path in LESSONS if path.name.startswith("01"))
    open_slides(page, lab, path.name)
    ran = 0
    for number, stop in enumerate(stops(path)):
        if number:
            page.keyboard.press("Space")
        wait_until_at(page, stop)
        if stop.code is not None:
            ran += 1
            page.keyboard.press("Shift+Enter")
            page.wait_for_function(
                f"([cell, prompt]) => ({PROMPT})(cell) === prompt",
                arg=[stop.code, f"[{ran}]:"],
                timeout=60_000,
            )
            # The answer is on the page; the slide that shows it must be, too.
            wait_until_at(page, stop)
            move_what_moves(page, stop)
        # A picture that has just come is laid out in a moment.
        until(lambda: page.evaluate(faults_at(LEAST)) == [])
        assert page.evaluate(faults_at(LEAST)) == [], stop
        take_screenshot(page, "given", stop.slide)
    assert page.locator("[data-mime-type*=error]").count() == 0
    assert page.get_by_text("✗").count() == 0
    assert hosts == {"127.0.0.1"}
    end_kernels(lab)


def test_the_keys_reach_a_cell_after_slides_of_text(stored: str, page: "Page") -> None:
    """The cell that had the focus is hidden by then."""
    path = next(path for path in LESSONS if path.name.startswith("07"))
    open_slides(page, stored, path.name)
    for number, stop in enumerate(stops(path)):
        if number:
            page.keyboard.press("Space")
        wait_until_at(page, stop)
        if stop.code is not None:
            page.wait_for_selector(".slides :focus", state="attached")
    end_kernels(stored)


def wait_until_at(page: "Page", stop: Stop) -> None:
    """Wait until that stop is shown, and its cell of code, if it has one, is active."""
    page.wait_for_function(
        f"""([slide, fragments, code]) => {{
          const [at, shown, active] = ({PLACE})();
          return at === slide && shown === fragments && [null, active].includes(code);
        }}""",
        arg=list(stop),
        timeout=60_000,
    )


def move_what_moves(page: "Page", stop: Stop) -> None:
    """Move the cell's slider, and save what an explorer measures, all by the keys."""
    cell = page.locator(".slides .jp-Cell").nth(stop.code or 0)
    if not cell.get_by_role("slider").count():
        return
    slider = cell.get_by_role("slider").first
    slider.wait_for()
    before = slider.get_attribute("aria-valuenow")
    press_until("Tab", slider)
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuenow") != before
    wait_until_at(page, stop)
    explorer = cell.locator(".explorer")
    if not explorer.count():  # the slider is a guess
        return
    wait_for_words(explorer, "Measured|Drawn from kept")
    press_until("Tab", explorer.get_by_role("button", name="Save this run"))
    page.keyboard.press("Enter")
    wait_for_words(explorer, "Saved as saved_runs/")
    page.keyboard.press("Escape")  # on a button, the space key would press it again
    wait_until_at(page, stop)
