"""The functions for workers: their known answers, and what importing them costs."""

import ast
import doctest
import pickle
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy
import pytest

from helpers import workloads

ROOT = Path(__file__).parent.parent


def test_the_answers_in_the_descriptions() -> None:
    failed, tried = doctest.testmod(workloads)
    assert tried >= 6
    assert failed == 0


def test_matrices_are_multiplied_in_any_number_of_threads() -> None:
    multiply = workloads.Multiply(30, threads=1)
    sent = pickle.dumps(multiply)
    assert len(sent) < 200  # not the matrix, of 7,200 bytes
    assert pickle.loads(sent)(2) == multiply(1) == workloads.Multiply(20)(1) == 1


def test_the_threads_of_blas_are_limited_for_the_call_only() -> None:
    if not (before := workloads.blas_threads()):
        pytest.skip("NumPy's BLAS doesn't tell its threads here")
    seen: list[int] = []

    class Spy:
        def __matmul__(self, other: object) -> Any:
            seen.append(workloads.blas_threads())
            return numpy.ones((1, 1))

    multiply = workloads.Multiply(1, threads=1)
    multiply._matrix = Spy()  # type: ignore[assignment]
    multiply(1)
    assert set(seen) == {1}
    assert workloads.blas_threads() == before


GROUND = ["workloads", "trace", "probe", "travel", "workers"]


@pytest.mark.parametrize("module", GROUND)
def test_a_worker_imports_only_the_standard_library(module: str) -> None:
    code = (
        f"import sys, sysconfig; sys.path.insert(0, {str(ROOT)!r})\n"
        f"import helpers.{module}\n"
        "library = sysconfig.get_path('stdlib'), sysconfig.get_path('platstdlib')\n"
        "files = {n: getattr(m, '__file__', None) for n, m in sys.modules.items()}\n"
        "print({n for n, f in files.items() if f and not f.startswith(library)})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True
    )
    ours = {"helpers", *(f"helpers.{name}" for name in GROUND)}
    assert {f"helpers.{module}"} <= ast.literal_eval(done.stdout) <= ours


def test_a_worker_starts_fast() -> None:
    """Beside what a pool's worker loads anyway, it loads next to nothing."""
    code = (
        "import sys, concurrent.futures.process; before = set(sys.modules)\n"
        "import helpers.workloads; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    ours = {"helpers", "helpers.workloads"}
    loaded = set(done.stdout.split())
    assert ours <= loaded <= ours | {"concurrent.futures.thread", "math"}, done.stderr


def test_the_library_has_files_of_unequal_size() -> None:
    sizes = [Path(path).stat().st_size for path in workloads.library_files()]
    assert len(sizes) > 100
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 10 * sizes[-1] > 0
    assert workloads.library_files(3) == workloads.library_files()[:3]


def test_every_file_of_the_library_has_tokens() -> None:
    assert all(workloads.count_tokens(p) for p in workloads.library_files()[-20:])


def test_a_nap_uses_no_core() -> None:
    wall, cpu = perf_counter(), thread_time()
    workloads.nap(0.1)
    assert perf_counter() - wall >= 0.1
    assert thread_time() - cpu < 0.02


class Redirect(BaseHTTPRequestHandler):
    """Sends whoever asks to the same address by https, as most public sites do."""

    server: HTTPServer

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", f"https://127.0.0.1:{self.server.server_port}/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_redirect_to_https_is_followed() -> None:
    """Here to a server that knows no https: what comes is that server's error."""
    with HTTPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with pytest.raises(ConnectionError, match="SSL") as caught:
            workloads.fetch(address)
        server.shutdown()
    assert "\n" not in str(caught.value)
