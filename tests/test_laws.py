"""The laws say what they should, and find again what made the runs."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lessons import FOLDER
from simulated import simulated

from helpers import machine
from helpers.laws import (
    LAWS,
    Fit,
    amdahl,
    amdahl_with_overhead,
    fit_amdahl,
    fit_overhead,
    gustafson,
    karp_flatt,
    serial_or_overhead,
    speedups,
)
from helpers.measure import calibrate, sweep
from helpers.runs import Run, by_workers, load
from helpers.workloads import countdown, nap

shares = st.floats(0, 1)
several = st.integers(2, 1000)
UP_TO_8, UP_TO_16 = [1, 2, 4, 8], [1, 2, 4, 8, 16]


# The laws.


@given(several, shares)
def test_where_the_laws_begin_and_end(workers: int, serial: float) -> None:
    for law in (amdahl, gustafson):
        assert law(1, serial) == pytest.approx(1)
        assert law(workers, 0.0) == pytest.approx(workers)
        assert law(workers, 1.0) == pytest.approx(1)
    assert amdahl(workers, serial) * serial <= 1 + 1e-9
    assert amdahl(workers, serial) <= gustafson(workers, serial) + 1e-9


@given(several, shares)
def test_gustafson_is_amdahl_with_the_share_of_the_longer_loop(
    workers: int, serial: float
) -> None:
    of_the_loop = serial / (serial + (1 - serial) * workers)
    assert gustafson(workers, serial) == pytest.approx(amdahl(workers, of_the_loop))


@given(several, shares, st.floats(0, 0.1))
def test_karp_flatt_is_constant_but_for_amdahl_with_overhead(
    workers: int, serial: float, cost: float
) -> None:
    found = karp_flatt(amdahl_with_overhead(workers, serial, cost), workers)
    assert found == pytest.approx(serial + cost * workers)


def test_the_laws_take_arrays() -> None:
    workers = np.array([1.0, 2.0, 4.0])
    for law in (*LAWS.values(), gustafson):
        unknowns = (0.1, 0.01) if law is amdahl_with_overhead else (0.1,)
        assert law(workers, *unknowns) == pytest.approx(
            [law(count, *unknowns) for count in (1, 2, 4)]
        )
    assert karp_flatt(workers[1:], workers[1:]) == pytest.approx([0, 0])


# The points.


def test_speedups_are_over_the_best_of_the_loop() -> None:
    runs = simulated([1, 2], serial=0.5, rounds=3)
    points = speedups(runs)
    assert [point.workers for point in points] == [1, 2]
    assert points[1].best == runs[0].wall / runs[2].wall == max(points[1].rounds)
    assert len(points[1].rounds) == 3


@pytest.mark.parametrize("function", [speedups, fit_amdahl, serial_or_overhead])
def test_a_pool_of_one_is_no_base(
    function: Callable[[Mapping[int, Run]], object],
) -> None:
    runs = simulated([1, 2, 4], serial=0.1)
    del runs[0]
    with pytest.raises(ValueError, match="needs the plain loop"):
        function(runs)


# What they find.


@given(st.floats(0, 0.5), st.integers(0, 10**6), st.sampled_from([UP_TO_8, UP_TO_16]))
def test_the_serial_part_comes_back(serial: float, seed: int, counts: list) -> None:
    fit = fit_amdahl(simulated(counts, serial, rounds=15, seed=seed))
    assert abs(fit.values["serial"] - serial) < 0.01
    assert fit.counts == tuple(counts[1:])


@pytest.mark.parametrize("counts", [UP_TO_8, UP_TO_16])
@pytest.mark.parametrize("serial", [0.0, 0.1, 0.25, 0.5])
def test_three_rounds_nearly_always_do(serial: float, counts: list) -> None:
    fits = [
        fit_amdahl(simulated(counts, serial, rounds=3, seed=seed)) for seed in range(50)
    ]
    near = [abs(fit.values["serial"] - serial) < 0.01 for fit in fits]
    assert statistics.mean(near) >= 0.8


@pytest.mark.parametrize("counts", [[1, 2], UP_TO_8, UP_TO_16])
@pytest.mark.parametrize("serial", [0.02, 0.5])
@pytest.mark.parametrize("rounds", [3, 10])
def test_the_uncertainty_is_honest(serial: float, counts: list, rounds: int) -> None:
    """Two standard errors hold the truth nine times of ten, and are not boasted."""
    fits = [
        fit_amdahl(simulated(counts, serial, rounds=rounds, seed=seed))
        for seed in range(200)
    ]
    misses = [abs(fit.values["serial"] - serial) for fit in fits]
    errors = [fit.errors["serial"] for fit in fits]
    within = [miss <= 2 * error for miss, error in zip(misses, errors)]
    assert statistics.mean(within) >= 0.9
    assert statistics.mean(errors) < 3 * statistics.mean(misses)


@pytest.mark.parametrize("kind", ["to both sides", "a long tail"])
def test_other_noise_makes_it_no_less_honest(kind: str) -> None:
    def noisy(run: Run, random: np.random.Generator) -> Run:
        noise = random.normal if kind == "to both sides" else random.exponential
        walls = [run.wall * (1 + noise(scale=0.02)) for _ in range(5)]
        rounds = tuple(run.rounds[0]._replace(wall=wall) for wall in walls)
        return replace(run, wall=min(walls), rounds=rounds)

    exact, within = simulated(UP_TO_8, 0.1, noise=0.0), []
    for seed in range(200):
        random = np.random.default_rng(seed)
        fit = fit_amdahl({count: noisy(run, random) for count, run in exact.items()})
        within.append(abs(fit.values["serial"] - 0.1) <= 2 * fit.errors["serial"])
    assert statistics.mean(within) >= 0.9


def test_a_cost_of_more_than_the_loop_comes_back() -> None:
    fit = fit_overhead(simulated(UP_TO_16, 0.1, cost=2.0, noise=0.001))
    assert abs(fit.values["cost"] - 2.0) < 0.05
    assert fit.values["serial"] <= 1


def test_overhead_comes_back() -> None:
    found = [
        fit_overhead(simulated(UP_TO_16, 0.1, cost=0.005, seed=seed))
        for seed in range(100)
    ]
    for name, true in {"serial": 0.1, "cost": 0.005}.items():
        misses = [abs(fit.values[name] - true) for fit in found]
        errors = [fit.errors[name] for fit in found]
        within = [miss <= 2 * error for miss, error in zip(misses, errors)]
        assert statistics.mean(within) >= 0.9, name
        assert statistics.median(misses) < 0.2 * true, name


def test_a_law_that_does_not_hold_is_less_certain() -> None:
    runs = simulated(UP_TO_16, 0.1, cost=0.02)
    alone = simulated(UP_TO_16, 0.1)
    assert fit_amdahl(runs).errors["serial"] > 5 * fit_amdahl(alone).errors["serial"]


def test_without_noise_it_is_exact() -> None:
    runs = simulated(UP_TO_16, 0.1, cost=0.005, noise=0.0)
    fit = fit_overhead(runs)
    assert fit.values == pytest.approx({"serial": 0.1, "cost": 0.005}, rel=1e-3)
    for point in speedups(runs):
        assert fit.predict(point.workers) == pytest.approx(point.best, rel=1e-4)
    workers = np.array([1.0, 16.0])
    assert fit.predict(workers) == pytest.approx([fit.predict(1), fit.predict(16)])


def test_more_workers_than_cores_are_left_out() -> None:
    runs = simulated([2, 4, 8, 16], 0.1, cores=4)
    assert fit_amdahl(runs).counts == (2, 4)


def test_counts_of_too_few_rounds_are_left_out() -> None:
    runs = simulated([2, 4, 8], 0.1)
    runs[4] = replace(runs[4], rounds=runs[4].rounds[:2])
    assert fit_amdahl(runs).counts == (2, 8)


def test_workers_that_wait_need_no_core() -> None:
    runs = sweep(nap, [0.02] * 8, "threads", [0, 2, 8], first=lambda: nap(0.04))
    runs = {
        count: replace(run, made=run.made | {"allowed cores": 1})
        for count, run in runs.items()
    }
    fit = fit_amdahl(runs)
    assert fit.counts == (2, 8)
    assert abs(fit.values["serial"] - 0.2) < 0.05


# What they can't tell.


@pytest.mark.parametrize(
    ("workers", "options"),
    [
        ([], {}),
        ([1], {}),
        ([1, 2, 4], {"rounds": 2}),
        ([1, 2, 4], {"cores": 1}),
    ],
)
def test_too_few_points_are_words(workers: list, options: dict) -> None:
    runs = simulated(workers, 0.1, **options)
    for fit in (fit_amdahl(runs), fit_overhead(runs)):
        assert isinstance(fit, Fit) and not fit
        assert fit.values == fit.errors == {}
        assert fit.sentence.startswith("Too few points")
    assert "Too few points" in serial_or_overhead(runs)


def test_what_two_cores_can_not_tell() -> None:
    runs = simulated([1, 2, 4], 0.1, cores=2)
    fit = fit_amdahl(runs)
    assert fit.counts == (2,)
    assert "can't tell a serial part from overhead" in fit.sentence
    assert not fit_overhead(runs)
    said = serial_or_overhead(runs)
    assert said.startswith("Karp-Flatt: ") and "Too few points" in said


def test_enough_points_are_numbers() -> None:
    fit = fit_amdahl(simulated(UP_TO_8, 0.1))
    assert "±" in fit.sentence and "2, 4 and 8 workers" in fit.sentence
    assert "can't" not in fit.sentence


@pytest.mark.parametrize(
    ("serial", "cost", "verdict"),
    [
        (0.1, 0.0, "does not grow with the workers: a serial part"),
        (0.1, 0.02, "it grows with the workers: overhead"),
        (0.0, 0.02, "it grows with the workers: overhead"),
    ],
)
def test_karp_and_flatt_tell_which_one(
    serial: float, cost: float, verdict: str
) -> None:
    said = [
        serial_or_overhead(simulated(UP_TO_16, serial, cost, seed=seed))
        for seed in range(20)
    ]
    assert statistics.mean(verdict in each for each in said) >= 0.9


def test_nothing_may_hold_it_back() -> None:
    said = [
        serial_or_overhead(simulated(UP_TO_16, 0.0, seed=seed)) for seed in range(20)
    ]
    assert statistics.mean("out of the noise" in each for each in said) >= 0.8


# Real and recorded runs.


def test_the_simulated_machine_says_that_it_is_none() -> None:
    runs = by_workers(load(FOLDER / "recorded" / "speedup_16_cores_simulated.json"))
    for run in runs.values():
        assert run.made["simulated"] is True
        assert "serial part 0.04" in run.made["model"]
        assert "system" not in run.made and "processor" not in run.made
    fit = fit_overhead(runs)
    assert abs(fit.values["serial"] - 0.04) < 0.01
    assert abs(fit.values["cost"] - 0.001) < 0.0005


@pytest.mark.skipif(machine.cores().allowed < 2, reason="one core")
def test_a_serial_part_of_a_real_loop_comes_back() -> None:
    """With the core of each worker to itself, that is; else it can't be told here.

    Other programs come and go, so it is measured until it holds, three times at most. A
    task of 40 ms is long beside what disturbs it, a few ms here and there.
    """
    n, fair = calibrate(countdown, 0.04), list[float]()
    for _ in range(3):
        runs = sweep(
            countdown,
            [n] * 4,
            "processes",
            [0, 2],
            rounds=8,
            first=lambda: countdown(4 * n),
        )
        miss = abs(fit_amdahl(runs).values["serial"] - 0.5)
        if miss < 0.05:
            return
        # Both runs do the same work: it takes more time of a core that is shared, with
        # a hyper-thread say, and none while another program, or machine, has the core.
        # The serial part is half of it, and is disturbed as easily as the tasks. One
        # hundredth of the 320 ms of work, in one of two workers, misses by 0.02; two
        # such by 0.04.
        used, passed = list[float](), list[float]()
        for run in (runs[0], runs[2]):
            before = min(span.start for span in run.spans) - run.began
            used.append(run.first + sum(span.cpu for span in run.spans))
            passed.append(before + sum(span.end - span.start for span in run.spans))
        undisturbed = all(u > 0.99 * p for u, p in zip(used, passed, strict=True))
        if undisturbed and max(used) < 1.01 * min(used):
            fair.append(miss)
    assert not fair, "it missed with two cores to itself"
    pytest.skip("other programs had part of two cores in each of three tries")
