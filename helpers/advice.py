"""Which way suits a loop: it is tried every way, and the advice comes with its code."""

import ast
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any, NamedTuple

from executing import Source

from helpers.machine import check_seconds, cores
from helpers.runs import FORMAT, Run, as_data, load
from helpers.said import say
from helpers.travel import name_of
from helpers.trial import CHUNK, MOSTLY_WAITS, ONE_BY_ONE, Found, Trial, told

# From plain to less plain. The later one must be clearly faster to be advised.
PLAINEST = (
    *("serial", "threads", "asyncio", "processes", "joblib", "interpreters"),
    "multiprocessing_pool",
)
POOLS = PLAINEST[3:]
# What saves less than this share of the loop's time isn't worth the trouble; and ways
# whose times differ by less than the second are as good as each other.
WORTH, ALIKE = 0.2, 0.1
# How far two rounds may lie apart, as a share, where there was one only.
ONE_ROUND = 0.2


class Seconds(NamedTuple):
    """A predicted time of the whole loop, and two standard errors to both sides."""

    best: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Advice:
    """Which way suits a loop on this machine, and why.

    Attributes:
        function: its name.
        way: the strategy that is advised; "serial" for the plain loop.
        workers: how many.
        reason: two sentences, from the numbers.
        more: what would have to change for more; "" if nothing is known.
        code: the lines to copy.
        predicted: the time of the whole loop in seconds, by the strategy.
        refused: why a strategy was not measured to its end, or isn't advised.
        found: what was found out about the loop.
        runs: the best run of each way over the same inputs.
    """

    function: str
    way: str
    workers: int
    reason: str
    more: str
    code: str
    predicted: Mapping[str, Seconds]
    refused: Mapping[str, str]
    found: Found
    runs: tuple[Run, ...] = ()

    def __repr__(self) -> str:
        parts = [self.reason, self.more, self.code]
        return "\n\n".join(part for part in parts if part)

    def save(self, path: str | Path) -> None:
        """Write the advice to path as JSON; `measure.load` reads the runs in it."""
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        kept["found"] = vars(self.found)
        runs = [as_data(run) for run in kept.pop("runs")]
        whole = {"format": FORMAT, "advice": kept, "runs": runs}
        text = json.dumps(whole, indent=1, allow_nan=False) + "\n"
        Path(path).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Advice":
        """Read the advice that `save` wrote.

        Raises:
            ValueError: the file holds none, or a newer format; in one line.
        """
        name = Path(path).name
        try:
            whole = json.loads(Path(path).read_text(encoding="utf-8"))
            if whole["format"] > FORMAT:
                raise ValueError(f"{name}: it was saved by a newer version of this kit")
            kept = dict(whole["advice"])
            kept["found"] = Found(**kept["found"])
            kept["predicted"] = {
                way: Seconds(*map(float, each))
                for way, each in kept["predicted"].items()
            }
            runs = load(path) if whole["runs"] else []
            return cls(**kept, runs=tuple(runs))
        except json.JSONDecodeError as error:
            raise ValueError(f"{name}: this is not JSON ({error})") from None
        except (TypeError, LookupError, AttributeError):
            raise ValueError(f"{name}: this is no saved advice") from None


def advise(
    function: Callable[[Any], Any], inputs: Iterable[Any], budget: float = 30.0
) -> Advice:
    """Try a loop every way on some of its inputs; say which one to take, with its code.

    The function is called on copies of the inputs, so that they stay as they are. What
    else it does (files, prints, what it sends) it does again with each call. In a
    script this stands below `if __name__ == "__main__":`, as its workers import it.

    Args:
        function: takes one input; may be an `async def`.
        inputs: all that the loop goes over: a list, a range or the like.
        budget: how long it may take, in seconds. A call that neither ends nor lets
            itself be interrupted takes longer.

    Raises:
        ValueError: there is nothing to call, or nothing to go over again, or no budget.
    """
    check_seconds(budget)
    if not callable(function):
        raise ValueError(f"what is to be tried must be a function, not {function!r}")
    if not isinstance(inputs, Iterable) or isinstance(inputs, Iterator):
        kind = type(inputs).__name__
        raise ValueError(f"inputs must be a list or the like, not a {kind}")
    words = _as_written(sys._getframe(1), function)
    trial = Trial(function, list(inputs), budget)
    say(
        f"Calling {name_of(function)} on up to {min(trial.found.tasks, ONE_BY_ONE)} of "
        f"its {trial.found.tasks:,} inputs, one by one, then on some in other ways: "
        f"for at most {budget:g} s in all."
    )
    trial.held()
    return _advice_from(trial, words)


