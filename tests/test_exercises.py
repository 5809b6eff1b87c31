"""Every check accepts its solution, and names what is wrong with each wrong answer."""

import math
import multiprocessing
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from functools import partial
from itertools import repeat
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, TypedDict

import answers
import numpy
import pytest
from answers import in_a_row
from conftest import (
    START_METHODS,
    default_method,
    interrupt_when,
    threads_now,
    until,
)
from IPython.core.interactiveshell import InteractiveShell
from joblib import Parallel, delayed
from lessons import LESSONS, read
from lessons import answer as lesson_answer

from helpers import claims, exercises
from helpers.exercises import attempt as attempts
from helpers.exercises import exercise as exercise_module
from helpers.exercises import lesson_02
from helpers.exercises.attempt import Attempt, attempt
from helpers.exercises.exercise import Exercise
from helpers.exercises.lesson_02 import SortSix, kind_of, task_of
from helpers.exercises.lesson_04 import TooManyTrips
from helpers.exercises.verdict import Line, judged_closing, judged_results, together
from helpers.machine import gil_enabled
from helpers.probe import Probe
from helpers.runs import Round, Run
from helpers.trace import Span
from helpers.workloads import blas_threads

Answer = Callable[..., Any]

EXERCISES: dict[str, Exercise] = {
    name: getattr(exercises, name) for name in exercises.__all__
}
# Where BLAS has one thread, or doesn't tell, one of them can't be judged to the end.
JUDGED = [name for name in EXERCISES if name != "cap_the_threads" or blas_threads() > 1]
# How workers start that know nothing of the notebook, the quickest first.
FRESH = [m for m in ("forkserver", "spawn") if m in START_METHODS]
SOLUTION_OPTIONS = {"too_many_trips": {"why": "b"}}
PRELUDE = """
import asyncio
import multiprocessing
import os
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from threading import Event
from joblib import Parallel, delayed
"""

pytestmark = pytest.mark.usefixtures("nothing_stays")

ALONE = "in the notebook's own thread: there was no pool"
IN_THE_NOTEBOOK = "in the notebook itself: no worker did any"
OF_ONE = "A pool of one worker"
FOR_EACH = "A new pool for each item"
WAITED = "Each result was waited for before the next task was handed in"
HELD_BACK = "a lock perhaps"
ONE_DID_ALL = "One worker did all"
TOO_FEW = "there were fewer workers"
NEVER_RUN = "Some tasks were never run"
TWICE = "Some tasks were run more than once"
NOT_THOSE = "The results are not those of the loop"
NOT_THE_TOTAL = "The total is not that of the loop"
LOST = "additions got lost"
NOTHING = "Your function returned nothing"
DISORDERED = "Right results in the wrong order"
HID = "your function hid it"
OPEN = "The pool was left open"
UNWAITED = "A thread still ran when your function had returned"
STILL_RAN = "A process still ran when your function had returned"
IN_THREADS = "Threads did the work"
MANY_TRIPS = "Hardly any number shared a trip"
NO_PICKLE = "Something could not be sent"
APART = {OF_ONE, FOR_EACH, WAITED, HELD_BACK, ONE_DID_ALL, IN_THE_NOTEBOOK}


@pytest.fixture
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks can't meet, however long they wait, don't let the tests wait."""
    if not APART.isdisjoint(request.getfixturevalue("fragments")):
        monkeypatch.setattr(attempts, "SOON", 0.2)


@pytest.fixture
def shell(
    shell: InteractiveShell,
) -> InteractiveShell:
    """Return a shell with what the lessons have imported by then."""
    shell.run_cell(PRELUDE).raise_error()
    return shell


def typed(shell: InteractiveShell, name: str, kind: str) -> list[Any]:
    """Run the exercise's stub or solution as a cell; return what `check` takes."""
    shell.run_cell(lesson_answer(name, kind)).raise_error()
    return [shell.user_ns[defined] for defined in EXERCISES[name].takes]


def wrong_in(lines: Iterator[Line]) -> list[str]:
    return [line.sentence for line in lines if not line.right]


def assert_named(lines: Iterator[Line], *fragments: str) -> None:
    """Assert that just these things are said to be wrong; threads only with a GIL."""
    said = wrong_in(lines)
    wrong = [each for each in fragments if each != IN_THREADS or gil_enabled()]
    assert len(said) == len(wrong), said
    for sentence, fragment in zip(said, wrong, strict=True):
        assert fragment in sentence


# The solutions and the stubs.


def test_there_are_two_or_three_for_each_lesson() -> None:
    assert set(EXERCISES) == set(STUBS)
    lessons = [exercise.lesson for exercise in EXERCISES.values()]
    assert {lessons.count(lesson) for lesson in set(lessons)} <= {1, 2, 3}
    for name, exercise in EXERCISES.items():
        assert exercise.name == name


