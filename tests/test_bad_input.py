"""Every bad input gets one line that helps, and nothing that was there is lost."""
# mypy: disable-error-code="arg-type, list-item, dict-item, type-var"

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import figures, laws, machine, predict
from helpers.jobs import Job, inputs_of
from helpers.measure import calibrate, race, run, sweep
from helpers.runs import Round, Run, as_data, by_workers, load
from helpers.trace import Span
from helpers.workloads import countdown, fetch, nap

# What Python itself says where nobody has thought of a mistake: it helps no reader.
PUZZLES = (
    *("object", "attribute", "argument", "NoneType", "division by zero", "sequence"),
    *("unpack", "iterable", "instances of", "operand", "math domain", "subscriptable"),
    *("truth value", "Axis limits", "index out of", "has no len"),
)

ONE = Run(
    "f",
    "threads",
    2,
    0.1,
    0.0,
    1.0,
    (Span(0, 1, 1, 0.0, 1.0, 0.5),),
    rounds=(Round(1.0, 0.5),),
)
NOTHING = replace(ONE, spans=())

# For each case: what a reader types, and words of the line that it gets.
CASES: dict[str, tuple[Callable[[], object], str]] = {
    "run: no function": (lambda: run(5, [1]), "must be a function, not 5"),
    "run: a result": (lambda: run(nap(0), [1]), "must be a function"),
    "run: no inputs": (lambda: run(nap, 3), "inputs must be a list or the like"),
    "run: inputs None": (lambda: run(nap, None), "inputs must be a list or the like"),
    "run: strategy 3": (lambda: run(nap, [0], 3), "a strategy is a name or a map"),
    "run: strategy None": (lambda: run(nap, [0], None), "a strategy is a name"),
    "run: a list": (lambda: run(nap, [0], ["threads"]), "a strategy is a name"),
    "run: no name": (lambda: run(nap, [0], ""), "choose from"),
    "run: misspelt": (lambda: run(nap, [0], "thread"), "choose from"),
    "run: capital": (lambda: run(nap, [0], "Threads"), "choose from"),
    "run: odd method": (lambda: run(nap, [0], "processes slow"), "spawn"),
    "run: surplus": (lambda: run(nap, [0], "threads spawn"), "takes no options"),
    "run: odd backend": (lambda: run(nap, [0], "joblib dask"), "loky or threading"),
    "run: batch of 0": (lambda: run(nap, [0], "joblib loky 0"), "a number"),
    "run: batch in words": (lambda: run(nap, [0], "joblib loky ten"), "a number"),
    "run: workers 0": (lambda: run(nap, [0], "threads", 0), "from 1 up, not 0"),
    "run: workers -3": (lambda: run(nap, [0], "threads", -3), "from 1 up"),
    "run: workers 2.5": (lambda: run(nap, [0], "threads", 2.5), "whole number"),
    "run: workers two": (lambda: run(nap, [0], "threads", "two"), "not 'two'"),
    "run: workers True": (lambda: run(nap, [0], "threads", True), "not True"),
    "run: workers None": (lambda: run(nap, [0], "threads", None), "not None"),
    "run: serial 4": (lambda: run(nap, [0], "serial", 4), "one worker, not 4"),
    "run: your map, 0": (lambda: run(nap, [0], map, 0), "from 1 up"),
    "race: no ways": (lambda: race(nap, [0], {}), "a race needs ways"),
    "race: a list": (lambda: race(nap, [0], ["serial"]), "a race needs ways"),
    "race: a name": (lambda: race(nap, [0], "serial"), "a race needs ways"),
    "race: a way 5": (lambda: race(nap, [0], {5: 1}), "a strategy is a name"),
    "race: twins": (
        lambda: race(nap, [0], {lambda f, x: map(f, x): 1, lambda f, x: []: 1}),
        "two of the ways have one name",
    ),
    "race: no workers": (lambda: race(nap, [0], {"threads": 0}), "from 1 up"),
    "race: rounds 0": (lambda: race(nap, [0], {"serial": 1}, 0), "rounds must be"),
    "race: rounds -1": (lambda: race(nap, [0], {"serial": 1}, -1), "rounds must be"),
    "race: rounds 1.5": (lambda: race(nap, [0], {"serial": 1}, 1.5), "rounds must be"),
    "race: no function": (
        lambda: race("nap", [0], {"serial": 1}),
        "must be a function",
    ),
    "race: no inputs": (lambda: race(nap, 7, {"serial": 1}), "inputs must be a list"),
    "sweep: no counts": (lambda: sweep(nap, [0], "threads", []), "[0, 1, 2, 4]"),
    "sweep: a number": (lambda: sweep(nap, [0], "threads", 4), "[0, 1, 2, 4]"),
    "sweep: -1": (lambda: sweep(nap, [0], "threads", [1, -1]), "from 1 up, not -1"),
    "sweep: 1.5": (lambda: sweep(nap, [0], "threads", [1.5]), "whole number"),
    "sweep: False": (lambda: sweep(nap, [0], "threads", [False]), "not False"),
    "sweep: rounds 0": (lambda: sweep(nap, [0], "threads", [1], 0), "rounds must be"),
    "sweep: misspelt": (lambda: sweep(nap, [0], "tread", [1]), "choose from"),
    "calibrate: 0": (lambda: calibrate(countdown, 0), "seconds must be"),
    "calibrate: -1": (lambda: calibrate(countdown, -1), "seconds must be"),
    "calibrate: nan": (lambda: calibrate(countdown, math.nan), "seconds must be"),
    "calibrate: inf": (lambda: calibrate(countdown, math.inf), "seconds must be"),
    "calibrate: words": (lambda: calibrate(countdown, "1 s"), "seconds must be"),
    "calibrate: 5": (lambda: calibrate(5, 0.1), "must be a function"),
    "calibrate: constant": (lambda: calibrate(lambda n: n, 0.01), "no core busier"),
    "ceiling: 0": (lambda: machine.ceiling(0), "from 1 up, not 0"),
    "ceiling: -1": (lambda: machine.ceiling(-1), "from 1 up"),
    "ceiling: 1.5": (lambda: machine.ceiling(1.5), "whole number"),
    "ceiling: 0 s": (lambda: machine.ceiling(1, 0), "seconds must be"),
    "ceiling: no rounds": (lambda: machine.ceiling(1, 0.1, 0), "rounds must be"),
    "amdahl: 0 workers": (lambda: laws.amdahl(0, 0.1), "workers must be from 1 up"),
    "amdahl: 150 %": (lambda: laws.amdahl(2, 1.5), "serial must be from 0 to 1"),
    "amdahl: negative": (lambda: laws.amdahl(2, -0.1), "serial must be from 0 to 1"),
    "amdahl: nan": (lambda: laws.amdahl(2, math.nan), "serial must be from 0 to 1"),
    "amdahl: words": (lambda: laws.amdahl("two", 0.1), "must be a number, not 'two'"),
    "amdahl: endless": (lambda: laws.amdahl(math.inf, 0.1), "workers must be from 1"),
    "amdahl: a list": (lambda: laws.amdahl([1, 2], 0.1), "must be a number"),
    "amdahl: digits": (lambda: laws.amdahl("4", 0.1), "must be a number"),
    "gustafson: 0": (lambda: laws.gustafson(0, 0.1), "workers must be from 1 up"),
    "gustafson: 2": (lambda: laws.gustafson(2, 2), "serial must be from 0 to 1"),
    "karp_flatt: 1, 1": (lambda: laws.karp_flatt(1, 1), "workers must be from 2 up"),
    "karp_flatt: 0, 2": (lambda: laws.karp_flatt(0, 2), "speedup must be from"),
    "karp_flatt: -1, 2": (lambda: laws.karp_flatt(-1, 2), "speedup must be from"),
    "speedups: no loop": (lambda: laws.speedups({1: ONE}), "needs the plain loop"),
    "speedups: nothing": (lambda: laws.speedups({}), "needs the plain loop"),
    "fit: nothing": (lambda: laws.fit_amdahl({}), "needs the plain loop"),
    "fit: a race": (lambda: laws.fit_overhead({"serial": ONE}), "the plain loop"),
    "which: nothing": (lambda: laws.serial_or_overhead({}), "needs the plain loop"),
    "by_workers: twins": (lambda: by_workers([ONE] * 2), "not one sweep"),
    "job: misspelt": (lambda: inputs_of(Job("cuont", 1, 1.0, ())), "choose from"),
    "draw: no run": (lambda: figures.timeline.draw(), "there is no run"),
    "draw: nothing ran": (lambda: figures.timeline.draw(NOTHING), "no task to draw"),
    "draw: a race": (lambda: figures.timeline.draw({"serial": ONE}), "draws runs"),
    "fetch: misspelt": (lambda: fetch("htps://127.0.0.1/"), "no server answers"),
    "stripes: nothing": (lambda: figures.stripes.draw(NOTHING), "no task to draw"),
    "race_bars: empty": (lambda: figures.race_bars.draw({}), "there is no run"),
    "gains: no loop": (lambda: figures.gains.draw({"f": {"threads": ONE}}), "serial"),
    "break_even: empty": (lambda: figures.break_even.draw([]), "there is no run"),
    "speedup: no loop": (lambda: figures.speedup.draw({"x": {1: ONE}}), "plain loop"),
    "speedup: the loop": (lambda: figures.speedup.draw({"x": {0: ONE}}), "no workers"),
    "outcomes: a file": (lambda: figures.outcomes.draw(ONE), "without its results"),
    "number: upside down": (lambda: predict.number("?", 4, 1, 2), "not between"),
    "number: outside": (lambda: predict.number("?", 0, 4, 9), "9 is not between"),
    "number: log from 0": (lambda: predict.number("?", 0, 4, 1, log=True), "above 0"),
    "number: words": (lambda: predict.number("?", "a", 4, 1), "must be numbers"),
    "choice: another": (lambda: predict.choice("?", ["a"], "b"), "not among"),
    "fetch: nobody": (lambda: fetch("http://127.0.0.1:9/"), "no server answers"),
}


