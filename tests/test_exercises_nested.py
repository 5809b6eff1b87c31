"""The exercises of lesson 07 name what is wrong with each wrong answer."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import answers
import psutil
import pytest
from conftest import START_METHODS, default_method, until
from joblib import Parallel, delayed, parallel_config
from test_exercises import (
    ALONE,
    DISORDERED,
    FOR_EACH,
    HID,
    IN_THREADS,
    NEVER_RUN,
    NOT_THOSE,
    OF_ONE,
    OPEN,
    PROCESSES,
    THREADS,
    WAITED,
    assert_named,
    wrong,
)
from threadpoolctl import threadpool_limits

from helpers import machine
from helpers.exercises import cap_the_threads, flatten, lesson_07
from helpers.workloads import blas_threads

Answer = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_stays")

# Cap the threads.

TOO_MANY = "threads in each, on"
PUT_BACK = "What you set in the notebook itself has been put back"
many_threads = pytest.mark.skipif(
    blas_threads() < 2, reason="BLAS has one thread, or doesn't tell"
)


@pytest.fixture
def blas_stays() -> Iterator[None]:
    """A check leaves the BLAS of the notebook, and what is set for it, as they are."""
    before = blas_threads(), os.environ.get("OMP_NUM_THREADS")
    yield
    assert (blas_threads(), os.environ.get("OMP_NUM_THREADS")) == before


def initialized(work: Answer, times: list, threads: int) -> list:
    options: Any = {"initializer": answers.limit_to, "initargs": (threads,)}
    with ProcessPoolExecutor(2, **options) as pool:
        return list(pool.map(work, times))


def within_the_task(work: Answer, times: list) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(answers.limited, work), times))


def limits_itself(work: Answer, times: list, answer: Answer) -> list:
    """Limit the notebook, not the workers."""
    with threadpool_limits(1, "blas"):
        return answer(work, times)


def limits_for_good(work: Answer, times: list) -> list:
    threadpool_limits(1, "blas")
    return answers.pool_of_two(work, times, **PROCESSES)


def sets_a_variable(work: Answer, times: list, answer: Answer) -> list:
    os.environ["OMP_NUM_THREADS"] = "1"
    return answer(work, times)


def too_early(work: Answer, times: list) -> list:
    """The limit is set before a worker that starts fresh has loaded NumPy."""
    options: Any = {"initializer": threadpool_limits, "initargs": (1,)}
    with ProcessPoolExecutor(2, **options) as pool:
        return list(pool.map(work, times))


def inner_joblib(work: Answer, times: list, threads: int) -> list:
    with parallel_config("loky", inner_max_num_threads=threads):
        return Parallel(2)(delayed(work)(each) for each in times)


IN_TWO = partial(answers.pool_of_two, **PROCESSES)


@many_threads
@pytest.mark.usefixtures("blas_stays")
@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(initialized, threads=1),
        wrong(initialized, TOO_MANY, threads=machine.cores().allowed),
        wrong(within_the_task),
        wrong(answers.joblib),
        wrong(inner_joblib, threads=1),
        wrong(inner_joblib, TOO_MANY, threads=machine.cores().allowed),
        wrong(answers.in_a_process_pool, TOO_MANY),
        wrong(answers.in_a_row, ALONE),
        wrong(answers.pool_of_one, OF_ONE, **PROCESSES),
        wrong(answers.pool_of_two, "Threads did the work, with one BLAS", **THREADS),
        wrong(limits_itself, "Threads did", answer=partial(IN_TWO, **THREADS)),
        wrong(answers.waits_for_each, WAITED, TOO_MANY, **PROCESSES),
        wrong(answers.made_up, NEVER_RUN),
        wrong(answers.left_open, TOO_MANY, OPEN, **PROCESSES),
    ],
)
def test_cap_the_threads(answer: Answer, fragments: list[str]) -> None:
    assert_named(cap_the_threads.judge(answer), *fragments)


@many_threads
@pytest.mark.usefixtures("blas_stays")
@pytest.mark.parametrize("method", START_METHODS)
def test_what_is_set_in_the_notebook(method: str) -> None:
    """Where it reaches the workers, it is right; and it is put back."""
    with default_method(method):
        limit = limits_itself, "what is limited is the notebook"
        variable = sets_a_variable, "what you set came too late"
        for (answer, fault), reaches in ((limit, "fork"), (variable, "spawn")):
            lines = list(cap_the_threads.judge(partial(answer, answer=IN_TWO)))
            assert_named(iter(lines), *([] if method == reaches else [fault]))
        assert PUT_BACK in [line.sentence for line in lines]
        lines = list(cap_the_threads.judge(limits_for_good))
        assert PUT_BACK in [line.sentence for line in lines]
        assert_named(
            cap_the_threads.judge(too_early), *([] if method == "fork" else [TOO_MANY])
        )


@pytest.mark.parametrize(
    "threads, words",
    [(answers.none, "doesn't tell"), (answers.one, "BLAS has one thread here")],
)
def test_threads_that_cannot_be_counted(
    threads: Callable[[], int],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(lesson_07, "blas_threads", threads)
    cap_the_threads.check(IN_TWO)
    said = capsys.readouterr().out.splitlines()
    assert [line[0] for line in said[:-1]].count("–") == 1
    assert "○" not in {line[0] for line in said}
    assert any(words in line for line in said if line[0] == "–")
    assert said[-1] == "All right, as far as it can be told on this machine"


# One pool instead of many.

NESTED = "The workers had workers of their own"
ONE_FLAT = "One flat list"
IN_TURN = "The tasks of a group ran one after the other"


def flat(work: Answer, groups: list, answer: Answer) -> list:
    """Return what an answer that knows of no groups makes of them."""
    results = iter(answer(work, [each for group in groups for each in group]))
    return [[next(results) for _ in group] for group in groups]


def flat_list(work: Answer, groups: list) -> list:
    return answers.joblib(work, [each for group in groups for each in group])


def grouped(work: Answer, groups: list, inner: Answer, outer: Answer = IN_TWO) -> list:
    return outer(partial(inner, work), groups)


def one_after_the_other(work: Answer, groups: list, answer: Answer) -> list:
    return [answer(work, group) for group in groups]


def joblib_in_joblib(work: Answer, groups: list, jobs: int = 2) -> list:
    def run_group(group: list) -> list:
        return Parallel(2)(delayed(work)(each) for each in group)

    return Parallel(jobs)(delayed(run_group)(group) for group in groups)


def by_pairs(work: Answer, groups: list) -> list:
    """Right: the last group first, and put back."""
    pairs = [(n, each) for n, group in enumerate(groups) for each in group][::-1]
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(work, [each for _, each in pairs]))
    regrouped: list[list] = [[] for _ in groups]
    for (n, _), result in zip(pairs[::-1], results[::-1], strict=True):
        regrouped[n].append(result)
    return regrouped


def groups_backwards(work: Answer, groups: list) -> list:
    return flat(work, groups, IN_TWO)[::-1]


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(flat, answer=IN_TWO),
        wrong(flat, answer=answers.joblib),
        wrong(flat, answer=answers.in_a_process_pool),
        wrong(flat, answer=partial(answers.joblib, jobs=4)),
        wrong(by_pairs),
        wrong(flat_list, ONE_FLAT),
        wrong(groups_backwards, DISORDERED),
        wrong(joblib_in_joblib, NESTED),
        wrong(joblib_in_joblib, NESTED, jobs=4),
        wrong(grouped, NESTED, inner=answers.group_in_executor),
        wrong(grouped, NESTED, inner=answers.group_in_threads),
        wrong(
            grouped,
            "daemonic processes are not allowed",
            inner=answers.group_in_pool,
            outer=answers.in_a_process_pool,
        ),
        wrong(
            grouped,
            "pools: let one have",
            inner=answers.group_in_executor,
            outer=partial(answers.pool_of_two, **THREADS),
        ),
        wrong(grouped, IN_TURN, inner=answers.in_a_row),
        wrong(grouped, IN_TURN, inner=answers.in_a_row, outer=answers.joblib),
        wrong(one_after_the_other, "3 pools: let one", answer=IN_TWO),
        wrong(one_after_the_other, ALONE, answer=answers.in_a_row),
        wrong(flat, ALONE, answer=answers.in_a_row),
        wrong(flat, IN_THREADS, answer=partial(answers.pool_of_two, **THREADS)),
        wrong(flat, OF_ONE, answer=partial(answers.pool_of_one, **PROCESSES)),
        wrong(flat, FOR_EACH, answer=partial(answers.pool_for_each, **PROCESSES)),
        wrong(flat, NOT_THOSE, NEVER_RUN, answer=answers.made_up),
        wrong(flat, OPEN, answer=partial(answers.left_open, **PROCESSES)),
        wrong(flat, HID, answer=partial(answers.hides_errors_in_workers, **PROCESSES)),
    ],
)
def test_flatten(answer: Answer, fragments: list[str]) -> None:
    assert_named(flatten.judge(answer), *fragments)


def test_what_workers_have_started_is_ended(tmp_path: Path) -> None:
    def left_below(work: Answer, groups: list) -> list:
        inner = partial(answers.group_with_a_nap, str(tmp_path))
        pool = ProcessPoolExecutor(2)
        return list(pool.map(partial(inner, work), groups))

    assert_named(flatten.judge(left_below), IN_TURN, OPEN)
    started = [int(file.name) for file in tmp_path.iterdir()]
    assert started
    assert until(lambda: [pid for pid in started if psutil.pid_exists(pid)] == [])
