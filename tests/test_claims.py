"""A claim's line: ✓, ✗ with what was measured, or –."""

import configparser
import math
import re
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell

from helpers import claims
from helpers.claims import Excuse, claim, fewer_cores_than
from helpers.machine import Ceiling, Cores
from helpers.said import Said

SANITIZE = Path(__file__).parent / "sanitize.cfg"


def never() -> str:
    raise AssertionError("asked for no reason")


def test_one_that_holds(capsys: pytest.CaptureFixture) -> None:
    claim("Two is more than one", 2 > 1)
    claim("Two is more than one", 2 > 1, unless=never)
    claim("Two is more than one", 2 > 1, unless=lambda: None)
    assert capsys.readouterr().out == 3 * "✓ Two is more than one\n"


def test_one_that_does_not(capsys: pytest.CaptureFixture) -> None:
    busy, words = 1.98765, "two"
    claim("One core", busy < 1.2 and words == "one", unless=lambda: None)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "✗ One core"
    assert "busy < 1.2" in second
    assert "busy = 1.99, words = 'two'" in second
    assert "run the cells of this section again" in third


def test_one_over_many_lines(capsys: pytest.CaptureFixture) -> None:
    busy = {"threads": 1.9}
    # fmt: off
    claim(
        "«Zwei» Fäden",
        busy["threads"]
        < 1.2,
    )
    claim(sentence="x", holds=len(busy) > 4); claim("y", 2 > 1)  # noqa: E702
    # fmt: on
    printed = capsys.readouterr().out
    assert "busy['threads'] < 1.2 does not hold: busy['threads'] = 1.9\n" in printed
    assert "len(busy) > 4 does not hold: len(busy) = 1\n" in printed
    assert printed.endswith("✓ y\n")


