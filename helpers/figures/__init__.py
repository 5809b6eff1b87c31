"""One call, one picture: each function shows its figure and says it in a sentence.

The functions take what was measured and nothing else. `function.draw(...)` returns the
figure and the sentence instead of showing them.
"""

from helpers.figures.bars import cores, gains, predictions, race_bars, startups, waits
from helpers.figures.curves import MovingSpeedup, break_even, speedup
from helpers.figures.grid import grid, heat_map
from helpers.figures.laptops import Told, answers, guesses, laptops, systems
from helpers.figures.look import png
from helpers.figures.times import batches, heartbeats, outcomes, stripes, timeline
from helpers.figures.tree import decision

__all__ = [
    "MovingSpeedup",
    "Told",
    "answers",
    "batches",
    "break_even",
    "cores",
    "decision",
    "gains",
    "grid",
    "guesses",
    "heartbeats",
    "heat_map",
    "laptops",
    "outcomes",
    "png",
    "predictions",
    "race_bars",
    "speedup",
    "startups",
    "stripes",
    "systems",
    "timeline",
    "waits",
]
