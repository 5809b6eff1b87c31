"""The exercises of the lessons: each has `show`, `check` and `hint`.

The notebooks' cells, stubs and solutions, are the bodies of functions here, so that
they have one source; see `check.cell`.
"""

# The variables that a cell defines are for the cells after it.
# ruff: noqa: F841

import math
import multiprocessing
import operator
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from functools import partial
from time import perf_counter
from typing import Any

from joblib import Parallel, delayed

from helpers import check, server, strategies
from helpers.check import (
    Attempt,
    Exercise,
    Line,
    Started,
    Steering,
    attempt,
    judged_calls,
    judged_closing,
    judged_error,
    judged_meeting,
    judged_processes,
    judged_results,
    meeting,
)
from helpers.claims import fewer_cores_than
from helpers.figures import gains
from helpers.laws import amdahl, karp_flatt
from helpers.measure import calibrate, race
from helpers.probe import Probe, item_of
from helpers.runs import Run
from helpers.workloads import (
    count_primes,
    count_tokens,
    countdown,
    fetch,
    library_files,
    nap,
    sha256_rounds,
)

Answer = Callable[..., Any]


class Loop(Exercise):
    """An exercise whose answer runs one task over many items.

    Attributes:
        task: what the answer is handed, watched.
        setting: what the answer takes between the task and the items.
        computes: whether the task needs processes.
        meet: how many tasks should run at the same time; None for all.
    """

    task: Callable[..., Any]
    setting: tuple[Any, ...] = ()
    computes = False
    meet: int | None = 2

    def drawn(self) -> list[Any]:
        """Return items, afresh for each attempt."""
        raise NotImplementedError

    def expected(self, items: list[Any]) -> Any:
        return [self.task(*self.setting, item) for item in items]

    def judge(self, answer: Answer, **more: Any) -> Iterator[Line]:
        items = self.drawn()
        meet = self.meet or len(items)
        tried = self.tried(answer, Probe(self.task, meet), items)
        (calls,) = tried.calls
        if tried.failure:
            yield Line(False, tried.failure)
            yield from judged_closing(tried)
            return
        yield judged_results(tried.results, self.expected(items))
        wrong = [*judged_calls(calls, items)]
        yield from wrong
        if calls:
            yield judged_meeting(tried, calls, meet)
        if self.computes:
            yield from judged_processes(tried, calls)
        yield from self.judge_more(tried)
        again = self.drawn()
        failed = self.tried(answer, Probe(self.task, fails=again[-1]), again)
        yield from judged_closing(tried, failed)
        yield from self.judge_failed(failed, **more)
        if not wrong:
            yield judged_error(failed)

    def tried(self, answer: Answer, watched: Probe, items: list[Any]) -> Attempt:
        return attempt(answer, watched, *self.setting, items)

    def judge_more(self, tried: Attempt) -> Iterator[Line]:
        """Yield what else there is to say about the attempt."""
        yield from ()

    def judge_failed(self, failed: Attempt) -> Iterator[Line]:
        """Yield what else there is to say about the attempt in which a task failed."""
        yield from ()

    def try_out(self, answer: Answer) -> Attempt:
        return self.tried(answer, Probe(self.task, pause=0.05), self.drawn())


class WaitTogether(Loop):
    name, lesson = "wait_together", "01"
    hints = (
        "Which worker naps while this one naps? Give each nap a thread of its own.",
        "ThreadPoolExecutor(n) has n threads. Its map takes what the built-in map "
        "takes.",
        "with ThreadPoolExecutor(len(times)) as pool: and in it pool.map(nap, times), "
        "as a list.",
    )
    moral = "all naps together take as long as the longest."
    task = staticmethod(nap)
    meet = None

    @staticmethod
    def stub() -> None:
        def nap_all(nap, times):
            return [nap(seconds) for seconds in times]

    @staticmethod
    def solution() -> None:
        def nap_all(nap, times):
            with ThreadPoolExecutor(len(times)) as pool:
                return list(pool.map(nap, times))

    def drawn(self) -> list[float]:
        return [round(random.uniform(0.01, 0.03), 6) for _ in range(5)]

    def try_out(self, answer: Answer) -> Attempt:
        return self.tried(answer, Probe(nap), [0.3, 0.1, 0.2, 0.4, 0.2])


