"""Explorers: turn one knob, and see one picture change.

Each shows what a plain call of `measure` and `figures` shows, for the settings of its
controls. Measuring happens in the background and can be stopped; what was measured
once is kept.
"""

from helpers.explore.explorer import Explorer
from helpers.explore.explorers import (
    chunks,
    faults,
    gil,
    joblib,
    nested,
    pools,
    pythons,
    speedup,
    waiting,
)

__all__ = [
    "Explorer",
    "chunks",
    "faults",
    "gil",
    "joblib",
    "nested",
    "pools",
    "pythons",
    "speedup",
    "waiting",
]
