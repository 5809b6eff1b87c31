"""asyncio as a way to run a loop: as the others are, and in one thread."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from time import perf_counter, sleep, thread_time
from typing import Any

import psutil
import pytest
from conftest import until
from hypothesis import given, settings
from hypothesis import strategies as st
from lessons import FOLDER, read
from tasks import Picky, double, double_async, hold, picky_async, remainder_async

from helpers import server, strategies
from helpers.jobs import Job, runs_of
from helpers.measure import race, run, sweep
from helpers.runs import longest_gap
from helpers.travel import FunctionCannotTravel
from helpers.workloads import countdown, fetch_async, nap, nap_async


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.enumerate()
    yield
    left = set(threading.enumerate()) - set(before)
    assert not [thread for thread in left if "tqdm" not in thread.name]


@settings(max_examples=25, deadline=None)
@given(inputs=st.lists(st.integers(), max_size=30), workers=st.integers(1, 40))
def test_gives_what_the_builtin_map_gives(inputs: list[int], workers: int) -> None:
    with strategies.start("asyncio", workers) as map_:
        assert list(map_(double_async, inputs)) == list(map(double, inputs))
        assert list(map_(double_async, iter(inputs))) == list(map(double, inputs))


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_no_more_wait_at_a_time_than_are_allowed(workers: int) -> None:
    now = most = 0

    async def wait(x: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002 * (x % 3))
        now -= 1

    made = run(wait, range(20), "asyncio", workers)
    assert most == workers
    assert len(made.lanes) == workers
    assert len(made.by_worker) == 1


def test_a_thousand_wait_together() -> None:
    made = run(nap_async, [0.3] * 1000, "asyncio", 1000)
    assert len(made.lanes) == 1000
    assert made.overlap > 0.5
    assert len(made.by_worker) == 1


async def uneven(seconds: float) -> int:
    """Compute for so many seconds of CPU time, between two waits."""
    await asyncio.sleep(0.02)
    until = thread_time() + seconds
    while thread_time() < until:
        countdown(1000)
    await asyncio.sleep(0.02)
    return 0


def test_each_has_the_cpu_time_of_its_own_steps() -> None:
    spans = run(uneven, [0.1, 0.0, 0.0], "asyncio", 3).spans
    assert spans[0].cpu >= 0.1
    assert max(span.cpu for span in spans[1:]) < 0.05


def test_coroutines_that_compute_run_in_turn() -> None:
    async def count(n: int) -> int:
        return countdown(n)

    made = run(count, [200_000] * 20, "asyncio", 20)
    assert made.cores_busy < 1.1
    assert made.overlap < 0.1


def test_an_error_is_the_functions_own_and_ends_the_others() -> None:
    ended = []

    async def fail(x: int) -> None:
        try:
            await asyncio.sleep(10 * x)
            raise Picky(x, "no")
        finally:
            ended.append(x)

    began = perf_counter()
    with pytest.raises(Picky, match="0: no"):
        run(fail, [3, 2, 0, 1], "asyncio", 4)
    assert perf_counter() - began < 5
    assert sorted(ended) == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        run(remainder_async, [1, 0, 2], "asyncio", 2)
    with pytest.raises(Picky):
        run(picky_async, [1], "asyncio", 2)


def test_an_error_keeps_its_cause() -> None:
    async def fail(x: int) -> None:
        try:
            raise KeyError(x)
        except KeyError as error:
            raise ValueError("bad row") from error

    with pytest.raises(ValueError, match="bad row") as caught:
        run(fail, [1], "asyncio", 1)
    assert isinstance(caught.value.__cause__, KeyError)


def test_after_an_error_none_begins_though_none_can_be_cancelled() -> None:
    begun = []

    async def stubborn(x: int) -> None:
        begun.append(x)
        if x == 2:
            raise ValueError
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)

    with pytest.raises(ValueError):
        run(stubborn, range(60), "asyncio", 3)
    assert begun == [0, 1, 2]


def test_an_interrupt_before_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    start, begun = threading.Thread.start, []

    async def wait(x: int) -> None:
        begun.append(x)
        await asyncio.sleep(20)

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as caught:
        patch.setattr(threading.Thread, "start", interrupted)
        run(wait, [1, 2, 3], "asyncio", 2)
    assert not getattr(caught.value, "__notes__", [])
    assert 3 not in begun


def test_a_fetch_needs_no_other_thread_and_leaves_no_socket() -> None:
    address = server.start()
    port = int(address.rstrip("/").rpartition(":")[2])

    def connected() -> set[Any]:
        found = psutil.Process().net_connections("tcp")
        return {each for each in found if each.raddr and each.raddr.port == port}

    earlier = connected()

    async def give_up(seconds: float) -> None:
        threads.update(each.name for each in threading.enumerate())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await fetch_async(f"{address}?delay=20")

    # The shortest only: the loop ends while they still connect.
    for limits in ([0, 0.001, 0.002, 0.01, 0.1], [0.0002], [0.0005], [0.001]):
        before, threads = {each.name for each in threading.enumerate()}, set[str]()
        run(give_up, limits * (20 // len(limits)), "asyncio", 20)
        assert until(lambda: connected() <= earlier), connected() - earlier
        assert len(threads - before) == 1
    server.stop()


def test_what_only_returns_coroutines_is_no_function_to_measure() -> None:
    with pytest.raises(ValueError, match="returns coroutines") as caught:
        run(lambda x: double_async(x), [1, 2])
    assert "\n" not in str(caught.value)


def test_what_ends_a_program_comes_out_too() -> None:
    async def leave(x: int) -> None:
        raise SystemExit(x)

    with pytest.raises(SystemExit):
        run(leave, [3], "asyncio", 2)


def test_a_task_that_cancels_itself() -> None:
    async def cancel(x: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(cancel, [1, 2], "asyncio", 2)


def test_it_works_where_a_loop_is_running() -> None:
    async def main() -> list[int]:
        return run(double_async, [1, 2, 3], "asyncio", 2).results

    assert asyncio.run(main()) == [2, 4, 6]


def test_its_tasks_may_use_the_loop() -> None:
    async def several(x: int) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double_async(x)) for _ in range(3)]
        async with asyncio.timeout(5):
            first = await asyncio.to_thread(double, x)
        return first + sum(task.result() for task in tasks)

    assert run(several, [1, 2], "asyncio", 2).results == [8, 16]


def test_what_awaits_is_taken_for_what_it_is() -> None:
    class Doubling:
        async def __call__(self, x: int) -> int:
            return 2 * x

    async def times(factor: int, x: int) -> int:
        return factor * x

    assert run(Doubling(), [1, 2], "asyncio", 2).results == [2, 4]
    assert run(partial(times, 2), [1, 2], "asyncio", 2).results == [2, 4]


def test_a_plain_function_gets_one_line() -> None:
    with pytest.raises(ValueError, match="'double' is no function of `async") as caught:
        run(double, [1], "asyncio", 2)
    assert '"threads"' in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("way", ["serial", "threads", "processes", map])
def test_a_coroutine_function_elsewhere_gets_one_line(way: object) -> None:
    with pytest.raises(ValueError, match="only the strategy") as caught:
        run(double_async, [1], way, 1)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="only the strategy"):
        race(double_async, [1], {"asyncio": 1, way: 1})


def test_any_limit_on_any_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert run(double_async, [1], "asyncio", 1000).results == [2]


def test_it_is_measured_like_the_others() -> None:
    swept = sweep(nap_async, [0.01] * 4, "asyncio", [1, 4], rounds=2)
    assert swept[1].wall > 2 * swept[4].wall
    assert len(swept[4].rounds) == 2
    raced = race(nap_async, [0.01] * 4, {"asyncio": 2}, rounds=2, budget=0)
    assert raced["asyncio"].results == [0.01] * 4


def test_a_job_takes_the_twin_of_its_workload() -> None:
    ways = (("threads", 4), ("asyncio", 4))
    threads, one = runs_of(Job("sleep", 4, 0.1, ways, rounds=1, memory=True))
    assert (threads.function, one.function) == ("nap", "nap_async")
    assert len(threads.by_worker) == 4 and len(one.by_worker) == 1
    assert one.memory is not None
    with pytest.raises(ValueError, match="no function of `async def`"):
        list(runs_of(Job("count", 1, 0.01, (("asyncio", 1),))))


def test_memory_is_looked_at_where_it_is_asked_for() -> None:
    made = run(hold, [2, 50], memory=True)
    assert made.memory is not None and 40e6 < made.memory < 100e6
    assert made.results == [2_000_000, 50_000_000]
    assert made.spans[0].pid != os.getpid()
    assert run(hold, [1]).memory is None
    assert run(double, [1, 2], memory=True).memory is not None  # however short
    with pytest.raises(FunctionCannotTravel, match="<lambda>") as caught:
        run(lambda x: x, [1], memory=True)
    assert "_with_memory" not in str(caught.value)
    for way in (map, "processes", "joblib"):
        with pytest.raises(ValueError, match="in one process"):
            run(double, [1], way, 2, memory=True)
    threads, one = (
        run(function, [0.2] * 500, way, 500, memory=True)
        for function, way in ((nap, "threads"), (nap_async, "asyncio"))
    )
    assert threads.memory is not None and one.memory is not None
    assert threads.memory > 3 * one.memory


def in_the_lesson(*cells: str) -> dict[str, Any]:
    """Return what cells of lesson 08 define."""
    found: dict[str, Any] = {"asyncio": asyncio, "perf_counter": perf_counter}
    for cell in read(FOLDER / "08_waiting_well.ipynb").cells:
        if cell.id in cells:
            exec(cell.source, found)
    return found


def test_the_heartbeat_shows_what_blocks_the_loop() -> None:
    """Twenty times of twenty, with the lesson's own code.

    Where other programs made all of it stand still, it is done once more.
    """
    ticks_beside = in_the_lesson("beat-define", "beat-beside")["ticks_beside"]

    took: list[float] = []

    async def block() -> None:
        began = perf_counter()
        sleep(0.3)
        took.append(perf_counter() - began)

    async def told() -> bool:
        frozen = await ticks_beside(block())
        mended = await ticks_beside(asyncio.to_thread(sleep, 0.3))
        gaps = sorted(later - tick for tick, later in pairwise(frozen))
        return (
            0.8 < gaps[-1] / took[-1] < 1.25
            and max(gaps[-2], longest_gap(mended)) < took[-1] / 3
        )

    async def main() -> None:
        for _ in range(20):
            assert await told() or await told()

    asyncio.run(main())
