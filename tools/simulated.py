"""A sweep of a machine that is none: it stands in until one is recorded.

`python tools/simulated.py` writes that of 16 cores which lesson 05 draws.
"""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from lessons import FOLDER

from helpers.laws import amdahl
from helpers.runs import Round, Run, best_of, save
from helpers.trace import Span


def simulated(
    workers: Iterable[int],
    serial: float,
    cost: float = 0.0,
    cores: int = 16,
    rounds: int = 5,
    noise: float = 0.02,
    seed: int = 0,
) -> dict[int, Run]:
    """Return a sweep that nobody measured, made from Amdahl's law with overhead.

    Args:
        workers: the counts of workers; the plain loop, at 0, comes with them.
        serial: the share of the loop that is serial. The loop takes a second.
        cost: what each worker after the first costs, as a share of the loop.
        cores: how many the workers have. More workers than cores share them.
        rounds: of each count.
        noise: by how much a round is longer than the law says, on average (half a
            bell curve: other programs only ever make it slower).
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    machine = Machine(serial, cost, cores, noise)

    def rounds_of(count: int) -> Iterable[Run]:
        for _ in range(rounds):
            slower = abs(random.normal(scale=noise * np.sqrt(np.pi / 2)))
            yield machine.run(count, float(1 + slower))

    return {count: best_of(rounds_of(count)) for count in (0, *workers)}


@dataclass(frozen=True)
class Machine:
    """What `simulated` takes for its machine and its loop."""

    serial: float
    cost: float
    cores: int
    noise: float

    def run(self, count: int, slower: float) -> Run:
        """Return one round of that count of workers, so many times as long."""
        wall = self._wall(count) * slower
        parallel = 1 - self.serial
        return Run(
            function="simulated",
            strategy="processes" if count else "serial",
            workers=max(1, count),
            startup=0.0,
            began=0.0,
            wall=wall,
            spans=self._spans(count, wall),
            idle=max(0.0, self.cores * wall - parallel - self.serial),
            first=self.serial,
            rounds=(Round(wall, parallel / wall),),
            made=self._made(),
        )

    def _wall(self, count: int) -> float:
        at_once = max(1, min(count, self.cores))
        return 1 / amdahl(at_once, self.serial) + self.cost * (max(1, count) - 1)

    def _spans(self, count: int, wall: float) -> tuple[Span, ...]:
        """Return one task for each worker, all of the same length, to the end."""
        tasks, parallel = max(1, count), 1 - self.serial
        begin = wall - parallel / min(tasks, self.cores)
        return tuple(
            Span(task, 1 + task, 1, begin, wall, parallel / tasks)
            for task in range(tasks)
        )

    def _made(self) -> dict[str, Any]:
        return {
            "simulated": True,
            "python": platform.python_version(),
            "model": f"Amdahl's law with overhead, serial part {self.serial:g}, cost "
            f"of each further worker {self.cost:g}, {self.cores} cores, "
            f"noise {self.noise:g}",
            "allowed cores": self.cores,
        }


if __name__ == "__main__":
    runs = simulated([1, 2, 4, 8, 12, 16, 24, 32], serial=0.04, cost=0.001)
    save(FOLDER / "recorded" / "speedup_16_cores_simulated.json", runs.values())