@pytest.mark.parametrize("name", JUDGED)
def test_the_solution_is_right(
    shell: InteractiveShell, name: str, capsys: pytest.CaptureFixture
) -> None:
    answer = typed(shell, name, "solution")
    capsys.readouterr()
    EXERCISES[name].check(*answer, **SOLUTION_OPTIONS.get(name, {}))
    *lines, last = capsys.readouterr().out.splitlines()
    assert {line[0] for line in lines} == {"✓"}, lines
    assert last == f"All right: {EXERCISES[name].moral}"


STUBS = {
    "wait_together": [ALONE],
    "keep_the_count": [LOST, HID],
    "sort_six": ['choose "threads", "processes" or "nothing"'] * 6,
    "as_they_come": ["Nothing was shown until all were there"],
    "mend_the_pool": ["The pool broke: a worker ended"],
    "send_a_setting": [NO_PICKLE],
    "joblib_loop": [ALONE],
    "too_many_trips": [MANY_TRIPS, "Why is it slower?"],
    "read_the_law": ["all is serial, 1", "grows with the workers"],
    "shrink_the_serial_part": [f"The loads ran one after the other, {IN_THE_NOTEBOOK}"],
    "send_once": ["packed for each item, 12 times"],
    "longest_first": ["in the order they were given, the longest last"],
    "read_ahead": ["More than ten inputs were read"],
    "cap_the_threads": ["threads in each, on"],
    "flatten": ["The workers had workers of their own"],
    "ten_at_a_time": ["25 were fetched at the same time"],
    "unfreeze_the_loop": ["read was called in the loop's own thread"],
    "cancel_the_late": ["One limit for all of them"],
    "cache_safely": ["Two asked for the same at once, and both computed it"],
    "choose_a_way": ["'processes' are not the plainest", "'processes' gain nothing"],
    "keep_the_rest": ["The error of one bad input came out, and all results are lost"],
    "stop_in_time": ["all went on to their end: nobody told them"],
    "get_the_log": ["No record came to your handler"],
    "safe_twice": ["left its lines twice", "itself is opened to write"],
    "scatter_once": ["The array was sent 12 times, for 12 tasks"],
    "each_its_own_way": ["Processes fetched the pages", "Workers gave the grades"],
}


@pytest.mark.parametrize("name", JUDGED)
def test_the_stub_is_not_yet(
    shell: InteractiveShell, name: str, capfd: pytest.CaptureFixture
) -> None:
    """And a page that stores what is said can be compared with it: no red on it."""
    answer = typed(shell, name, "stub")
    capfd.readouterr()
    EXERCISES[name].check(*answer)
    printed = capfd.readouterr()
    *lines, last = printed.out.splitlines()
    assert_named((Line(line[0] == "✓", line[2:]) for line in lines), *STUBS[name])
    assert {line[:2] for line in lines} <= {"✓ ", "○ "}
    assert last == f"For a hint: {name}.hint()"
    assert not printed.err


def test_a_lesson_has_no_other_solution() -> None:
    """Those that are tested are found by the ids of their cells."""
    shown = [cell.id for path in LESSONS for cell in read(path).cells]
    solutions = [cell for cell in shown if cell.endswith("-solution")]
    assert solutions == [f"{name.replace('_', '-')}-solution" for name in STUBS]


def test_a_verdict_is_one_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(exercise_module, "say", lambda *lines: said.append(lines))
    exercises.read_the_law.check(serial_part)
    ((*lines, last),) = said
    assert [line[:2] for line in lines] == ["✓ "] * 3
    assert last == f"All right: {exercises.read_the_law.moral}"


def test_hints_come_one_at_a_time(capsys: pytest.CaptureFixture) -> None:
    for exercise in EXERCISES.values():
        for _ in range(2):
            for number, hint in enumerate(exercise.hints, 1):
                exercise.hint()
                said = capsys.readouterr().out
                assert said == f"Hint {number} of {len(exercise.hints)}: {hint}\n"


# Wrong answers.


class Pools(TypedDict):
    """What an answer takes that does not say itself which pool it starts."""

    pools: answers.Executors


THREADS: Pools = {"pools": ThreadPoolExecutor}
PROCESSES: Pools = {"pools": ProcessPoolExecutor}


def word_of(thing: Any) -> str:
    """Return what a case is called by: the same each time, so without an address."""
    if isinstance(thing, partial):
        return " ".join(map(word_of, (thing.func, *thing.keywords.values())))
    return getattr(thing, "__name__", str(thing))


