"""The exercises of lesson 11: a task that may run twice, and an array sent once."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from cloudpickle import dumps, loads

from helpers.exercises.attempt import Attempt, attempt
from helpers.exercises.exercise import WORDS, Answer, Exercise
from helpers.exercises.lesson_06 import packed_arrays
from helpers.exercises.verdict import (
    Line,
    judged_calls,
    judged_error,
    judged_results,
    together,
)
from helpers.figures import timeline
from helpers.probe import Call, Probe
from helpers.runs import Run
from helpers.said import say
from helpers.trace import Span
from helpers.workers import scratch_folder
from helpers.workloads import rank

# How a process ends that is killed in the middle of its task; others end with 0 or 1.
KILLED = 9
# Calls the answer that it reads, and prints which files were opened to write.
CHILD = """
import os, sys
from cloudpickle import load
answer, arguments = load(sys.stdin.buffer)
def note(event, about):
    if event == "open" and isinstance(about[0], (str, os.PathLike)):
        if about[2] & (os.O_WRONLY | os.O_RDWR):
            print(os.path.basename(about[0]))
sys.addaudithook(note)
answer(*arguments)
"""


def lines_of(dies_at: int | None = None) -> Callable[[str], Iterator[str]]:
    """Return what a task reads; the process dies before it yields that line.

    It is sent to another process as it is, for it uses nothing that stands outside it.
    """

    def lines(item: str) -> Iterator[str]:
        import os
        import time

        for number in range(20):
            if number == dies_at:
                os._exit(9)
            time.sleep(0.002)
            yield f"{item}, line {number}\n"

    return lines


class Ran(NamedTuple):
    """A task that ran in a process of its own.

    Attributes:
        span: when.
        code: with what the process ended.
        error: the last line of what it complained of.
        opened: the files that it opened to write.
        files: what is in the folder afterwards, by name.
    """

    span: Span
    code: int
    error: str
    opened: list[str]
    files: dict[str, str]


def _run(
    answer: Answer, item: str, folder: str, number: int, dies_at: int | None = None
) -> Ran:
    """Run the task in a process of its own, which may die in the middle of it."""
    task = dumps((answer, (lines_of(dies_at), item, folder)))
    began = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        try:
            said, complaint = process.communicate(task, timeout=SafeTwice.LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            said, complaint = process.communicate()[0], b"it had not ended in time"
        except BaseException:
            process.kill()
            raise
    span = Span(number, process.pid, 1, began, perf_counter(), 0.0)
    last = [*complaint.decode(errors="replace").splitlines(), ""]
    error = next((line for line in reversed(last) if line), "")
    opened = said.decode(errors="replace").splitlines()
    found = sorted(each for each in Path(folder).rglob("*") if each.is_file())
    files = {each.name: each.read_text(errors="replace") for each in found}
    return Ran(span, process.returncode, error, opened, files)


class SafeTwice(Exercise):
    name, lesson = "safe_twice", "11"
    takes = ("save",)
    hints = (
        'Opened with "a", a file keeps what an earlier run has written. And with "w"? '
        "Then a kill leaves a part of it, under the name of the whole.",
        "Write into a file of another name. When all lines are there, give it the "
        "right one: that is done at once, or not at all.",
        "os.replace(part, whole) renames a file, and takes the place of one that is "
        "there already. Call it after the `with`, when the file is closed.",
    )
    moral = "a task that is done again leaves the same as one that is done once."
    LIMIT, MIDDLE = 20.0, 10

    def judge(self, answer: Answer) -> Iterator[Line]:
        item = random.choice(WORDS)
        killed, again, more = self._ran(answer, item)
        if killed.code == 0:
            yield Line(False, "Your function did not ask for the lines")
        elif killed.code != KILLED:
            yield Line(False, f"Your function raised {killed.error}")
        elif again.code or more.code:
            error = again.error or more.error
            yield Line(False, f"After a kill, the same task failed: {error}")
        else:
            yield from self._judged_files(f"{item}.txt", killed, again, more)

    def _ran(self, answer: Answer, item: str) -> tuple[Ran, Ran, Ran]:
        """Run a task that is killed in the middle, and twice more to its end."""
        with TemporaryDirectory(dir=scratch_folder()) as folder:
            return (
                _run(answer, item, folder, 0, dies_at=self.MIDDLE),
                _run(answer, item, folder, 1),
                _run(answer, item, folder, 2),
            )

    def _judged_files(
        self, name: str, killed: Ran, again: Ran, more: Ran
    ) -> Iterator[Line]:
        if name not in more.files:
            words = "The item has no file of its own, with its name and .txt"
            yield Line(False, words)
            return
        whole = "".join(lines_of()(name.removesuffix(".txt")))
        fault = _fault_in(again.files.get(name, ""), whole)
        fault = fault or _fault_in(more.files[name], whole)
        yield Line(not fault, fault or "Each line is there once, after three runs too")
        if name in killed.files or name in [*again.opened, *more.opened]:
            words = "finds a part, while you write or after a kill"
            yield Line(
                False, f"The file itself is opened to write: who reads it {words}"
            )
        else:
            yield Line(True, "The file is whole, or not there")
        if more.files.keys() - killed.files.keys() - {name}:
            yield Line(False, "Another file is left beside that of the item")

    def draw(self, *answer: Any) -> None:
        runs = self._ran(answer[0], WORDS[0])
        spans = tuple(ran.span for ran in runs)
        began, wall = spans[0].start, spans[-1].end - spans[0].start
        for name, text in runs[-1].files.items():
            say(f"{name}: {len(text.splitlines())} lines, of 20")
        timeline(Run(self.name, "processes", 3, 0.0, began, wall, spans))


def _fault_in(text: str, whole: str) -> str:
    """Return what is wrong with the text of a file; empty if nothing is."""
    if text == whole:
        return ""
    lines = text.splitlines(keepends=True)
    if len(lines) > len(set(lines)):
        return "Done again, the task left its lines twice"
    if whole.startswith(text):
        return "What a killed run had left was taken for the whole"
    return "The lines in the file are not those of the item"


class StandIn:
    """What an answer gets for a client of Dask: two threads, which get copies.

    It packs what the client would send, once for each task that it goes with.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def submit(self, function: Any, *args: Any, **options: Any) -> "Future[Any]":
        options = {k: v for k, v in options.items() if k not in ("pure", "key")}
        held = [*args, *options.values()]
        places = {n: each for n, each in enumerate(held) if isinstance(each, Future)}
        plain = [None if n in places else each for n, each in enumerate(held)]
        package, names = dumps((function, plain)), list(options)
        return self._pool.submit(_called, package, places, names)

    def map(self, function: Any, *inputs: Iterable[Any], **options: Any) -> list[Any]:
        return [self.submit(function, *each, **options) for each in zip(*inputs)]

    def scatter(self, data: Any, broadcast: bool = False, **_: Any) -> Any:
        if isinstance(data, list | tuple):
            return [self.scatter(each) for each in data]
        sent: Future[Any] = Future()
        sent.set_result(loads(dumps(data)))
        return sent

    def gather(self, futures: Any) -> Any:
        if isinstance(futures, Future):
            return futures.result()
        return [self.gather(each) for each in futures]


