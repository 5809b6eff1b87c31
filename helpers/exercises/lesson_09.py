"""The exercises of lesson 09: a cache that threads share, and a way for each build."""

import gc
import math
import random
import sys
from collections.abc import Callable, Iterator
from functools import partial, wraps
from threading import Event, Lock, Thread
from time import monotonic, sleep
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from helpers.exercises import attempt as attempts
from helpers.exercises.attempt import Attempt, Steering, attempt, in_words
from helpers.exercises.exercise import WORDS, Answer, Exercise
from helpers.exercises.verdict import Line, failed_on_purpose, judged_closing
from helpers.exercises.watch import Started
from helpers.measure import PythonFailed, calibrate, run
from helpers.probe import Probe, item_of
from helpers.pythons import Python, pythons
from helpers.said import say
from helpers.workloads import countdown

# Of which there is no public name.
LockType = type(Lock())


class Hold:
    """Holds a thread back before it looks for a key in a dictionary.

    Args:
        number: before which of its looks; 0: before none.

    Attributes:
        looks: how many there have been, this one included.
        here: set while it is held back, and ever after.
        go: to be set when it may go on.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.looks = 0
        self.here, self.go = Event(), Event()

    def __call__(self) -> None:
        self.looks += 1
        if self.looks == self.number:
            self.here.set()
            self.go.wait(attempts.LIMIT)


class Key(str):
    """A word that a hold is told of whenever somebody looks for it in a dictionary.

    So another thread can have its turn between a look and a store, on every build, and
    also where the GIL would hardly ever change hands there.
    """

    hold: Hold

    def __new__(cls, word: str, hold: Hold) -> "Key":
        key = super().__new__(cls, word)
        key.hold = hold
        return key

    def __hash__(self) -> int:
        self.hold()
        return super().__hash__()


class Asker(Thread):
    """Looks keys up, and keeps what comes: the values, or an error."""

    def __init__(self, look_up: Answer, *keys: str) -> None:
        # Who waits for a lock for ever can't be ended; Python's end must not wait too.
        super().__init__(daemon=True)
        self.look_up, self.keys = look_up, keys
        self.values: list[Any] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.values += map(self.look_up, self.keys)
        except BaseException as error:
            self.error = error


class Asking:
    """Threads that ask a cache for its values, some of them at the same time.

    Args:
        answer: a learner's function: it takes what computes, and returns the cache.
        compute: what computes.
        script: what asks for the values, in turn; it runs in the answer's own thread.

    Attributes:
        tried: the attempt.
        askers: the threads, in the order in which they began.
        cache: what the answer has returned.
        stuck: whether one of them waited, and nothing came.
        looks: how often the first looked into a dictionary before it computed.
        computing: how many computed the value that two had asked for at once.
        beside: whether another value was computed meanwhile.
    """

    def __init__(
        self, answer: Answer, compute: Probe, script: Callable[["Asking"], None]
    ) -> None:
        self.compute = compute
        self.askers: list[Asker] = []
        self.cache: Any = None
        self.stuck = self.beside = False
        self.looks = self.computing = 0

        @wraps(answer)
        def play(compute: Probe) -> None:
            self.cache = answer(compute)
            if callable(self.cache):
                script(self)

        self.tried = attempt(play, compute, steer=_never)
        if self.stuck:
            self.tried.left = ""  # said in other words
            for asker in self.askers:  # of several who wait for a lock, one gets it
                _give_back_locks(asker)
                asker.join(0.1)

    def ask(self, *keys: str) -> None:
        """Ask for keys in a new thread, one after the other."""
        self.askers.append(Asker(self.cache, *keys))
        self.askers[-1].start()

    def release(self) -> None:
        """Open the gate, and wait for all who ask."""
        self.compute.release()
        self.wait()

    def wait(self) -> None:
        """Wait for all who ask, if something may still come."""
        until = monotonic() + 3 * attempts.SOON
        for asker in self.askers:
            asker.join(max(0.0, until - monotonic()))
        self.stuck |= any(asker.is_alive() for asker in self.askers)

    def at_gate(self, key: str) -> int:
        """Return how many compute the value of the key just now."""
        return sum(item == item_of(key) for _, item in self.compute.waiting())


def _never(compute: Probe, pools: list[Started]) -> Steering:
    """Leave the gate to those who ask."""
    yield


def _two_words() -> list[str]:
    """Return two words, where that can be with locks of their own.

    Locks may be shared out by `hash`: a few locks for many keys.
    """
    kinds = [[word for word in WORDS if hash(word) % 2 == kind] for kind in (0, 1)]
    return [*map(random.choice, kinds)] if all(kinds) else random.sample(WORDS, 2)


def _until(condition: Callable[[], bool], patience: float) -> None:
    until = monotonic() + patience
    while not condition() and monotonic() < until:
        sleep(0.003)


def _give_back_locks(waiter: Thread) -> None:
    """Give back each lock that somebody holds and that a thread's frames lead to.

    The thread has been told to end, and does so as soon as it gets what it waits for.
    """
    frame = sys._current_frames().get(waiter.ident or 0)
    waiting, found = list[Any](), set[int]()
    while frame:
        waiting += frame.f_locals.values()
        frame = frame.f_back
    while waiting:
        each = waiting.pop()
        if id(each) in found or isinstance(each, ModuleType | type | Thread):
            continue
        found.add(id(each))
        if isinstance(each, LockType):
            if each.locked():
                each.release()
        elif isinstance(each, FunctionType):
            waiting += each.__closure__ or ()
        else:
            waiting += gc.get_referents(each)


def _two_ask(asking: Asking, word: str, number: int = 0) -> None:
    """Two ask for a word; the second while the first is held back, or computes it."""
    patience = attempts.SOON / (4 if number else 2)
    hold = Hold(number)
    asking.ask(Key(word, hold))
    _until(lambda: hold.here.is_set() or asking.at_gate(word) > 0, attempts.SOON)
    asking.looks = hold.looks
    asking.ask(word)
    held = hold.here.is_set()
    _until(lambda: asking.at_gate(word) > (not held), patience)
    hold.go.set()
    if held:
        _until(lambda: asking.at_gate(word) > 1, patience)
    asking.computing = asking.at_gate(word)


def _ask_at_once(asking: Asking, word: str, other: str) -> None:
    """Two ask for a word; a third, meanwhile, for another; a fourth for it later."""
    _two_ask(asking, word)
    asking.ask(other)
    _until(lambda: asking.at_gate(other) > 0, attempts.SOON)
    asking.beside = asking.at_gate(other) > 0
    asking.release()
    if not asking.stuck:
        asking.ask(word)
        asking.wait()


def _ask_in_between(asking: Asking, word: str, number: int) -> None:
    """Two ask for a word; the second just before a look of the first."""
    _two_ask(asking, word, number)
    asking.release()


def _ask_for_what_fails(asking: Asking, word: str) -> None:
    """Two ask while it fails; a third when it would not any more."""
    asking.ask(word)
    _until(lambda: asking.at_gate(word) > 0, attempts.SOON)
    asking.ask(word)
    _until(lambda: asking.at_gate(word) > 1, attempts.SOON / 2)
    asking.release()
    if not asking.stuck:
        asking.compute.fails = None
        asking.ask(word)
        asking.wait()


def _both_compute(answer: Answer, word: str, number: int) -> bool:
    """Return whether both do of whom the second asks just before a look of the first.

    A race may be lost between any two of them, between locks too.
    """
    script = partial(_ask_in_between, word=word, number=number)
    return Asking(answer, Probe(str.upper, meet=2), script).computing > 1


class CacheSafely(Exercise):
    name, lesson = "cache_safely", "09"
    takes = ("cached",)
    hints = (
        "Who looks, finds nothing and computes has left a gap: another may look before "
        "the value is stored. A lock must be held from the look to the store.",
        "One lock for all keys would hold back those who want something else. Give "
        "each key a lock of its own, in a second dictionary.",
        "with locks.setdefault(key, Lock()): gives all who ask for a key the same "
        "lock. In it, look, compute, store and return.",
    )
    moral = "one computes, who wants the same waits, and nobody else does."
    # Between so many looks of the first the second may come; others are not tried.
    LOOKS = 6

    def judge(self, answer: Answer) -> Iterator[Line]:
        word, other = _two_words()
        script = partial(_ask_at_once, word=word, other=other)
        asking = Asking(answer, Probe(str.upper, meet=2), script)
        values = [word.upper(), word.upper(), other.upper(), word.upper()]
        fault = _unanswered(asking, values)
        if fault:
            yield Line(False, fault)
        else:
            yield Line(True, "Whoever asked got the right value")
            yield self._judged_computing(answer, asking, word)
            yield self._judged_others(asking)
        if asking.tried.left:
            yield from judged_closing(asking.tried)
        if not fault:
            script = partial(_ask_for_what_fails, word=word)
            watched = Probe(str.upper, meet=2, fails=word)
            yield self._judged_error(Asking(answer, watched, script), word)

    def _judged_computing(self, answer: Answer, asking: Asking, word: str) -> Line:
        (calls,) = asking.tried.calls
        times = sum(call.item == item_of(word) for call in calls)
        looks = range(2, min(asking.looks, self.LOOKS) + 1)
        if asking.computing > 1 or (
            times == 1 and any(_both_compute(answer, word, number) for number in looks)
        ):
            words = (
                "Two asked for the same at once, and both computed it: one had looked "
                "before the other stored"
            )
        elif times > 1:
            words = "A value that had been computed was computed again"
        else:
            return Line(True, "What two asked for at once was computed once")
        return Line(False, words)

    def _judged_others(self, asking: Asking) -> Line:
        if asking.beside:
            return Line(True, "Another value was computed meanwhile")
        words = (
            "Nobody could compute another value meanwhile: one lock for all, perhaps"
        )
        return Line(False, words)

    def _judged_error(self, asking: Asking, word: str) -> Line:
        if asking.tried.failure:
            return Line(False, asking.tried.failure)
        *early, late = asking.askers
        if asking.stuck:
            words = "After an error, who asks for that key waits for ever"
        elif not all(failed_on_purpose(each.error) for each in early):
            words = "compute raised an error, and somebody who had asked didn't get it"
        elif failed_on_purpose(late.error):
            words = "An error was kept like a value: who asked later got it again"
        elif late.values != [word.upper()]:
            words = "After an error, who asked later got no right value"
        else:
            words = "An error comes out for whoever asked, and the next one tries again"
            return Line(True, words)
        return Line(False, words)

    def try_out(self, answer: Answer) -> Attempt:
        keys = WORDS[:3]

        def script(asking: Asking) -> None:
            for pair in (keys[:2], keys[:2], keys[1:], keys[1:]):
                asking.ask(*pair)
            asking.wait()

        watched = Probe(str.upper, pause=0.1)
        asking = Asking(answer, watched, script)
        (calls,) = asking.tried.calls
        times = {key: sum(call.item == item_of(key) for call in calls) for key in keys}
        asking.tried.stopped = _unanswered(asking)
        say(f"Computed: {', '.join(f'{key} {n}×' for key, n in times.items())}")
        return asking.tried


def _unanswered(asking: Asking, values: list[str] | None = None) -> str:
    """Return why who asked did not get the values, in words; empty if they did."""
    if asking.tried.failure:
        return asking.tried.failure
    if not callable(asking.cache):
        kind = type(asking.cache).__name__
        return f"Your function returned no function but {kind}"
    if asking.stuck:
        words = "a lock that nobody gives back, perhaps"
        return f"Somebody asked, waited, and nothing came: {words}"
    for error in (asker.error for asker in asking.askers if asker.error):
        return f"What your function returned raised {in_words(error)}"
    got = [value for asker in asking.askers for value in asker.values]
    if values and got != values:
        nothing = got == [None] * len(got)
        return f"Whoever asked got {'nothing' if nothing else 'a wrong value'}"
    if values and not any(asking.tried.calls):
        return "The values did not come from compute: it was never called"
    return ""


class Work(NamedTuple):
    """What each of many tasks does.

    Attributes:
        name: in words.
        waits: whether it waits nearly all the time.
        tiny: whether it is over before a worker would have heard of it.
        one_at_a_time: whether all it does needs the same lock.
        numpy: whether it needs NumPy.
    """

    name: str
    waits: bool = False
    tiny: bool = False
    one_at_a_time: bool = False
    numpy: bool = False


COUNTS = Work("tasks that count in Python")
NUMPY = Work("tasks that count in Python, and need NumPy", numpy=True)
WAITS = Work("tasks that wait", waits=True)
TINY = Work("tiny tasks", tiny=True)
LOCKED = Work("tasks that all need one lock", one_at_a_time=True)


def build(version: str, free_threaded: bool = False, gil: bool | None = None) -> Python:
    """Return a Python that need not be on this machine."""
    on = not free_threaded if gil is None else gil
    return Python(f"python{version}", version, free_threaded, on)


P311, P313, P314, P315 = map(build, ("3.11.9", "3.13.9", "3.14.2", "3.15.0"))
P313T, P314T = build("3.13.9", True), build("3.14.2", True)
P313T_ON = build("3.13.9", True, gil=True)

# What a right answer shows, and on what. Which answers are right, `why_not` says.
CASES: dict[str, list[tuple[Python, Work]]] = {
    "What waits needs no core: threads, on every build": [
        (P313, WAITS),
        (P314T, WAITS),
    ],
    "With the GIL on, each worker that counts needs a GIL of its own": [
        (P311, COUNTS),
        (P313, COUNTS),
        (P315, COUNTS),
    ],
    "Without the GIL, threads count at the same time": [
        (P313T, COUNTS),
        (P314T, COUNTS),
    ],
    "A GIL that is on again is on, whatever the build": [(P313T_ON, COUNTS)],
    "NumPy goes where it can be loaded": [(P314, NUMPY)],
    "Where workers gain nothing, a plain loop is enough": [
        (P314, TINY),
        (P314T, TINY),
        (P313, LOCKED),
        (P314T, LOCKED),
    ],
}
WAYS = ("serial", "threads", "interpreters", "processes")


def why_not(python: Python, work: Work, way: Any) -> str:
    """Return why that is not the plainest way to keep several cores busy; or ""."""
    if way not in WAYS:
        return f"choose one of {', '.join(map(repr, WAYS))}, not {way!r}"
    if work.tiny or work.one_at_a_time:
        why = "sending one takes longer" if work.tiny else "one works, the others wait"
        return "" if way == "serial" else f"{way!r} gain nothing: {why}"
    if way == "serial":
        return "'serial' lets each task wait for the one before it"
    if work.waits or not python.gil:
        plain = "threads can do it, in one process and one interpreter"
        return "" if way == "threads" else f"{way!r} are not the plainest: {plain}"
    if way == "threads":
        return "its GIL is on, and 'threads' that count take turns"
    if way == "interpreters" and _numbers(python) < [3, 14]:
        return "'interpreters' came with Python 3.14"
    if way == "interpreters" and work.numpy:
        return "'interpreters' can't load NumPy"
    return ""


class ChooseAWay(Exercise):
    name, lesson = "choose_a_way", "09"
    takes = ("choose",)
    hints = (
        "First the work: who gains nothing from any worker? And who needs no core, "
        "only somebody who waits?",
        "Then the build. python.free_threaded says that it can run without its GIL, "
        "python.gil whether the GIL is on.",
        'If it is tiny or one_at_a_time: "serial". If it waits, or not python.gil: '
        '"threads". Else "processes", which do everywhere.',
    )
    moral = "first ask what the work does, then whether the GIL is on."

    def judge(self, answer: Answer) -> Iterator[Line]:
        for sentence, cases in CASES.items():
            faults = (_fault_of(answer, *case) for case in cases)
            found = next(filter(None, faults), "")
            yield Line(not found, found or sentence)

    def draw(self, answer: Answer) -> None:
        """Print what is chosen, and what it does on the newest Pythons here."""
        for case in (case for cases in CASES.values() for case in cases):
            print(f"{_named(*case):60} {_chosen(answer, *case)}")
        print("\nOn this machine:")
        n = calibrate(countdown, 0.2)
        for python in {each.gil: each for each in pythons()}.values():
            way = _chosen(answer, python, COUNTS)
            print(f"{_named(python, COUNTS):60} {way}: {_tried(python, way, n)}")


def _named(python: Python, work: Work) -> str:
    return f"{python.name}, its GIL {'on' if python.gil else 'off'}: {work.name}"


def _numbers(python: Python) -> list[int]:
    return list(map(int, python.version.split(".")))


def _chosen(answer: Answer, python: Python, work: Work) -> Any:
    """Return what is chosen, or in words what is raised instead."""
    try:
        return answer(python, work)
    except Exception as error:
        return in_words(error)


def _fault_of(answer: Answer, python: Python, work: Work) -> str:
    try:
        found = why_not(python, work, answer(python, work))
    except Exception as error:
        found = f"your function raised {in_words(error)}"
    return found and f"{_named(python, work)}: {found}"


def _tried(python: Python, way: Any, n: int) -> str:
    """Return in words what two tasks that count do there, that way."""
    workers = 1 if way == "serial" else 2
    try:
        made = run(countdown, [n, n], way, workers, python=python.path, limit=20)
    except (ValueError, PythonFailed) as error:
        return str(error)
    free = made.cores_free
    of_those = "" if math.isnan(free) else f" of {free:.1f} free"
    return f"{made.cores_busy:.1f}{of_those} cores busy."


cache_safely = CacheSafely()
choose_a_way = ChooseAWay()