def wrong(answer: Answer, /, *fragments: str, **options: Any) -> Any:
    """Return a case: an answer, and what is wrong with it; nothing if it is right."""
    words = [word_of(each) for each in (answer, *options.values())]
    return pytest.param(partial(answer, **options), [*fragments], id=" ".join(words))


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(answers.in_a_row, ALONE),
        wrong(answers.lazily, ALONE),
        wrong(answers.idle_pool, IN_THE_NOTEBOOK, **THREADS),
        wrong(answers.pool_of_one, OF_ONE, **THREADS),
        wrong(answers.joblib, OF_ONE, jobs=1),
        wrong(answers.pool_of_two, TOO_FEW, **THREADS),
        wrong(answers.pool_of_two, TOO_FEW, **PROCESSES),
        wrong(answers.pool_for_each, FOR_EACH, **THREADS),
        wrong(answers.waits_for_each, WAITED, **THREADS),
        wrong(answers.behind_a_lock, HELD_BACK),
        wrong(answers.by_hand_in_turn, "start all the workers before", HID),
        wrong(answers.made_up, NOT_THOSE, NEVER_RUN),
        wrong(answers.inputs_as_results, NEVER_RUN),
        wrong(answers.returns_nothing, NOTHING),
        wrong(answers.returns_futures, NOT_THOSE, HID),
        wrong(answers.twice, TWICE),
        wrong(answers.backwards, DISORDERED, **THREADS),
        wrong(answers.hides_errors, HID, **THREADS),
        wrong(answers.hides_errors_in_workers, HID, **THREADS),
        wrong(answers.left_open, OPEN, **THREADS),
        wrong(answers.closed_unless_it_fails, OPEN, **THREADS),
        wrong(answers.mistyped, "NameError: name 'pool' is not defined"),
        wrong(answers.by_hand),
        wrong(answers.in_a_thread_pool),
        wrong(answers.joblib, jobs=5, prefer="threads"),
    ],
)
def test_wait_together(answer: Answer, fragments: list[str], impatient: None) -> None:
    assert_named(exercises.wait_together.judge(answer), *fragments)


def locked_addition(count: Answer, files: list) -> int:
    total, lock = 0, threading.Lock()

    def add(file: str) -> None:
        nonlocal total
        number = count(file)
        with lock:
            total += number

    with ThreadPoolExecutor(4) as pool:
        pool.map(add, files)
    return total


def summed(answer: Answer, count: Answer, files: list) -> int:
    return sum(answer(count, files))


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(answers.in_a_row, ALONE),
        wrong(answers.behind_a_lock, HELD_BACK),
        wrong(answers.pool_of_one, OF_ONE, **THREADS),
        wrong(answers.pool_for_each, FOR_EACH, **THREADS),
        wrong(answers.waits_for_each, WAITED, **THREADS),
        wrong(answers.made_up, LOST, NEVER_RUN),
        wrong(answers.left_open, OPEN, **THREADS),
        wrong(answers.twice, TWICE),
        wrong(answers.joblib),
        wrong(answers.pool_of_two, **PROCESSES),
    ],
)
def test_keep_the_count(answer: Answer, fragments: list[str], impatient: None) -> None:
    judged = exercises.keep_the_count.judge(partial(summed, answer))
    assert_named(judged, *fragments)


def test_keep_the_count_and_the_error() -> None:
    assert_named(exercises.keep_the_count.judge(locked_addition), HID)


def shown_by_workers(fetch: Answer, urls: list, show: Answer) -> list:
    """Right: each worker shows what it has fetched."""

    def fetch_and_show(url: str) -> str:
        text = fetch(url)
        show(url)
        return text

    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(fetch_and_show, urls))


def shown_in_order(fetch: Answer, urls: list, show: Answer) -> list:
    results = []
    with ThreadPoolExecutor(len(urls)) as pool:
        for url, result in zip(urls, pool.map(fetch, urls), strict=True):
            show(url)
            results.append(result)
    return results


def shown_first(fetch: Answer, urls: list, show: Answer) -> list:
    with ThreadPoolExecutor(len(urls)) as pool:
        futures = [pool.submit(fetch, url) for url in urls]
        for url in urls:
            show(url)
        return [future.result() for future in futures]


def shown_twice(fetch: Answer, urls: list, show: Answer) -> list:
    return shown_by_workers(fetch, urls, lambda url: (show(url), show(url)))


def results_shown(fetch: Probe, urls: list, show: Answer) -> list:
    return shown_by_workers(fetch, urls, lambda url: show(fetch.function(url)))


def never_shown(fetch: Answer, urls: list, show: Answer) -> list:
    return answers.in_a_thread_pool(fetch, urls)


def as_they_ended(fetch: Answer, urls: list, show: Answer) -> list:
    results = []
    with ThreadPoolExecutor(len(urls)) as pool:
        futures = {pool.submit(fetch, url): url for url in urls}
        for future in as_completed(futures):
            show(futures[future])
            results.append(future.result())
    return results


def errors_swallowed(fetch: Answer, urls: list, show: Answer) -> list:
    return shown_by_workers(partial(answers.or_none, fetch), urls, show)


