"""Every strategy does what the built-in `map` does, and says what it can't do."""

import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import Any

import pytest
from conftest import IN_INTERPRETERS, IN_PROCESSES, IN_THREADS, PARALLEL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy import zeros
from tasks import Locked, Picky, Trap, double, lock, picky, remainder, trap

from helpers import machine, strategies
from helpers.machine import pythons
from helpers.measure import PythonFailed, race, run
from helpers.runs import Run
from helpers.trace import watched_countdown
from helpers.travel import FunctionCannotTravel, Map, WorkerError
from helpers.workloads import Multiply, blas_threads, nap

ALL = ["serial", *PARALLEL]
IN_POOLS = [name for name in IN_PROCESSES if name != "joblib"]


@pytest.fixture(params=ALL)
def started(request: pytest.FixtureRequest) -> Iterator[Map]:
    with strategies.start(request.param, workers_for(request.param)) as map_:
        yield map_


def workers_for(name: str) -> int:
    return 1 if name == "serial" else 2


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(inputs=st.lists(st.integers()))
def test_gives_what_the_builtin_map_gives(started: Map, inputs: list[int]) -> None:
    assert list(started(double, inputs)) == list(map(double, inputs))
    assert list(started(double, iter(inputs))) == list(map(double, inputs))
    assert list(started(str, inputs)) == list(map(str, inputs))


@settings(max_examples=3, deadline=None)
@given(
    name=st.sampled_from(
        [
            *("threads", "processes", "multiprocessing_pool"),
            *("joblib", "joblib threading", *IN_INTERPRETERS),
        ]
    ),
    workers=st.integers(1, 4),
    inputs=st.lists(st.text(), max_size=9),
)
def test_any_number_of_workers(name: str, workers: int, inputs: list[str]) -> None:
    with strategies.start(name, workers) as map_:
        assert list(map_(len, inputs)) == list(map(len, inputs))


@pytest.mark.parametrize("name", ALL)
def test_an_error_is_the_functions_own(name: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run(remainder, [1, 0, 2], name, workers_for(name))
    text = "".join(traceback.format_exception(caught.value))
    assert "return 100 % x" in text  # the line in the worker


@pytest.mark.parametrize("name", ALL)
def test_an_error_that_cannot_travel(name: str) -> None:
    expected: Any = Picky
    if name not in ["serial", *IN_THREADS]:
        expected = WorkerError, Picky  # once Dask is imported, such can travel
    with pytest.raises(expected, match=r"[34]: no") as caught:
        run(picky, [3, 4], name, workers_for(name))
    text = "".join(traceback.format_exception(caught.value))
    assert 'raise Picky(x, "no")' in text


@pytest.mark.parametrize("workers", [0, -3, 2.5, "two", True, None])
@pytest.mark.parametrize("name", ["serial", "threads", "processes", "joblib"])
def test_refuses_a_number_of_workers(name: str, workers: object) -> None:
    with pytest.raises(ValueError, match="from 1 up") as caught:
        run(double, [1], name, workers)  # type: ignore[arg-type]
    words = str(caught.value)
    assert "\n" not in words
    assert repr(workers) in words
    assert f"{machine.cores().allowed} for you" in words


def test_windows_has_a_highest_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    machine.check_workers(61)
    with pytest.raises(ValueError, match="from 1 to 61, not 62"):
        machine.check_workers(62, processes=True)
    with pytest.raises(ValueError, match="from 1 to 61, not 62"):
        run(double, [1], "processes", 62)
    assert run(double, [1], "threads", 62).results == [2]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "thread",
        "threads spawn",
        "serial 2",
        "joblib loky 0",
        "joblib loky many",
        "joblib loky 10 10",
        "processes slow",
        "joblib processes",
        "processes spawn spawn",
        "processes 10 spawn",
        "processes 0",
        "multiprocessing_pool loky",
        "joblib nosuch",
        "dask 10.0.0.5",
        "dask tcp://10.0.0.5:8786 2",
    ],
)
def test_refuses_an_unknown_strategy_or_option(name: str) -> None:
    with pytest.raises(ValueError, match=repr(name)) as caught:
        run(double, [1], name, 2)
    assert "\n" not in str(caught.value)