def test_one_without_a_comparison(capsys: pytest.CaptureFixture) -> None:
    claim("No", all(x < 2 for x in [1, 3]))
    claim("No", bool([]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[3] == "✗ No"
    assert "does not hold" in lines[1]
    assert "it is false" in lines[4]


@pytest.mark.parametrize("unless", ["one core", lambda: "one core"])
@pytest.mark.parametrize("holds", [True, False])
def test_one_that_cannot_be_tested(
    holds: bool, unless: Excuse, capsys: pytest.CaptureFixture
) -> None:
    claim("Two cores", holds, unless)
    expected = "– Two cores (not tested here: one core)\n"
    if holds and callable(unless):
        expected = "✓ Two cores\n"
    assert capsys.readouterr().out == expected


def test_in_a_notebook(shell: InteractiveShell, capsys: pytest.CaptureFixture) -> None:
    shell.run_cell("from helpers.claims import claim")
    shell.run_cell("busy = 1.9\nclaim(\n  'One ✓',\n  busy\n  < 1.2)")
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first == "✗ One ✓"
    assert second == "busy < 1.2 does not hold: busy = 1.9"


def test_without_its_source(capsys: pytest.CaptureFixture) -> None:
    exec("claim('No', 1 > 2)", {"claim": claim})
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["✗ No", "The condition does not hold."]


def test_nbval_takes_untested_claims_for_ones_that_hold() -> None:
    config = configparser.RawConfigParser()
    config.read(SANITIZE, encoding="utf-8")
    [rule] = config.sections()  # as nbval applies it, to the text and to the HTML
    regex, replace = config[rule]["regex"], config[rule]["replace"]
    text = "– Two\n✓ Two (not tested here: one core)\n✗ Two\n– A – b (not tested)\n"
    assert re.sub(regex, replace, text) == text
    untested = "✓ a\n– Two (or three) (not tested here: one core)\n✗ b\n"
    assert re.sub(regex, replace, untested) == "✓ a\n✓ Two (or three)\n✗ b\n"
    held, not_tested = Said("✓ a < b"), Said("– a < b (not tested here: one core)")
    assert re.sub(regex, replace, repr(not_tested)) == repr(held)
    shown = re.sub(regex, replace, not_tested._repr_html_())
    assert shown == held._repr_html_() == "<p>\n✓ a &lt; b\n</p>"


def test_what_a_claim_calls_is_called_once(capsys: pytest.CaptureFixture) -> None:
    """The condition has been evaluated by whoever claims; nothing in it runs again."""
    calls: list[int] = []

    def measured() -> int:
        calls.append(1)
        return len(calls)

    numbers = iter([1, 2, 3, 4])
    claim("No", measured() > 1 and len(calls) < 2)
    claim("No", next(numbers) > 1)
    claim("No", all(number < 2 for number in numbers))
    assert calls == [1]
    assert list(numbers) == [3, 4]
    printed = capsys.readouterr().out
    assert "len(calls) = 1" in printed and "measured() =" not in printed


class Counting:
    """A namesake of what is harmless: its count counts the calls."""

    calls = 0

    def count(self) -> int:
        self.calls += 1
        return self.calls


def test_what_only_looks_harmless_is_not_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    numbers, counting = SimpleQueue[int](), Counting()
    numbers.put(3)
    claim("No", numbers.get() > 5)  # a second get would wait for ever
    claim("No", counting.count() > 5)
    claim("No", "a b".count("a") > 5)
    assert counting.calls == 1
    printed = capsys.readouterr().out
    assert "'a b'.count('a') = 1" in printed
    assert "numbers.get() =" not in printed and "counting.count() =" not in printed


def test_cores_that_other_programs_take(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, 4, given=1.9, free=1.9)
    assert fewer_cores_than(5) == "4 cores"
    quiet, busy = SimpleNamespace(cores_free=1.9), SimpleNamespace(cores_free=1.04)
    unknown = SimpleNamespace(cores_free=math.nan)
    assert asked(fewer_cores_than(2, quiet, unknown)) is None
    reason = asked(fewer_cores_than(2, quiet, unknown, busy))
    assert reason == "this machine is giving the lab 1.0 of 2 cores"
    machine_with(monkeypatch, 4, given=1.2, free=1.1)
    reason = asked(fewer_cores_than(2, quiet))
    assert reason == "this machine is giving the lab 1.1 of 2 cores"


def test_what_was_recorded_needs_no_core_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine_with(monkeypatch, 1, given=1.0, free=1.0)
    free = SimpleNamespace(cores_free=1.9, made={})
    kept = SimpleNamespace(cores_free=1.9, made={"recorded": True})
    assert fewer_cores_than(2, kept, kept) is None
    assert fewer_cores_than(2, kept, free) == fewer_cores_than(2) == "one core"


def test_cores_that_are_halves_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight hyper-threads of four cores, all free: no program takes any."""
    machine_with(monkeypatch, 8, given=5.0, free=8.0)
    reason = asked(fewer_cores_than(8))
    assert reason == "8 cores of this machine do the work of 5.0"
    machine_with(monkeypatch, 8, given=3.9, free=8.0)
    assert asked(fewer_cores_than(4)) is None
    machine_with(monkeypatch, 64, given=60.0, free=math.nan)
    assert asked(fewer_cores_than(64)) is None


def machine_with(
    monkeypatch: pytest.MonkeyPatch, allowed: int, given: float, free: float
) -> None:
    """Let this be a machine whose ceiling is given, with so many cores free for it."""
    measured = Ceiling(given)
    measured.cores_free = free
    monkeypatch.setattr(claims, "cores", lambda: Cores(allowed, allowed))
    monkeypatch.setattr(claims, "ceiling", lambda *_, **__: measured)


def asked(excuse: Excuse) -> str | None:
    """Return what the excuse says when it is asked."""
    assert callable(excuse)
    return excuse()


def test_a_claim_about_all_shows_each(capsys: pytest.CaptureFixture) -> None:
    claim("All are small", all(number / 2 < 1 for number in [1.0, 3.0]))
    assert (
        "[number / 2 for number in [1.0, 3.0]] = [0.5, 1.5]" in capsys.readouterr().out
    )