def shown_at_the_end(fetch: Answer, urls: list, show: Answer, answer: Answer) -> list:
    results = answer(fetch, urls)
    for url in urls:
        show(url)
    return results


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(shown_by_workers),
        wrong(shown_in_order, "in the order of the urls"),
        wrong(shown_first, "before its result was there"),
        wrong(shown_twice, "once for each"),
        wrong(results_shown, "once for each"),
        wrong(never_shown, "once for each"),
        wrong(as_they_ended, DISORDERED),
        wrong(errors_swallowed, HID),
        wrong(shown_at_the_end, ALONE, answer=in_a_row),
        wrong(shown_at_the_end, NOT_THOSE, NEVER_RUN, answer=answers.made_up),
        wrong(shown_at_the_end, HELD_BACK, answer=answers.behind_a_lock),
        wrong(shown_at_the_end, OF_ONE, answer=partial(answers.pool_of_one, **THREADS)),
        wrong(
            shown_at_the_end,
            WAITED,
            answer=partial(answers.waits_for_each, **THREADS),
        ),
    ],
)
def test_as_they_come(answer: Answer, fragments: list[str], impatient: None) -> None:
    assert_named(exercises.as_they_come.judge(answer), *fragments)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(answers.in_a_row, ALONE),
        wrong(answers.pool_of_two, IN_THREADS, **THREADS),
        wrong(answers.pool_of_one, OF_ONE, **PROCESSES),
        wrong(answers.backwards, DISORDERED, **PROCESSES),
        wrong(answers.made_up, NOT_THOSE, NEVER_RUN),
        wrong(answers.hides_errors, HID, **PROCESSES),
        wrong(answers.joblib),
        wrong(answers.in_spawned_pool),
    ],
)
def test_mend_the_pool(answer: Answer, fragments: list[str], impatient: None) -> None:
    with default_method(FRESH[0]):
        judged = exercises.mend_the_pool.judge(answer, answers.count_words)
        assert_named(judged, *fragments)


@pytest.mark.skipif("fork" not in START_METHODS, reason="this system has no fork")
def test_fork_mends_no_pool(shell: InteractiveShell) -> None:
    _, count_words = typed(shell, "mend_the_pool", "stub")
    judged = exercises.mend_the_pool.judge(answers.forked, count_words)
    assert_named(judged, "fork copies the notebook")


@pytest.mark.parametrize("method", FRESH)
def test_a_pool_that_would_wait_for_ever(
    shell: InteractiveShell, method: str, capfd: pytest.CaptureFixture
) -> None:
    _, count_words = typed(shell, "mend_the_pool", "stub")
    with default_method(method):
        judged = exercises.mend_the_pool.judge(answers.in_a_process_pool, count_words)
        assert_named(judged, "No answer, for ever: the workers ended")
    assert not capfd.readouterr().err


def with_setting(scale: Answer, factor: int, numbers: list, answer: Answer) -> list:
    return answer(partial(scale, factor), numbers)


def repeated(scale: Answer, factor: int, numbers: list) -> list:
    """Right: both arguments from a list."""
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(scale, repeat(factor), numbers))


def a_lambda(scale: Answer, factor: int, numbers: list) -> list:
    return answers.in_a_process_pool(lambda x: scale(factor, x), numbers)


def another_factor(scale: Answer, factor: int, numbers: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(scale, 1), numbers))


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(with_setting, ALONE, answer=answers.in_a_row),
        wrong(with_setting, NOT_THOSE, NEVER_RUN, answer=answers.made_up),
        wrong(
            with_setting,
            IN_THREADS,
            answer=partial(answers.pool_of_two, **THREADS),
        ),
        wrong(with_setting, OF_ONE, answer=partial(answers.pool_of_one, **PROCESSES)),
        wrong(with_setting, DISORDERED, answer=partial(answers.backwards, **PROCESSES)),
        wrong(with_setting, HID, answer=partial(answers.hides_errors, **PROCESSES)),
        wrong(a_lambda, NO_PICKLE),
        wrong(another_factor, NOT_THOSE),
        wrong(repeated),
        wrong(with_setting, answer=answers.joblib),
    ],
)
def test_send_a_setting(answer: Answer, fragments: list[str], impatient: None) -> None:
    assert_named(exercises.send_a_setting.judge(answer), *fragments)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(answers.in_a_row, ALONE),
        wrong(answers.joblib, OF_ONE, jobs=1),
        wrong(answers.joblib, IN_THREADS, prefer="threads"),
        wrong(answers.joblib_for_each, FOR_EACH),
        wrong(answers.joblib_too_late, IN_THE_NOTEBOOK),
        wrong(answers.joblib_appends, NOT_THOSE, IN_THE_NOTEBOOK),
        wrong(answers.joblib_hides_errors, HID),
        wrong(answers.made_up, NOT_THOSE, NEVER_RUN),
        wrong(answers.applied, WAITED),
        wrong(answers.in_one_chunk, ONE_DID_ALL),
        wrong(answers.left_processes, STILL_RAN),
        wrong(answers.by_hand, IN_THREADS),
    ],
)
def test_joblib_loop(answer: Answer, fragments: list[str], impatient: None) -> None:
    assert_named(exercises.joblib_loop.judge(answer), *fragments)