# For each case: what stands in the file of a run, and words of the line about it.
FILES: dict[str, tuple[str | dict[str, Any], str]] = {
    "empty": ("", "not JSON"),
    "a number": ("3", "no saved run"),
    "a notebook": ('{"cells": []}', "no saved run"),
    "newer": ('{"format": 99}', "newer version"),
    "infinite wall": ({"wall": math.inf}, "its wall can't be right"),
    "no wall": ({"wall": 0}, "its wall can't be right"),
    "infinite span": ({"spans": [[0, 1, 1, 0, math.inf, 0, []]]}, "its spans"),
    "backwards": ({"spans": [[4, 1, 1, 2, 1, 0, []]]}, "task 4 ends before it starts"),
    "negative CPU": ({"spans": [[4, 1, 1, 0, 1, -1, []]]}, "negative CPU time"),
    "strategy": ({"strategy": ""}, "its strategy can't be right"),
    "cores": ({"made": {"allowed cores": "two"}}, "its made can't be right"),
    "workers": ({"workers": True}, "its workers can't be right"),
    "a field too much": ({"color": 1}, "no run has a field 'color'"),
}


def assert_one_line_that_helps(error: BaseException, words: str) -> None:
    said = str(error)
    assert "\n" not in said
    assert words in said, said
    assert not any(puzzle in said for puzzle in PUZZLES), said


@pytest.mark.parametrize("case", CASES)
def test_one_line(case: str) -> None:
    call, words = CASES[case]
    with pytest.raises((ValueError, OSError)) as caught:
        call()
    assert_one_line_that_helps(caught.value, words)


@pytest.mark.parametrize("case", FILES)
def test_one_line_for_a_file(case: str, tmp_path: Path) -> None:
    content, words = FILES[case]
    if not isinstance(content, str):
        content = json.dumps({"format": 2, **as_data(ONE), **content})
    path = tmp_path / f"{case}.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"^{case}\.json: ") as caught:
        load(path)
    assert_one_line_that_helps(caught.value, words)


def test_there_are_eighty() -> None:
    assert len(CASES) + len(FILES) >= 80
