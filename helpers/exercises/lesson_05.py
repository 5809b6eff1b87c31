"""The exercises of lesson 05: Amdahl's law backwards, and a smaller serial part."""

import math
import random
from collections.abc import Callable, Iterator
from numbers import Real

from helpers.exercises.attempt import Attempt, attempt, in_words
from helpers.exercises.exercise import Answer, Exercise, wake_joblib
from helpers.exercises.verdict import (
    Line,
    judged_calls,
    judged_closing,
    judged_error,
    judged_meeting,
    judged_processes,
    judged_results,
)
from helpers.laws import amdahl, karp_flatt
from helpers.probe import Probe
from helpers.workloads import count_primes


class ReadTheLaw(Exercise):
    name, lesson = "read_the_law", "05"
    takes = ("serial_part",)
    hints = (
        "Amdahl: 1 / speedup = s + (1 - s) / workers. Which s makes it true?",
        "Bring all that has an s in it to one side: 1 / speedup - 1 / workers = "
        "s - s / workers.",
        "s - s / workers is s * (1 - 1 / workers): divide by the bracket.",
    )
    moral = "one measured speed-up tells the serial part. This is Karp and Flatt's law."

    def judge(self, answer: Answer) -> Iterator[Line]:
        serial = [random.uniform(0.05, 0.6) for _ in range(6)]
        workers = random.sample(range(2, 33), 6)
        speedups = [amdahl(p, s) for p, s in zip(workers, serial)]
        try:
            perfect, useless = answer(8, 8), answer(1, 8)
            answers = [answer(*both) for both in zip(speedups, workers)]
        except Exception as error:
            yield Line(False, f"Your function raised {in_words(error)}")
            return
        if not all(isinstance(each, Real) for each in (perfect, useless, *answers)):
            yield Line(False, "Your function returned no number")
            return
        right = all(map(_close, answers, serial))
        yield Line(_close(perfect, 0), "A perfect speed-up has no serial part: 0")
        yield Line(_close(useless, 1), "No speed-up at all: all is serial, 1")
        if right:
            yield Line(True, "Speed-ups by Amdahl's law give back their serial part")
            return
        for words, wrong in LOOKALIKES.items():
            if all(map(_close, answers, map(wrong, speedups, workers))):
                yield Line(False, words)
                return
        if len(set(answers)) == 1:
            yield Line(False, "The same number, whatever the speed-up")
        else:
            words = "Speed-ups by Amdahl's law don't give back their serial part"
            yield Line(False, words)

    def draw(self, answer: Answer) -> None:
        """Print what the answer makes of speed-ups with a serial part of a tenth."""
        print("workers  speed-up  your serial part")
        for workers in (2, 4, 8, 16):
            speedup = amdahl(workers, 0.1)
            try:
                found = f"{answer(speedup, workers):.3f}"
            except Exception as error:
                found = in_words(error)
            print(f"{workers:7}  {speedup:8.2f}  {found}")


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)


# Other formulas that people try, and what each of them is.
LOOKALIKES: dict[str, Callable[[float, float], float]] = {
    "That is the time that is left, of the loop's: a part of it is parallel": (
        lambda speedup, workers: 1 / speedup
    ),
    "That is the efficiency: how well the workers are used": (
        lambda speedup, workers: speedup / workers
    ),
    "That is what is missing to full efficiency, and grows with the workers": (
        lambda speedup, workers: 1 - speedup / workers
    ),
    "That is the parallel part: the serial part is the rest": (
        lambda speedup, workers: 1 - karp_flatt(speedup, workers)
    ),
    "Upside down: that is 1 divided by the serial part": (
        lambda speedup, workers: 1 / karp_flatt(speedup, workers)
    ),
    "The speed-up and the workers are swapped": (
        lambda speedup, workers: (1 / workers - 1 / speedup) / (1 - 1 / speedup)
    ),
    "In per cent: give it as a share of 1": (
        lambda speedup, workers: 100 * karp_flatt(speedup, workers)
    ),
}


class ShrinkTheSerialPart(Exercise):
    name, lesson = "shrink_the_serial_part", "05"
    takes = ("run_all",)
    hints = (
        "Which line runs in the notebook, one load after the other?",
        "Let each task do both: load its file, then work on it. Only the name travels.",
        "Write a function load_and_work(name) inside run_all. joblib can send it.",
    )
    moral = "the loads are shared out too, and the serial part is nearly gone."

    def judge(self, answer: Answer) -> Iterator[Line]:
        sizes = random.sample(range(100, 1000), 6)
        names = [str(size) for size in sizes]
        load, work = Probe(int, meet=2), Probe(count_primes, meet=2)
        tried = attempt(answer, load, work, names)
        if tried.failure:
            yield Line(False, tried.failure)
            yield from judged_closing(tried)
            return
        loads, works = tried.calls
        yield judged_results(tried.results, [count_primes(size) for size in sizes])
        wrong = [*judged_calls(loads, names)] or [*judged_calls(works, sizes)]
        yield from wrong
        if loads:
            yield judged_meeting(tried, loads, 2, "loads")
        if works:
            yield judged_meeting(tried, works, 2)
        yield from judged_processes(tried, works)
        fails = Probe(int, fails=names[-1])
        failed = attempt(answer, fails, Probe(count_primes), names)
        yield from judged_closing(tried, failed)
        if not wrong:
            yield judged_error(failed)

    def try_out(self, answer: Answer) -> Attempt:
        wake_joblib()
        names = [str(size) for size in range(20_000, 26_000, 1_000)]
        return attempt(answer, Probe(int, pause=0.1), Probe(count_primes), names)


read_the_law = ReadTheLaw()
shrink_the_serial_part = ShrinkTheSerialPart()