class KeepTheCount(Loop):
    name, lesson = "keep_the_count", "01"
    hints = (
        "total += count(file) reads the total, counts, then writes. Who else writes "
        "while it counts?",
        "Don't share the total. Let each task return its own number.",
        "pool.map(count, files) yields the numbers, in order, and raises what a task "
        "raised: the built-in sum can take it as it is.",
    )
    moral = "nothing is shared, so nothing gets lost, errors neither."
    task = staticmethod(count_tokens)

    @staticmethod
    def stub() -> None:
        def count_all(count, files):
            total = 0

            def add(file):
                nonlocal total
                total += count(file)

            with ThreadPoolExecutor(4) as pool:
                pool.map(add, files)
            return total

    @staticmethod
    def solution() -> None:
        def count_all(count, files):
            with ThreadPoolExecutor(4) as pool:
                return sum(pool.map(count, files))

    def drawn(self) -> list[str]:
        return random.sample(library_files()[60:120], 6)

    def expected(self, items: list[str]) -> int:
        return sum(map(count_tokens, items))

    def try_out(self, answer: Answer) -> Attempt:
        files = library_files()[20:28]
        tried = self.tried(answer, Probe(count_tokens), files)
        if not tried.failure:
            print(f"Your total: {tried.results}. In a loop: {self.expected(files)}")
        return tried


