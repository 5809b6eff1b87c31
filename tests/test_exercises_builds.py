"""The exercises of lesson 09 name what is wrong with each wrong answer."""

import functools
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest
from lessons import answer as lesson_answer
from tasks import count_with_the_lock
from test_exercises import OPEN, assert_named, wrong
from test_measure import assert_with_two_cores

from helpers.exercises import attempt as attempts
from helpers.exercises import cache_safely, choose_a_way, lesson_09
from helpers.exercises.lesson_09 import COUNTS, WAYS, Work, build, why_not
from helpers.machine import pythons
from helpers.measure import calibrate, run
from helpers.pythons import Python, PythonFailed
from helpers.runs import Run
from helpers.workloads import countdown

Cache = Callable[[str], Any]

pytestmark = pytest.mark.usefixtures("nothing_stays")

BOTH = "Two asked for the same at once, and both computed it"
AGAIN = "A value that had been computed was computed again"
ALL_WAIT = "Nobody could compute another value meanwhile"
NOTHING_CAME = "Somebody asked, waited, and nothing came"
FOR_EVER = "After an error, who asks for that key waits for ever"
KEPT = "An error was kept like a value"
NOT_TOLD = "somebody who had asked didn't get it"
NO_RIGHT_VALUE = "After an error, who asked later got no right value"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "SOON", 0.6)


# A cache that threads share: right answers.


def guarded(compute: Cache) -> Cache:
    """A lock for each key, and one with which they are made."""
    values: dict[str, Any] = {}
    locks: dict[str, Any] = {}
    guard = Lock()

    def look_up(key: str) -> Any:
        with guard:
            if key not in locks:
                locks[key] = Lock()
            lock = locks[key]
        with lock:
            if key not in values:
                values[key] = compute(key)
            return values[key]

    return look_up


def twice_looked(compute: Cache) -> Cache:
    """Who finds a value needs no lock."""
    values: dict[str, Any] = {}
    locks: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        if key not in values:
            with locks.setdefault(key, threading.RLock()):
                if key not in values:
                    values[key] = compute(key)
        return values[key]

    return look_up


def striped(compute: Cache) -> Cache:
    values: dict[str, Any] = {}
    locks = [Lock() for _ in range(16)]

    def look_up(key: str) -> Any:
        with locks[hash(key) % 16]:
            if key not in values:
                values[key] = compute(key)
            return values[key]

    return look_up


def promised(compute: Cache, keeps: bool = False, tells: bool = True) -> Cache:
    """A future for each key. Wrong, if it keeps errors, or tells nobody of them."""
    futures: dict[str, Future] = {}

    def look_up(key: str) -> Any:
        mine: Future = Future()
        future = futures.setdefault(key, mine)
        if future is mine:
            try:
                mine.set_result(compute(key))
            except Exception as error:
                if not keeps:
                    del futures[key]
                if not tells:
                    raise
                mine.set_exception(error)
        return future.result()

    return look_up


class Pending:
    """Who wants a value that is being computed waits until something has changed."""

    def __init__(self, compute: Cache) -> None:
        self.compute = compute
        self.values: dict[str, Any] = {}
        self.pending: set[str] = set()
        self.changed = threading.Condition()

    def __call__(self, key: str) -> Any:
        with self.changed:
            self.changed.wait_for(lambda: key not in self.pending)
            if key in self.values:
                return self.values[key]
            self.pending.add(key)
        try:
            value = self.compute(key)
            with self.changed:
                self.values[key] = value
            return value
        finally:
            with self.changed:
                self.pending.remove(key)
                self.changed.notify_all()


def asks_again_and_again(compute: Cache) -> Cache:
    values: dict[str, Any] = {}
    pending: dict[str, object] = {}

    def look_up(key: str) -> Any:
        me = object()
        while pending.setdefault(key, me) is not me:
            time.sleep(0.001)
        try:
            if key not in values:
                values[key] = compute(key)
            return values[key]
        finally:
            del pending[key]

    return look_up


# Wrong ones.


def one_lock(compute: Cache, lock_type: Callable = Lock) -> Cache:
    values: dict[str, Any] = {}
    lock = lock_type()

    def look_up(key: str) -> Any:
        with lock:
            if key not in values:
                values[key] = compute(key)
            return values[key]

    return look_up