def closure() -> Callable[[int], int]:
    secret = 3
    return lambda x: x + secret


def opened(path: str) -> Callable[..., None]:
    with open(path) as file:
        return partial(print, file=file)


UNTRAVELLED: dict[str, Callable[..., Any]] = {
    "lambda": lambda x: 2 * x,
    "closure": closure(),
    "method": Locked().double,
    "partial": partial(double, Locked()),  # type: ignore[arg-type]
    "open file": opened(__file__),
    "trap": partial(double, Trap()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", UNTRAVELLED)
@pytest.mark.parametrize("name", [*IN_POOLS, *IN_INTERPRETERS])
def test_a_function_that_cannot_travel(name: str, case: str) -> None:
    began = time.perf_counter()
    with pytest.raises(FunctionCannotTravel, match="can't travel") as caught:
        run(UNTRAVELLED[case], [1, 2], name, 2)
    assert time.perf_counter() - began < 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ["lambda", "closure"])
def test_joblib_sends_more(case: str) -> None:
    function = UNTRAVELLED[case]
    assert run(function, [1, 2], "joblib", 2).results == [function(1), function(2)]


@pytest.mark.parametrize("case", ["method", "open file"])
def test_joblib_cannot_send_all(case: str) -> None:
    with pytest.raises(FunctionCannotTravel, match="can't travel") as caught:
        run(UNTRAVELLED[case], [1, 2], "joblib", 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", IN_THREADS)
def test_threads_share_everything(name: str) -> None:
    assert run(Locked().double, [1, 2], name, 2).results == [2, 4]


@pytest.mark.parametrize("item", [Locked(), Trap()], ids=["locked", "trap"])
@pytest.mark.parametrize("name", [*IN_PROCESSES, *IN_INTERPRETERS])
def test_an_input_that_cannot_travel(name: str, item: Locked | Trap) -> None:
    refused_at_once(str, [1, item], name, "input")


@pytest.mark.parametrize("function", [lock, trap])
@pytest.mark.parametrize("name", [*IN_PROCESSES, *IN_INTERPRETERS])
def test_a_result_that_cannot_travel(
    name: str, function: Callable[[int], object]
) -> None:
    refused_at_once(function, [1, 2], name, "result")


def refused_at_once(
    function: Callable[[Any], object], inputs: list[Any], name: str, role: str
) -> None:
    began = time.perf_counter()
    with pytest.raises((TypeError, BrokenExecutor)) as caught:
        run(function, inputs, name, 2)
    assert time.perf_counter() - began < 5
    words = str(caught.value)
    assert "\n" not in words
    assert "worker ended" not in "".join(getattr(caught.value, "__notes__", []))
    # joblib sends things in its own way, and has its own words.
    assert re.search("pickle|serialize" if name == "joblib" else role, words)


@pytest.mark.parametrize("name", ["processes", "multiprocessing_pool"])
def test_tasks_of_a_chunk_go_to_one_worker_together(name: str) -> None:
    made = run(double, range(95), f"{name} 10", 2)
    assert made.results == [2 * x for x in range(95)]
    assert made.chunksize == 10
    found = [[span.task for span in batch] for batch in made.batches]
    assert sorted(found) == [[*range(95)][at : at + 10] for at in range(0, 95, 10)]
    for batch in made.batches:
        assert len({span.worker for span in batch}) == 1


def test_every_start_method_is_tried() -> None:
    known = ["spawn"] if sys.platform == "win32" else ["fork", "forkserver", "spawn"]
    pools = ["multiprocessing_pool", "processes"]
    assert sorted(IN_POOLS) == [
        f"{pool} {method}" for pool in pools for method in known
    ]


def test_the_chunks_of_a_plain_pool_are_known() -> None:
    """They are those of `Pool.map`, four for each worker, whatever the clock says."""
    made = run(double, range(40), "multiprocessing_pool", 2)
    assert made.chunksize == 5
    assert len(made.batches) == 8


# Interpreters.

here = pytest.mark.skipif(not IN_INTERPRETERS, reason="they came with Python 3.14")


@pytest.mark.skipif(bool(IN_INTERPRETERS), reason="this Python has them")
def test_an_older_python_says_since_when_there_are_interpreters() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    words = f"'interpreters' came with Python 3.14; this is {version}"
    for ways in ({"interpreters": 2}, {"serial": 1, "interpreters": 2}):
        with pytest.raises(ValueError, match=rf"^{re.escape(words)}$"):
            race(double, [1], ways)
    with pytest.raises(PythonFailed, match=re.escape(words)) as caught:
        run(double, [1], "interpreters", 2, python=sys.executable)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module", params=["3.14", "3.15"])
def newer(request: pytest.FixtureRequest) -> str:
    """Return another Python that has interpreters."""
    if request.param not in [python.name for python in pythons()]:
        pytest.skip(f"there is no Python {request.param} here")
    return request.param


def test_interpreters_of_another_python_count_at_once(newer: str) -> None:
    made = run(watched_countdown, [10**6] * 2, "interpreters", 2, python=newer)
    assert made.made["python"].startswith(newer)
    in_one_process(made)


@here
def test_interpreters_count_at_once_in_one_process() -> None:
    in_one_process(run(watched_countdown, [10**6] * 2, "interpreters", 2))
    made = run(nap, [0.05] * 2, "interpreters", 2, memory=True)
    assert made.memory, "they need some, each"


def in_one_process(made: Run) -> None:
    assert made.ready == len(made.by_worker) == 2
    assert len({span.pid for span in made.spans}) == 1
    assert made.chunksize == 1 and len(made.batches) == 2
    assert made.startup > 0
    assert made.began <= min(span.start for span in made.spans), "one clock"
    assert max(span.end for span in made.spans) <= made.began + made.wall
    if made.cores_free > 1.8:
        assert made.overlap > 0.5 and made.cores_busy > 1.2


@here
@pytest.mark.parametrize("name", [name for name in IN_POOLS if name.endswith("fork")])
def test_nothing_forks_while_interpreters_are_there(name: str) -> None:
    """What is forked would crash, or hang."""
    with strategies.start("interpreters", 1) as map_:
        assert list(map_(double, [1])) == [2]
        with pytest.raises(ValueError, match="no process can be forked") as caught:
            run(double, [1], name, 2)
        assert "\n" not in str(caught.value)
    runs = race(double, [1, 2], {"interpreters": 2, name: 2}, 1, 0)
    assert [made.results for made in runs.values()] == [[2, 4], [2, 4]]


@pytest.mark.parametrize(
    ("function", "expected", "words"),
    [
        (remainder, ZeroDivisionError, "ZeroDivisionError: .*by zero"),
        (picky, WorkerError, "WorkerError: Picky: 0: no"),
        (lock, TypeError, "this result of 'lock' can't travel between interpreters"),
    ],
)
def test_what_fails_in_interpreters_of_another_python_is_a_line(
    function: Callable[[int], object], expected: type, words: str, newer: str
) -> None:
    with pytest.raises(PythonFailed, match=words) as caught:
        run(function, [0], "interpreters", 2, python=newer)
    assert "\n" not in str(caught.value)


@here
@pytest.mark.parametrize(
    ("function", "item"), [(Multiply(10), 1), (blas_threads, 1), (len, zeros(3))]
)
def test_numpy_does_not_load_in_a_second_interpreter(
    function: Callable[[Any], Any], item: object
) -> None:
    """Whether the function needs it from the start, or when it runs, or its input."""
    with pytest.raises(
        TypeError, match=r"interpreters?: it needs numpy\S+, "
    ) as caught:
        run(function, [item, item], "interpreters", 2)
    assert 'take "processes"' in str(caught.value)
    assert "\n" not in str(caught.value)
