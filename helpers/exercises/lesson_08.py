"""The exercises of lesson 08: answers with `async def`, beside a heart that beats."""

import asyncio
import gc
import inspect
import itertools
import os
import random
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any

from helpers import server
from helpers.exercises.attempt import Attempt, Steering, attempt, meeting, soon
from helpers.exercises.exercise import WORDS, Answer, Exercise
from helpers.exercises.verdict import (
    Line,
    judged_calls,
    judged_closing,
    judged_error,
    judged_results,
    together,
)
from helpers.exercises.watch import Started
from helpers.figures import heartbeats
from helpers.probe import Call, Probe, item_of
from helpers.said import say
from helpers.strategies import is_async
from helpers.trace import Span
from helpers.workloads import fetch_async, nap

# Seconds between two beats of the heart, and between two looks at a gate.
BEAT = 0.003
# So many turns of the loop after it was cancelled, a task has ended.
TURNS = 10
# What is cancelled in one go ends within so many beats of the heart, however slow.
BEATS = 20
FORGOTTEN = "What you return has not been awaited: it holds no results yet"
NOT_ASYNC = "Write it with `async def`: it is called in a loop, and awaited"
YIELDS = "There is a `yield` in it, so it can't be awaited: return a list instead"


class AwaitedProbe(Probe):
    """A probe of `async def`: its calls wait at the gate together, in one thread.

    They are noted here, and in no folder: nobody calls it in another process. Each
    takes a turn of the loop more than the one before it, so that not all are done when
    the first is.

    Args:
        held: the items that have to wait at the gate while it is shut; None: all.
        others: as those of a probe.
    """

    def __init__(
        self, *others: Any, held: Iterable[Any] | None = None, **named: Any
    ) -> None:
        super().__init__(*others, **named)
        self.held = None if held is None else set(map(item_of, held))

    async def __call__(self, *args: Any, **options: Any) -> Any:
        item, start, failed = item_of(*args, *options.values()), perf_counter(), True
        number = next(self._numbers)
        if self.held is None or item in self.held:
            self._at_gate[number] = item
        try:
            while number in self._at_gate and not self._open:
                await asyncio.sleep(BEAT)
            for _ in range(number):
                await asyncio.sleep(0)
            if item == self.fails:
                raise ValueError(self.FAILED)
            result = self.function(*args, **options)
            result = await result if inspect.isawaitable(result) else result
            failed = False
            return result
        finally:
            self._at_gate.pop(number, None)
            times = start, perf_counter(), 0.0
            span = Span(0, os.getpid(), threading.get_ident(), *times)
            self._noted.append(Call(item, span, 0, failed))

    def begin(self, folder: str | Path) -> None:
        self._noted: list[Call] = []
        self._at_gate: dict[int, str] = {}
        self._numbers = itertools.count()
        self._open = self.meet <= 1

    def waiting(self) -> list[tuple[int, str]]:
        return [(os.getpid(), item) for item in list(self._at_gate.values())]

    def release(self, item: str | None = None) -> None:
        self._open |= item is None
        for number, waits in list(self._at_gate.items()):
            if waits == item:
                self._at_gate.pop(number, None)

    @property
    def arrived(self) -> int:
        """How many calls there have been."""
        return len(self._noted) + len(self._at_gate)

    def calls(self) -> list[Call]:
        found = sorted(self._noted, key=lambda call: call.span.start)
        return [
            call._replace(span=call.span._replace(task=number))
            for number, call in enumerate(found)
        ]


class Heart:
    """Beats in the loop in which an answer runs.

    Attributes:
        ticks: when it did, by `perf_counter`.
        over: whether the answer has returned, or raised.
        left: how many tasks still ran when the answer had returned.
    """

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.over = False
        self.left = 0

    def beside(self, answer: Callable[..., Coroutine[Any, Any, Any]]) -> Answer:
        """Return a plain function that runs the answer in a loop of its own."""

        @wraps(answer)
        def run(*arguments: Any) -> Any:
            return asyncio.run(self._run(answer(*arguments)))

        return run

    async def _run(self, answered: Coroutine[Any, Any, Any]) -> Any:
        ours = {asyncio.current_task(), asyncio.create_task(self._beat())}
        # Of errors that nobody asks for the verdict tells, and no log.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await asyncio.sleep(BEAT)
        try:
            result = await answered
        finally:
            self.over = True
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.left = len(asyncio.all_tasks() - ours)
        return result

    async def _beat(self) -> None:
        while True:
            self.ticks.append(perf_counter())
            await asyncio.sleep(BEAT)