class SortSix(Exercise):
    name, lesson = "sort_six", "02"
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

    @staticmethod
    def stub() -> None:
        answers = {
            "nap": "?",
            "fetch": "?",
            "sha256_rounds": "?",
            "countdown": "?",
            "count_tokens": "?",
            "abs": "?",
        }

    @staticmethod
    def solution() -> None:
        answers = {
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

    def show(self, answers: Mapping[str, str]) -> None:
        """Draw what two workers gain, for the functions that have an answer."""
        if raced := self._raced(answers):
            gains(raced)
        else:
            print("Answer for one function at least, and its race is drawn")

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

            ways = {"serial": 1, threads: 2, processes: 2}
            for name in names:
                function, inputs = task_of(name)
                self._races[name] = race(function, inputs, ways, rounds=2, budget=0)


def task_of(name: str) -> tuple[Callable[[Any], Any], list[Any]]:
    """Return a function to sort, and inputs that suit it: a tenth of a second each."""
    if name == "nap":
        return nap, [0.05] * 2
    if name == "fetch":
        return fetch, [f"{server.start()}?delay=0.05"] * 2
    if name == "count_tokens":
        return count_tokens, library_files()[10:12]
    if name == "abs":
        return abs, list(range(500))
    function = {"sha256_rounds": sha256_rounds, "countdown": countdown}[name]
    return function, [calibrate(function, 0.08)] * 2


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
    why = fewer_cores_than(2, threads, processes)
    why = why() if callable(why) else why
    return (known, why) if why else (found, None)


class AsTheyCome(Loop):
    name, lesson = "as_they_come", "02"
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

    @staticmethod
    def stub() -> None:
        def fetch_all(fetch, urls, show):
            with ThreadPoolExecutor(len(urls)) as pool:
                results = list(pool.map(fetch, urls))
            for url in urls:
                show(url)
            return results

    @staticmethod
    def solution() -> None:
        def fetch_all(fetch, urls, show):
            with ThreadPoolExecutor(len(urls)) as pool:
                futures = {pool.submit(fetch, url): url for url in urls}
                for future in as_completed(futures):
                    show(futures[future])
                return [future.result() for future in futures]

    def drawn(self) -> list[str]:
        return [f"http://{word}.example/" for word in random.sample(WORDS, 5)]

    def tried(self, answer: Answer, watched: Probe, items: list[str]) -> Attempt:
        self._showing = Showing(items)
        steer = self._showing.steer if watched.meet > 1 else None
        return attempt(answer, watched, items, self._showing.shown.append, steer=steer)

    def judge_more(self, tried: Attempt) -> Iterator[Line]:
        yield from self._showing.judged()

    def try_out(self, answer: Answer) -> Attempt:
        address = server.start()
        urls = [f"{address}?delay={delay}" for delay in (0.4, 0.1, 0.3, 0.5, 0.2)]

        def show(url: str) -> None:
            print("shown:", url.removeprefix(address))

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
        began = perf_counter()
        while url not in self.shown and perf_counter() - began < check.SOON:
            yield

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


class MendThePool(Loop):
    name, lesson = "mend_the_pool", "03"
    hints = (
        "The worker imports count_words by its name, and a cell is no module. Which "
        "two ways out do you know?",
        "Put the whole cell into a file: its first line can say where.",
        "The first line is %%importable lesson_words. Or let joblib send the function.",
    )
    moral = "workers that start fresh found your function."
    computes = True

    @staticmethod
    def stub() -> None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def count_words(text):
            return len(text.split())

        def run_all(function, texts):
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                return list(pool.map(function, texts))

    @staticmethod
    def solution() -> None:
        # %%importable lesson_words
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        def count_words(text):
            return len(text.split())

        def run_all(function, texts):
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                return list(pool.map(function, texts))

    def judge(self, answer: Answer, task: Answer) -> Iterator[Line]:
        self.task = task
        yield from super().judge(answer)

    def drawn(self) -> list[str]:
        counts = random.sample(range(1, 30), 6)
        return [" ".join(random.choices(WORDS, k=count)) for count in counts]

    def expected(self, items: list[str]) -> list[int]:
        return [len(text.split()) for text in items]

    def judge_more(self, tried: Attempt) -> Iterator[Line]:
        if any(started.method == "fork" for started in tried.pools):
            words = "fork copies the notebook into the workers: let them start fresh"
            yield Line(False, words)

    def try_out(self, answer: Answer, task: Answer) -> Attempt:
        self.task = task
        return super().try_out(answer)


class SendASetting(Loop):
    name, lesson = "send_a_setting", "03"
    hints = (
        "What would the name of the lambda be in the worker?",
        "scale itself travels, and so does the factor. What puts the two together?",
        "partial(scale, factor) is a function of the number that is still missing.",
    )
    moral = "a function that travels, and its setting with it."
    task = staticmethod(operator.mul)
    computes = True

    @staticmethod
    def stub() -> None:
        def scale_all(scale, factor, numbers):
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(2, spawn) as pool:
                return list(pool.map(lambda x: scale(factor, x), numbers))

    @staticmethod
    def solution() -> None:
        def scale_all(scale, factor, numbers):
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(2, spawn) as pool:
                return list(pool.map(partial(scale, factor), numbers))

    def drawn(self) -> list[int]:
        self.setting = (random.randrange(2, 100),)
        return random.sample(range(1000), 6)


class JoblibLoop(Loop):
    name, lesson = "joblib_loop", "04"
    hints = (
        "No turn needs what another has counted. So write the loop as a list of calls "
        "first: [count(file) for file in files].",
        "delayed(count)(file) notes a call for later. delayed(count(file)) counts "
        "right here.",
        "Parallel(n_jobs=2) takes these calls, and returns the results in their order.",
    )
    moral = "two workers, and the results in the order of the files."
    task = staticmethod(count_tokens)
    computes = True

    @staticmethod
    def stub() -> None:
        def count_all(count, files):
            counts = []
            for file in files:
                counts.append(count(file))
            return counts

    @staticmethod
    def solution() -> None:
        def count_all(count, files):
            return Parallel(n_jobs=2)(delayed(count)(file) for file in files)

    def drawn(self) -> list[str]:
        return random.sample(library_files()[60:120], 6)

    def try_out(self, answer: Answer) -> Attempt:
        _wake_joblib()
        return self.tried(answer, Probe(count_tokens), library_files()[:12])


class TooManyTrips(Loop):
    name, lesson = "too_many_trips", "04"
    hints = (
        "How long is one task, and how long does it take to send one? You have seen "
        "both in this lesson.",
        "Let many numbers share a trip.",
        "pool.map has an argument for that: chunksize.",
    )
    moral = (
        "few trips, many numbers on each. For tiny tasks a plain loop is better yet."
    )
    task = staticmethod(math.isqrt)
    computes = True
    TASKS = 2000

    @staticmethod
    def stub() -> None:
        def run_all(function, numbers):
            with ProcessPoolExecutor(2) as pool:
                return list(pool.map(function, numbers))

    @staticmethod
    def solution() -> None:
        def run_all(function, numbers):
            with ProcessPoolExecutor(2) as pool:
                return list(pool.map(function, numbers, chunksize=250))

    def drawn(self) -> list[int]:
        return random.sample(range(10**6), self.TASKS)

    def try_out(self, answer: Answer) -> Attempt:
        numbers = self.drawn()
        began = perf_counter()
        self.expected(numbers)
        print(f"In a plain loop: {1e3 * (perf_counter() - began):.1f} ms")
        return self.tried(answer, Probe(self.task), numbers)

    def judge_failed(self, failed: Attempt, why: str = "?") -> Iterator[Line]:
        (calls,) = failed.calls
        trips = {(call.span.pid, call.trip) for call in calls if call.trip}
        if len(trips) > self.TASKS / 10:
            words = "Hardly any number shared a trip to a worker with others"
            yield Line(False, words)
        elif trips:
            yield Line(True, "Many numbers shared a trip to a worker")
        if why not in ("a", "b", "c"):
            yield Line(False, 'Why is it slower? Choose "a", "b" or "c"')
        elif why == "b":
            yield Line(True, "Why it was slower: right")
        else:
            yield Line(False, "Why it was slower: another reason")


class ReadTheLaw(Exercise):
    name, lesson = "read_the_law", "05"
    hints = (
        "Amdahl: 1 / speedup = s + (1 - s) / workers. Which s makes it true?",
        "Bring all that has an s in it to one side: 1 / speedup - 1 / workers = "
        "s - s / workers.",
        "s - s / workers is s * (1 - 1 / workers): divide by the bracket.",
    )
    moral = "one measured speed-up tells the serial part. This is Karp and Flatt's law."

    @staticmethod
    def stub() -> None:
        def serial_part(speedup, workers):
            return 1 - speedup / workers

    @staticmethod
    def solution() -> None:
        def serial_part(speedup, workers):
            return (1 / speedup - 1 / workers) / (1 - 1 / workers)

    def judge(self, answer: Answer) -> Iterator[Line]:
        serial = [random.uniform(0.05, 0.6) for _ in range(6)]
        workers = random.sample(range(2, 33), 6)
        speedups = [amdahl(p, s) for p, s in zip(workers, serial)]
        try:
            perfect, useless = answer(8, 8), answer(1, 8)
            answers = [answer(*both) for both in zip(speedups, workers)]
        except Exception as error:
            yield Line(False, f"Your function raised {type(error).__name__}: {error}")
            return
        if not all(isinstance(number, int | float) for number in answers):
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

    def show(self, answer: Answer) -> None:
        """Print what the answer makes of speed-ups with a serial part of a tenth."""
        print("workers  speed-up  your serial part")
        for workers in (2, 4, 8, 16):
            speedup = amdahl(workers, 0.1)
            try:
                found = f"{answer(speedup, workers):.3f}"
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
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
        lambda speedup, workers: karp_flatt(workers, speedup)
    ),
    "In per cent: give it as a share of 1": (
        lambda speedup, workers: 100 * karp_flatt(speedup, workers)
    ),
}


