"""A cluster's runs; its workers die, its scheduler goes; and nothing of it stays."""

import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import first_line, interrupt_when, until, workers_of
from jupyter_client.manager import start_new_kernel
from jupyter_client.provisioning import LocalProvisioner
from tasks import die, double, work

from helpers import cluster, figures, strategies
from helpers.measure import run
from helpers.runs import Run
from helpers.workers import scratch_folder
from helpers.workloads import nap

distributed = pytest.importorskip("distributed")


# Runs.


def test_its_spans_are_on_this_machines_clock() -> None:
    made = run(nap, [0.05] * 6, "dask", 2)
    assert made.results == [0.05] * 6
    assert made.ready == len(made.by_worker) == 2
    assert os.getpid() not in {span.pid for span in made.spans}
    assert made.one_clock and made.overlap > 0.3 and made.startup > 0
    assert made.began <= min(span.start for span in made.spans)
    assert max(span.end for span in made.spans) <= made.began + made.wall


def test_workers_with_other_clocks_are_marked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Here it is this process that has another clock than they."""
    monkeypatch.setattr(cluster, "perf_counter", lambda: time.perf_counter() - 1e6)
    made = run(nap, [0.05] * 6, "dask", 2)
    made.save(tmp_path / "run.json")
    for each in (made, Run.load(tmp_path / "run.json")):
        assert not each.one_clock and math.isnan(each.overlap)
        assert 0 <= each.startup < 30
        for spans in each.by_worker.values():
            assert spans[0].start == each.began
        for draw in (figures.timeline.draw, figures.stripes.draw):
            assert "each row by its own clock" in draw(each)[1]


# Workers die.


def killing_one(seconds: float) -> threading.Timer:
    """Kill a worker after a while, for real."""
    return threading.Timer(seconds, lambda: workers_of()[-1].kill())


@pytest.mark.parametrize("number", range(3))
def test_a_killed_worker_loses_nothing(number: int) -> None:
    undisturbed = 0.05 * 40 / 2
    with strategies.start("dask", 2) as map_:
        map_(nap, [0.05] * 4)
        timer = killing_one(0.3 * (number + 1))
        timer.start()
        began = time.perf_counter()
        done = map_(lambda x: (nap(0.05), x), range(40))
        assert time.perf_counter() - began < undisturbed + 10
    assert done == [(0.05, x) for x in range(40)]
    assert until(lambda: not workers_of())


def test_a_task_that_kills_every_worker_is_given_up() -> None:
    """Joblib's own backend would wait for ever."""
    began = time.perf_counter()
    with pytest.raises(BrokenExecutor, match="'die' was given up: 4 workers") as caught:
        run(die, [1, 2], "dask", 2)
    assert time.perf_counter() - began < 20
    assert "\n" not in str(caught.value)
    assert until(lambda: not workers_of())


# How it ends.


