"""What several test files use."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from helpers import machine, workers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

START_METHODS = machine.start_methods()
IN_PROCESSES = [
    *(f"processes {method}" for method in START_METHODS),
    *(f"multiprocessing_pool {method}" for method in START_METHODS),
    "joblib",
]
IN_THREADS = ["threads", "joblib threading"]
IN_INTERPRETERS = ["interpreters"] if sys.version_info >= (3, 14) else []
PARALLEL = IN_THREADS + IN_INTERPRETERS + IN_PROCESSES

Answer = TypeVar("Answer")

# Processes that stay for the next pool: they run no tasks.
KEPT = (
    *("resource_tracker", "multiprocessing.forkserver", "helpers.server"),
    f"helpers{os.sep}workers.py",  # waits for the kernel's end
)


def pytest_configure() -> None:
    """Let interrupts in: a shell that starts us in the background shuts them out."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InteractiveShell]:
    """Yield a shell that knows `%%importable`, in an empty folder.

    What was imported from that folder is forgotten afterwards.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "helpers.importable")
    yield shell
    for name, module in list(sys.modules.items()):
        if tmp_path in Path(getattr(module, "__file__", None) or "").parents:
            del sys.modules[name]


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Yield a browser, for the tests that look at pages."""
    pytest.importorskip("playwright.sync_api")
    import lab

    program = lab.browser()
    if program is None:
        pytest.skip("no Chromium on this machine: nothing was seen in a browser")
    with lab.chromium(program) as browser:
        yield browser


def workers_of(pid: int | None = None) -> list[psutil.Process]:
    """Return the worker processes of the process pid (None: of this one)."""
    found = []
    for child in psutil.Process(pid).children():
        try:
            command = " ".join(child.cmdline())
            if "multiprocessing.forkserver" in command:
                found += child.children()
            if child.status() != psutil.STATUS_ZOMBIE and not any(
                kept in command for kept in KEPT
            ):
                found.append(child)
        except psutil.NoSuchProcess:
            pass
    return found


def until(condition: Callable[[], Answer], seconds: float = 10) -> Answer:
    """Wait until the condition holds; return what it returned last."""
    end = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return answer


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line that a process writes to its pipe."""
    assert process.stdout is not None
    return process.stdout.readline()


def interrupt_when(signs: list[str], sent: list[float]) -> None:
    """Press Stop once every sign is there, that is, every worker has begun."""

    def press() -> None:
        until(lambda: all(Path(sign).exists() for sign in signs))
        time.sleep(0.1)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@pytest.fixture
def nothing_stays() -> Iterator[None]:
    """A check leaves no process and no thread, but for joblib's own workers."""
    threads = threads_now()
    yield
    workers.end_kept_loky()
    assert until(lambda: not workers_of(), 5), workers_of()
    assert until(lambda: not (threads_now() - threads), 5), threads_now() - threads


def threads_now() -> set[threading.Thread]:
    """Return the threads but for those that a library keeps: tqdm's, and Dask's."""
    kept = ("tqdm_monitor", "Dask-Offload")
    return {each for each in threading.enumerate() if not each.name.startswith(kept)}


@contextmanager
def default_method(method: str) -> Iterator[None]:
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


# A JupyterLab, and a browser: what they need is not there in every Python.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    """Yield the address of a JupyterLab that serves the lessons."""
    from lab import serving

    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(chromium: "Browser") -> "Page":
    return chromium.new_page(viewport={"width": 1280, "height": 900})


def press_until(key: str, wanted: "Locator") -> None:
    """Press a key until what is wanted has the focus."""
    for _ in range(60):
        wanted.page.keyboard.press(key)
        if wanted.evaluate_all("all => all.includes(document.activeElement)"):
            return
    raise AssertionError(f"{key} never leads to {wanted}")