@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(answers.pool_of_two, **PROCESSES),
        wrong(answers.in_a_process_pool),
        wrong(answers.pool_of_one, OF_ONE, **PROCESSES),
        wrong(answers.pool_for_each, FOR_EACH, **PROCESSES),
        wrong(answers.waits_for_each, WAITED, **PROCESSES),
        wrong(answers.backwards, DISORDERED, **PROCESSES),
        wrong(answers.left_open, OPEN, **PROCESSES),
        wrong(answers.hides_errors_in_workers, HID, **PROCESSES),
    ],
)
def test_processes(
    answer: Answer, fragments: list[str], method: str, impatient: None
) -> None:
    with default_method(method):
        assert_named(exercises.joblib_loop.judge(answer), *fragments)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(answers.in_a_row, ALONE),
        wrong(answers.pool_of_two, IN_THREADS, **THREADS),
        wrong(answers.pool_of_two, MANY_TRIPS, **PROCESSES),
        wrong(answers.pool_of_one, OF_ONE, MANY_TRIPS, **PROCESSES),
        wrong(answers.in_one_chunk, ONE_DID_ALL),
        wrong(answers.made_up, NOT_THOSE, NEVER_RUN),
        wrong(answers.backwards, DISORDERED, **PROCESSES),
        wrong(answers.hides_errors, HID, **PROCESSES),
        wrong(answers.left_open, OPEN, **PROCESSES),
        wrong(answers.in_slices),
        wrong(answers.in_a_process_pool),
        wrong(answers.joblib),
    ],
)
def test_too_many_trips(
    answer: Answer,
    fragments: list[str],
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fragments:  # joblib needs many tasks to find its size of batch
        monkeypatch.setattr(TooManyTrips, "TASKS", 400)
    assert_named(exercises.too_many_trips.judge(answer, why="b"), *fragments)


@pytest.mark.parametrize("why", ["a", "c"])
def test_too_many_trips_and_why(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TooManyTrips, "TASKS", 400)
    judged = exercises.too_many_trips.judge(answers.in_slices, why=why)
    assert_named(judged, "Why it was slower: another reason")


def loads_and_works(
    load: Answer, work: Answer, names: list, loads: Answer, works: Answer
) -> list:
    return works(work, list(loads(load, names)))


def one_pool(load: Answer, work: Answer, names: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, pool.map(load, names)))


def pipeline(load: Answer, work: Answer, names: list) -> list:
    with ThreadPoolExecutor(3) as loaders, ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, loaders.map(load, names)))


def loads_in_the_generator(load: Answer, work: Answer, names: list) -> list:
    return Parallel(2)(delayed(work)(load(name)) for name in names)


def made_up_numbers(load: Answer, work: Answer, names: list) -> list:
    return list(range(len(names)))


IN_PROCESSES = partial(answers.pool_of_two, **PROCESSES)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(one_pool),
        wrong(pipeline),
        wrong(
            loads_in_the_generator,
            f"The loads ran one after the other, {IN_THE_NOTEBOOK}",
        ),
        wrong(made_up_numbers, NOT_THOSE, NEVER_RUN),
        wrong(loads_and_works, ALONE, ALONE, loads=in_a_row, works=in_a_row),
        wrong(
            loads_and_works,
            HELD_BACK,
            loads=answers.behind_a_lock,
            works=IN_PROCESSES,
        ),
        wrong(
            loads_and_works,
            WAITED,
            loads=partial(answers.waits_for_each, **THREADS),
            works=IN_PROCESSES,
        ),
        wrong(
            loads_and_works,
            IN_THREADS,
            loads=IN_PROCESSES,
            works=partial(answers.pool_of_two, **THREADS),
        ),
        wrong(
            loads_and_works,
            DISORDERED,
            loads=partial(answers.backwards, **THREADS),
            works=IN_PROCESSES,
        ),
        wrong(
            loads_and_works,
            HID,
            loads=partial(answers.hides_errors, **PROCESSES),
            works=IN_PROCESSES,
        ),
    ],
)
def test_shrink_the_serial_part(
    answer: Answer, fragments: list[str], impatient: None
) -> None:
    assert_named(exercises.shrink_the_serial_part.judge(answer), *fragments)


def in_three_steps(
    fetch: Answer,
    read: Answer,
    grade: Answer,
    addresses: list,
    fetches: Answer,
    reads: Answer,
    grades: Answer = in_a_row,
) -> list:
    return list(grades(grade, list(reads(read, list(fetches(fetch, addresses))))))


def all_in_one_task(
    fetch: Answer, read: Answer, grade: Answer, addresses: list
) -> list:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda each: grade(read(fetch(each))), addresses))


