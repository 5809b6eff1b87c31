"""Faults by real signals to real processes: nothing hangs, and nothing stays."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from textwrap import dedent

import psutil
import pytest
from conftest import (
    IN_INTERPRETERS,
    IN_PROCESSES,
    IN_THREADS,
    PARALLEL,
    first_line,
    interrupt_when,
    until,
    workers_of,
)
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from jupyter_client.provisioning import LocalProvisioner
from tasks import (
    block_async,
    die,
    double,
    double_async,
    first_fails,
    large,
    work,
    work_async,
)

from helpers import strategies
from helpers.measure import race, run
from helpers.workers import interpreters_run

HERE = Path(__file__).parent
# Their workers go on after an interrupt, until their tasks end.
LEFT_BEHIND = (*IN_THREADS, *IN_INTERPRETERS)
# The promise is one second; a busy machine may take the other half for itself.
AT_ONCE = 1.0


@pytest.fixture(autouse=True)
def no_worker_stays() -> Iterator[None]:
    # Python drops an interrupt that comes while it clears away an earlier pool.
    gc.collect()
    before = set(workers_of())
    yield
    assert until(lambda: set(workers_of()) <= before, 2), workers_of()
    assert until(lambda: not interpreters_run()), "each ends with its task"


signals = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such signals"
)


@signals
@pytest.mark.parametrize("name", [*PARALLEL, "joblib threading 10"])
def test_an_interrupt_ends_the_run(name: str, tmp_path: Path) -> None:
    signs = [str(tmp_path / "a"), str(tmp_path / "b")]
    sent: list[float] = []
    interrupt_when(signs, sent)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(work, [*signs, str(tmp_path / "c")], name, 2)
    assert time.perf_counter() - sent[0] < AT_ONCE
    notes = "".join(getattr(caught.value, "__notes__", []))
    left_behind = name.startswith(LEFT_BEHIND)
    assert ("in the background" in notes) == left_behind
    if not left_behind:
        assert not workers_of()
    assert run(double, [1, 2, 3], name, 2).results == [2, 4, 6]
    assert not (tmp_path / "c").exists()


@signals
def test_an_interrupt_cancels_what_awaits(tmp_path: Path) -> None:
    signs = [str(tmp_path / "a"), str(tmp_path / "b")]
    sent: list[float] = []
    before = threading.active_count()
    interrupt_when(signs, sent)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(work_async, [*signs, str(tmp_path / "c")], "asyncio", 2)
    assert time.perf_counter() - sent[0] < AT_ONCE
    assert not getattr(caught.value, "__notes__", [])
    assert [Path(sign).read_text() for sign in signs] == ["ended", "ended"]
    assert not (tmp_path / "c").exists()
    assert until(lambda: threading.active_count() <= before)
    assert run(double_async, [1, 2, 3], "asyncio", 2).results == [2, 4, 6]


@signals
def test_what_blocks_the_loop_is_left_behind(tmp_path: Path) -> None:
    sign, sent = str(tmp_path / "a"), list[float]()
    interrupt_when([sign], sent)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(block_async, [sign, str(tmp_path / "b")], "asyncio", 2)
    assert time.perf_counter() - sent[0] < AT_ONCE
    (note,) = caught.value.__notes__
    assert "blocks the loop" in note and "background" in note
    assert run(double_async, [1, 2, 3], "asyncio", 2).results == [2, 4, 6]
    time.sleep(4)
    assert not (tmp_path / "b").exists()


INTERRUPTED = """
import os, signal, sys, threading
sys.path.insert(0, {here!r})
from helpers.measure import run
from tasks import slow_length
if __name__ == "__main__":
    stop = lambda: os.kill(os.getpid(), signal.SIGINT)
    threading.Timer(1.5, stop).start()
    try:
        run(slow_length, [bytes(20_000_000)] * 12, {name!r}, 2)
    except KeyboardInterrupt:
        print("interrupted")
