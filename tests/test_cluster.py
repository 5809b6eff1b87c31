"""A cluster of Dask does what the built-in `map` does, and can't hang."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tasks import Locked, Picky, Trap, double, lock, picky, remainder, trap

from helpers import strategies
from helpers.trace import Span, Traced, watched_countdown
from helpers.travel import FunctionCannotTravel, Map, WorkerError, arrive
from helpers.workloads import countdown

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def map_() -> Iterator[Map]:
    with strategies.start("dask", 2) as map_:
        yield map_


def test_gives_what_the_builtin_map_gives(map_: Map) -> None:
    for inputs in ([], [3], [2, 1, 1, 0] * 5):
        assert map_(double, inputs) == list(map(double, inputs))
        assert map_(double, iter(inputs)) == list(map(double, inputs))


def test_equal_calls_are_calls_all_the_same(map_: Map) -> None:
    """Dask would make them once, for all of them."""
    assert len(set(map_(os.urandom, [8] * 5))) == 5


def test_cells_travel_by_value_and_so_does_this_kit(map_: Map) -> None:
    """The workers can't import it: another machine has none of it."""
    secret = 3
    assert map_(lambda x: x + secret, [1, 2]) == [4, 5]
    map_(hide_helpers, [0.1] * 6)
    with pytest.raises(ImportError):
        map_(lambda _: __import__("helpers.trace"), [0])
    assert map_(countdown, [10, 20]) == [countdown(10), countdown(20)]
    (stretches,) = map_(watched_countdown, [1000])
    assert type(stretches) is type(watched_countdown(1000)), "the very same class"
    ((_, noted),) = map_(Traced(partial(arrive, double)), [(0, 0.1)])
    assert Span(*noted).pid != os.getpid()
    with pytest.raises((Picky, WorkerError)):
        map_(picky, [3])


def hide_helpers(seconds: float) -> None:
    sys.modules["helpers"] = None  # type: ignore[assignment]
    time.sleep(seconds)


def test_an_error_is_the_functions_own(map_: Map) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        map_(remainder, [1, 0, 2])
    text = "".join(traceback.format_exception(caught.value))
    assert "return 100 % x" in text  # the line in the worker
    with pytest.raises((Picky, WorkerError), match=r"[34]: no"):
        map_(picky, [3, 4])


@pytest.mark.parametrize(
    ("function", "item", "words"),
    [
        (Locked().double, 1, "'double' can't travel to a worker of the cluster"),
        (partial(pow, Trap()), 1, "'pow' can't travel to a worker of the cluster"),
        (str, Locked(), "this input of 'str' can't travel"),
        (str, Trap(), "this input of 'str' can't travel"),
        (lock, 1, "this result of 'lock' can't travel"),
        (trap, 1, "this result of 'trap' can't travel"),
    ],
)
def test_what_cannot_travel_is_told_at_once(
    map_: Map, function: Callable[[Any], object], item: object, words: str
) -> None:
    with pytest.raises(TypeError, match=words) as caught:
        map_(function, [item])
    assert "\n" not in str(caught.value)
    assert map_(double, [1]) == [2], "the cluster goes on"


def test_a_module_that_workers_lack_takes_none_of_them_down(
    map_: Map, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bare Dask would lose all of its workers, and wait for ever."""
    (tmp_path / "late_module.py").write_text("def twice(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import late_module  # type: ignore[import-not-found]

    with pytest.raises(FunctionCannotTravel, match="No module named 'late_module'"):
        map_(late_module.twice, [1])
    assert map_(double, [1]) == [2]


def test_nothing_listens_but_on_loopback(map_: Map) -> None:
    me = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 2 and set(listening) == {"127.0.0.1"}