IN_EIGHT = partial(answers.as_many_as_items, pools=ThreadPoolExecutor)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(in_three_steps, fetches=IN_EIGHT, reads=IN_PROCESSES),
        wrong(
            in_three_steps,
            "fewer workers than fetches",
            fetches=partial(answers.pool_of_two, **THREADS),
            reads=IN_PROCESSES,
        ),
        wrong(
            in_three_steps,
            "Processes fetched the pages",
            fetches=IN_PROCESSES,
            reads=IN_PROCESSES,
        ),
        wrong(
            in_three_steps,
            "The pages ran one after the other",
            fetches=IN_EIGHT,
            reads=in_a_row,
        ),
        wrong(in_three_steps, IN_THREADS, fetches=IN_EIGHT, reads=IN_EIGHT),
        wrong(
            in_three_steps,
            "Workers gave the grades",
            fetches=IN_EIGHT,
            reads=IN_PROCESSES,
            grades=IN_PROCESSES,
        ),
        wrong(
            in_three_steps,
            DISORDERED,
            fetches=partial(answers.backwards, **THREADS),
            reads=IN_PROCESSES,
        ),
        wrong(
            in_three_steps,
            HID,
            fetches=partial(answers.hides_errors, **THREADS),
            reads=IN_PROCESSES,
        ),
        wrong(all_in_one_task, IN_THREADS, "Workers gave the grades"),
    ],
)
def test_each_its_own_way(
    answer: Answer, fragments: list[str], impatient: None
) -> None:
    assert_named(exercises.each_its_own_way.judge(answer), *fragments)


def serial_part(speedup: float, workers: float) -> float:
    return (1 / speedup - 1 / workers) / (1 - 1 / workers)


@pytest.mark.parametrize(
    "formula, fragment",
    [
        (lambda s, p: 1 / s, "the time that is left"),
        (lambda s, p: s / p, "That is the efficiency"),
        (lambda s, p: 1 - s / p, "missing to full efficiency"),
        (lambda s, p: 0.1, "The same number"),
        (lambda s, p: 1 - serial_part(s, p), "the parallel part"),
        (lambda s, p: 1 / (serial_part(s, p) or math.inf), "Upside down"),
        (lambda s, p: 100 * serial_part(s, p), "per cent"),
        (lambda s, p: serial_part(p, max(s, 1.001)), "swapped"),
        (lambda s, p: serial_part(s, p) + 0.01, "don't give back"),
        (lambda s, p: s.serial, "AttributeError"),
        (lambda s, p: "0.1", "no number"),
        (lambda s, p: None, "no number"),
        (lambda s, p: serial_part(s, p) if s < p else None, "no number"),
    ],
)
def test_read_the_law(formula: Answer, fragment: str) -> None:
    assert any(
        fragment in said for said in wrong_in(exercises.read_the_law.judge(formula))
    )


def test_sort_six_names_the_wrong_ones() -> None:
    """Not what is right: that would end the exercise."""
    others = {"threads": "nothing", "processes": "threads", "nothing": "processes"}
    known = exercises.sort_six.KNOWN
    answered = {**known, "nap": "processes", "countdown": "threads", "abs": "fast"}
    lines = list(exercises.sort_six.judge(answered))
    assert [line.right for line in lines] == [False, True, True, False, True, False]
    assert lines[0].sentence == "nap: not yet"
    assert lines[3].sentence == "countdown: not yet"
    assert lines[5].sentence.startswith("abs: choose")
    answered = {name: others[kind] for name, kind in known.items()}
    assert not any(line.right for line in exercises.sort_six.judge(answered))


def a_run(wall: float, cores: float, idle: float | None = None) -> Run:
    span = Span(0, 1, 1, 0.0, wall, cores * wall)
    rounds = (Round(wall, cores), Round(1.1 * wall, 0.9 * cores))
    return Run("work", "threads", 2, 0.0, 0.0, wall, (span,), idle, rounds=rounds)


@pytest.mark.parametrize(
    "serial, threads, processes, kind",
    [
        ((1, 0.01), (0.5, 0.02), (0.5, 0.02), "threads"),
        ((1, 1), (0.55, 1.9), (0.55, 1.9), "threads"),
        ((1, 1), (1, 1), (0.55, 1.9), "processes"),
        ((0.001, 0.3), (0.02, 0.3), (0.2, 0.1), "nothing"),
    ],
)
def test_what_helps(serial: tuple, threads: tuple, processes: tuple, kind: str) -> None:
    runs = {
        "serial": a_run(*serial),
        "threads": a_run(*threads),
        "processes": a_run(*processes),
    }
    assert kind_of(runs, kind) == (kind, None)


def test_what_cannot_be_tested_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesson_02, "fewer_cores_than", lambda *_: "one core")
    runs = dict.fromkeys(("serial", "threads", "processes"), a_run(1, 1))
    assert kind_of(runs, "processes") == ("processes", "one core")


