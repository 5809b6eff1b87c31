"""What a run says about itself, and how it is kept."""

import json
import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.measure import race, sweep
from helpers.runs import (
    FORMAT,
    Round,
    Run,
    best_of,
    by_workers,
    load,
    longest_gap,
    overlap,
    recorded,
    save,
)
from helpers.trace import Span, watched_countdown
from helpers.workloads import nap

seconds = st.floats(0, 1e6, allow_nan=False)
pieces = st.tuples(seconds, seconds).map(lambda two: (min(two), max(two)))
stretch = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(
    lambda t: (t[0], sum(t))
)
spans = st.builds(
    lambda piece, **others: Span(start=piece[0], end=piece[1], **others),
    pieces,
    task=st.integers(0, 1000),
    pid=st.integers(1, 2**22),
    thread=st.integers(0, 2**63),
    cpu=seconds,
    stretches=st.lists(pieces, max_size=3).map(tuple),
)
# Not str.split: Hypothesis takes that for a test whether there is any letter at all.
words = st.text().filter(str.strip)


def a_run(*spans: Span, wall: float = 1.0, **changes: Any) -> Run:
    """Return a run that nobody made."""
    made = Run("f", "threads", 2, 0.1, 0.0, wall, spans, rounds=(Round(wall, 1.0),))
    return replace(made, **changes)


# What a run says.


def test_cores_busy_is_cpu_time_over_wall_time() -> None:
    one, two = Span(0, 1, 1, 0.0, 2.0, 1.5), Span(1, 1, 2, 0.0, 2.0, 0.5)
    assert a_run(one, two, wall=2.0).cores_busy == 1.0


def test_by_worker_sorts_by_the_first_start() -> None:
    late, early, last = (
        Span(0, 7, 1, 2.0, 3.0, 1),
        Span(1, 7, 2, 1.0, 2.0, 1),
        Span(2, 7, 1, 4.0, 5.0, 1),
    )
    assert a_run(last, late, early).by_worker == {(7, 2): [early], (7, 1): [late, last]}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=30))
def test_lanes_are_the_first_rows_that_are_free(pairs: list[tuple[int, int]]) -> None:
    spans = [Span(n, 1, 1, at, at + for_, 0.0) for n, (at, for_) in enumerate(pairs)]
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: span.start):
        free = [row for row in rows if row[-1].end <= span.start]
        if not free:
            rows.append([])
        (free or rows[-1:])[0].append(span)
    assert a_run(*spans).lanes == rows


def test_a_worker_that_does_one_thing_at_a_time_is_one_lane() -> None:
    spans = [Span(n, 1, n % 2, n / 2, n / 2 + 1, 0.0) for n in range(6)]
    assert a_run(*spans).lanes == [spans[::2], spans[1::2]]


def test_the_longest_gap_between_ticks() -> None:
    assert longest_gap([1.0, 1.5, 3.5, 3.75]) == 2
    assert longest_gap((7.0, 7.0)) == 0
    for few in ([], [1.0]):
        with pytest.raises(ValueError, match=f"two ticks; there are {len(few)}"):
            longest_gap(few)


def test_a_turn_goes_on_where_only_the_system_broke_it() -> None:
    def span(pid: int, *stretches: tuple[float, float]) -> Span:
        return Span(pid, pid, pid, stretches[0][0], stretches[-1][1], 0.1, stretches)

    first = span(1, (0, 5), (10, 12), (13, 15), (20, 25))
    second = span(2, (5, 10), (15, 17), (17.6, 20))
    made = Run("f", "threads", 2, 0.0, 0.0, 25.0, (first, second))
    assert made.switch_interval == 5
    assert math.isnan(a_run(Span(0, 1, 1, 0, 1, 1)).switch_interval)


@given(st.lists(st.lists(stretch, max_size=4), max_size=4))
def test_overlap_is_the_share_of_the_time(workers: list) -> None:
    running = [
        sum(start <= moment < end for stretches in workers for start, end in stretches)
        for moment in range(81)
    ]
    some, several = sum(n > 0 for n in running), sum(n > 1 for n in running)
    assert overlap(workers) == pytest.approx(several / some if some else 0)


def test_the_cores_that_the_machine_had_for_it() -> None:
    span = Span(0, 1, 1, 0.0, 2.0, 1.0)
    assert a_run(span, wall=2.0, idle=1.6).cores_free == pytest.approx(1.3)
    allowed = {"allowed cores": 1}
    assert a_run(span, wall=2.0, idle=1.6, made=allowed).cores_free == 1
    # In a serial part the caller keeps a core busy that no task does.
    assert a_run(span, wall=2.0, idle=1.0, first=0.6).cores_free == pytest.approx(1.3)
    # Idle time is counted in ticks of 10 ms and more; and not everywhere.
    short = Span(0, 1, 1, 0.0, 0.002, 0.001)
    assert math.isnan(a_run(short, wall=0.002, idle=0.01).cores_free)
    assert math.isnan(a_run(span, wall=2.0).cores_free)