def _called(package: bytes, places: dict[int, "Future[Any]"], names: list[str]) -> Any:
    """Call what was packed, with the results of the futures in their places."""
    function, held = loads(package)
    for place, future in places.items():
        held[place] = future.result()
    at = len(held) - len(names)
    return function(*held[:at], **dict(zip(names, held[at:])))


class ScatterOnce(Exercise):
    name, lesson = "scatter_once", "11"
    takes = ("run_all",)
    hints = (
        "Each submit sends what stands in it, and the array stands in all of them.",
        "client.scatter(array, broadcast=True) sends it to all workers, and returns a "
        "future. Call it once, before the loop.",
        "Give submit that future in place of the array: the worker calls work with the "
        "array that it has.",
    )
    moral = "the array was sent once, and each task got a future of it."
    WORKERS, ITEMS = 2, 12

    def judge(self, answer: Answer) -> Iterator[Line]:
        items = self._drawn()
        tried = self._tried(answer, Probe(rank, meet=2), items)
        (calls,) = tried.calls
        if tried.failure:
            yield Line(False, tried.failure)
            return
        if _has_futures(tried.results):
            words = "You returned futures: client.gather gets their results"
            yield Line(False, words)
            return
        yield judged_results(tried.results, [rank(self._array, x) for x in items])
        wrong = [*judged_calls(calls, items)]
        yield from wrong
        if calls:
            yield _judged_beside(tried, calls)
            yield self._judged_sending()
        again = self._drawn()
        failed = self._tried(answer, Probe(rank, fails=again[-1]), again)
        if not wrong:
            yield judged_error(failed)

    def _drawn(self) -> list[int]:
        self._array = np.random.default_rng().random(50_000)
        return random.sample(range(50_000), self.ITEMS)

    def _tried(self, answer: Answer, watched: Probe, items: list[int]) -> Attempt:
        with ThreadPoolExecutor(self.WORKERS) as pool, packed_arrays() as sizes:

            @wraps(answer)
            def waited_for(*arguments: Any) -> Any:
                try:
                    return answer(*arguments)
                finally:  # what has not begun would wait where nobody opens a gate
                    pool.shutdown(wait=False, cancel_futures=True)

            tried = attempt(waited_for, StandIn(pool), watched, self._array, items)
        self._times = round(sum(sizes) / self._array.nbytes)
        return tried

    def _judged_sending(self) -> Line:
        if self._times > self.WORKERS:
            times = f"{self._times} times, for {self.ITEMS} tasks"
            return Line(False, f"The array was sent {times}: scatter it, once")
        if self._times == 0:
            return Line(False, "The array was never sent to a worker")
        return Line(True, "The array was sent once for each worker at most")

    def try_out(self, answer: Answer) -> Attempt:
        items = self._drawn()
        tried = self._tried(answer, Probe(rank, pause=0.05), items)
        say(f"The array was sent {self._times} times for {len(items)} tasks")
        return tried


def _has_futures(found: Any) -> bool:
    return isinstance(found, list) and any(isinstance(f, Future) for f in found)


def _judged_beside(tried: Attempt, calls: list[Call]) -> Line:
    if together(calls) > 1:
        return Line(True, "Several tasks ran at the same time")
    if {call.span.worker for call in calls} == {tried.caller}:
        return Line(False, "The notebook did all the work: submit it to the client")
    words = "Each result was waited for before the next task was handed in"
    return Line(False, f"{words}: submit all, then gather")


safe_twice = SafeTwice()
scatter_once = ScatterOnce()
