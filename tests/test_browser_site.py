"""The site as it is read: every page in a real browser, without a network.

With SCREENSHOTS set to the name of a folder, each page is stored there: light and dark,
in each width.
"""

import functools
import os
import threading
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlparse

import nbformat
import pytest
import website
from conftest import press_until
from lab import accessibility_faults
from lessons import LESSONS, code_cells, read
from nbformat.v4 import new_code_cell, new_notebook, new_output

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response, Route

# Cells and what they printed.
CODE = ".highlight"
# Pixels: what a page has at 200 % zoom, and on a phone.
NARROW = (640, 400)
pytest.importorskip("myst_nb", reason="the extra `site` is not installed")
PAGES = [
    *(website.page_of(path).rpartition(".")[0] + ".html" for path in website.pages()),
    "search.html",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as `make site` builds it."""
    folder = tmp_path_factory.mktemp("web")
    assert website.build(folder / "site", folder / "work") == 0
    return folder / "site"


class Parsed(HTMLParser):
    """A page's links, what it loads, and the names that links to it may end with."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.names: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element is, or leads to."""
        found = dict(attrs)
        self.names |= {name for key in ("id", "name") if (name := found.get(key))}
        if tag == "img":
            self.pictures.append(found)
        if (address := found.get("href")) is not None:
            (self.loaded if tag == "link" else self.links).append(address)
        if (address := found.get("src")) is not None:
            self.loaded.append(address)


def pages_of(site: Path) -> list[Path]:
    """Return the pages of a site: among what is static are a theme's templates."""
    return [page for page in site.rglob("*.html") if "_static" not in page.parts]


# Links.


def dead_links(site: Path) -> list[str]:
    """Return the links of a site that lead nowhere in it, each after its page."""
    parsed = {page: Parsed(page) for page in pages_of(site)}
    return [
        f"{page.relative_to(site)}: {link}"
        for page, found in parsed.items()
        for link in found.links + found.loaded
        if not urlparse(link).scheme and not leads_somewhere(page, link, parsed)
    ]


def leads_somewhere(page: Path, link: str, parsed: dict[Path, Parsed]) -> bool:
    """Return whether a link of a page leads to a file, and to a name that is in it."""
    path, name = urldefrag(link)
    there = (page.parent / unquote(urlparse(path).path)).resolve() if path else page
    if there.suffix != ".html":
        return there.is_file()
    known = parsed.get(there)
    return known is not None and (not name or unquote(name) in known.names)


def test_every_link_leads_somewhere(site: Path) -> None:
    assert dead_links(site) == []


@pytest.mark.parametrize(
    "link", ["no.html", "#no", "b.html#no", "no.png", "../a.html", "b.htm"]
)
def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path, link: str) -> None:
    (tmp_path / "b.html").write_text('<p id="yes">')
    (tmp_path / "a.html").write_text(
        f'<a href="b.html#yes"></a><a href="#"></a><a href="{link}"></a>'
    )
    assert dead_links(tmp_path) == [f"a.html: {link}"]


@pytest.mark.parametrize("link", ["nowhere.md", "#no-such-heading", "no.ipynb#x"])
def test_a_link_that_leads_nowhere_fails_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    monkeypatch.setattr(website, "ROOT", tmp_path)
    monkeypatch.setattr(website, "pages", lambda: [tmp_path / "README.md"])
    monkeypatch.setattr(website.replays, "pages", lambda *_: {})
    (tmp_path / "README.md").write_text(f"# One page\n\n[A link]({link})\n")
    assert website.build(tmp_path / "site", tmp_path / "work") != 0


# Pictures and widgets.


def test_every_picture_of_a_lesson_is_there_with_its_words(site: Path) -> None:
    for path in LESSONS:
        page = Parsed(site / "notebooks" / f"{path.stem}.html")
        outputs = [output for cell in code_cells(read(path)) for output in cell.outputs]
        stored = [
            output.metadata["image/png"]["alt"]
            for output in outputs
            if "image/png" in output.get("data", {})
        ]
        shown = [
            picture["alt"]
            for picture in page.pictures
            if website.REPLAYS not in str(picture["src"])
        ]
        assert shown == stored
    assert all(
        picture.get("alt")
        for page in pages_of(site)
        for picture in Parsed(page).pictures
    )


def lesson_of(source: str, text: str) -> nbformat.NotebookNode:
    """Return a notebook with one cell, which left a widget's words."""
    output = new_output("display_data", {"text/plain": text})
    return new_notebook(
        cells=[new_code_cell(source, outputs=[output])],
        metadata={"language_info": {"name": "python"}},
    )


def shown_html(
    lesson: nbformat.NotebookNode, folder: Path, drawn: Mapping[str, str] | None = None
) -> str:
    website.for_the_web(lesson, folder, drawn or {})
    [output] = code_cells(lesson)[0].outputs
    return output.data["text/html"]


def test_a_guess_is_a_question_and_a_common_guess(tmp_path: Path) -> None:
    words = "How <fast>? A common guess: 2 ×."
    shown = shown_html(
        lesson_of("guess = number('How <fast>?', 0, 4, 2)", words), tmp_path
    )
    assert "<strong>How &lt;fast&gt;?</strong>" in shown
    assert "<p>A common guess: 2 ×.</p>" in shown