def test_the_useful_share_is_the_tasks_part_of_all_cpu_time() -> None:
    one, two = Span(0, 1, 1, 0.0, 2.0, 0.5), Span(1, 1, 2, 0.0, 2.0, 0.25)
    assert a_run(one, two, spent=1.5).useful_share == 0.5
    # The two are read off different clocks, and may differ by a tick.
    assert a_run(one, two, spent=0.74).useful_share == 1
    assert math.isnan(a_run(one, two).useful_share)
    assert math.isnan(a_run(Span(0, 1, 1, 0, 1, 0.01), spent=0.02).useful_share)


# How it is kept.


@given(spans=st.lists(spans, min_size=1, max_size=4), wall=st.floats(1e-9, 1e6))
def test_saved_and_loaded(spans: list[Span], wall: float) -> None:
    saved = a_run(*spans, wall=wall, made={"python": "3.13"}, results=[object()])
    with TemporaryDirectory() as folder:
        saved.save(Path(folder) / "é.json")
        loaded = Run.load(Path(folder) / "é.json")
    assert loaded == saved
    assert loaded.made == {"python": "3.13", "recorded": True}
    assert loaded.results == []


def test_a_real_run_is_saved_and_loaded(tmp_path: Path) -> None:
    made = race(watched_countdown, [10**4] * 3, {"threads": 2}, rounds=1)["threads"]
    made.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == made


@given(st.lists(spans, min_size=1, max_size=3), words)
def test_several_are_saved_and_loaded(spans: list[Span], word: str) -> None:
    several = [a_run(span, strategy=word, made={"python": "3.13"}) for span in spans]
    with TemporaryDirectory() as folder:
        save(Path(folder) / "several.json", several)
        several[0].save(Path(folder) / "one.json")
        loaded = load(Path(folder) / "several.json")
        assert load(Path(folder) / "one.json") == several[:1]
    assert loaded == several
    noted = [run.made | {"recorded": True} for run in several]
    assert [run.made for run in loaded] == noted


def test_a_sweep_is_saved_and_loaded(tmp_path: Path) -> None:
    runs = sweep(nap, [0.001], "threads", [0, 1, 2], rounds=2)
    save(tmp_path / "sweep.json", runs.values())
    assert by_workers(load(tmp_path / "sweep.json")) == runs


def test_results_are_saved_where_they_are_wanted_and_json_gives_them_back(
    tmp_path: Path,
) -> None:
    for results, kept in (([1, "two", [3]], [1, "two", [3]]), ([{4}], [])):
        save(tmp_path / "run.json", [a_run(results=results)], results=True)
        assert Run.load(tmp_path / "run.json").results == kept


def test_one_run_is_not_read_from_a_file_of_several(tmp_path: Path) -> None:
    save(tmp_path / "two.json", [a_run(Span(0, 1, 1, 0, 1, 1))] * 2)
    with pytest.raises(ValueError, match=r"^two\.json: it holds 2 runs"):
        Run.load(tmp_path / "two.json")


