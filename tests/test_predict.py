"""Guesses: answered in words and in figures, touched or not."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.lines import Line2D
from simulated import simulated

from helpers import figures
from helpers.machine import Cores
from helpers.measure import race, run
from helpers.predict import Guess, choice, number
from helpers.workloads import nap


def set_by_reader(guess: Guess, value: object) -> None:
    """Move the control, as a reader does."""
    guess.children[-1].value = value


@pytest.fixture
def times() -> Guess:
    return number("Two threads: how many times as fast?", 0.25, 4, 2, "×")


def test_an_untouched_guess_is_called_a_common_one(times: Guess) -> None:
    assert times.said(0.98) == "A common guess is 2 ×; it was 0.98 ×."
    assert repr(times).endswith("how many times as fast? A common guess: 2 ×.")


def test_a_guess_is_answered_as_it_was_made(times: Guess) -> None:
    set_by_reader(times, 1.5)
    assert times.said(0.98) == "You said 1.5 ×; it was 0.98 ×."
    assert "Your guess: 1.5 ×." in repr(times)


def test_a_guess_that_is_close_was_right(times: Guess) -> None:
    set_by_reader(times, 1.0)
    assert times.said(0.98) == "You said 1 ×, and it was 0.98 ×."


def test_a_choice_is_answered_in_its_words(capsys: pytest.CaptureFixture) -> None:
    first = choice("Faster:", ["threads", "processes"], default="threads")
    capsys.readouterr()  # the choice itself
    first.answer("processes")
    set_by_reader(first, "processes")
    first.answer("processes")
    assert capsys.readouterr().out.splitlines() == [
        "A common guess is “threads”; it was “processes”.",
        "You said “processes”, and it was “processes”.",
    ]
    assert first.options == ("threads", "processes")


@given(st.integers(0, 8), st.integers(1, 400), st.floats(0, 1))
def test_the_slider_stands_where_it_says_and_reaches_both_ends(
    quarters: int, more: int, share: float
) -> None:
    """Else the page shows another number than the kernel has."""
    low, high = quarters / 4, (quarters + more) / 4
    default = (quarters + round(share * more)) / 4
    slider = number("How many?", low, high, default).children[-1]
    for place in (slider.value, slider.max):
        steps = (place - slider.min) / slider.step
        assert steps == pytest.approx(round(steps))
    assert slider.value == default


def test_a_logarithmic_guess_reaches_both_ends() -> None:
    guess = number("From which length on?", 0.001, 100, 0.001, "ms", log=True)
    for value in (0.001, 1, 100):
        set_by_reader(guess, value)
        assert guess.value == pytest.approx(value)


def test_figures_show_the_guess_and_its_answer(times: Guess) -> None:
    runs = race(nap, [0.01] * 2, {"serial": 1, "threads": 2}, rounds=1, budget=0)
    seconds = number("How many seconds?", 0, 1, 0.5, "s")
    drawn = {
        "race": figures.race_bars.draw(runs, {"threads": times}),
        "timeline": figures.timeline.draw(runs["threads"], guess=seconds),
        "startups": figures.startups.draw(
            {"threads": run(nap, [0.01], "threads", 2)}, {"threads": seconds}
        ),
        "break even": figures.break_even.draw([runs, runs], seconds),
        "cores": figures.cores.draw(Cores(2, 2), 1.9, times),
    }
    for name, (figure, sentence) in drawn.items():
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert "a common guess" in texts, name
        assert "A common guess is" in sentence, name
        assert figures.png(figure, sentence).startswith(b"\x89PNG")


def set_to(value: float, unit: str) -> Guess:
    guess = number("How many?", 0, 64, 1, unit)
    set_by_reader(guess, value)
    return guess


def start_of(line: Line2D) -> tuple[float, float]:
    """Return where a line of a figure begins."""
    x, y = line.get_data()
    return numpy.asarray(x)[0], numpy.asarray(y)[0]


def test_a_guess_of_the_speed_up_is_a_star_at_the_most_workers() -> None:
    runs = simulated([1, 2, 4], 0.1, cores=2)
    guess = set_to(16, "×")
    figure, sentence = figures.speedup.draw({"processes": runs}, guess=guess)
    best = runs[0].wall / runs[4].wall
    assert guess.said(best) in sentence
    gain = figure.axes[0]
    (star,) = [line for line in gain.lines if line.get_marker() == "*"]
    assert start_of(star) == (4, 16)
    assert gain.get_ylim()[1] > 16


def test_a_guess_of_workers_is_an_upright_line() -> None:
    runs = simulated([1, 2, 8, 16], 0.05, cost=0.01)
    guess = set_to(16, "workers")
    figure, sentence = figures.speedup.draw({"threads": runs}, guess=guess)
    assert sentence.endswith("You said 16 workers; it was 8 workers.")
    assert 16 in [start_of(line)[0] for line in figure.axes[0].lines]


def test_a_serial_share_draws_its_law_beside_the_guess() -> None:
    runs = simulated([1, 2, 4], 0.1)
    figure, sentence = figures.speedup.draw(
        {"threads": runs}, guess=set_to(3, "×"), serial=0.5
    )
    assert "With a serial part of 50 %, Amdahl's law gives 1.60 × with 4." in sentence
    assert "You said 3 ×" in sentence
    assert "50 % serial" in [text.get_text() for text in figure.axes[0].texts]
    moving = figures.MovingSpeedup({"threads": runs})
    assert moving.at(0.5)[1].endswith("gives 1.60 × with 4.")