def locked_too_late(compute: Cache) -> Cache:
    values: dict[str, Any] = {}
    locks: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        if key not in values:
            with locks.setdefault(key, Lock()):
                values[key] = compute(key)
        return values[key]

    return look_up


def locked_step_by_step(compute: Cache) -> Cache:
    values: dict[str, Any] = {}
    lock = Lock()

    def look_up(key: str) -> Any:
        with lock:
            found = key in values
        if not found:
            value = compute(key)
            with lock:
                values[key] = value
        return values[key]

    return look_up


def locks_in_a_race(compute: Cache) -> Cache:
    """Two may make a lock for the same key: the race is now between the locks."""
    values: dict[str, Any] = {}
    locks: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        if key not in locks:
            locks[key] = Lock()
        with locks[key]:
            if key not in values:
                values[key] = compute(key)
            return values[key]

    return look_up


def own_locks(compute: Cache) -> Cache:
    values: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        with Lock():
            if key not in values:
                values[key] = compute(key)
            return values[key]

    return look_up


def in_a_pool(compute: Cache) -> Cache:
    """It is handed in before anybody looks whether it has been."""
    futures: dict[str, Future] = {}
    pool = ThreadPoolExecutor(4)

    def look_up(key: str) -> Any:
        return futures.setdefault(key, pool.submit(compute, key)).result()

    return look_up


def no_cache(compute: Cache) -> Cache:
    locks: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        with locks.setdefault(key, Lock()):
            return compute(key)

    return look_up


def without_finally(compute: Cache) -> Cache:
    values: dict[str, Any] = {}
    locks: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        lock = locks.setdefault(key, Lock())
        lock.acquire()
        if key not in values:
            values[key] = compute(key)
        lock.release()
        return values[key]

    return look_up


def taken_twice(compute: Cache) -> Cache:
    lock, values = Lock(), {}

    def store(key: str) -> None:
        with lock:
            values[key] = compute(key)

    def look_up(key: str) -> Any:
        with lock:
            if key not in values:
                store(key)
            return values[key]

    return look_up


def event_that_nobody_sets(compute: Cache) -> Cache:
    events: dict[str, Any] = {}

    def look_up(key: str) -> Any:
        mine = threading.Event()
        if events.setdefault(key, mine) is mine:
            return compute(key)
        return events[key].wait()

    return look_up


def waits_and_waits(compute: Cache) -> Cache:
    def look_up(key: str) -> Any:
        while True:
            time.sleep(0.001)

    return look_up


def with_default(compute: Cache, answer: Callable = guarded) -> Cache:
    """The error becomes a value, for all time."""

    def computed(key: str) -> Any:
        try:
            return compute(key)
        except ValueError:
            return None

    return answer(computed)


def default_for_now(compute: Cache) -> Cache:
    look_up = guarded(compute)

    def tried(key: str) -> Any:
        try:
            return look_up(key)
        except ValueError:
            return None

    return tried


def makes_up(compute: Cache) -> Cache:
    return lambda key: str(key).upper()


def returns_the_key(compute: Cache) -> Cache:
    look_up = guarded(compute)
    return lambda key: [look_up(key), str(key)][1]


def returns_nothing(compute: Cache) -> Cache:
    look_up = guarded(compute)
    return lambda key: look_up(key) and None


def returns_no_function(compute: Cache) -> None:
    guarded(compute)


def mistyped(compute: Cache) -> Cache:
    return lambda key: valeus[key]  # type: ignore[name-defined]  # noqa: F821