def _predicted(trial: Trial) -> dict[str, Seconds]:
    """Return the time of the whole loop for each way that was raced, in seconds."""
    if not trial.found.seconds:
        return {}
    walls = {way: _whole(trial, way, run) for way, run in trial.runs.items()}
    if "threads" in walls and trial.found.computing >= MOSTLY_WAITS:
        # They need the loop's CPU time, on as many cores as they kept busy. They may
        # look quicker beside other programs, as more of them ask for a core.
        needed = walls.get("serial", trial.loop) * trial.found.computing
        busy = max(trial.runs["threads"].cores_busy, 1e-9)
        walls["threads"] = max(walls["threads"], needed / busy)
    if trial.bare:
        walls["serial"] = trial.bare * trial.found.tasks
    found = {"serial": _with_error(trial, trial.loop)}
    return found | {
        way: _with_error(trial, wall, trial.runs.get(way))  # none if time ran out
        for way, wall in walls.items()
    }


def _whole(trial: Trial, way: str, run: Run) -> float:
    """Return the seconds that the whole loop would take that way, workers' start too.

    How long a worker is at it grows with the tasks; the wait for the last one doesn't.
    """
    more = trial.found.tasks / len(run.spans)
    if more == 1 or way == "asyncio":
        return run.startup + run.wall * more
    ends = [spans[-1].end for spans in run.by_worker.values()]
    at_it = min(run.wall, fmean(ends) - run.began)
    return run.startup + at_it * more + run.wall - at_it


def _with_error(trial: Trial, whole: float, run: Run | None = None) -> Seconds:
    """Return a time with two standard errors: of the sample, and of the rounds."""
    found = trial.found
    tried = len(run.spans) if run else found.tried
    walls = sorted(each.wall for each in run.rounds) if run else [1.0, 1.0]
    left_out = math.sqrt(1 - tried / found.tasks)
    sample = left_out * found.spread / found.seconds / math.sqrt(tried)
    apart = walls[-1] / walls[0] - 1 if len(walls) > 1 else ONE_ROUND
    error = 2 * whole * math.hypot(sample, apart / 2)
    return Seconds(whole, max(0.0, whole - error), whole + error)


# The advice.


def _advice_from(trial: Trial, words: "_Words") -> Advice:
    """Return what the trial comes to."""
    predicted, found = _predicted(trial), trial.found
    chosen = _chosen(predicted)
    workers = trial.ways.get(chosen, 1)
    reason, more = _because(trial, predicted, chosen)
    return Advice(
        name_of(trial.function),
        chosen,
        workers,
        reason,
        more,
        _code(chosen, workers, words, trial.awaits),
        predicted,
        trial.refused,
        found,
        tuple(trial.runs.values()),
    )


def _chosen(predicted: Mapping[str, Seconds]) -> str:
    """Return the plainest way within a tenth of the best; the loop if none gains.

    What may be no gain at all, by the errors of both, is none.
    """
    loop = predicted.get("serial", Seconds(0.0, 0.0, 0.0))
    sure = {
        way: each
        for way, each in predicted.items()
        if each.best <= (1 - WORTH) * loop.best and each.high < loop.low
    }
    if not sure:
        return "serial"
    best = min(each.best for each in sure.values())
    # Pools of processes work alike: one that surely gains speaks for the plainer ones.
    alike = sure.keys() | {way for way in predicted if way.split()[0] in POOLS}
    good = [way for way in alike if predicted[way].best <= best * (1 + ALIKE)]
    return min(good, key=lambda way: PLAINEST.index(way.split()[0]))


def _because(
    trial: Trial, predicted: Mapping[str, Seconds], chosen: str
) -> tuple[str, str]:
    """Return the reason, and what would have to change."""
    found = trial.found
    if found.alone:
        return f"Leave it a loop: {found.alone}.", _to_change(found.alone)
    loop = predicted["serial"].best
    does = "computes" if found.computing > 0.7 else "computes and waits"
    does = "waits" if found.computing < MOSTLY_WAITS else does
    first = (
        f"The loop of {found.tasks:,} tasks takes about {told(loop)} here; a task "
        f"takes {told(loop / found.tasks)} and mostly {does}."
    )
    others = {way: each.best for way, each in predicted.items() if way != "serial"}
    if chosen != "serial":
        gain = loop / others[chosen]
        return (
            f"{first} {_named(chosen)} with {trial.ways[chosen]} workers should take "
            f"{told(others[chosen])}: {gain:.1f} times as fast.",
            trial.tight and f"It takes much memory: {trial.tight}.",
        )
    if loop < 2 * CHUNK:
        return f"{first} Leave it a loop: no worker would start in that time.", ""
    if not others:
        return f"{first} Leave it a loop: {_why_none(trial)}.", _what_would_help(found)
    best = min(others, key=others.__getitem__)
    return (
        f"{first} Leave it a loop: the best other way, {_named(best).lower()}, should "
        f"take {told(others[best])}.",
        _what_would_help(found),
    )


