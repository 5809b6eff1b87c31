"""Threads at once on one thing: rooms must bear it, most of all without a GIL.

They import what needs no wheel, so that they run on a Python for which few are built.
"""

import gc
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from conftest import until
from tasks import double

from helpers import claims
from helpers.claims import claim
from helpers.measure import run
from helpers.probe import Probe, item_of
from helpers.runs import Run, as_data, from_data
from helpers.trace import Traced, watched_countdown

THREADS = 8
Answer = TypeVar("Answer")


def at_once(work: Callable[[int], Answer]) -> list[Answer]:
    """Let threads do the same work at the same time; return what each returned."""
    gate = threading.Barrier(THREADS)

    def begin(number: int) -> Answer:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def all_of(run: Run) -> str:
    """Return all that is read off a run; as text, for unknown isn't unknown else."""
    names = [name for name in dir(Run) if isinstance(getattr(Run, name), property)]
    return repr([(name, getattr(run, name)) for name in names])


def test_many_read_one_run() -> None:
    made = run(watched_countdown, [20_000] * 200, "threads", 4)
    alone = all_of(made)
    assert "cores_busy" in alone and "lanes" in alone
    found = at_once(lambda _: {all_of(made) for _ in range(20)})
    assert found == [{alone}] * THREADS


def test_many_write_and_read_one_run_as_data() -> None:
    made = run(watched_countdown, [20_000] * 50, "threads", 4)
    copies = at_once(lambda _: [from_data(as_data(made)) for _ in range(20)])
    assert all(copy == made for each in copies for copy in each)


def test_one_recorder_notes_the_tasks_of_many() -> None:
    traced = Traced(double)
    times = range(2000)

    def work(number: int) -> tuple[int, list]:
        return threading.get_ident(), [traced((number, item)) for item in times]

    for number, (thread, answers) in enumerate(at_once(work)):
        assert [result for result, _ in answers] == [double(item) for item in times]
        assert {noted[0] for _, noted in answers} == {number}
        assert {noted[2] for _, noted in answers} == {thread}


def test_many_measure_at_once() -> None:
    collected = gc.isenabled()
    made = at_once(lambda number: run(double, range(number, 200), "threads", 4))
    for number, each in enumerate(made):
        assert each.results == [double(item) for item in range(number, 200)]
        assert [span.task for span in each.spans] == list(range(200 - number))
    assert gc.isenabled() == collected


def test_one_probe_notes_the_calls_of_many(tmp_path: Path) -> None:
    probe = Probe(double, meet=THREADS)
    probe.begin(tmp_path / "noted")
    times = 100

    def work(number: int) -> list[int]:
        if number == 0:  # opens the gate when all others have come
            until(lambda: len(probe.waiting()) == THREADS - 1)
            probe.release()
        mine = list(range(number * times, (number + 1) * times))
        assert [probe(item) for item in mine] == [double(item) for item in mine]
        assert len(probe.calls()) >= times  # while others write
        return mine

    items = [item_of(item) for mine in at_once(work) for item in mine]
    assert sorted(call.item for call in probe.calls()) == sorted(items)


def test_each_copy_of_a_probe_has_a_number_of_its_own() -> None:
    packed = pickle.dumps(Probe(double))
    found = at_once(lambda _: [pickle.loads(packed).trip for _ in range(5000)])
    trips = [trip for each in found for trip in each]
    assert len(set(trips)) == len(trips)


@pytest.mark.skipif(
    sys.version_info < (3, 12),
    reason="ast.parse may fail there in several threads (CPython issue 106905)",
)
def test_many_claim_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(claims, "say", lambda *lines, stressed=0: said.append(lines))

    def work(number: int) -> None:
        for turn in range(20):
            mine = 1000 * number + turn
            claim(f"{mine} holds", mine >= 0)
            claim(f"{mine} fails", mine < 0)

    at_once(work)
    assert len(said) == 2 * 20 * THREADS
    failed = {lines[0]: lines[1] for lines in said if len(lines) > 1}
    assert len(failed) == 20 * THREADS
    for sentence, measured in failed.items():
        number = sentence.split()[1]
        assert measured == f"mine < 0 does not hold: mine = {number}"
