"""A real JupyterLab and a real browser, for the tests and benchmarks that need them."""

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from lessons import FOLDER, NOTEBOOKS, code_cells, read

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the page knows of the notebook that it shows, also of cells out of sight.
STATE = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = Array.from(panel.content.model.cells).map(cell => cell.toJSON());
  const code = cells.filter(cell => cell.cell_type === "code");
  return {
    idle: panel.sessionContext.session?.kernel?.status === "idle",
    run: code.filter(cell => cell.execution_count !== null).length,
    errors: code.flatMap(cell => cell.outputs)
      .filter(output => output.output_type === "error").map(error => error.evalue),
    said: code.flatMap(cell => cell.outputs).flatMap(({text, data}) =>
      [text ?? "", data && "text/html" in data ? [data["text/plain"], "\\n"] : ""])
      .flat(2).join(""),
    pictures: code.flatMap(cell => cell.outputs)
      .filter(output => output.data && "image/png" in output.data).length,
  };
}"""
WCAG = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"],
}
AXE = """([where, options]) => axe.run(where, options).then(({violations}) =>
  violations.flatMap(({id, nodes}) => nodes.map(({html, failureSummary}) =>
    ({id, where: html.slice(0, 200) + " " + failureSummary}))))"""
# Shows the cell of that id at the top of the page, and makes it the active one.
SHOW_CELL = """id => {
  const content = window.jupyterapp.shell.currentWidget.content;
  const index = Array.from(content.model.cells).findIndex(cell => cell.id === id);
  content.activeCellIndex = index;
  return content.scrollToItem(index, "start").then(() => index);
}"""


@contextmanager
def serving(folder: Path, outputs: bool = False) -> Iterator[str]:
    """Serve the lessons from folder; yield JupyterLab's address.

    The address has the token: nobody else on this machine gets in.

    Args:
        folder: an empty one, to which the lessons are copied.
        outputs: whether the lessons keep their stored outputs.
    """
    shutil.copytree(FOLDER / "recorded", folder / "recorded")
    shutil.copy(FOLDER / "rise.css", folder)
    for path in NOTEBOOKS:
        lesson = read(path)
        for cell in [] if outputs else code_cells(lesson):
            cell.outputs, cell.execution_count = [], None
        nbformat.write(lesson, folder / path.name)
    port = _free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--expose-app-in-browser", "--ServerApp.ip=127.0.0.1"),
        f"--ServerApp.port={port}",
        *(f"--ServerApp.root_dir={folder}", "--ServerApp.log_level=ERROR"),
    ]
    # As a reader starts it: not under pytest, where kernels behave otherwise.
    variables = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    # The settings of whoever runs the tests neither matter nor change.
    for kind in ("SETTINGS", "WORKSPACES"):
        variables[f"JUPYTERLAB_{kind}_DIR"] = str(folder / f".{kind.lower()}")
    # Not as an argument: every user of the machine can read those.
    token = variables["JUPYTER_TOKEN"] = secrets.token_hex()
    server = subprocess.Popen(command, env=variables)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api", server)
        yield f"http://127.0.0.1:{port}/lab?token={token}"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start")


def browser() -> str | None:
    """Return the path of a Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium(program: str) -> Iterator["Browser"]:
    """Start the browser; yield it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def browsing(program: str) -> Iterator["Page"]:
    """Start the browser; yield a page."""
    with chromium(program) as started:
        yield started.new_page(viewport={"width": 1280, "height": 900})


def accessibility_faults(
    page: "Page", within: str = "html", *, but: str = "", rules: Sequence[str] = ()
) -> list[str]:
    """Return what axe-core finds against WCAG 2.2, levels A and AA, on a page.

    Args:
        page: as it is shown now.
        within: what is looked at, as a selector of CSS.
        but: what in it is not, if anything.
        rules: the rules to look at, by their names in axe-core; () is all of them.
    """
    # Its module, when imported, reads that file in the system's own encoding.
    module = importlib.util.find_spec("axe_playwright_python")
    assert module is not None and module.origin is not None
    axe = Path(module.origin).with_name("axe.min.js")
    page.evaluate(axe.read_text(encoding="utf-8"))
    only = {"type": "rule", "values": rules} if rules else WCAG
    where = {"include": [[within]], "exclude": [[but]] if but else []}
    # What it loads of style sheets itself, it looks for in the wrong folder.
    found = page.evaluate(AXE, [where, {"runOnly": only, "preload": False}])
    return [f"{fault['id']}: {fault['where']}" for fault in found]


def open_notebook(page: "Page", lab: str, name: str) -> None:
    """Open the notebook of that name in that JupyterLab, and wait for its kernel."""
    address, _, token = lab.partition("?")
    page.goto(f"{address}/tree/{name}?reset&{token}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    page.wait_for_function(f"() => ({STATE})().idle", timeout=60_000)


def open_slides(page: "Page", lab: str, name: str) -> None:
    """Open the notebook of that name as slides; wait for the first, and its kernel."""
    address, _, token = lab.partition("?")
    # Until the page can talk with a kernel, it forgets that a cell is to be run.
    with page.expect_websocket(lambda to: "/channels" in to.url, timeout=60_000):
        page.goto(f"{address.removesuffix('/lab')}/rise/{name}?{token}")
    page.wait_for_selector(".reveal.ready section.present .jp-Cell", timeout=60_000)
    page.wait_for_function("() => document.querySelector('#rise-custom-css')?.sheet")


def close_notebook(page: "Page") -> None:
    """End the kernel of the notebook that is open."""
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def end_kernels(lab: str) -> None:
    """End all kernels of that JupyterLab."""
    address, _, token = lab.partition("?")
    kernels = f"{address.removesuffix('/lab')}/api/kernels"
    with urllib.request.urlopen(f"{kernels}?{token}") as answer:
        found = json.load(answer)
    for kernel in found:
        asked = f"{kernels}/{kernel['id']}?{token}"
        urllib.request.urlopen(urllib.request.Request(asked, method="DELETE")).close()


def run_all(page: "Page", cells: int) -> dict:
    """Run all cells, so many of them code; return the page's state at the end."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        f"""() => {{ const state = ({STATE})();
        return state.idle && (state.run === {cells} || state.errors.length) }}""",
        timeout=180_000,
    )
    return page.evaluate(STATE)


def show_cell(page: "Page", cell_id: str) -> "Locator":
    """Scroll to the cell of that id; return it."""
    index = page.evaluate(SHOW_CELL, cell_id)
    assert index >= 0, cell_id
    cell = page.locator(
        f'.jp-NotebookPanel:visible [data-windowed-list-index="{index}"]'
    )
    cell.first.scroll_into_view_if_needed()
    return cell.first


def wait_for_words(explorer: "Locator", words: str) -> None:
    """Wait until the explorer's status matches the regular expression."""
    explorer.page.wait_for_function(
        """([box, words]) => new RegExp(words, "s").test(
        box.querySelector("[role=status]").innerText)""",
        arg=[explorer.element_handle(), words],
        timeout=60_000,
    )