class AwaitedLoop(Exercise):
    """An exercise whose answer, of `async def`, runs one task over many items.

    Attributes:
        heart: that of the last attempt.
        left_over: what to do with tasks that the answer leaves, in words.
    """

    left_over = "await it"

    def __init__(self) -> None:
        super().__init__()
        self.heart = Heart()

    def judge(self, answer: Answer) -> Iterator[Line]:
        if unfit := _unfit(answer):
            yield Line(False, unfit)
            return
        with _unwarned():
            yield from self.judge_awaited(answer)

    def draw(self, answer: Answer) -> None:
        """Draw what an answer did, if a loop can run it."""
        if unfit := _unfit(answer):
            say(unfit)
            return
        with _unwarned():
            super().draw(answer)

    def judge_awaited(self, answer: Answer) -> Iterator[Line]:
        """Yield the lines of the verdict on a function of `async def`."""
        raise NotImplementedError

    def tried(
        self,
        answer: Answer,
        *arguments: Any,
        steer: Callable[[Any, list[Started]], Steering] | None = None,
    ) -> Attempt:
        """Return an attempt in a loop, beside a heart."""
        self.heart = Heart()
        tried = attempt(self.heart.beside(answer), *arguments, steer=steer)
        if self.heart.left:
            words = "A task still ran when your function had returned"
            tried.left = f"{words}: {self.left_over}"
        return tried


def _unfit(answer: Answer) -> str:
    """Return why a loop can't run the answer, in words; empty if it can."""
    if inspect.isasyncgenfunction(answer):
        return YIELDS
    return "" if is_async(answer) else NOT_ASYNC


