"""How workers begin and end, by names that other libraries may change."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import forkserver, get_context, process, resource_tracker, util
from multiprocessing.pool import Pool, ThreadPool
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from time import perf_counter
from unittest.mock import MagicMock, Mock

import psutil
import pytest
from conftest import IN_PROCESSES, START_METHODS, until, workers_of
from ipykernel.kernelbase import Kernel
from joblib import Parallel, delayed
from joblib import executor as joblib_executor
from joblib.externals.loky import get_reusable_executor, reusable_executor
from joblib.externals.loky.backend import resource_tracker as of_loky
from jupyter_client.manager import start_new_kernel
from jupyter_client.provisioning import LocalProvisioner
from tasks import whose

from helpers import measure, strategies, workers
from helpers.measure import race, run
from helpers.trace import Traced
from helpers.travel import Map, name_of, worker_traceback
from helpers.workloads import nap

METHOD = START_METHODS[0]
POOLS: dict[str, Callable[[], Pool | ProcessPoolExecutor | ThreadPoolExecutor]] = {
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": lambda: ProcessPoolExecutor(2),
    "pool": lambda: get_context(METHOD).Pool(2),
    "pool of threads": lambda: ThreadPool(2),
}
if sys.version_info >= (3, 14):
    from concurrent.futures import InterpreterPoolExecutor

    POOLS["interpreters in threads"] = lambda: InterpreterPoolExecutor(2)


def examples() -> dict[str, object]:
    """Return one of each of the objects whose private names are used."""
    with (
        ProcessPoolExecutor(1) as processes,
        ThreadPoolExecutor(1) as threads,
        ThreadPool(1) as pool,
    ):
        parallel = Parallel(1)
        parallel([])
        return {
            "ProcessPoolExecutor": processes,
            "ThreadPoolExecutor": threads,
            "multiprocessing.Pool": pool,
            "the answer of Pool.map_async": pool.map_async(abs, [1]),
            "loky's reusable_executor": reusable_executor,
            "joblib.executor": joblib_executor,
            "joblib.Parallel": parallel,
            "multiprocessing's resource_tracker": resource_tracker,
            "loky's resource_tracker": of_loky,
            "a tracker of resources": resource_tracker._resource_tracker,
            "multiprocessing's forkserver": forkserver,
            "the server of forkserver": forkserver._forkserver,
            "multiprocessing's util": util,
            "ipykernel's Kernel": Kernel,
        }


def lacking() -> list[str]:
    """Return a sentence for each private name that this Python or joblib lacks."""
    found = examples()
    assert found.keys() == workers.PRIVATE.keys()
    return [
        f"{owner} has no {name} here, as {tried} have: helpers/workers.py needs it"
        for owner, (names, tried) in workers.PRIVATE.items()
        for name in names
        if not hasattr(found[owner], name)
    ]


@pytest.mark.parametrize("moment", [1, 2, "the end"])
def test_an_interrupt_while_a_pool_begins_leaves_no_worker(
    moment: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool's own constructor leaves those that it had started."""
    start, seen = process.BaseProcess.start, list[process.BaseProcess]()

    def interrupted(self: process.BaseProcess) -> None:
        start(self)
        seen.append(self)
        if len(seen) == moment:
            raise KeyboardInterrupt

    begin, threads = threading.Thread.start, list[threading.Thread]()

    def second_interrupted(self: threading.Thread) -> None:
        begin(self)
        threads.append(self)
        if len(threads) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(process.BaseProcess, "start", interrupted)
    if moment == "the end":  # the thread that replaces workers is there already
        monkeypatch.setattr(threading.Thread, "start", second_interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.begun_pool(get_context(), 2)
    monkeypatch.undo()
    assert seen
    assert not any(each.is_alive() for each in seen)
    assert until(lambda: not multiprocessing.active_children())


def test_this_python_has_the_private_names() -> None:
    assert not lacking(), "\n".join(lacking())


def test_a_name_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(workers.PRIVATE, "joblib.executor", (("_gone",), "joblib 9"))
    (said,) = lacking()
    assert said.startswith("joblib.executor has no _gone here, as joblib 9 have")


@pytest.mark.parametrize("kind", POOLS)
def test_what_a_pool_is_like(kind: str) -> None:
    with POOLS[kind]() as pool:
        assert workers.size_of(pool) == 2
        assert workers.is_open(pool)
        assert sum(pool.map(abs, [-1, -2])) == 3
        threads = "threads" in kind
        assert workers.has_threads(pool) == threads
        assert bool(workers.processes_of(pool)) == (not threads)
    assert not workers.is_open(pool)


@pytest.mark.parametrize("kind", ["processes", "pool"])
def test_an_end_ends_those_at_work_and_those_who_wait(kind: str) -> None:
    pool = POOLS[kind]()
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            list(pool.map(nap, [60, 60]))
        except BaseException as error:
            failed.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert until(lambda: len(workers.processes_of(pool)) == 2)
    time.sleep(0.3)
    mine = workers.processes_of(pool)
    workers.end(pool)
    waiting.join(5)
    assert failed and not waiting.is_alive()
    assert not any(process.is_alive() for process in mine)


def has_two_processes(pool: ProcessPoolExecutor) -> bool:
    return len(workers.processes_of(pool)) == 2


def test_an_end_beside_the_owners_own() -> None:
    """The thread that waits in the pool's `with` leaves it when the workers end."""
    raised: list[BaseException] = []

    def own(pool: ProcessPoolExecutor) -> None:
        try:
            with pool:
                futures = [pool.submit(nap, 60) for _ in range(2)]
                handed_in.set()
                futures[0].result()
        except BaseException as error:
            raised.append(error)

    for _ in range(15):
        pool, handed_in = ProcessPoolExecutor(2, get_context(METHOD)), threading.Event()
        owner = threading.Thread(target=own, args=(pool,), daemon=True)
        owner.start()
        assert handed_in.wait(10) and until(partial(has_two_processes, pool))
        workers.end(pool)
        owner.join(5)
    assert [type(error) for error in raised] == [BrokenProcessPool] * 15


@pytest.fixture
def kept() -> Iterator[set[int]]:
    """Yield the process ids of two workers that joblib keeps for the reader."""
    get_reusable_executor().shutdown(wait=True)
    yield pids_of_kept()
    get_reusable_executor().shutdown(wait=True)


def pids_of_kept() -> set[int]:
    """Return who does the reader's tasks; a busy machine may begin with one of two."""
    found = set[int]()
    for _ in range(100):
        found |= set(Parallel(n_jobs=2)(delayed(whose)(x) for x in range(8)))
        if len(found) > 1:
            break
    return found


@pytest.mark.parametrize("way", ["joblib", "joblib loky 10", "joblib threading"])
def test_the_readers_own_joblib_workers_stay(kept: set[int], way: str) -> None:
    ran = set(run(whose, range(8), way, 3).results)
    assert not ran & kept
    with pytest.raises(ZeroDivisionError):
        run((1).__floordiv__, [0], way, 3)
    assert pids_of_kept() == kept
    assert len(workers_of()) == 2, "those of the run have ended"


def test_two_ways_of_joblib_have_the_workers_that_were_asked_for() -> None:
    runs = race(nap, [0.05] * 12, {"joblib": 2, "joblib loky 1": 3}, rounds=1)
    assert {way: len(made.by_worker) for way, made in runs.items()} == {
        "joblib": 2,
        "joblib loky 1": 3,
    }


def test_end_kept_loky_ends_them(kept: set[int]) -> None:
    workers.end_kept_loky()
    assert not pids_of_kept() & kept


MANY_CALLS = """
from ipykernel.kernelbase import Kernel
from joblib import Parallel, delayed
from joblib import executor as joblib_executor
for jobs in (2, 3, 2):
    Parallel(n_jobs=jobs)(delayed(abs)(x) for x in range(4))
from helpers.measure import run
for way in {ways}:
    run(abs, range(4), way, 2)
Parallel(n_jobs=2)(delayed(abs)(x) for x in range(4))
"""


def test_a_kernel_ends_without_a_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `make lessons`: what its cleaners complain of reaches the terminal."""
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "so that ipykernel leaves stderr alone")
    terminal = tmp_path / "terminal"
    with terminal.open("w") as file:
        manager, client = start_new_kernel(kernel_name="python3", stderr=file)
        answer = client.execute_interactive(
            MANY_CALLS.format(ways=IN_PROCESSES), timeout=60
        )
        assert answer["content"]["status"] == "ok"
        assert isinstance(manager.provisioner, LocalProvisioner)
        kernel = psutil.Process(manager.provisioner.pid)
        family = kernel.children(recursive=True)
        client.stop_channels()
        manager.shutdown_kernel()
        _, left = psutil.wait_procs(family, 5)
    assert family and not left
    assert "leaked" not in terminal.read_text()


# A reader's own pools: nothing in them knows of this kit.
OWN_POOLS = {
    "executor": "with ProcessPoolExecutor(2) as pool: list(pool.map(stay_on, signs))",
    "Pool": "with Pool(2) as pool: pool.map(stay_on, signs)",
    "joblib": "Parallel(2)(delayed(stay_on)(sign) for sign in signs)",
}
HOLDING = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool
from multiprocessing.shared_memory import SharedMemory
from joblib import Parallel, delayed
import helpers.measure
from helpers.workers import scratch_folder
from tasks import stay_on
(scratch_folder() / "array").write_bytes(bytes(1000))
block = SharedMemory(create=True, size=1000)
signs = [{folder!r} + "/" + sign for sign in (block.name.strip("/"), "second")]
{pool}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["kernel", "its group"])
@pytest.mark.parametrize("name", OWN_POOLS)
def test_nothing_stays_of_a_kernel_that_is_killed(
    name: str, kill: Callable[[int, int], None], tmp_path: Path
) -> None:
    """Not of the reader's own pools either, and no shared memory, and no file.

    The system kills the kernel, if it needs memory; Jupyter kills its group.
    """
    manager, client = start_new_kernel(cwd=str(Path(__file__).parent))
    assert isinstance(manager.provisioner, LocalProvisioner)
    kernel = psutil.Process(manager.provisioner.pid)
    client.execute(HOLDING.format(folder=str(tmp_path), pool=OWN_POOLS[name]))
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    (block,) = {sign.name for sign in tmp_path.iterdir()} - {"second"}
    family = kernel.children(recursive=True)
    commands = [each.cmdline() for each in family]
    (folders,) = (line[-2:] for line in commands if "many_cores_" in line[-2])
    assert Path(folders[0], "array").exists() and Path(folders[1]).exists()
    kill(kernel.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(family, 10)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    assert not left
    assert until(lambda: not any(Path(folder).exists() for folder in folders))
    of_joblib = (f"sem.loky-{kernel.pid}-*", f"joblib_memmapping_folder_{kernel.pid}_*")
    assert not [path for name in of_joblib for path in Path("/dev/shm").glob(name)]
    with pytest.raises(FileNotFoundError):
        SharedMemory(block)


def test_the_pool_of_multiprocessing_sends_in_chunks() -> None:
    """One by one, it takes some fifty times as long as `Pool.map`."""
    numbers = list(range(2000))
    took: dict[str, list[float]] = {"ours": [], "bare": []}
    with (
        strategies.start("multiprocessing_pool", 2) as map_,
        get_context().Pool(2) as pool,
    ):
        for _ in range(10):
            began = perf_counter()
            ours = list(map_(abs, numbers))
            took["ours"].append(perf_counter() - began)
            bare = pool.map(abs, numbers)
            took["bare"].append(perf_counter() - began - took["ours"][-1])
    assert ours == bare == numbers
    assert min(took["ours"]) < 5 * min(took["bare"])


def test_a_start_waits_for_the_last_and_notes_who_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second of two workers comes after a while, as one that imports much."""

    @contextmanager
    def late(workers: int) -> Iterator[Map]:
        with ThreadPoolExecutor(workers) as pool:
            pool.submit(time.sleep, 0.6)
            yield pool.map

    monkeypatch.setitem(strategies.STRATEGIES, "late", late)
    made = run(nap, [0.01] * 4, "late", 2)
    assert made.ready == 2 and made.startup > 0.5
    monkeypatch.setattr(measure, "PATIENCE", 0.2)
    assert run(nap, [0.01] * 4, "late", 2).ready == 1


@pytest.mark.parametrize("kind", [Mock, MagicMock])
def test_an_object_that_answers_to_every_name_has_a_name(kind: type) -> None:
    assert name_of(kind()) == kind.__name__
    assert name_of(partial(Traced(partial(abs)))) == "abs"


def test_a_frame_whose_file_is_gone_swallows_no_other() -> None:
    here = os.getcwd()
    error = ValueError("no")
    error.__cause__ = RuntimeError(
        "Traceback:\n"
        f'  File "{here}/gone.py", line 3, in first\n'
        f'  File "{here}/there.py", line 6, in second\n'
        "    return f(x)\n           ^^^^\n"
        f'  File "/elsewhere/other.py", line 1, in third\n    g()\n'
        f'  File "{here}/gone.py", line 9, in fourth\n'
        "ValueError: no\n"
    )
    assert worker_traceback(error).splitlines() == [
        "gone.py, line 3, in first",
        "there.py, line 6, in second: return f(x)",
        "gone.py, line 9, in fourth",
        "ValueError: no",
    ]