@pytest.mark.parametrize("name", SortSix.KNOWN)
def test_the_six_are_of_the_one_table(name: str) -> None:
    function, inputs = task_of(name)
    assert function.__name__ == name
    assert len(inputs) > 1
    function(inputs[0])


def test_a_plain_loop_without_a_core_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other programs had the cores, so that it looks as if it had waited."""
    monkeypatch.setattr(claims, "ceiling", lambda *_, **__: pytest.fail("measured"))
    runs = {
        "serial": a_run(1, 0.15, idle=0.0),
        "threads": a_run(0.16, 1),
        "processes": a_run(0.09, 1.9),
    }
    found, why = kind_of(runs, "processes")
    assert found == "processes" and why


# What is no answer.


@pytest.mark.parametrize("call", ["check", "show"])
@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_no_answer_gets_one_line(
    name: str, call: str, capsys: pytest.CaptureFixture
) -> None:
    exercise = EXERCISES[name]
    right: list[Any] = [{} if name == "sort_six" else abs for _ in exercise.takes]
    asked = partial(getattr(exercise, call))
    misfits: list[Any] = [None, 5, "text", abs if name == "sort_six" else {}]
    for no in misfits:
        asked(*right[1:], no)
    asked(*right[1:])
    asked(*right, *right)
    asked(*right, because="b")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 7 and len(set(said)) == 1
    assert said[0].startswith(f"Hand in {exercise.wants}: {name}.{call}(")
    assert all(taken in said[0] for taken in exercise.takes)
    assert ('why="?"' in said[0]) == ("why" in exercise.options and call == "check")


def test_results_that_are_neither_equal_nor_not() -> None:
    """Arrays are compared number by number."""
    array = numpy.arange(3)
    assert not judged_results(array, 3).right
    assert not judged_results([array, array], [1, 2]).right


def test_an_error_without_words(capsys: pytest.CaptureFixture) -> None:
    def unfinished(nap: Answer, times: list) -> list:
        raise NotImplementedError

    exercises.wait_together.check(unfinished)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "○ Your function raised NotImplementedError"


# Pictures.


@pytest.mark.parametrize(
    "name, kind",
    [(name, "stub") for name in EXERCISES]
    + [(name, "solution") for name in ("wait_together", "joblib_loop", "read_the_law")],
)
def test_it_shows_an_answer_right_or_wrong(
    shell: InteractiveShell, name: str, kind: str, capsys: pytest.CaptureFixture
) -> None:
    answer = typed(shell, name, kind)
    capsys.readouterr()
    EXERCISES[name].show(*answer)
    said = capsys.readouterr().out
    if kind == "stub" and name in ("mend_the_pool", "send_a_setting"):
        assert said.endswith("No task has run: there is nothing to draw\n")
        assert said.count("\n") == 2
    elif name == "sort_six":
        assert said == "Answer for one function at least, and its race is drawn\n"
    elif name == "read_the_law":
        assert len(said.splitlines()) == 5
    else:
        assert "cores busy." in said


def test_it_shows_what_ran_before_an_error(capsys: pytest.CaptureFixture) -> None:
    def nap_some(nap: Answer, times: list) -> list:
        nap(times[1])
        raise ValueError("no more\nnow")

    exercises.wait_together.show(nap_some)
    first, _, last = capsys.readouterr().out.splitlines()
    assert first == "Your function raised ValueError: no more"
    assert last.startswith("Serial: 1 task in")


def test_sort_six_shows_what_has_an_answer(capsys: pytest.CaptureFixture) -> None:
    SortSix().show({"nap": "processes", "fetch": "?"})
    said = capsys.readouterr().out
    assert "Nap: " in said and "Fetch" not in said


# How an answer is watched.


def tried(answer: Answer, meet: int = 1) -> Attempt:
    return attempt(answer, Probe(math.isqrt, meet), list(range(6)))


@pytest.mark.parametrize(
    "answer",
    [
        answers.never_returns,
        answers.task_never_returns,
        answers.pool_task_never_returns,
    ],
)
def test_an_answer_that_never_returns_is_ended(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LIMIT", 0.5)
    assert tried(answer).failure == "Your function had not returned after 0.5 seconds"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("pools", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_an_interrupt_ends_it(pools: answers.Executors, tmp_path: Path) -> None:
    signs: list[str] = [str(tmp_path / "a"), str(tmp_path / "b")]
    sent: list[float] = []
    interrupt_when(signs, sent)
    answer = partial(answers.pool_of_two, pools=pools)
    with pytest.raises(KeyboardInterrupt):
        attempt(answer, Probe(answers.sign_and_nap), [*signs, str(tmp_path / "c")])
    assert sent and not (tmp_path / "c").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupt_ends_what_the_answer_does_itself(tmp_path: Path) -> None:
    """`nothing_stays` looks whether its thread has ended."""
    sign, rounds = tmp_path / "a", [0]

    def goes_on(function: Answer, items: list) -> None:
        sign.touch()
        while True:
            rounds[0] += 1
            time.sleep(0.003)

    interrupt_when([str(sign)], [])
    with pytest.raises(KeyboardInterrupt):
        attempt(goes_on, Probe(math.isqrt), [])
    assert until(lambda: stands_still(rounds))


def stands_still(rounds: list[int]) -> bool:
    before = rounds[0]
    time.sleep(0.2)
    return rounds[0] == before


def test_the_pools_are_as_before() -> None:
    before = vars(ThreadPoolExecutor).copy(), vars(ProcessPoolExecutor).copy()
    tried(answers.mistyped)
    assert (vars(ThreadPoolExecutor), vars(ProcessPoolExecutor)) == before


@pytest.mark.parametrize("pools", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_a_pool_that_is_already_there(pools: answers.Executors) -> None:
    """It is not the answer's to close, though its workers start only now."""
    with pools(6) as pool:

        def answer(function: Answer, items: list) -> list:
            return list(pool.map(function, items))

        assert_named(exercises.wait_together.judge(answer))
        assert tried(answer).pools == []
        assert pool.submit(abs, -1).result() == 1