def raises(compute: Cache) -> Cache:
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(guarded),
        wrong(twice_looked),
        wrong(striped),
        wrong(promised),
        wrong(Pending),
        wrong(asks_again_and_again),
        wrong(functools.cache, BOTH),
        wrong(one_lock, ALL_WAIT),
        wrong(one_lock, ALL_WAIT, lock_type=threading.RLock),
        wrong(locked_too_late, AGAIN),
        wrong(locked_step_by_step, BOTH),
        wrong(locks_in_a_race, BOTH),
        wrong(own_locks, BOTH),
        wrong(in_a_pool, BOTH, OPEN, KEPT),
        wrong(no_cache, AGAIN),
        wrong(without_finally, FOR_EVER),
        wrong(promised, FOR_EVER, keeps=True, tells=False),
        wrong(promised, KEPT, keeps=True),
        wrong(promised, FOR_EVER, tells=False),
        wrong(with_default, NOT_TOLD),
        wrong(default_for_now, NOT_TOLD),
        wrong(taken_twice, NOTHING_CAME),
        wrong(event_that_nobody_sets, NOTHING_CAME),
        wrong(waits_and_waits, NOTHING_CAME),
        wrong(makes_up, "it was never called"),
        wrong(returns_the_key, "Whoever asked got a wrong value"),
        wrong(returns_nothing, "Whoever asked got nothing"),
        wrong(returns_no_function, "returned no function but NoneType"),
        wrong(mistyped, "What your function returned raised NameError: name 'valeus'"),
        wrong(raises, "Your function raised NotImplementedError"),
    ],
)
def test_cache_safely(answer: Callable, fragments: list[str]) -> None:
    assert_named(cache_safely.judge(answer), *fragments)


def test_a_factory_of_locks() -> None:
    """In some Pythons two threads may get two locks from it: then that is said."""
    met = threading.Barrier(2)

    class Met(str):
        def __hash__(self) -> int:
            try:
                met.wait(0.3)
            except threading.BrokenBarrierError:
                met.reset()
            return super().__hash__()

    def from_factory(compute: Cache) -> Cache:
        locks: dict[str, Any] = defaultdict(Lock)
        values: dict[str, Any] = {}

        def look_up(key: str) -> Any:
            with locks[key]:
                if key not in values:
                    values[key] = compute(key)
                return values[key]

        return look_up

    locks: dict[str, Any] = defaultdict(Lock)
    key = Met("key")
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(locks.__getitem__, [key, key])
    fragments = [] if one is other else [BOTH]
    assert_named(cache_safely.judge(from_factory), *fragments)


@pytest.mark.parametrize("times", range(5))
def test_the_solution_is_right_every_time(times: int) -> None:
    found: dict[str, Any] = {}
    exec(lesson_answer("cache_safely", "solution"), found)
    assert_named(cache_safely.judge(found["cached"]))


def test_who_computes_what_is_shown(capsys: pytest.CaptureFixture) -> None:
    cache_safely.show(guarded)
    said = capsys.readouterr().out
    assert said.startswith("Computed: amber 1×, birch 1×, cedar 1×\n")
    assert "cores busy." in said


@pytest.mark.parametrize(
    "answer, words",
    [
        (taken_twice, NOTHING_CAME),
        (mistyped, "What your function returned raised NameError"),
        (returns_no_function, "Your function returned no function but NoneType"),
    ],
)
def test_what_ails_an_answer_is_shown(
    answer: Callable, words: str, capsys: pytest.CaptureFixture
) -> None:
    cache_safely.show(answer)
    assert words in capsys.readouterr().out


# A way for each build.


def chosen(
    python: Python,
    work: Work,
    counts: str = "processes",
    free: str = "threads",
    waits: str = "threads",
    nothing: str = "serial",
) -> str:
    if work.tiny or work.one_at_a_time:
        return nothing
    if work.waits:
        return waits
    return counts if python.gil else free


def by_build(python: Python, work: Work) -> str:
    return chosen(python._replace(gil=not python.free_threaded), work)


def newest(python: Python, work: Work) -> str:
    way = chosen(python, work)
    new = way == "processes" and python.version >= "3.14" and not work.numpy
    return "interpreters" if new else way


def always(python: Python, work: Work, way: Any) -> Any:
    return way


def misspelt(python: Python, work: Work) -> str:
    return "threads" if work.wait else "processes"  # type: ignore[attr-defined]


def of_lesson_02(python: Python, work: Work) -> str:
    return "threads" if work.waits else "processes"


