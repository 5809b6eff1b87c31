"""How fast it can get: the laws of speed-up, and what they find in runs.

The speed-up of p workers is the wall time of the plain loop over theirs. The laws take
numbers or arrays; the fits take what `measure.sweep` returns, the plain loop at 0.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from helpers.runs import Run

Numbers = TypeVar("Numbers", float, NDArray[np.float64])

# A best time's uncertainty is read off its distance to the second best: with fewer
# rounds than this, two slow ones could agree by chance.
ROUNDS = 3


def _check(name: str, value: object, least: float, most: float = math.inf) -> None:
    """Raise ValueError, in one line, unless value, or each in it, lies in between."""
    if not isinstance(value, int | float | np.ndarray | np.number):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if not np.all((value >= least) & (value <= most) & np.isfinite(value)):
        bounds = f"{least:g} up" if most == math.inf else f"{least:g} to {most:g}"
        raise ValueError(f"{name} must be from {bounds}, not {value}")


def amdahl(workers: Numbers, serial: float) -> Numbers:
    """Return the speed-up of a fixed amount of work, of which a part stays serial.

    Args:
        workers: how many, with a core each.
        serial: the share of the loop's time that only one worker can do, 0 to 1.

    Raises:
        ValueError: no such number of workers, or no such share; in one line.

    Source:
        G. M. Amdahl, "Validity of the single processor approach to achieving large
        scale computing capabilities", AFIPS Spring Joint Computer Conference, 1967,
        pp. 483-485, doi 10.1145/1465482.1465560.
    """
    return amdahl_with_overhead(workers, serial, 0.0)


def amdahl_with_overhead(workers: Numbers, serial: float, cost: float) -> Numbers:
    """Return the speed-up by Amdahl's law if each further worker costs something too.

    Args:
        workers: how many, with a core each.
        serial: the share of the loop's time that only one worker can do, 0 to 1.
        cost: what each worker after the first adds to the wall time, as a share of the
            loop's time.

    Raises:
        ValueError: no such number of workers, no such share, or a negative cost.

    Source:
        N. J. Gunther, "Guerrilla Capacity Planning", Springer, 2007, chapters 4 to 6:
        the universal scalability law, 1/S = serial + (1 - serial)/p + cost (p - 1). By
        Karp and Flatt's measure it is a straight line: serial + cost p.
    """
    _check("workers", workers, 1)
    _check("serial", serial, 0, 1)
    _check("cost", cost, 0)
    return 1 / (serial + (1 - serial) / workers + cost * (workers - 1))


def gustafson(workers: Numbers, serial: float) -> Numbers:
    """Return the speed-up if the work grows with the workers, and the time does not.

    Args:
        workers: how many, with a core each.
        serial: the share of the time of the *parallel* run that is serial, 0 to 1.

    Raises:
        ValueError: no such number of workers, or no such share; in one line.

    Source:
        J. L. Gustafson, "Reevaluating Amdahl's law", Communications of the ACM 31(5),
        1988, pp. 532-533, doi 10.1145/42411.42415.
    """
    _check("workers", workers, 1)
    _check("serial", serial, 0, 1)
    return workers - serial * (workers - 1)


def karp_flatt(speedup: Numbers, workers: Numbers) -> Numbers:
    """Return the serial share that a measured speed-up points to.

    The same for all numbers of workers, it is a serial part. If it grows with them, it
    is overhead.

    Args:
        speedup: measured.
        workers: how many, two or more.

    Raises:
        ValueError: fewer workers, or a speed-up that is not above 0; in one line.

    Source:
        A. H. Karp and H. P. Flatt, "Measuring parallel processor performance",
        Communications of the ACM 33(5), 1990, pp. 539-543, doi 10.1145/78607.78614.
    """
    _check("workers", workers, 2)
    _check("speedup", speedup, np.nextafter(0, 1))
    return (1 / speedup - 1 / workers) / (1 - 1 / workers)


LAWS: dict[str, Callable[..., Any]] = {
    "Amdahl's law": amdahl,
    "Amdahl's law with overhead": amdahl_with_overhead,
}


class Point(NamedTuple):
    """The speed-up of a number of workers: of its best round, and of every round."""

    workers: int
    best: float
    rounds: tuple[float, ...]


def speedups(runs: Mapping[int, Run]) -> list[Point]:
    """Return the speed-up over the plain loop's best round, for each count of workers.

    Args:
        runs: by the count of workers, the plain loop at 0, as `sweep` returns them.

    Raises:
        ValueError: there is no plain loop.
    """
    base = _plain_loop(runs).wall
    return [
        Point(count, base / run.wall, tuple(base / each.wall for each in run.rounds))
        for count, run in sorted(runs.items())
        if count > 0
    ]


@dataclass(frozen=True)
class Fit:
    """A law fitted to runs; false if there were too few points for it.

    Attributes:
        law: its name, one of LAWS.
        values: what was found, by name: "serial", and "cost" with overhead.
        errors: one standard error of each.
        counts: the numbers of workers that it rests on.
        sentence: what was found, or why nothing was.
    """

    law: str
    values: Mapping[str, float]
    errors: Mapping[str, float]
    counts: tuple[int, ...]
    sentence: str

    def __bool__(self) -> bool:
        return bool(self.values)

    def predict(self, workers: Numbers) -> Numbers:
        """Return the speed-up of that many workers by the law as it was fitted."""
        return LAWS[self.law](workers, **self.values)


def fit_amdahl(runs: Mapping[int, Run]) -> Fit:
    """Find the serial part by which Amdahl's law comes closest to the runs.

    Counts of fewer than three rounds are left out, and those above the allowed cores:
    the law supposes a core for each worker that computes. Workers that wait need none.
    One count of two or more workers must remain.

    Args:
        runs: by the count of workers, the plain loop at 0, as `sweep` returns them.

    Raises:
        ValueError: there is no plain loop.
    """
    fit = _fitted("Amdahl's law", ("serial",), 1, runs)
    if len(fit.counts) != 1:
        return fit
    sentence = (
        f"{fit.sentence} One count of workers can't tell a serial part from overhead: "
        "that takes three, with a core for each worker."
    )
    return Fit(fit.law, fit.values, fit.errors, fit.counts, sentence)


def fit_overhead(runs: Mapping[int, Run]) -> Fit:
    """Find the serial part and the cost of each further worker that the runs point to.

    As `fit_amdahl`, but three counts of two or more workers must remain: two unknowns
    go through any two points.

    Args:
        runs: by the count of workers, the plain loop at 0, as `sweep` returns them.

    Raises:
        ValueError: there is no plain loop.
    """
    return _fitted("Amdahl's law with overhead", ("serial", "cost"), 3, runs)


def serial_or_overhead(runs: Mapping[int, Run]) -> str:
    """Say what Karp and Flatt's measure is for each count, and which one holds it back.

    Args:
        runs: by the count of workers, the plain loop at 0, as `sweep` returns them.

    Raises:
        ValueError: there is no plain loop.
    """
    counts = _usable(runs)
    shares = ", ".join(
        f"{100 * karp_flatt(point.best, point.workers):.1f} % with {point.workers}"
        for point in speedups(runs)
        if point.workers in counts
    )
    fit = fit_overhead(runs)
    if not fit:
        return f"{shares and f'Karp-Flatt: {shares}. '}{fit.sentence}"
    if fit.values["cost"] > 2 * fit.errors["cost"]:
        verdict = "it grows with the workers: overhead"
    elif fit.values["serial"] > 2 * fit.errors["serial"]:
        verdict = "it does not grow with the workers: a serial part"
    else:
        verdict = "neither a serial part nor overhead stands out of the noise"
    return f"Karp-Flatt: {shares} workers; {verdict}."


def _plain_loop(runs: Mapping[int, Run]) -> Run:
    if 0 not in runs:
        raise ValueError("a speed-up needs the plain loop: sweep with 0 workers too")
    return runs[0]


def _usable(runs: Mapping[int, Run]) -> list[int]:
    """Return the counts above 1 that a law can rest on."""
    loop = _plain_loop(runs)
    if len(loop.rounds) < ROUNDS:
        return []
    cores = min(run.made.get("allowed cores", math.inf) for run in runs.values())
    if sum(span.cpu for span in loop.spans) < 0.5 * sum(
        span.end - span.start for span in loop.spans
    ):
        cores = math.inf  # its tasks wait
    return [
        count
        for count, run in sorted(runs.items())
        if 1 < count <= cores and len(run.rounds) >= ROUNDS
    ]


def _fitted(
    law: str, unknowns: tuple[str, ...], needed: int, runs: Mapping[int, Run]
) -> Fit:
    counts = _usable(runs)
    if len(counts) < needed:
        return Fit(law, {}, {}, (), _too_few(law, needed, counts))
    # The plain loop is as noisy as the rest, and each speed-up contains it. So its
    # time is an unknown too, and what is fitted are the times, not the speed-ups.
    walls = np.array([runs[count].wall for count in (0, *counts)])
    workers = np.array([1, *counts], dtype=float)
    noise = _noise(
        [
            run
            for count, run in runs.items()
            if count in (0, 1, *counts) and len(run.rounds) >= ROUNDS
        ]
    )
    found, covariance, misses = _least_squares(
        _parts(workers)[:, : 1 + len(unknowns)] / (noise * walls)[:, None],
        np.full(len(walls), 1 / noise),
    )
    # Points further from the law than their noise explains: the law is not all there
    # is, so its values are less certain (as the Particle Data Group scales errors).
    covariance = covariance * max(1, misses / max(1, len(walls) - len(found)))
    shares = found[1:] / found[0]
    shares[0] = min(shares[0], 1.0)  # slower than the loop: all of it is serial
    values = dict(zip(unknowns, map(float, shares)))
    errors = dict(zip(unknowns, map(float, _errors_of_shares(found, covariance))))
    sentence = _found(law, values, errors, counts)
    return Fit(law, values, errors, tuple(counts), sentence)


def _parts(workers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the laws say a wall time is made of, a row for each count.

    wall = loop (1/p) + loop serial (1 - 1/p) + loop cost (p - 1): linear in the loop's
    time, in its serial part and in the cost of each further worker, all in seconds.
    """
    return np.stack([1 / workers, 1 - 1 / workers, workers - 1], axis=1)