"""


@signals
@pytest.mark.parametrize("name", [*IN_PROCESSES, *IN_INTERPRETERS])
def test_a_program_ends_after_an_interrupt_with_much_to_send(name: str) -> None:
    """What sends the inputs must not wait for workers that are gone."""
    code = INTERRUPTED.format(here=str(HERE), name=name)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
    assert "InvalidStateError" not in done.stderr


@signals
def test_an_interrupt_ends_a_race(tmp_path: Path) -> None:
    """Every way of it: the ones that wait for their turn too."""
    signs = [str(tmp_path / "a"), str(tmp_path / "b")]
    sent: list[float] = []
    interrupt_when(signs, sent)
    ways = dict.fromkeys(["threads", *IN_PROCESSES, *IN_INTERPRETERS], 2)
    with pytest.raises(KeyboardInterrupt):
        race(work, signs, ways)
    assert time.perf_counter() - sent[0] < AT_ONCE + 0.2 * len(ways)
    assert not workers_of()


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_an_error_ends_the_other_tasks(name: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError, match="none for 0"):
        run(first_fails, range(6), name, 2)
    assert time.perf_counter() - began < 4


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_workers_end_while_they_send(name: str) -> None:
    """A worker that is ended in the middle of a large result leaves half of it."""
    began = time.perf_counter()
    with pytest.raises(ValueError, match="none for 0"):
        run(large, [0, *range(1, 12)], name, 2)
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_a_worker_that_dies_at_work(name: str) -> None:
    with pytest.raises(BrokenProcessPool) as caught:
        race(die, range(4), {name: 2, "threads": 2, "serial": 1}, rounds=1)
    (note,) = caught.value.__notes__
    assert "The next run starts new workers" in note
    assert run(double, [1, 2, 3], name, 2).results == [2, 4, 6]


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_a_worker_that_is_killed(name: str, tmp_path: Path) -> None:
    """By another program: while it works, and while it waits for work."""
    sign = tmp_path / "a"

    def kill() -> None:
        pid = until(lambda: sign.exists() and sign.read_text())
        psutil.Process(int(pid)).kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(BrokenProcessPool):
        run(work, [str(sign), str(tmp_path / "b")], name, 2)

    before = set(workers_of())
    with pytest.raises(BrokenProcessPool), strategies.start(name, 2) as map_:
        assert list(map_(double, [1, 2, 3])) == [2, 4, 6]
        (set(workers_of()) - before).pop().kill()
        time.sleep(0.3)
        # Those that are left may do it yet; if not, they must not be waited for.
        assert list(map_(double, range(9))) == list(range(0, 18, 2))
        raise BrokenProcessPool("they did it")
    assert run(double, [1, 2, 3], name, 2).results == [2, 4, 6]


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_workers_end_with_their_parent(together: bool) -> None:
    """Together, each pool holds ends of the others' pipes."""
    groups = [IN_PROCESSES] if together else [[name] for name in IN_PROCESSES]
    workers = []
    for parent, names in [(started(names), names) for names in groups]:
        assert first_line(parent) == "ready\n"
        found = workers_of(parent.pid)
        assert len(found) == 2 * len(names)
        workers += found
        parent.kill()
        parent.communicate()
    _, alive = psutil.wait_procs(workers, 5)
    for worker in alive:
        worker.kill()
    assert not alive


def started(names: list[str]) -> subprocess.Popen[str]:
    """Start a process with a pool of each name, all of them at work."""
    script = f"""
        import sys, threading, time
        sys.path.insert(0, {str(HERE)!r})
        from contextlib import ExitStack
        from helpers.strategies import start
        from helpers.workloads import nap
        if __name__ == "__main__":
            with ExitStack() as stack:
                maps = [stack.enter_context(start(n, 2)) for n in {names}]
                for map_ in maps:
                    list(map_(nap, [0.1] * 4))
                works = lambda map_: list(map_(nap, [60] * 4))
                for map_ in maps[:-1]:
                    threading.Thread(target=works, args=(map_,), daemon=True).start()
                threading.Timer(0.3, print, ["ready"], {{"flush": True}}).start()
                works(maps[-1])
    """
    return subprocess.Popen(
        [sys.executable, "-c", dedent(script)], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Kernel"]:
    manager, client = start_new_kernel(cwd=str(tmp_path_factory.mktemp("lab")))
    asked = Kernel(manager, client)
    asked.run(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from helpers.measure import run\n"
        "from helpers.workers import interpreters_run\n"
        "from tasks import work\n"
        "def typed(x): return x + 1\n"
    )
    yield asked
    client.stop_channels()
    manager.shutdown_kernel(now=True)


class Kernel:
    """A Jupyter kernel, as a notebook sees it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        assert isinstance(manager.provisioner, LocalProvisioner)
        self.manager, self.client = manager, client
        self.pid = manager.provisioner.pid

    def run(self, code: str) -> str:
        """Run code in a cell; return what it printed, or its error's last line."""
        said = []

        def listen(message: dict) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] == "error":
                said.append(f"{content['ename']}: {content['evalue']}")
                said.append("\n".join(content["traceback"]))

        self.client.execute_interactive(code, output_hook=listen, timeout=30)
        return "".join(said)