class ShrinkTheSerialPart(Exercise):
    name, lesson = "shrink_the_serial_part", "05"
    hints = (
        "Which line runs in the notebook, one load after the other?",
        "Let each task do both: load its file, then work on it. Only the name travels.",
        "Write a function load_and_work(name) inside run_all. joblib can send it.",
    )
    moral = "the loads are shared out too, and the serial part is nearly gone."

    @staticmethod
    def stub() -> None:
        def run_all(load, work, names):
            loaded = [load(name) for name in names]
            return Parallel(n_jobs=2)(delayed(work)(data) for data in loaded)

    @staticmethod
    def solution() -> None:
        def run_all(load, work, names):
            def load_and_work(name):
                return work(load(name))

            return Parallel(n_jobs=2)(delayed(load_and_work)(name) for name in names)

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
        _wake_joblib()
        names = [str(size) for size in range(20_000, 26_000, 1_000)]
        return attempt(answer, Probe(int, pause=0.1), Probe(count_primes), names)


def _wake_joblib() -> None:
    """Start the workers that joblib keeps: a picture should not be of their start."""
    Parallel(n_jobs=2)(delayed(abs)(number) for number in range(2))


WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")

wait_together = WaitTogether()
keep_the_count = KeepTheCount()
sort_six = SortSix()
as_they_come = AsTheyCome()
mend_the_pool = MendThePool()
send_a_setting = SendASetting()
joblib_loop = JoblibLoop()
too_many_trips = TooManyTrips()
read_the_law = ReadTheLaw()
shrink_the_serial_part = ShrinkTheSerialPart()
