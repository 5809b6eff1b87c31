"""The exercises of lesson 02: which pool for what, and results as they come."""

# What a learner types has no type hints, and is for the cells after it.
# mypy: allow-untyped-defs

import random
from collections.abc import Iterator, Mapping
from typing import Any

from helpers import server, strategies
from helpers.claims import fewer_cores_than, gil_off
from helpers.exercises.attempt import Attempt, Steering, attempt, meeting, soon
from helpers.exercises.exercise import WORDS, Answer, Exercise, Loop
from helpers.exercises.verdict import Line
from helpers.exercises.watch import Started
from helpers.figures import gains
from helpers.jobs import WORKLOADS, Job, inputs_of
from helpers.measure import race
from helpers.probe import Probe, item_of
from helpers.runs import Run
from helpers.said import say
from helpers.travel import Map
from helpers.workloads import fetch

TRIES = 3


class SortSix(Exercise):
    name, lesson = "sort_six", "02"
    takes, wants = ("answers",), "your answers, a dictionary"
    hints = (
        "First ask: does it wait, or does it compute? What waits needs no core.",
        "Of what computes: does it let go of the GIL? Hashing large blocks of bytes "
        "does.",
        "And how long does one call take? Sending a task costs far more than a "
        "millionth of a second.",
    )
    moral = "waiting and C code that lets go take threads; Python code, processes."

    KINDS = ("threads", "processes", "nothing")
    KNOWN: Mapping[str, str] = {
        "nap": "threads",
        "fetch": "threads",
        "sha256_rounds": "threads",
        "countdown": "processes",
        "count_tokens": "processes",
        "abs": "nothing",
    }

    def __init__(self) -> None:
        super().__init__()
        self._races: dict[str, dict[str, Run]] = {}

    def judge(self, answers: Mapping[str, str]) -> Iterator[Line]:
        raced = self._raced(answers)
        for name, known in self.KNOWN.items():
            if name not in raced:
                words = '"threads", "processes" or "nothing"'
                yield Line(False, f"{name}: choose {words}")
                continue
            found, why = kind_of(raced[name], known)
            right = answers[name] == found
            note = f" (not tested here: {why})" if right and why else ""
            yield Line(right, f"{name}: {found + note if right else 'not yet'}")

    def usable(self, given: Any) -> bool:
        return isinstance(given, Mapping)

    def draw(self, answers: Mapping[str, str]) -> None:
        """Draw what two workers gain, for the functions that have an answer."""
        if raced := self._raced(answers):
            gains(raced)
        else:
            say("Answer for one function at least, and its race is drawn")

    def _raced(self, answers: Mapping[str, str]) -> dict[str, dict[str, Run]]:
        """Return the races of the functions that have an answer, each made once."""
        chosen = [name for name in self.KNOWN if answers.get(name) in self.KINDS]
        if not self._races.keys() >= set(chosen):
            self._race([name for name in chosen if name not in self._races])
        return {name: self._races[name] for name in chosen}

    def _race(self, names: list[str]) -> None:
        with (
            strategies.threads(2) as in_threads,
            strategies.processes(2) as in_processes,
        ):

            def threads(function: Answer, inputs: Any) -> Any:
                return in_threads(function, inputs)

            def processes(function: Answer, inputs: Any) -> Any:
                return in_processes(function, inputs)

            ways: dict[str | Map, int] = {"serial": 1, threads: 2, processes: 2}
            for name in names:
                self._races[name] = _race_of(name, ways)


def _race_of(name: str, ways: Mapping[str | Map, int]) -> dict[str, Run]:
    """Return the race of a function, until it shows what is known of it, or the last.

    Other programs can hide for a moment that a second core helps; nothing feigns it.
    """
    (function, inputs), known = task_of(name), SortSix.KNOWN[name]
    for _ in range(TRIES):
        runs = race(function, inputs, ways, rounds=2, budget=0)
        if kind_of(runs, known)[0] == known:
            break
    return runs


def task_of(name: str) -> tuple[Answer, list[Any]]:
    """Return a function to sort, by its name, and inputs that take it a moment."""
    named = {each.function.__name__: key for key, each in WORKLOADS.items()}
    # Where two workers had one core, a run of these takes longer than runs.COUNTABLE:
    # so it shows by itself that other programs had the other.
    tasks = 500 if name == "abs" else 8
    address = server.start() if name == "fetch" else ""
    job = Job(named[name], tasks, seconds=0.03, ways=(), address=address)
    return WORKLOADS[job.workload].function, inputs_of(job)


