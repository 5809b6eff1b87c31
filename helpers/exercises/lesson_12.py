"""The exercise of lesson 12: a loop of three steps, each with a way of its own."""

import random
from collections.abc import Iterator, Sequence

from helpers.exercises.attempt import Attempt, attempt
from helpers.exercises.exercise import Answer, Exercise
from helpers.exercises.verdict import (
    Line,
    judged_calls,
    judged_closing,
    judged_error,
    judged_meeting,
    judged_processes,
    judged_results,
)
from helpers.probe import Call, Probe
from helpers.workloads import count_primes

# What stands for fetching a page, for reading it, and for putting a number to it.
STEPS = (int, count_primes, hex)
PAGES = 8


class EachItsOwnWay(Exercise):
    name, lesson = "each_its_own_way", "12"
    takes = ("report",)
    hints = (
        "Which of the three waits, which one computes, and which one is so short that "
        "any trip takes longer?",
        "fetch waits: threads, one for each address. read computes: processes, as many "
        "as there are cores. grade stays where it is.",
        "Two pools, one after the other, each in a `with` of its own: what the first "
        "pool's map gives is what the second one's map takes.",
    )
    moral = "threads for what waits, processes for what computes, a loop for the rest."

    def judge(self, answer: Answer) -> Iterator[Line]:
        sizes = random.sample(range(100, 1000), PAGES)
        addresses = [str(size) for size in sizes]
        fetch, read, grade = STEPS
        numbers = [count_primes(size) for size in sizes]
        watched = Probe(fetch, meet=PAGES), Probe(read, meet=2), Probe(grade)
        tried = attempt(answer, *watched, addresses)
        if tried.failure:
            yield Line(False, tried.failure)
            yield from judged_closing(tried)
            return
        fetches, reads, grades = tried.calls
        yield judged_results(tried.results, [hex(number) for number in numbers])
        wrong = [
            *judged_calls(fetches, addresses),
            *judged_calls(reads, sizes),
            *judged_calls(grades, numbers),
        ]
        yield from wrong[:1]
        if not wrong:
            yield self._judged_fetches(tried, fetches)
            yield judged_meeting(tried, reads, 2, "pages")
            yield from judged_processes(tried, reads)
            yield self._judged_grades(tried, grades)
        fails = Probe(fetch, fails=addresses[-1])
        failed = attempt(answer, fails, *map(Probe, STEPS[1:]), addresses)
        yield from judged_closing(tried, failed)
        if not wrong:
            yield judged_error(failed)

    def _judged_fetches(self, tried: Attempt, fetches: Sequence[Call]) -> Line:
        if any(map(tried.was_elsewhere, fetches)):
            return Line(False, "Processes fetched the pages: to wait, threads will do")
        return judged_meeting(tried, fetches, PAGES, "fetches")

    def _judged_grades(self, tried: Attempt, grades: Sequence[Call]) -> Line:
        if {call.span.worker for call in grades} == {tried.caller}:
            return Line(True, "The grades, which take no time, made no trip")
        return Line(False, "Workers gave the grades: the trip takes longer than that")

    def try_out(self, answer: Answer) -> Attempt:
        addresses = [str(size) for size in range(20_000, 20_000 + 1000 * PAGES, 1000)]
        fetch, read, grade = STEPS
        return attempt(
            answer, Probe(fetch, pause=0.2), Probe(read), Probe(grade), addresses
        )


each_its_own_way = EachItsOwnWay()
