"""What is right about an attempt, and what is not yet.

It is judged by its results and by who worked beside whom, never by the time it took.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from helpers.exercises.attempt import Attempt
from helpers.machine import gil_enabled
from helpers.probe import Call, Probe, item_of


class Line(NamedTuple):
    """One sentence of a verdict, and whether the answer is right so far.

    None: it can't be told on this machine.
    """

    right: bool | None
    sentence: str


def judged_results(results: Any, expected: Any) -> Line:
    """Judge what an answer returned: a list in the order of the inputs, or a total."""
    if results is None:
        return Line(False, "Your function returned nothing")
    if not isinstance(expected, list):
        if _same(results, expected):
            return Line(True, "The total is right")
        small = isinstance(results, int | float) and 0 < results < expected
        lost = "The total is too small: additions got lost"
        return Line(False, lost if small else "The total is not that of the loop")
    if not isinstance(results, list | tuple):
        kind = type(results).__name__
        return Line(False, f"Your function returned no list but {kind}")
    if _same(list(results), expected):
        return Line(True, "The results are right, and in order")
    if Counter(map(repr, results)) == Counter(map(repr, expected)):
        return Line(False, "Right results in the wrong order")
    return Line(False, "The results are not those of the loop")


def _same(results: Any, expected: Any) -> bool:
    try:
        return bool(results == expected)
    except ValueError:  # an array is neither true nor false
        return False


def judged_calls(calls: Sequence[Call], items: Sequence[Any]) -> Iterator[Line]:
    """Say so if the tasks were not run, or more often than once."""
    ran = Counter(call.item for call in calls)
    wanted = Counter(map(item_of, items))
    if wanted - ran:
        yield Line(
            False, "Some tasks were never run: the results did not come from them"
        )
    elif ran - wanted:
        yield Line(False, "Some tasks were run more than once")


def judged_meeting(
    tried: Attempt, calls: Sequence[Call], meet: int, tasks: str = "tasks"
) -> Line:
    """Judge whether as many calls ran at the same time as should meet."""
    if together(calls) >= meet:
        share = "All" if meet == len(calls) else "Several"
        return Line(True, f"{share} {tasks} ran at the same time")
    return Line(False, _why_apart(tried, calls, tasks))


def _why_apart(tried: Attempt, calls: Sequence[Call], tasks: str) -> str:
    workers = {call.span.worker for call in calls}
    here = workers == {tried.caller}
    in_turn = f"The {tasks} ran one after the other"
    if here and not tried.pools:
        return f"{in_turn}, in the notebook's own thread: there was no pool"
    if not tried.pools:
        return f"{in_turn}: start all the workers before you wait for one"
    if len(tried.pools) >= len(calls) > 1:
        return "A new pool for each item: start one, before the loop"
    if all(started.size == 1 for started in tried.pools):
        return "A pool of one worker: nothing can run beside it"
    if tried.caller in workers and not any(map(tried.was_elsewhere, calls)):
        return f"{in_turn}, in the notebook itself: no worker did any"
    if any(started.waited for started in tried.pools):
        return "Each result was waited for before the next task was handed in"
    if together(calls) > 1:
        return (
            f"Only some of the {tasks} ran at the same time: there were fewer workers "
            f"than {tasks}"
        )
    if len(workers) == 1:
        return f"One worker did all the {tasks}, and the others none"
    return f"{in_turn}: something held the other workers back, a lock perhaps"


def together(calls: Iterable[Call]) -> int:
    """Return how many calls at most ran at the same time."""
    spans = [call.span for call in calls]
    edges = sorted([(s.start, 1) for s in spans] + [(s.end, -1) for s in spans])
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


def judged_processes(tried: Attempt, calls: Sequence[Call]) -> Iterator[Line]:
    """Judge whether tasks that compute had processes; threads will do without a GIL."""
    workers = {call.span.worker for call in calls}
    if tried.caller in workers:
        return
    if all(map(tried.was_elsewhere, calls)):
        yield Line(True, "Processes did the work")
    elif gil_enabled():
        words = "Threads did the work, in turns: it computes, so use processes"
        yield Line(False, words)


def judged_closing(*attempts: Attempt) -> Iterator[Line]:
    """Judge whether all that was started had ended, also after an error."""
    if any(tried.stopped for tried in attempts):
        return
    left = [tried.left for tried in attempts if tried.left]
    pools = [started for tried in attempts for started in tried.pools]
    if left:
        yield Line(False, left[0])
    elif any(not started.is_joblib for started in pools):
        yield Line(True, "The pool was closed")


def judged_error(tried: Attempt) -> Line:
    """Judge whether the error that a task raised came out."""
    if tried.stopped:
        return Line(False, "One task raised an error, and your function never returned")
    if failed_on_purpose(tried.error):
        return Line(True, "An error in a task comes out of your function")
    return Line(False, "One task raised an error, and your function hid it")


def failed_on_purpose(error: BaseException | None) -> bool:
    """Return whether the error came from a watched function that was to raise it."""
    return any(Probe.FAILED in str(each) for each in _with_causes(error))


def _with_causes(error: BaseException | None) -> list[BaseException]:
    """Return an error, those in it if it is a group, and what they came from."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in found:  # they may go round in a ring
            found.append(each)
            waiting += [each.__cause__, each.__context__]
            waiting += getattr(each, "exceptions", ())
    return found