def broken() -> dict[str, str | bytes]:
    good = {"format": 1} | {
        name: getattr(a_run(Span(0, 1, 1, 0, 1, 1)), name)
        for name in Run.__dataclass_fields__
        if name != "results"
    }
    text = json.dumps(good)
    return {
        "empty": "",
        "truncated": text[: len(text) // 2],
        "number": "3",
        "list": "[1, 2]",
        "null": "null",
        "text": '"a\\nb"',
        "deep": "[" * 100_000,
        "other": '{"cells": []}',
        "binary": b"\xff\xfe\x00",
        "newer": json.dumps(good | {"format": FORMAT + 1}),
        "odd format": json.dumps(good | {"format": "one"}),
        "surplus": json.dumps(good | {"colour": 1}),
        "missing": json.dumps({k: v for k, v in good.items() if k != "function"}),
        "no spans": json.dumps(good | {"spans": None}),
        "short span": json.dumps(good | {"spans": [[1, 2]]}),
        "odd span": json.dumps(good | {"spans": [[0, 1, 1, "a\nb", 1, 1, []]]}),
        "odd round": json.dumps(good | {"rounds": [["x", 1]]}),
        "long round": json.dumps(good | {"rounds": [[1, 2, 3]]}),
        "no time": json.dumps(good | {"wall": 0}),
        "nan": json.dumps(good | {"wall": math.nan}),
        "word": json.dumps(good | {"wall": "soon"}),
        "workers": json.dumps(good | {"workers": 0}),
        "strategy": json.dumps(good | {"strategy": 3}),
        "made": json.dumps(good | {"made": [3]}),
        "first": json.dumps(good | {"first": "coffee"}),
        "no runs": json.dumps({"format": 1, "runs": []}),
        "odd runs": json.dumps({"format": 1, "runs": 3}),
        "zero round": json.dumps(good | {"rounds": [[0, 1]]}),
        "no rounds": json.dumps(good | {"rounds": []}),
        "blank strategy": json.dumps(good | {"strategy": " "}),
        "cores in words": json.dumps(good | {"made": {"allowed cores": "two"}}),
        "no cores": json.dumps(good | {"made": {"allowed cores": 0}}),
        "infinite": json.dumps(good | {"wall": math.inf}),
        "too large": json.dumps(good).replace('"wall": 1.0', '"wall": 1e999'),
        "true workers": json.dumps(good | {"workers": True}),
        "half a worker": json.dumps(good | {"workers": 1.5}),
        "nan span": json.dumps(good | {"spans": [[0, 1, 1, math.nan, 1, 1, []]]}),
        "endless span": json.dumps(good | {"spans": [[0, 1, 1, 0, math.inf, 1, []]]}),
        "backwards": json.dumps(good | {"spans": [[0, 1, 1, 3, 2, 1, []]]}),
        "stretch": json.dumps(good | {"spans": [[0, 1, 1, 0, 2, 1, [[2, 1]]]]}),
        "negative cpu": json.dumps(good | {"spans": [[0, 1, 1, 0, 2, -1, []]]}),
        "odd stretch": json.dumps(good | {"spans": [[0, 1, 1, 0, 2, 1, [{"a": 1}]]]}),
        "span in words": json.dumps(good | {"spans": [{"task": 0}]}),
        "span of seven": json.dumps(good | {"spans": [dict.fromkeys("abcdefg", 1)]}),
        "negative start": json.dumps(good | {"startup": -1}),
        "negative idle": json.dumps(good | {"idle": -1}),
        "ready": json.dumps(good | {"ready": "all"}),
        "odd results": json.dumps(good | {"results": 3}),
        "one odd": json.dumps({"format": 1, "runs": [good, good | {"wall": 0}]}),
    }


@pytest.mark.parametrize("case", broken())
def test_what_is_no_run_is_named(case: str, tmp_path: Path) -> None:
    content = broken()[case]
    path = tmp_path / f"{case}.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"^{case}\.json: ") as caught:
        Run.load(path)
    said = str(caught.value)
    assert "\n" not in said
    assert not any(word in said for word in ("object", "attribute", "argument")), said
    with pytest.raises(ValueError) as again:
        load(path)
    assert str(again.value) == str(caught.value)


def test_the_other_records_are_still_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    good = a_run(Span(0, 1, 1, 0, 1, 1))
    for name in "az":
        good.save(tmp_path / f"{name}.json")
    for name in "bcd":
        (tmp_path / f"{name}.json").write_text("{")
    save(tmp_path / "several.json", [good, good])
    (tmp_path / "folder.json").mkdir()
    assert recorded(tmp_path) == {"a": good, "z": good}
    names = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["b.json", "c.json", "d.json", "folder.json", "several.json"]


def test_a_run_over_nothing_is_saved_and_loaded(tmp_path: Path) -> None:
    made = a_run()
    made.save(tmp_path / "nothing.json")
    assert Run.load(tmp_path / "nothing.json") == made


def test_a_run_of_the_first_format_is_loaded(tmp_path: Path) -> None:
    """It knew of no workers that were not there, and always an idle time."""
    made = a_run(Span(0, 1, 1, 0, 1, 1), idle=0.5)
    made.save(tmp_path / "old.json")
    old = json.loads((tmp_path / "old.json").read_text()) | {"format": 1}
    for later in ("ready", "memory", "spent"):
        del old[later]
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert Run.load(tmp_path / "old.json") == made


def test_no_records(tmp_path: Path) -> None:
    assert recorded(tmp_path / "nowhere") == {}


def test_best_of_keeps_every_round() -> None:
    span = Span(0, 1, 1, 0, 1, 1)
    slow, fast = a_run(span, wall=2.0), a_run(span, wall=1.0)
    best = best_of([slow, fast])
    assert best.wall == 1
    assert best.rounds == (Round(2.0, 1.0), Round(1.0, 1.0))