def kind_of(runs: Mapping[str, Run], known: str) -> tuple[str, str | None]:
    """Return what helps, by the runs, and why the runs can't tell, if they can't.

    Args:
        runs: "serial", "threads" and "processes".
        known: what helps where there are cores: the answer, if the runs can't tell.
    """
    serial, threads, processes = (runs[w] for w in ("serial", "threads", "processes"))
    busy = {
        way: max(each.cores_busy for each in runs[way].rounds)
        for way in ("serial", "threads", "processes")
    }
    if min(threads.wall, processes.wall) > 2 * serial.wall:
        found = "nothing"
    elif busy["serial"] < 0.2 or busy["threads"] > 1.15:
        found = "threads"
    elif busy["processes"] > 1.1 * busy["threads"]:
        found = "processes"
    else:
        found = "nothing"
    if found == known:
        return found, None
    why = fewer_cores_than(2, serial, threads, processes)
    if known == "processes" and (why is None or callable(why)):
        why = gil_off() or why
    why = why() if callable(why) else why
    return (known, why) if why else (found, None)


class AsTheyCome(Loop):
    name, lesson = "as_they_come", "02"
    takes = ("fetch_all",)
    hints = (
        "map gives nothing before the first is there, and then waits for the next. "
        "Use submit: it gives you a future for each url.",
        "as_completed(futures) yields each future when it is done. A dictionary from "
        "futures to urls tells whose it is.",
        "A dictionary keeps its order: when all have been shown, ask its futures for "
        "their results.",
    )
    moral = "shown as they came, returned in the order of the urls."
    task = staticmethod(str.upper)
    meet = None

    def drawn(self) -> list[str]:
        return [f"http://{word}.example/" for word in random.sample(WORDS, 5)]

    def tried(self, answer: Answer, watched: Probe, items: list[str]) -> Attempt:
        self._showing = Showing(items)
        steer = self._showing.steer if watched.meet > 1 else None
        return attempt(answer, watched, items, self._showing.shown.append, steer=steer)

    def judge_more(self, tried: Attempt, items: list[Any]) -> Iterator[Line]:
        yield from self._showing.judged()

    def try_out(self, answer: Answer, task: Answer | None = None) -> Attempt:
        address = server.start()
        urls = [f"{address}?delay={delay}" for delay in (0.4, 0.1, 0.3, 0.5, 0.2)]

        def show(url: str) -> None:
            say(f"shown: {url.removeprefix(address)}")

        return attempt(answer, Probe(fetch), urls, show)


class Showing:
    """Lets the fetches end one by one, and sees whether each is shown before the next.

    The first of the urls is the last to end, so that an answer that keeps their order
    shows nothing for long.
    """

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.shown: list[str] = []
        self.order = [*random.sample(urls[1:], len(urls) - 1), urls[0]]
        self.met = self.early = self.late = self.in_order = False

    def steer(self, fetch: Probe, pools: list[Started]) -> Steering:
        yield from meeting(fetch, pools)
        self.met = len(fetch.waiting()) == len(self.urls)
        if self.met:
            for url in self.order:
                self.early |= url in self.shown
                fetch.release(item_of(url))
                yield from self._until_shown(url)
                if url not in self.shown:
                    self.late = True
                    fetch.release(item_of(self.urls[0]))
                    yield from self._until_shown(self.urls[0])
                    self.in_order = self.urls[0] in self.shown
                    break
        fetch.release()

    def _until_shown(self, url: str) -> Steering:
        yield from soon(lambda: url in self.shown)

    def judged(self) -> Iterator[Line]:
        if sorted(self.shown) != sorted(self.urls):
            yield Line(False, "Call show(url) once for each of the urls")
        elif self.early:
            yield Line(False, "A url was shown before its result was there")
        elif self.in_order:
            words = (
                "They were shown in the order of the urls: each waited for the first"
            )
            yield Line(False, words)
        elif self.late:
            yield Line(False, "Nothing was shown until all were there")
        elif self.met:
            yield Line(True, "Each was shown as soon as it was there")


sort_six = SortSix()
as_they_come = AsTheyCome()