@contextmanager
def _unwarned() -> Iterator[None]:
    """Don't warn of coroutines that nobody awaits: of them the verdict tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        finally:
            gc.collect()  # a traceback may keep one, and warn under a later cell


def _is_pending(result: Any) -> bool:
    """Return whether it only stands for a result."""
    return inspect.isawaitable(result) or isinstance(result, Future)


def forgotten(tried: Attempt) -> bool:
    """Return whether an answer gave what should have been awaited; drop that."""
    results = tried.results if isinstance(tried.results, list | tuple) else []
    dropped = [each for each in (tried.results, *results) if _is_pending(each)]
    for each in dropped:
        getattr(each, "close", lambda: None)()
    return bool(dropped)


def judged_awaited(tried: Attempt, expected: list[Any]) -> Line:
    """Judge what came of an attempt: its failure, or its results."""
    if tried.failure:
        return Line(False, tried.failure)
    return judged_results(tried.results, expected)


def judged_leaving(tried: Attempt) -> Iterator[Line]:
    """Say so if something was left open or running: the answer needs no pool."""
    yield from (line for line in judged_closing(tried) if not line.right)


def addresses(number: int) -> list[str]:
    """Return addresses that nobody serves."""
    return [f"http://{random.choice(WORDS)}.example/{n}" for n in range(number)]


class TenAtATime(AwaitedLoop):
    name, lesson = "ten_at_a_time", "08"
    takes = ("fetch_all",)
    hints = (
        "asyncio.Semaphore(10) has ten places. Who gets one with `async with` gives it "
        "back at the end of the block.",
        "There must be one semaphore for all, made before the first fetch.",
        "Write an inner `async def` that takes a url, waits for a place, and fetches. "
        "Then gather it over all urls.",
    )
    moral = "all at once, but never more than ten."
    PLACES, URLS = 10, 25

    def judge_awaited(self, answer: Answer) -> Iterator[Line]:
        urls = addresses(self.URLS)
        fetch = AwaitedProbe(str.upper, self.PLACES)
        self._taken = False
        tried = self.tried(answer, fetch, urls, steer=self._steer)
        if forgotten(tried):
            yield Line(False, FORGOTTEN)
            return
        yield judged_awaited(tried, [url.upper() for url in urls])
        calls = fetch.calls()
        wrong = [] if tried.failure else [*judged_calls(calls, urls)]
        yield from wrong
        if calls:
            yield self._judged_places(tried, calls)
        yield from judged_leaving(tried)
        if not tried.failure and not wrong:
            fails = AwaitedProbe(str.upper, fails=urls[-1])
            yield judged_error(self.tried(answer, fails, urls))

    def _steer(self, fetch: AwaitedProbe, pools: list[Started]) -> Steering:
        yield from meeting(fetch, pools)
        if len(here := fetch.waiting()) == self.PLACES:
            fetch.release(here[-1][1])  # not the first: they may end in any order
            yield from soon(lambda: fetch.arrived > self.PLACES)
            self._taken = fetch.arrived > self.PLACES
        fetch.release()

    def _judged_places(self, tried: Attempt, calls: list[Call]) -> Line:
        most = together(calls)
        if most > self.PLACES:
            words = f"{most} were fetched at the same time: only ten are allowed"
        elif most == 1:
            words = "One after the other: each was awaited before the next began"
        elif most < self.PLACES:
            words = f"Never more than {most} were fetched at a time: ten are allowed"
        elif tried.stopped and len(calls) == most:
            words = "Ten were fetched, then no more: no place was given back"
        elif len(calls) > most and not self._taken:
            words = "The next ones began when all ten were done: a free place was lost"
        else:
            return Line(True, "Ten were fetched at a time, never more")
        return Line(False, words)

    def try_out(self, answer: Answer) -> Attempt:
        url = f"{server.start()}?delay=0.1"
        return self.tried(answer, AwaitedProbe(fetch_async), [url] * self.URLS)


class UnfreezeTheLoop(AwaitedLoop):
    name, lesson = "unfreeze_the_loop", "08"
    takes = ("read_all",)
    hints = (
        "read blocks: whichever thread calls it stands still. It must not be the one "
        "that the loop runs in.",
        "asyncio.to_thread(read, file) calls it in another thread. Mind the comma: "
        "read(file) would call it right here.",
        "It gives a coroutine for each file. gather awaits them all.",
    )
    moral = "the threads wait, and the loop lives."

    def judge_awaited(self, answer: Answer) -> Iterator[Line]:
        files = [f"{word}.txt" for word in random.sample(WORDS, 6)]
        read = Probe(str.upper, meet=2)
        self._early, self._alive = True, False  # unless the reads are seen to wait
        tried = self.tried(answer, read, files, steer=self._steer)
        (calls,) = tried.calls
        if forgotten(tried):
            yield Line(False, FORGOTTEN)
            return
        yield judged_awaited(tried, [file.upper() for file in files])
        wrong = [] if tried.failure else [*judged_calls(calls, files)]
        yield from wrong
        if calls:
            yield from self._judged_heart(tried, calls)
        yield from judged_leaving(tried)
        if not tried.failure and not wrong:
            fails = Probe(str.upper, fails=files[-1])
            yield judged_error(self.tried(answer, fails, files))

    def _steer(self, read: Probe, pools: list[Started]) -> Steering:
        yield from meeting(read, pools)
        heart, before = self.heart, len(self.heart.ticks)
        yield from soon(lambda: heart.over or len(heart.ticks) > before + 3)
        self._early, self._alive = heart.over, len(heart.ticks) > before + 3
        read.release()

    def _judged_heart(self, tried: Attempt, calls: list[Call]) -> Iterator[Line]:
        if any(call.span.worker == tried.caller for call in calls):
            words = "read was called in the loop's own thread: the heart stood still"
            yield Line(False, words)
        elif self._early:
            if not (tried.failure or tried.left):
                words = "Your function had returned before all was read: await it"
                yield Line(False, words)
        elif not self._alive:
            words = "The heart stood still: the loop waited for threads without `await`"
            yield Line(False, words)
        else:
            yield Line(True, "The heart went on beating while files were read")
            if together(calls) > 1:
                yield Line(True, "Several files were read at the same time")
            else:
                words = "One file after the other: begin them all, then await them"
                yield Line(False, words)

    def try_out(self, answer: Answer) -> Attempt:
        return self.tried(answer, Probe(nap), [0.1] * 6)

    def draw(self, answer: Answer) -> None:
        """Draw what an answer did, and the beats of the heart beside it."""
        super().draw(answer)
        if not _unfit(answer) and len(self.heart.ticks) > 1:
            heartbeats({"your loop": self.heart.ticks}, BEAT)


class CancelTheLate(AwaitedLoop):
    name, lesson = "cancel_the_late", "08"
    takes = ("in_time",)
    hints = (
        "Begin them all: asyncio.create_task(fetch(url)) for each url.",
        "asyncio.wait(tasks, timeout=seconds) raises nothing. It returns two sets: the "
        "tasks that are done, and those that are not.",
        "Cancel the late ones. For the list, go through your tasks in their order: the "
        "result if it is done, else None.",
    )
    moral = "what was done is kept, and nothing is left over."
    left_over = "cancel it"
    SECONDS = 0.5

    def judge_awaited(self, answer: Answer) -> Iterator[Line]:
        urls = addresses(8)
        late = set(random.sample(urls, 3))
        tried, fetch = self._held(answer, urls, late)
        if forgotten(tried):
            yield Line(False, FORGOTTEN)
            return
        calls = fetch.calls()
        late_calls = [call for call in calls if call.failed]
        at_once = together(late_calls) == len(late)
        if isinstance(tried.error, TimeoutError) and at_once:
            words = "One limit for all of them: what was done is lost"
            yield Line(False, words)
        else:
            yield from self._judged_results(tried, urls, late)
        if not tried.failure:
            yield from judged_calls(calls, urls)
        yield from self._judged_late(late_calls, not (tried.left or tried.stopped))
        yield from judged_leaving(tried)
        if not tried.failure:
            failing = next(url for url in urls if url not in late)
            tried, _ = self._held(answer, urls, late, failing)
            yield judged_error(tried)

    def _held(
        self, answer: Answer, urls: list[str], late: set[str], fails: str | None = None
    ) -> tuple[Attempt, AwaitedProbe]:
        """Return an attempt in which the late ones never end, and what it called."""
        fetch = AwaitedProbe(str.upper, len(late), fails, held=late)

        def never(fetch: AwaitedProbe, pools: list[Started]) -> Steering:
            yield

        return self.tried(answer, fetch, urls, self.SECONDS, steer=never), fetch

    def _judged_results(
        self, tried: Attempt, urls: list[str], late: set[str]
    ) -> Iterator[Line]:
        expected = [None if url in late else url.upper() for url in urls]
        if tried.results == [each for each in expected if each is not None]:
            words = "Only those that were done came back: put None for the late ones"
            yield Line(False, words)
        elif _has_lost(tried.results, expected):
            words = "What was done in time is lost: its text belongs in the list"
            yield Line(False, words)
        elif isinstance(tried.results, list) and any(
            isinstance(each, BaseException) for each in tried.results
        ):
            yield Line(False, "There is an error in your list: put None for a late one")
        else:
            yield judged_awaited(tried, expected)

    def _judged_late(self, late: list[Call], cancelled: bool) -> Iterator[Line]:
        """Judge the fetches that never ended: whether all had one and the same time."""
        ends = [call.span.end for call in late]
        if not late:
            return
        if together(late) < len(late):
            words = "One after the other: each waited until the one before it was late"
            yield Line(False, words)
        elif sum(min(ends) < tick < max(ends) for tick in self.heart.ticks) > BEATS:
            words = "One late fetch after the other was given up: one limit for all"
            yield Line(False, words)
        elif cancelled:
            yield Line(True, "All had the same time, and the late ones were cancelled")

    def try_out(self, answer: Answer) -> Attempt:
        address = server.start()
        urls = [f"{address}?delay={delay}" for delay in (0.1, 0.9, 0.2, 1.5, 0.3)]
        return self.tried(answer, AwaitedProbe(fetch_async), urls, self.SECONDS)


def _has_lost(results: Any, expected: list[Any]) -> bool:
    """Return whether the results are those expected, but for None in some places."""
    if not isinstance(results, list | tuple) or len(results) != len(expected):
        return False
    pairs = list(zip(results, expected, strict=True))
    known = all(result is None or result == each for result, each in pairs)
    lost = any(result is None and each is not None for result, each in pairs)
    return known and lost


ten_at_a_time = TenAtATime()
unfreeze_the_loop = UnfreezeTheLoop()
cancel_the_late = CancelTheLate()