def test_an_explorer_is_its_replay_or_its_words(tmp_path: Path) -> None:
    words = "An explorer. Run this cell to move its controls: workers."
    lesson = lesson_of("explore.gil(run)", words)
    shown = shown_html(lesson, tmp_path, {"pools": "<p>It moves.</p>"})
    assert "Run this cell in JupyterLab to move its controls: workers." in shown
    lesson = lesson_of("explore.gil(run)", words)
    assert (
        shown_html(lesson, tmp_path, {"gil": "<p>It moves.</p>"}) == "<p>It moves.</p>"
    )


# In a browser.


class Quiet(SimpleHTTPRequestHandler):
    """A handler of requests that prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of the site, served from a thread, to this machine only."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


class Watched:
    """A page, and what went wrong on it: errors, and requests to other hosts."""

    def __init__(self, page: "Page", address: str) -> None:
        self.page, self.address, self.faults = page, address, list[str]()
        page.route("**/*", self._route)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._hear)
        page.on("response", self._answered)

    def open(self, name: str) -> "Page":
        """Open the page of the site of that name."""
        self.page.goto(self.address + name)
        return self.page

    def _route(self, route: "Route") -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.faults.append(f"another host: {route.request.url}")
            route.abort()

    def _hear(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _answered(self, response: "Response") -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")


@pytest.fixture
def watched(chromium: "Browser", address: str) -> Iterator[Watched]:
    """A new page, as for a reader who wants little motion and comes the first time."""
    page = chromium.new_page(
        viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    try:
        yield Watched(page, address)
    finally:
        page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_network_and_is_for_everybodys_eyes(
    watched: Watched, name: str
) -> None:
    page = watched.open(name)
    assert page.get_by_role("heading", level=1).count() == 1
    assert accessibility_faults(page, but=CODE) == []
    go_dark(page)
    assert accessibility_faults(page, but=CODE, rules=["color-contrast"]) == []
    for width in NARROW:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.faults == []
    if screenshots := os.environ.get("SCREENSHOTS"):
        take_screenshots(page, Path(screenshots) / "site" / Path(name).with_suffix(""))


def test_code_is_for_everybodys_eyes(watched: Watched) -> None:
    """Its thousands of words take axe seconds, and have the same colours everywhere."""
    page = watched.open("notebooks/01_the_gil.html")
    assert page.locator(CODE).count() > 50
    assert accessibility_faults(page, CODE) == []
    go_dark(page)
    assert accessibility_faults(page, CODE, rules=["color-contrast"]) == []


def go_dark(page: "Page") -> None:
    """Let the reader's system be dark, and the page follow it."""
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme=dark]")


def test_who_has_no_mouse_skips_the_menu_and_goes_on_to_the_next_lesson(
    watched: Watched,
) -> None:
    page = watched.open("notebooks/00_start_here.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/00_start_here.html#main-content")
    press_until("Shift+Tab", page.locator(".theme-switch-button"))
    page.keyboard.press("Enter")
    press_until("Tab", page.locator("[data-mode=dark]"))
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-theme=dark]")
    page.locator("#what-to-remember").press("Tab")
    press_until("Tab", page.locator(".right-next"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/01_the_gil.html")
    assert watched.faults == []


def test_the_search_finds_a_lesson_by_keyboard(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("switch interval")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=switch+interval")
    found = page.locator("#search-results a[href*='01_the_gil']")
    found.first.press("Enter")
    page.wait_for_url("**/01_the_gil.html*")
    assert watched.faults == []


def test_a_narrow_page_has_its_menu_behind_a_button(watched: Watched) -> None:
    page = watched.open("notebooks/01_the_gil.html")
    page.set_viewport_size({"width": 400, "height": 900})
    lesson = page.get_by_role("link", name="02 · Threads or processes?")
    lesson.wait_for(state="hidden")
    press_until("Tab", page.locator(".primary-toggle"))
    page.keyboard.press("Enter")
    lesson.wait_for()
    assert accessibility_faults(page, but=CODE) == []
    page.keyboard.press("Escape")
    lesson.wait_for(state="hidden")
    press_until("Tab", page.locator(".primary-toggle"))
    page.keyboard.press("Enter")
    lesson.press("Enter")
    page.wait_for_url("**/02_threads_or_processes.html")
    assert watched.faults == []


EXPLORED = [
    lesson.stem
    for lesson in LESSONS
    if any(website.EXPLORER.search(cell.source) for cell in code_cells(read(lesson)))
]


@pytest.mark.parametrize("lesson", EXPLORED)
def test_an_explorer_is_there_as_a_replay_that_moves_by_key(
    watched: Watched, lesson: str
) -> None:
    page = watched.open(f"notebooks/{lesson}.html")
    replay = page.locator(".replay")
    assert "Recorded on" in replay.inner_text()
    seen = {replay.locator(".replay-pictures").inner_html()}
    for control in replay.locator("input, select").all():
        for key in ("ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown"):
            control.press(key)
            seen.add(replay.locator(".replay-pictures").inner_html())
    assert len(seen) > replay.locator("input, select").count() > 1
    for picture in replay.locator("img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.decode().then(() => image.width)") > 0
    assert accessibility_faults(page, ".replay") == []
    assert watched.faults == []
    if screenshots := os.environ.get("SCREENSHOTS"):
        replay.screenshot(path=Path(screenshots) / f"replay-{lesson}.png")


def take_screenshots(page: "Page", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1280, *NARROW):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=folder / f"{theme}-{width}.png", full_page=True)