FREE = "3.13t, its GIL off: tasks that count in Python"
ON_AGAIN = "3.13t, its GIL on: tasks that count in Python"
WITH_NUMPY = "3.14, its GIL on: tasks that count in Python, and need NumPy"
TURNS = "its GIL is on, and 'threads' that count take turns"
PLAINER = "are not the plainest: threads can do it"
NEWER = "'interpreters' came with Python 3.14"
LONGER = "gain nothing: sending one takes longer"


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(chosen),
        wrong(newest),
        wrong(of_lesson_02, f"{FREE}: 'processes' {PLAINER}", LONGER),
        wrong(chosen, f"{FREE}: 'processes' {PLAINER}", free="processes"),
        wrong(chosen, f"{FREE}: 'interpreters' {PLAINER}", free="interpreters"),
        wrong(
            chosen,
            f"3.11, its GIL on: tasks that count in Python: {TURNS}",
            f"{ON_AGAIN}: {TURNS}",
            f"{WITH_NUMPY}: {TURNS}",
            counts="threads",
        ),
        wrong(
            chosen,
            NEWER,
            f"{ON_AGAIN}: {NEWER}",
            f"{WITH_NUMPY}: 'interpreters' can't load NumPy",
            counts="interpreters",
        ),
        wrong(by_build, f"{ON_AGAIN}: {TURNS}"),
        wrong(
            chosen,
            f"3.13, its GIL on: tasks that wait: 'processes' {PLAINER}",
            waits="processes",
        ),
        wrong(
            chosen,
            f"3.14, its GIL on: tiny tasks: 'threads' {LONGER}",
            nothing="threads",
        ),
        wrong(always, *["'serial' lets each task wait"] * 5, way="serial"),
        wrong(always, *["processes', not None"] * 6, way=None),
        wrong(misspelt, *["your function raised AttributeError"] * 6),
    ],
)
def test_choose_a_way(answer: Callable, fragments: list[str]) -> None:
    assert_named(choose_a_way.judge(answer), *fragments)


def one_lock_only(python: Python, work: Work) -> str:
    return "threads" if work.one_at_a_time else chosen(python, work)


def test_one_lock_for_all() -> None:
    words = "3.13, its GIL on: tasks that all need one lock: 'threads' gain nothing"
    assert_named(choose_a_way.judge(one_lock_only), words)


@pytest.mark.parametrize("way", WAYS[1:])
def test_the_table_is_true_of_the_pythons_here(way: str) -> None:
    """What can't keep several cores busy can't, and what can does."""
    n = calibrate(countdown, 0.4)  # a virtual machine may let new processes wait
    for python in pythons():

        def measure(path: str = python.path) -> Run:
            return run(countdown, [n, n], way, 2, python=path)

        why = why_not(python, COUNTS, way)
        if way == "interpreters" and python.version < "3.14":
            with pytest.raises(PythonFailed, match=r"came with Python 3\.14"):
                measure()
        elif "take turns" in why:
            assert measure().cores_busy < 1.2
        else:
            assert_with_two_cores(measure, lambda made: made.cores_busy > 1.3, 6)


def test_what_needs_one_lock_gains_nothing_on_the_pythons_here() -> None:
    n = calibrate(countdown, 0.1)
    for python in pythons():
        made = run(count_with_the_lock, [n, n], "threads", 2, python=python.path)
        assert made.results == [0, 0] and made.cores_busy < 1.2


def test_numpy_cannot_be_loaded_in_an_interpreter() -> None:
    pools: Any = pytest.importorskip("concurrent.futures.interpreter")
    with pools.InterpreterPoolExecutor(1) as pool:
        error = pool.submit(exec, "import numpy", {}).exception()
    assert isinstance(error, ImportError) or "ImportError" in repr(error)


def test_what_each_python_here_does_is_shown(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = build("{}.{}.{}".format(*sys.version_info))._replace(path=sys.executable)
    gone = build("3.14.1", True)._replace(path="/nowhere/python")
    monkeypatch.setattr(lesson_09, "pythons", lambda: [this, gone])
    choose_a_way.show(misspelt)
    choose_a_way.show(chosen)
    said = capsys.readouterr().out
    assert said.count("AttributeError: 'Work' object has no attribute 'wait'") > 10
    assert f"{this.name}, its GIL on: tasks that count in Python" in said
    assert "cores busy." in said
    assert "threads: /nowhere/python: No such file or directory" in said
