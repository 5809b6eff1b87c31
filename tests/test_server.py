"""The server on this machine: its delays, its faults, its end."""

import asyncio
import signal
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from time import perf_counter

import psutil
import pytest
from conftest import first_line
from tornado.httpclient import HTTPClientError

from helpers import machine, server
from helpers.measure import run
from helpers.workloads import fetch, fetch_async

ROOT = Path(__file__).parent.parent


@pytest.fixture
def address() -> Iterator[str]:
    yield server.start()
    server.stop()


def test_it_answers_when_it_is_told_to(address: str) -> None:
    began = perf_counter()
    assert fetch(f"{address}?delay=0.2") == "waited 0.2 s"
    assert perf_counter() - began >= 0.2
    assert fetch(address) == "waited 0 s"
    assert server.start() == address


def test_delays_overlap(address: str) -> None:
    urls = [f"{address}?delay=0.2"] * 8
    threads, serial = run(fetch, urls, "threads", 8), run(fetch, urls)
    assert serial.wall > 3 * threads.wall
    assert threads.overlap > 0.5
    assert serial.cores_busy < 0.5


def test_it_holds_a_thousand_at_once(address: str) -> None:
    room = machine.connections(1000)
    made = run(fetch_async, [f"{address}?delay=3"] * room, "asyncio", room)
    assert set(made.results) == {"waited 3 s"}
    # What had to wait for another's place would end so much later.
    ends = [span.end for span in made.spans]
    assert max(ends) - min(ends) < 3


FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from helpers import server
from helpers.machine import connections
from helpers.measure import run
from helpers.workloads import fetch, fetch_async
room, address = connections(1000), server.start()
urls = [f"{address}?delay=0.2"] * 1000
print(room, set(run(fetch_async, urls, "asyncio", room).results))
print(room, set(run(fetch, urls, "threads", room).results))
for function, way in ((fetch_async, "asyncio"), (fetch, "threads")):
    try:
        run(function, urls, way, 1000)
    except OSError as error:
        print(type(error).__name__, error.errno, error.strerror)
server.stop()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit on Windows")
def test_with_few_files_there_are_fewer_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_FILES], capture_output=True, text=True, cwd=ROOT
    )
    fewer, again, *errors = done.stdout.splitlines()
    assert fewer == again == "156 {'waited 0.2 s'}", done.stderr
    assert errors == 2 * ["OSError 24 Too many open files: fetch fewer at once"]


@pytest.mark.parametrize("delay", ["-1", "61", "nan", "inf", "soon", ""])
def test_refuses_a_delay(address: str, delay: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="delay must be") as caught:
        fetch(f"{address}?delay={delay}")
    assert caught.value.code == 400
    with pytest.raises(HTTPClientError, match="delay must be"):
        asyncio.run(fetch_async(f"{address}?delay={delay}"))


def test_many_bad_requests_do_not_stop_it(address: str) -> None:
    for _ in range(1500):
        with pytest.raises(urllib.error.HTTPError):
            fetch(f"{address}?delay=" + "x" * 50)
    assert fetch(address) == "waited 0 s"


def test_two_get_an_address_each(address: str) -> None:
    code = "from helpers import server; print(server.start()); server.stop()"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert other.stdout.startswith("http://127.0.0.1:")
    assert other.stdout.strip() != address


def running() -> subprocess.Popen:
    """Return the process that serves."""
    assert server._running is not None
    return server._running


def test_gone_and_started_again() -> None:
    address = server.start()
    server.stop()
    with pytest.raises(ConnectionError, match=r"server\.start") as caught:
        fetch(address)
    assert "\n" not in str(caught.value)
    assert fetch(server.start()) == "waited 0 s"
    running().kill()  # by somebody else
    running().wait()
    assert fetch(server.start()) == "waited 0 s"
    server.stop()
    server.stop()


def test_killed_while_it_is_asked() -> None:
    for ask in (fetch, lambda url: asyncio.run(fetch_async(url))):
        address = server.start()
        serves = running()
        threading.Timer(0.5, serves.kill).start()
        with pytest.raises(ConnectionError, match=r"server\.start") as caught:
            ask(f"{address}?delay=20")
        assert "\n" not in str(caught.value)
        serves.wait()
        with pytest.raises(ConnectionError, match=r"server\.start") as caught:
            ask(address)
        assert "\n" not in str(caught.value)
        assert ask(server.start()) == "waited 0 s"
    server.stop()


def parent() -> tuple[subprocess.Popen[str], psutil.Process]:
    """Start a process that starts a server, and a pool of forked workers after it."""
    script = """
        from helpers import server, strategies
        from helpers.workloads import nap
        if __name__ == "__main__":
            server.start()
            with strategies.start("processes", 2) as map_:
                list(map_(nap, [0.01] * 4))
                print(server._running.pid, flush=True)
                nap(60)
    """
    started = subprocess.Popen(
        [sys.executable, "-c", dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    return started, psutil.Process(int(first_line(started)))


def test_it_ends_with_its_parent() -> None:
    started, process = parent()
    started.kill()
    started.communicate()
    _, alive = psutil.wait_procs([process], 5)
    assert not alive


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupt_is_not_meant_for_it(address: str) -> None:
    running().send_signal(signal.SIGINT)
    assert fetch(f"{address}?delay=0.2") == "waited 0.2 s"