@pytest.mark.parametrize("later", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_an_error_while_workers_are_replaced_leaves_none(later: float) -> None:
    with pytest.raises(ZeroDivisionError), strategies.start("dask", 2):
        for worker in workers_of():
            worker.kill()
        time.sleep(later)
        raise ZeroDivisionError
    assert until(lambda: not workers_of(), 1), workers_of()


def test_an_interrupt_ends_it_within_a_second(tmp_path: Path) -> None:
    signs = [str(tmp_path / name) for name in ("one", "two")]
    sent, before = list[float](), listened_at(psutil.Process())
    interrupt_when(signs, sent)
    with pytest.raises(KeyboardInterrupt):
        run(work, signs, "dask", 2)
    assert time.perf_counter() - sent[0] < 1
    assert until(lambda: not workers_of(), 1), workers_of()
    assert listened_at(psutil.Process()) == before
    assert not list(scratch_folder().glob("*/dask-*"))


IN_A_KERNEL = """
import helpers.measure
from helpers.measure import run
from helpers.workers import scratch_folder
from tasks import stay_on
(scratch_folder() / "array").touch()
run(stay_on, {signs!r}, "dask", 2)
"""


@contextmanager
def working(signs: list[Path]) -> Iterator[tuple[Any, Any, psutil.Process]]:
    """Yield a kernel in the middle of a run: its manager, its client, its process."""
    manager, client = start_new_kernel(cwd=str(Path(__file__).parent))
    assert isinstance(manager.provisioner, LocalProvisioner)
    kernel = psutil.Process(manager.provisioner.pid)
    client.execute(IN_A_KERNEL.format(signs=[*map(str, signs)]))
    try:
        assert until(lambda: all(sign.exists() for sign in signs), 30)
        yield manager, client, kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
def test_stop_in_a_notebook_shows_no_error_of_a_worker(tmp_path: Path) -> None:
    """Stop is sent to the kernel's workers too."""
    with working([tmp_path / "one", tmp_path / "two"]) as (manager, client, kernel):
        began = time.perf_counter()
        manager.interrupt_kernel()
        said = []
        while True:
            message = client.get_iopub_msg(timeout=30)
            said.append((message["msg_type"], message["content"].get("ename", "")))
            if message["content"].get("execution_state") == "idle":
                break
        assert time.perf_counter() - began < cluster.PATIENCE, (
            "it waited for somebody in vain"
        )
        assert ("error", "KeyboardInterrupt") in said
        assert "stream" not in [kind for kind, _ in said]
        kept = ("resource_tracker", "workers.py")
        assert until(
            lambda: all(
                any(name in " ".join(child.cmdline()) for name in kept)
                for child in kernel.children(recursive=True)
            )
        )


def listened_at(process: psutil.Process) -> list[int]:
    """Return the ports on which a process waits for others."""
    found = process.net_connections(kind="tcp")
    return [each.laddr.port for each in found if each.status == psutil.CONN_LISTEN]


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["kernel", "its group"])
def test_nothing_stays_of_a_kernel_that_is_killed(
    kill: Callable[[int, int], None], tmp_path: Path
) -> None:
    with working([tmp_path / "one", tmp_path / "two"]) as (_, _, kernel):
        family = kernel.children(recursive=True)
        ports = [port for each in (kernel, *family) for port in listened_at(each)]
        assert ports, "the scheduler and its workers listen"
        commands = [each.cmdline() for each in family]
        (folder,) = (line[-2] for line in commands if "many_cores_" in line[-2])
        kill(kernel.pid, signal.SIGKILL)
        _, left = psutil.wait_procs(family, 10)
        assert not left
        assert until(lambda: not Path(folder).exists())
        assert not [port for port in ports if answers(port)]


# A cluster of the reader's own.


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a scheduler with one worker that nobody replaces."""
    command = [sys.executable, "-c", SCHEDULER]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    here = os.environ | {
        "PYTHONPATH": str(Path(__file__).parent),
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path),
    }
    with subprocess.Popen(command, env=here, **pipes) as process:
        yield first_line(process).strip()
        process.kill()


SCHEDULER = """
from distributed import LocalCluster
with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, host="127.0.0.1",
    dashboard_address="127.0.0.1:0", protocol="tcp://", silence_logs=50) as cluster:
    print(cluster.scheduler_address, flush=True)
    input()
"""


def test_a_cluster_of_your_own_by_its_address(address: str) -> None:
    made = run(double, [1, 2, 3], f"dask {address}", 2)
    assert made.results == [2, 4, 6] and made.ready == 2
    assert len({span.pid for span in made.spans}) == 1, "two threads of one process"
    with pytest.raises(ValueError, match="has 2 workers, not 1: say workers=2"):
        run(double, [1, 2, 3], f"dask {address}", 1)


def test_a_scheduler_that_goes_takes_all_with_it(address: str, tmp_path: Path) -> None:
    signs = [tmp_path / "one", tmp_path / "two"]
    pid = next(
        p.pid for p in psutil.Process().children() if SCHEDULER in " ".join(p.cmdline())
    )

    def kill() -> None:
        until(lambda: all(sign.exists() for sign in signs))
        psutil.Process(pid).kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(
        BrokenExecutor, match="scheduler of the cluster has gone"
    ) as got:
        run(work, map(str, signs), f"dask {address}", 2)
    assert "\n" not in str(got.value)


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:9", "nosuch://127.0.0.1:9"):
        words = f"no scheduler answers at {re.escape(address)}"
        with pytest.raises(ValueError, match=words) as caught:
            run(double, [1], f"dask {address}", 2)
        assert "\n" not in str(caught.value)


def test_workers_that_have_all_gone_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Here nobody replaces them."""
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    sign = tmp_path / "sign"
    with cluster.client_of(1) as client:
        ending = threading.Thread(target=end_them_when, args=(sign, client.cluster))
        ending.start()
        began = time.perf_counter()
        with pytest.raises(BrokenExecutor, match="lost all of its workers"):
            cluster.ClusterMap(client)(work, [str(sign)])
        assert time.perf_counter() - began < 5


def end_them_when(sign: Path, ended: Any) -> None:
    until(sign.exists)
    cluster._end_workers(ended)


def test_without_distributed_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match="pip install distributed") as caught:
        run(double, [1], "dask", 2)
    assert "\n" not in str(caught.value)