def _why_none(trial: Trial) -> str:
    """Return why no other way was measured."""
    if trial.refused and not trial.ways:
        return next(iter(trial.refused.values()))
    if not trial.ways and trial.left > 0:
        return "nothing can run beside it"
    return "to try another way takes a larger budget"


def _to_change(why: str) -> str:
    if "changes" in why:
        return "Let it return the new value instead: then its tasks need no order."
    if "raises" in why:
        return "Mend that, or catch it in the function; then ask again."
    return ""


def _what_would_help(found: Found) -> str:
    """Return what would have to change for workers to gain something."""
    if cores().allowed < 2 and found.computing > MOSTLY_WAITS:
        return "This Python may use one core, and computing needs more of them."
    if found.cores > 1.3:
        return (
            f"It keeps {found.cores:.1f} cores busy already, with threads inside: "
            "workers would compete with them."
        )
    if (found.sent or 0) + (found.returned or 0) > 1e6 and found.seconds < 0.1:
        size = ((found.sent or 0) + (found.returned or 0)) / 1e6
        return f"Send less: {size:.0f} MB go to a worker and back with each task."
    if found.seconds < 1e-3:
        return "Make the tasks larger, or compute on whole arrays with NumPy first."
    return ""


def _named(way: str) -> str:
    return f"{way.split()[0].replace('_', ' ').capitalize()}"


# The code.


class _Words(NamedTuple):
    """How the reader wrote the function and the inputs, and the import needed."""

    function: str
    inputs: str
    imported: str


def _as_written(frame: FrameType, function: Callable[..., Any]) -> _Words:
    """Return how the caller wrote the two first arguments of the call that runs."""
    name, inputs = name_of(function), "inputs"
    node = Source.executing(frame).node
    if isinstance(node, ast.Call):
        named = {word.arg: word.value for word in node.keywords}
        given = [*node.args, *[named[n] for n in ("function", "inputs") if n in named]]
        if len(given) > 1:
            written = [ast.unparse(each) for each in given[:2]]
            if max(map(len, written)) < 60:
                name, inputs = written
    if not name.replace(".", "").isidentifier():
        name = f"({name})"  # a lambda, say
    module = getattr(function, "__module__", None) or "__main__"
    imported = ""
    if getattr(function, "__qualname__", "") == name and module not in (
        "__main__",
        "builtins",
    ):
        imported = f"from {module} import {name}"
    return _Words(name, inputs, imported)


# What is imported, and the lines that use it.
_LOOP = ("", "results = [{function}(x) for x in {inputs}]\n")
_AWAITED = (
    "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n",
    """\

async def every(inputs):
    places = asyncio.Semaphore({workers})

    async def one(x):
        async with places:
            return await {function}(x)

    return await asyncio.gather(*map(one, inputs))


# A notebook's own loop is in use; a thread has one of its own.
with ThreadPoolExecutor(1) as thread:
    results = thread.submit(asyncio.run, every({inputs})).result()
""",
)
_THREADS = (
    "from concurrent.futures import ThreadPoolExecutor\n",
    """\
with ThreadPoolExecutor({workers}) as pool:
    results = list(pool.map({function}, {inputs}))
""",
)
_PROCESSES = (
    "from concurrent.futures import ProcessPoolExecutor\n",
    """\
if __name__ == "__main__":
    with ProcessPoolExecutor({workers}) as pool:
        results = list(pool.map({function}, {inputs}{chunk}))
""",
)
_INTERPRETERS = tuple(part.replace("Process", "Interpreter") for part in _PROCESSES)
_POOL = (
    "from multiprocessing import Pool\n",
    """\
if __name__ == "__main__":
    with Pool({workers}) as pool:
        results = pool.map({function}, {inputs}{chunk})
""",
)
_JOBLIB = (
    "from joblib import Parallel, delayed\n",
    "results = Parallel({workers})(delayed({function})(x) for x in {inputs})\n",
)
_FORMS = {
    "serial": _LOOP,
    "threads": _THREADS,
    "asyncio": _AWAITED,
    "processes": _PROCESSES,
    "interpreters": _INTERPRETERS,
    "multiprocessing_pool": _POOL,
    "joblib": _JOBLIB,
}


def _code(way: str, workers: int, words: _Words, awaits: bool) -> str:
    """Return the lines that do the loop in that way, in a cell and as a script."""
    kind, *size = way.split()
    imports, body = _FORMS["asyncio" if awaits else kind]
    imports += words.imported and f"{words.imported}\n"
    filled = body.format(
        function=words.function,
        inputs=words.inputs,
        workers=workers,
        chunk=f", chunksize={size[0]}" if size else "",
    )
    return f"{imports}\n{filled}" if imports else filled
