"""A reader's view: every lesson in a real JupyterLab, in a real browser.

With SCREENSHOTS set to the name of a folder, each screenful is stored there.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from lessons import FOLDER, LESSONS, code_cells, read

sync_api = pytest.importorskip("playwright.sync_api")
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
    said: code.flatMap(cell => cell.outputs).map(output => output.text ?? "").flat()
      .join(""),
    pictures: code.flatMap(cell => cell.outputs)
      .filter(output => output.data && "image/png" in output.data).length,
  };
}"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a JupyterLab that serves the lessons, without outputs."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(FOLDER / "recorded", folder / "recorded")
    for path in LESSONS:
        lesson = read(path)
        for cell in code_cells(lesson):
            cell.outputs, cell.execution_count = [], None
        nbformat.write(lesson, folder / path.name)
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--expose-app-in-browser", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={port}", "--IdentityProvider.token="),
        *(f"--ServerApp.root_dir={folder}", "--ServerApp.log_level=ERROR"),
    ]
    # As a reader starts it: not under pytest, where kernels behave otherwise.
    variables = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    server = subprocess.Popen(command, env=variables)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server)
        yield f"http://127.0.0.1:{port}/lab"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("JupyterLab did not start")


@pytest.fixture(scope="module")
def page() -> Iterator["sync_api.Page"]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(
            "no Chromium on this machine: the lessons were not seen in a browser"
        )
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 900})
        finally:
            browser.close()


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_run_all_runs_to_the_end_without_an_error(
    lab: str, page: "sync_api.Page", path: Path
) -> None:
    page.goto(f"{lab}/tree/{path.name}?reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    page.wait_for_function(f"() => ({STATE})().idle", timeout=60_000)
    assert page.get_by_text("Would you like to").count() == 0
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    cells = len(code_cells(read(path)))
    page.wait_for_function(
        f"""() => {{ const state = ({STATE})();
        return state.idle && (state.run === {cells} || state.errors.length) }}""",
        timeout=180_000,
    )
    state = page.evaluate(STATE)
    assert state["errors"] == []
    assert "✓" in state["said"] and "✗" not in state["said"], state["said"]
    stored = [o for cell in code_cells(read(path)) for o in cell.outputs]
    assert state["pictures"] == sum("image/png" in o.get("data", {}) for o in stored)
    if folder := os.environ.get("SCREENSHOTS"):
        take_screenshots(page, Path(folder) / path.stem)
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def take_screenshots(page: "sync_api.Page", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scroller = page.locator(".jp-NotebookPanel:visible .jp-WindowedPanel-outer").first
    top, number = -1, 0
    scroller.evaluate("box => box.scrollTop = 0")
    while (now := scroller.evaluate("box => box.scrollTop")) > top and number < 60:
        page.wait_for_timeout(300)  # for the picture only: what scrolled in is drawn
        page.screenshot(path=folder / f"{number:02}.png")
        top, number = now, number + 1
        scroller.evaluate("box => box.scrollTop += 0.85 * box.clientHeight")
