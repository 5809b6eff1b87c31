"""The exercises of lesson 08 name what is wrong with each wrong answer."""

import asyncio
import gc
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import interrupt_when, until
from lessons import answer as lesson_answer

from helpers.exercises import attempt as attempts
from helpers.exercises import cancel_the_late, ten_at_a_time, unfreeze_the_loop
from helpers.exercises.exercise import Exercise
from helpers.exercises.lesson_08 import UnfreezeTheLoop

Fetch = Callable[[str], Awaitable[str]]
Read = Callable[[str], str]
Answer = Callable[..., Any]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "SOON", 0.5)


@pytest.fixture(autouse=True)
def nothing_is_said_behind_the_verdict(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    yield
    gc.collect()
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert not [each for each in recwarn if each.category is RuntimeWarning]


def names(exercise: Exercise, answer: Answer, *fragments: str) -> None:
    """Check that the verdict's faults are these, and no others."""
    faults = [line.sentence for line in exercise.judge(answer) if not line.right]
    assert len(faults) == len(fragments), faults
    for fault, fragment in zip(faults, fragments):
        assert fragment in fault, faults


def praised(exercise: Exercise, answer: Answer) -> list[str]:
    return [line.sentence for line in exercise.judge(answer) if line.right]


def defined(exercise: str, name: str, kind: str) -> Answer:
    found: dict[str, Any] = {"asyncio": asyncio}
    exec(lesson_answer(exercise, kind), found)
    return found[name]


ANSWERS = [
    (ten_at_a_time, "fetch_all"),
    (unfreeze_the_loop, "read_all"),
    (cancel_the_late, "in_time"),
]


@pytest.mark.parametrize(("exercise", "name"), ANSWERS)
def test_the_solution_is_right_five_times(exercise: Exercise, name: str) -> None:
    for _ in range(5):
        names(exercise, defined(exercise.name, name, "solution"))


@pytest.mark.parametrize(("exercise", "name"), ANSWERS)
def test_a_plain_function(exercise: Exercise, name: str) -> None:
    def plain(*arguments: Any) -> list:
        return list(arguments)

    names(exercise, plain, "Write it with `async def`")


@pytest.mark.parametrize(("exercise", "name"), ANSWERS)
def test_a_function_that_yields(exercise: Exercise, name: str) -> None:
    async def yields(*arguments: Any) -> AsyncIterator[Any]:
        for each in arguments:
            yield each

    names(exercise, yields, "There is a `yield` in it")


@pytest.mark.parametrize(("exercise", "name"), ANSWERS)
def test_no_pool_is_spoken_of_where_the_answer_has_none(
    exercise: Exercise, name: str
) -> None:
    said = praised(exercise, defined(exercise.name, name, "solution"))
    assert said and not [line for line in said if "pool" in line]


# Ten at a time.


async def gather_some(fetch: Fetch, urls: list[str], places: int) -> list[str]:
    permits = asyncio.Semaphore(places)

    async def one(url: str) -> str:
        async with permits:
            return await fetch(url)

    return await asyncio.gather(*map(one, urls))


async def workers_of_mine(fetch: Fetch, urls: list[str]) -> list[str]:
    """Right as well: ten coroutines that take what is left."""
    found, left = {}, iter(urls)

    async def worker() -> None:
        for url in left:
            found[url] = await fetch(url)

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(worker())
    return [found[url] for url in urls]


async def in_a_row(fetch: Fetch, urls: list[str]) -> list[str]:
    return [await fetch(url) for url in urls]


async def no_limit(fetch: Fetch, urls: list[str]) -> list[str]:
    return await asyncio.gather(*map(fetch, urls))


async def five(fetch: Fetch, urls: list[str]) -> list[str]:
    return await gather_some(fetch, urls, 5)


async def a_limit_for_each(fetch: Fetch, urls: list[str]) -> list[str]:
    async def one(url: str) -> str:
        async with asyncio.Semaphore(10):
            return await fetch(url)

    return await asyncio.gather(*map(one, urls))


async def waves(fetch: Fetch, urls: list[str]) -> list[str]:
    found: list[str] = []
    for first in range(0, len(urls), 10):
        found += await asyncio.gather(*map(fetch, urls[first : first + 10]))
    return found


async def as_they_end(fetch: Fetch, urls: list[str]) -> list[str]:
    permits = asyncio.Semaphore(10)

    async def one(url: str) -> str:
        async with permits:
            return await fetch(url)

    return [await each for each in asyncio.as_completed(map(one, urls))]


async def never_awaited(fetch: Fetch, urls: list[str]) -> list:
    return [fetch(url) for url in urls]


async def never_awaited_at_all(fetch: Fetch, urls: list[str]) -> Awaitable[list]:
    return asyncio.gather(*map(fetch, urls[:10]))


async def fails_in_a_ring(fetch: Fetch, urls: list[str]) -> list:
    """An error that is raised out of its group holds itself, by way of it."""
    found = await gather_some(fetch, urls, 10)
    try:
        raise ExceptionGroup("several", [KeyError("a")])
    except ExceptionGroup as several:
        raise several.exceptions[0]  # noqa: B904
    return found


async def hides_errors(fetch: Fetch, urls: list[str]) -> list:
    permits = asyncio.Semaphore(10)

    async def one(url: str) -> str | None:
        async with permits:
            with suppress(ValueError):
                return await fetch(url)
        return None

    return await asyncio.gather(*map(one, urls))


async def made_up(fetch: Fetch, urls: list[str]) -> list[str]:
    return [url.upper() for url in urls]


async def leaves_tasks(fetch: Fetch, urls: list[str]) -> list[str]:
    leaves_tasks.kept = asyncio.create_task(asyncio.sleep(60))  # type: ignore[attr-defined]
    return await gather_some(fetch, urls, 10)


async def returns_tasks(fetch: Fetch, urls: list[str]) -> list:
    return [asyncio.ensure_future(fetch(url)) for url in urls]


async def runs_a_loop(fetch: Fetch, urls: list[str]) -> list[str]:
    return asyncio.run(gather_some(fetch, urls, 10))


async def never_gives_back(fetch: Fetch, urls: list[str]) -> list[str]:
    permits = asyncio.Semaphore(10)

    async def one(url: str) -> str:
        await permits.acquire()
        return await fetch(url)

    return await asyncio.gather(*map(one, urls))


async def only_the_first_ten(fetch: Fetch, urls: list[str]) -> list[str]:
    return await gather_some(fetch, urls[:10], 10)


async def returns_nothing(fetch: Fetch, urls: list[str]) -> None:
    await gather_some(fetch, urls, 10)


@pytest.mark.parametrize(
    ("answer", "fragments"),
    [
        (workers_of_mine, []),
        (in_a_row, ["One after the other"]),
        (no_limit, ["25 were fetched at the same time"]),
        (five, ["Never more than 5"]),
        (a_limit_for_each, ["25 were fetched at the same time"]),
        (waves, ["a free place was lost"]),
        (as_they_end, ["wrong order"]),
        (never_awaited, ["has not been awaited"]),
        (never_awaited_at_all, ["has not been awaited"]),
        (fails_in_a_ring, ["raised KeyError"]),
        (hides_errors, ["hid it"]),
        (made_up, ["never run"]),
        (leaves_tasks, ["still ran when your function had returned: await"]),
        (returns_nothing, ["returned nothing"]),
        (returns_tasks, ["has not been awaited"]),
        (runs_a_loop, ["cannot be called from a running event loop"]),
        (never_gives_back, ["had not returned", "no place was given back"]),
        (only_the_first_ten, ["not those of the loop", "never run"]),
    ],
)
def test_ten_at_a_time(
    answer: Answer, fragments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer is never_gives_back:
        monkeypatch.setattr(attempts, "LIMIT", 2.0)
    names(ten_at_a_time, answer, *fragments)


# Unfreeze the loop.


async def calls_it(read: Read, files: list[str]) -> list[str]:
    return [read(file) for file in files]


async def gathers_blocking(read: Read, files: list[str]) -> list[str]:
    async def one(file: str) -> str:
        return read(file)

    return await asyncio.gather(*map(one, files))


async def one_by_one(read: Read, files: list[str]) -> list[str]:
    return [await asyncio.to_thread(read, file) for file in files]


async def calls_it_at_once(read: Read, files: list[str]) -> list[str]:
    return await asyncio.gather(
        *(asyncio.to_thread(read(file)) for file in files)  # type: ignore[arg-type]
    )


async def waits_for_a_pool(read: Read, files: list[str]) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(read, files))


async def a_pool_of_mine(read: Read, files: list[str]) -> list[str]:
    """Right as well."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as pool:
        calls = [loop.run_in_executor(pool, read, file) for file in files]
        return await asyncio.gather(*calls)


async def not_yet(read: Read, files: list[str]) -> list:
    return [asyncio.to_thread(read, file) for file in files]


async def tasks_of_it(read: Read, files: list[str]) -> list:
    return [asyncio.create_task(asyncio.to_thread(read, file)) for file in files]


async def backwards(read: Read, files: list[str]) -> list[str]:
    calls = [asyncio.to_thread(read, file) for file in files[::-1]]
    return await asyncio.gather(*calls)


async def keeps_errors(read: Read, files: list[str]) -> list:
    calls = [asyncio.to_thread(read, file) for file in files]
    return await asyncio.gather(*calls, return_exceptions=True)


async def asks_a_pool(read: Read, files: list[str]) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(read, file) for file in files]
        return [future.result() for future in futures]


async def waits_in_a_thread(read: Read, files: list[str]) -> list[str]:
    """Right as well."""
    return await asyncio.to_thread(asyncio.run, waits_for_a_pool(read, files))


async def in_a_row_elsewhere(read: Read, files: list[str]) -> list[str]:
    return await asyncio.to_thread(lambda: [read(file) for file in files])


async def returns_pool_futures(read: Read, files: list[str]) -> list:
    with ThreadPoolExecutor(4) as pool:
        return [pool.submit(read, file) for file in files]


async def returns_loop_futures(read: Read, files: list[str]) -> list:
    loop = asyncio.get_running_loop()
    return [loop.run_in_executor(None, read, file) for file in files]


async def leaves_loop_futures(read: Read, files: list[str]) -> list[str]:
    await returns_loop_futures(read, files)
    return [file.upper() for file in files]


async def leaves_reading_tasks(read: Read, files: list[str]) -> list[str]:
    left = await tasks_of_it(read, files)
    await asyncio.sleep(0)
    leaves_reading_tasks.kept = left  # type: ignore[attr-defined]
    return [file.upper() for file in files]


async def awaits_a_result(read: Read, files: list[str]) -> list:
    return [await read(file) for file in files]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("answer", "fragments"),
    [
        (a_pool_of_mine, []),
        (waits_in_a_thread, []),
        (asks_a_pool, ["the loop waited for threads without `await`"]),
        (in_a_row_elsewhere, ["One file after the other"]),
        (returns_pool_futures, ["has not been awaited"]),
        (returns_loop_futures, ["has not been awaited"]),
        (leaves_loop_futures, ["before all was read", "hid it"]),
        (leaves_reading_tasks, ["A task still ran", "hid it"]),
        (awaits_a_result, ["raised TypeError", "in the loop's own thread"]),
        (calls_it, ["in the loop's own thread"]),
        (gathers_blocking, ["in the loop's own thread"]),
        (one_by_one, ["One file after the other"]),
        (calls_it_at_once, ["raised TypeError", "in the loop's own thread"]),
        (waits_for_a_pool, ["the loop waited for threads without `await`"]),
        (not_yet, ["has not been awaited"]),
        (tasks_of_it, ["has not been awaited"]),
        (backwards, ["wrong order"]),
        (keeps_errors, ["hid it"]),
    ],
)
def test_unfreeze_the_loop(answer: Answer, fragments: list[str]) -> None:
    names(unfreeze_the_loop, answer, *fragments)


def test_an_answer_that_returns_before_the_gate_was_looked_at() -> None:
    """An exercise that has judged nothing before knows what to say, too."""
    started: list[threading.Thread] = []

    async def walks_away(read: Read, files: list[str]) -> list[str]:
        started.append(threading.Thread(target=read, args=(files[0],)))
        started[-1].start()
        return [file.upper() for file in files]

    names(UnfreezeTheLoop(), walks_away, "never run", "A thread still ran")
    assert until(lambda: not any(each.is_alive() for each in started))


# Cancel the late.


async def limits_each(fetch: Fetch, urls: list[str], seconds: float) -> list:
    """Right as well."""

    async def one(url: str) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return await fetch(url)
        except TimeoutError:
            return None

    return await asyncio.gather(*map(one, urls))


async def no_cancel(fetch: Fetch, urls: list[str], seconds: float) -> list:
    tasks = [asyncio.ensure_future(fetch(url)) for url in urls]
    done, _ = await asyncio.wait(tasks, timeout=seconds)
    return [task.result() if task in done else None for task in tasks]


async def one_limit(fetch: Fetch, urls: list[str], seconds: float) -> list:
    async with asyncio.timeout(seconds):
        return await asyncio.gather(*map(fetch, urls))


async def all_or_nothing(fetch: Fetch, urls: list[str], seconds: float) -> list:
    try:
        return await one_limit(fetch, urls, seconds)
    except TimeoutError:
        return [None for _ in urls]


async def a_limit_anew(fetch: Fetch, urls: list[str], seconds: float) -> list:
    found: list[str | None] = []
    for task in [asyncio.ensure_future(fetch(url)) for url in urls]:
        try:
            found.append(await asyncio.wait_for(task, seconds))
        except TimeoutError:
            found.append(None)
    return found


async def errors_in_it(fetch: Fetch, urls: list[str], seconds: float) -> list:
    calls = [asyncio.wait_for(fetch(url), seconds) for url in urls]
    return await asyncio.gather(*calls, return_exceptions=True)


async def only_the_done(fetch: Fetch, urls: list[str], seconds: float) -> list:
    found = await limits_each(fetch, urls, seconds)
    return [each for each in found if each is not None]


async def limits_in_a_row(fetch: Fetch, urls: list[str], seconds: float) -> list:
    found: list[str | None] = []
    for url in urls:
        try:
            found.append(await asyncio.wait_for(fetch(url), seconds))
        except TimeoutError:
            found.append(None)
    return found


async def never_gives_up(fetch: Fetch, urls: list[str], seconds: float) -> list:
    return await asyncio.gather(*map(fetch, urls))


async def hides_all(fetch: Fetch, urls: list[str], seconds: float) -> list:
    async def one(url: str) -> str | None:
        with suppress(Exception):
            return await asyncio.wait_for(fetch(url), seconds)
        return None

    return await asyncio.gather(*map(one, urls))


async def shields(fetch: Fetch, urls: list[str], seconds: float) -> list:
    async def one(url: str) -> str | None:
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(fetch(url)), seconds)
        return None

    return await asyncio.gather(*map(one, urls))


async def wait_and_cancel(
    fetch: Fetch, urls: list[str], seconds: float, **options: Any
) -> list:
    tasks = [asyncio.ensure_future(fetch(url)) for url in urls]
    done, late = await asyncio.wait(tasks, timeout=seconds, **options)
    for task in late:
        task.cancel()
    return [task.result() if task in done else None for task in tasks]


async def after_the_first(fetch: Fetch, urls: list[str], seconds: float) -> list:
    first = asyncio.FIRST_COMPLETED
    return await wait_and_cancel(fetch, urls, seconds, return_when=first)


async def does_not_wait(fetch: Fetch, urls: list[str], seconds: float) -> list:
    return await wait_and_cancel(fetch, urls, 0)


async def raises_in_a_row(fetch: Fetch, urls: list[str], seconds: float) -> list:
    return [await asyncio.wait_for(fetch(url), seconds) for url in urls]


async def tries_for_ever(fetch: Fetch, urls: list[str], seconds: float) -> list:
    async def one(url: str) -> str:
        while True:
            with suppress(Exception):
                return await fetch(url)

    return await asyncio.gather(*map(one, urls))


@pytest.mark.parametrize(
    ("answer", "fragments"),
    [
        (limits_each, []),
        (wait_and_cancel, []),
        (shields, ["still ran when your function had returned: cancel"]),
        (after_the_first, ["What was done in time is lost"]),
        (tries_for_ever, ["had not returned after"]),
        (no_cancel, ["still ran when your function had returned: cancel"]),
        (one_limit, ["what was done is lost"]),
        (all_or_nothing, ["What was done in time is lost"]),
        (a_limit_anew, ["one limit for all"]),
        (errors_in_it, ["There is an error in your list", "hid it"]),
        (only_the_done, ["put None for the late ones"]),
        (limits_in_a_row, ["One after the other"]),
        (never_gives_up, ["had not returned after"]),
        (hides_all, ["hid it"]),
    ],
)
def test_cancel_the_late(
    answer: Answer, fragments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer in UNENDING:
        monkeypatch.setattr(attempts, "LIMIT", 2.0)
    names(cancel_the_late, answer, *fragments)


UNENDING = [never_gives_up, tries_for_ever]


def test_an_answer_that_does_not_wait() -> None:
    """Whether the failing task gets as far as its error is a matter of luck."""
    first, *more = [
        each for each in cancel_the_late.judge(does_not_wait) if not each.right
    ]
    assert "What was done in time is lost" in first.sentence
    assert all("hid it" in line.sentence for line in more)


def test_an_answer_that_fails_at_the_first_late_one() -> None:
    """Whichever is drawn first, there is one limit for each, not one for all."""
    said = [line.sentence for line in cancel_the_late.judge(raises_in_a_row)]
    assert said[0] == "Your function raised TimeoutError"


@pytest.mark.parametrize("answer", [no_cancel, shields, *UNENDING])
def test_what_the_end_of_the_loop_cancels(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no merit of the answer's."""
    monkeypatch.setattr(attempts, "LIMIT", 2.0)
    said = praised(cancel_the_late, answer)
    assert not [line for line in said if "cancelled" in line]


# What all of them do.


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (ten_at_a_time, never_awaited),
        (ten_at_a_time, runs_a_loop),
        (ten_at_a_time, returns_tasks),
        (unfreeze_the_loop, not_yet),
        (unfreeze_the_loop, returns_loop_futures),
    ],
)
def test_show_warns_of_nothing(
    exercise: Exercise, answer: Answer, capfd: pytest.CaptureFixture
) -> None:
    exercise.show(answer)
    gc.collect()
    assert not capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    sign, sent, ended = tmp_path / "sign", [0.0], []

    async def waits(fetch: Fetch, urls: list[str]) -> list[str]:
        sign.touch()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(time.perf_counter())
        return []

    interrupt_when([str(sign)], sent)
    with pytest.raises(KeyboardInterrupt):
        ten_at_a_time.check(waits)
    assert until(lambda: ended, 5)
    assert time.perf_counter() - sent[-1] < 5


def test_a_loop_that_is_blocked_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleeps(fetch: Fetch, urls: list[str]) -> list[str]:
        time.sleep(5)
        return []

    monkeypatch.setattr(attempts, "LIMIT", 0.5)
    began = time.perf_counter()
    names(ten_at_a_time, sleeps, "had not returned")
    assert time.perf_counter() - began < 4


@pytest.mark.parametrize(("exercise", "name"), ANSWERS)
def test_a_check_works_where_a_loop_is_running(exercise: Exercise, name: str) -> None:
    async def main() -> None:
        names(exercise, defined(exercise.name, name, "solution"))

    asyncio.run(main())