@pytest.mark.parametrize("name", PARALLEL)
def test_stop_in_a_notebook(name: str, kernel: Kernel, tmp_path: Path) -> None:
    """Jupyter interrupts the kernel together with all of its children."""
    signs = [tmp_path / "a", tmp_path / "b"]
    sent = []

    def press() -> None:
        until(lambda: all(sign.exists() for sign in signs))
        time.sleep(0.1)
        sent.append(time.perf_counter())
        kernel.manager.interrupt_kernel()

    threading.Thread(target=press, daemon=True).start()
    said = kernel.run(f"run(work, {[str(sign) for sign in signs]}, {name!r}, 2)")
    assert time.perf_counter() - sent[0] < AT_ONCE
    assert said.startswith("KeyboardInterrupt")
    assert ("in the background" in said) == (name in LEFT_BEHIND)
    assert not workers_of(kernel.pid)
    assert kernel.run(f"print(run(abs, [-1, 2], {name!r}, 2).results)") == "[1, 2]\n"
    # Those that were left behind would let nothing fork.
    assert until(lambda: kernel.run("print(interpreters_run())") == "False\n")


def test_stop_in_a_notebook_cancels_what_awaits(kernel: Kernel, tmp_path: Path) -> None:
    """The kernel's own loop is running meanwhile."""
    sign, sent = tmp_path / "a", list[float]()

    def press() -> None:
        until(sign.exists)
        time.sleep(0.1)
        sent.append(time.perf_counter())
        kernel.manager.interrupt_kernel()

    threading.Thread(target=press, daemon=True).start()
    kernel.run("from tasks import double_async, work_async")
    said = kernel.run(f"run(work_async, [{str(sign)!r}], 'asyncio', 2)")
    assert time.perf_counter() - sent[0] < AT_ONCE
    assert said.startswith("KeyboardInterrupt")
    assert sign.read_text() == "ended"
    said = kernel.run("print(run(double_async, [1, 2], 'asyncio', 2).results)")
    assert said == "[2, 4]\n"


@pytest.mark.parametrize("name", PARALLEL)
def test_a_function_typed_into_a_notebook(name: str, kernel: Kernel) -> None:
    began = time.perf_counter()
    said = kernel.run(f"print(run(typed, [1, 2], {name!r}, 2).results)")
    assert time.perf_counter() - began < 2
    if name in [*IN_THREADS, "joblib"] or name.endswith("fork"):
        assert said == "[2, 3]\n"
    else:
        first = said.splitlines()[0]
        assert first.startswith("FunctionCannotTravel: 'typed' can't travel")
        assert "%%importable" in first


def test_memory_of_a_function_typed_into_a_notebook(kernel: Kernel) -> None:
    said = kernel.run("run(typed, [1, 2], memory=True)")
    assert said.startswith("FunctionCannotTravel: 'typed' can't travel")


def test_a_class_typed_into_a_notebook(kernel: Kernel) -> None:
    kernel.run("class Typed: pass")
    said = kernel.run("run(id, [Typed()], 'processes spawn', 2)")
    assert "TypeError: this input of 'id' can't travel" in said


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_a_function_typed_into_a_terminal(name: str) -> None:
    lines = (
        "from helpers.measure import run\n"
        "def typed(x): return x + 1\n\n"
        f"run(typed, [1, 2], {name!r}, 2).results\n"
    )
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=lines,
        capture_output=True,
        text=True,
        timeout=20,
    )
    if name == "joblib" or name.endswith("fork"):
        assert "[2, 3]" in done.stdout
    else:
        assert "FunctionCannotTravel: 'typed' can't travel" in done.stderr