def test_what_other_threads_start() -> None:
    """It is neither blamed on the answer, nor ended, whenever they started."""
    begin, there = threading.Event(), threading.Event()
    pools: list[Any] = []
    nap = multiprocessing.Process(target=time.sleep, args=(60,))

    def start_pools() -> None:
        pools.extend([ThreadPoolExecutor(1), ProcessPoolExecutor(1), ThreadPool(1)])
        pools[0].submit(abs, -1)
        pools[1].submit(abs, -1).result()
        nap.start()
        there.set()

    def start_a_thread() -> None:
        begin.wait()
        threading.Thread(target=start_pools).start()

    def answer(function: Answer, items: list) -> list:
        begin.set()
        there.wait()
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(function, items))

    other = threading.Thread(target=start_a_thread)
    other.start()
    attempted = tried(answer)
    other.join()
    try:
        assert attempted.failure == attempted.left == ""
        assert [type(each.pool) for each in attempted.pools] == [ThreadPoolExecutor]
        assert [pool.submit(abs, -2).result() for pool in pools[:2]] == [2, 2]
        assert pools[2].map(abs, [-3]) == [3]
        assert nap.is_alive()
    finally:
        nap.kill()
        nap.join()
        for pool in pools[:2]:
            pool.shutdown()
        pools[2].terminate()
        pools[2].join()


def test_a_thread_that_nobody_waits_for() -> None:
    """It is named, and ended."""
    before = threads_now()
    attempted = tried(answers.by_hand_unwaited, meet=7)
    assert attempted.left.startswith(UNWAITED)
    assert threads_now() <= before
    assert_named(judged_closing(attempted), UNWAITED)


def test_pools_of_the_threads_that_an_answer_starts() -> None:
    """They are its own."""

    def in_a_thread(function: Answer, items: list) -> list:
        with ThreadPoolExecutor(1) as pool:
            left = partial(answers.left_open, pools=ThreadPoolExecutor)
            return pool.submit(left, function, items).result()

    attempted = tried(in_a_thread)
    assert len(attempted.pools) == 2
    assert attempted.left.startswith(OPEN)


def test_a_watched_function_travels_where_the_function_does() -> None:
    pickle.dumps(Probe(math.isqrt))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(Probe(lambda x: x))


def test_what_a_watched_function_notes(tmp_path: Path) -> None:
    watched = Probe(pow, fails=3)
    watched.begin(tmp_path / "calls")
    assert watched(2, 5) == 32
    with pytest.raises(ValueError, match=Probe.FAILED):
        watched(2, 3)
    with pytest.raises(TypeError):
        watched("é", "ü")
    copies = (
        pickle.loads(pickle.dumps([watched, watched])),
        pickle.loads(pickle.dumps(watched)),
    )
    for copy in (*copies[0], copies[1]):
        assert copy(base=2, exp=5) == 32
    calls = watched.calls()
    assert [call.failed for call in calls] == [False, True, True, False, False, False]
    assert len({call.trip for call in calls}) == 3
    assert [call.span.task for call in calls] == list(range(6))
    assert calls[0].item == calls[3].item != calls[1].item


def test_tasks_that_can_meet_do() -> None:
    """However long the workers take to come."""

    def late(function: Answer, items: list) -> list:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(function, items[0])
            assert not check_until_done(first)
            second = pool.submit(function, items[1])
            return [first.result(), second.result(), *in_a_row(function, items[2:])]

    def check_until_done(future: Any) -> bool:
        return bool(until(future.done, 0.5))

    assert together(tried(late, meet=2).calls[0]) >= 2