def _least_squares(
    parts: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Find the unknowns, none of them negative, for which parts @ unknowns is closest.

    Args:
        parts: of shape (points, unknowns), the first of them never 0; each row divided
            by the noise of its point.
        target: of shape (points,), divided likewise.

    Returns:
        The unknowns; their covariance, as if none were at its bound; and the sum of the
        squared misses, in units of the noise.
    """
    best, least = np.zeros(parts.shape[1]), math.inf
    # One that would be negative is nothing, then: the best without it.
    for size in range(parts.shape[1]):
        for others in combinations(range(1, parts.shape[1]), size):
            kept = [0, *others]
            found, *_ = np.linalg.lstsq(parts[:, kept], target, rcond=None)
            misses = float(np.sum((target - parts[:, kept] @ found) ** 2))
            if np.all(found >= 0) and misses < least:
                best, least = np.zeros(parts.shape[1]), misses
                best[kept] = found
    return best, np.asarray(np.linalg.inv(parts.T @ parts), float), least


def _errors_of_shares(
    found: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one standard error of each unknown as a share of the first, the loop."""
    shares = found[1:] / found[0]
    slopes = np.column_stack([-shares, np.eye(len(shares))]) / found[0]
    return np.sqrt(np.diag(slopes @ covariance @ slopes.T))


def _noise(runs: list[Run]) -> float:
    """Return the standard error of a best wall time, as a share of it.

    Other programs only ever make a round slower, so the best round is the estimate,
    and not the mean. How far it is off is told by how far the second best is from it:
    the two distances are about as long for one-sided noise (for an exponential one,
    1/(n - 1) and 1/n of its mean) as for noise to both sides. One gap says little, so
    it is the root mean square over all the counts.
    """
    gaps = []
    for run in runs:
        best, second, *_ = sorted(each.wall for each in run.rounds)
        gaps.append(second / best - 1)
    # Never nothing, or the points would count for infinitely much.
    return max(1e-6, float(np.sqrt(np.mean(np.square(gaps)))))


def _found(
    law: str, values: dict[str, float], errors: dict[str, float], counts: list[int]
) -> str:
    def percent(name: str) -> str:
        value, error = 100 * values[name], 100 * errors[name]
        digits = 1 if error >= 0.1 else 2
        return f"{value:.{digits}f} ± {max(error, 0.01):.{digits}f} %"

    found = f"a serial part of {percent('serial')}"
    if "cost" in values:
        cost = percent("cost")
        found += f" and a cost of {cost} of the loop for each further worker"
    return f"Fitted to {_listed(counts)} workers, {law} finds {found}."


def _too_few(law: str, needed: int, counts: list[int]) -> str:
    wanted = "one count" if needed == 1 else f"{needed} counts"
    there = f"only {_listed(counts)} will do" if counts else "there is none"
    return (
        f"Too few points for {law}: it takes {wanted} of 2 or more workers, with a "
        f"core for each and {ROUNDS} rounds. Here {there}."
    )


def _listed(counts: list[int]) -> str:
    *others, last = map(str, counts)
    return f"{', '.join(others)} and {last}" if others else last
