"""Sentences that the run must bear out, and what excuses one that it can't test."""

import ast
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from executing import Source

from helpers.machine import ceiling, cores, gil_enabled
from helpers.said import say

Excuse = str | Callable[[], str | None] | None

# A machine that has less of its cores left, or whose cores give less to interpreters
# that compete for nothing else, can't bear out claims about them.
FREE, GIVEN = 0.9, 0.8
# What the values of a failing claim may call once more: of Python's own types and
# functions, these change nothing.
HARMLESS = {
    *("abs", "all", "any", "bool", "dict", "float", "int", "len", "list", "max", "min"),
    *("round", "set", "sorted", "str", "sum", "tuple", "type", "zip"),
    *("count", "endswith", "get", "index", "items", "keys", "splitlines", "startswith"),
    *("strip", "values"),
}


def claim(sentence: str, holds: bool, unless: Excuse = None) -> None:
    """Show the sentence, marked ✓ if it holds here, ✗ if it does not.

    The line of a claim that holds is the same on every machine, so that a notebook
    can store it, and nbval fails on the day when it no longer holds. The line of one
    that does not shows what was measured.

    Args:
        sentence: what the run must bear out.
        holds: the condition, written out in the call: its values are shown on failure.
        unless: why it can't be tested here, if it can't: a reason, or a function that
            is asked only if the condition does not hold and returns a reason or None.
            Then the line is marked –.
    """
    if isinstance(unless, str):
        say(f"– {sentence} (not tested here: {unless})")
    elif holds:
        say(f"✓ {sentence}")
    elif unless is not None and (reason := unless()):
        say(f"– {sentence} (not tested here: {reason})")
    else:
        say(
            f"✗ {sentence}",
            _measured(sys._getframe(1)),
            "Close other programs, then run the cells of this section again.",
            stressed=1,
        )


def _measured(frame: FrameType) -> str:
    """Return the condition that the caller wrote, and the values in it."""
    condition = _condition(frame)
    if condition is None:
        return "The condition does not hold."
    values = {
        ast.unparse(operand): _value(operand, frame)
        for operand in _operands(condition)
        if _harmless(operand, frame)
    }
    shown = ", ".join(f"{source} = {value}" for source, value in values.items())
    return f"{ast.unparse(condition)} does not hold: {shown or 'it is false'}"


def _condition(frame: FrameType) -> ast.expr | None:
    """Return the second argument of the call that frame is in the middle of."""
    call = Source.executing(frame).node
    if not isinstance(call, ast.Call):
        return None
    named = {word.arg: word.value for word in call.keywords}
    return call.args[1] if len(call.args) > 1 else named.get("holds")


def _operands(
    node: ast.AST, loops: Sequence[ast.comprehension] = ()
) -> Iterator[ast.expr]:
    """Yield what the condition compares; in an `all(...)`, for all of its turns."""
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        loops = node.generators
    if isinstance(node, ast.Compare):
        for operand in (node.left, *node.comparators):
            if not isinstance(operand, ast.Constant):
                yield ast.ListComp(operand, [*loops]) if loops else operand
    for child in ast.iter_child_nodes(node):
        yield from _operands(child, loops)


def _harmless(operand: ast.AST, frame: FrameType) -> bool:
    """Return whether its value can be worked out again, and nothing else happens."""
    if isinstance(operand, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
        return False
    parts = ast.iter_child_nodes(operand)
    if not all(_harmless(part, frame) for part in parts):
        return False
    return not isinstance(operand, ast.Call) or _is_pythons_own(operand.func, frame)


def _is_pythons_own(called: ast.expr, frame: FrameType) -> bool:
    """Return whether what is called is harmless, and no namesake of it."""
    try:
        if isinstance(called, ast.Attribute):
            owner = type(_evaluated(called.value, frame))
            return called.attr in HARMLESS and owner.__module__ == "builtins"
        found = _evaluated(called, frame)
    except Exception:
        return False
    named = getattr(found, "__name__", None) in HARMLESS
    return named and getattr(found, "__module__", None) == "builtins"


def _value(operand: ast.expr, frame: FrameType) -> str:
    try:
        if isinstance(operand, ast.ListComp):
            turns = _evaluated(operand.generators[0].iter, frame)
            if isinstance(turns, Iterator):  # what it yields next is somebody else's
                return "…"
        value = _evaluated(operand, frame)
    except Exception as error:
        return f"({error})"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return _shown(value)


def _evaluated(expression: ast.expr, frame: FrameType) -> object:
    whole = ast.fix_missing_locations(ast.Expression(expression))
    return eval(compile(whole, "<claim>", "eval"), frame.f_globals, frame.f_locals)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


# What excuses a claim.


class Measured(Protocol):
    """A run, or a ceiling."""

    @property
    def cores_free(self) -> float:
        """How many cores the machine had for it; nan: nobody knows."""


def fewer_cores_than(wanted: int, *runs: Measured) -> Excuse:
    """Return why a claim that needs that many cores can't be tested here.

    Args:
        wanted: how many cores the claim needs.
        runs: what was measured with them.

    Returns:
        None, where all of that was recorded: the cores of this machine say nothing of
        it. The reason, where this Python may use fewer cores. Else a function for
        `claim` to ask if the claim does not hold. It returns a reason only if the cores
        clearly weren't there: other programs took them while the runs were made, by
        what they noted, or take them now, by measuring; or they are free, and do less
        than that many cores should: hyper-threads, say, are halves of one.
    """
    if runs and all(getattr(run, "made", {}).get("recorded") for run in runs):
        return None
    allowed = cores().allowed
    if allowed < wanted:
        return "one core" if allowed == 1 else f"{allowed} cores"
    return functools.partial(_missing_cores, wanted, runs)


def _missing_cores(wanted: int, runs: Sequence[Measured]) -> str | None:
    for measured in runs:
        if measured.cores_free < FREE * wanted:
            return _taken(measured.cores_free, wanted)
    given = ceiling(wanted, seconds=0.25)
    if given.cores_free < FREE * wanted:
        return _taken(given.cores_free, wanted)
    if given < GIVEN * wanted:
        return f"{wanted} cores of this machine do the work of {given:.1f}"
    return None


def _taken(free: float, wanted: int) -> str:
    return f"this machine is giving the lab {free:.1f} of {wanted} cores"


def coarse_clock() -> str | None:
    """Return why turns of a few milliseconds can't be told apart here, or None."""
    # Windows lets a thread wait for ticks of about 16 ms; see time.get_clock_info.
    windows = sys.platform == "win32"
    return "this system's clock ticks too coarsely" if windows else None


def gil_off() -> str | None:
    """Return why a claim about the GIL can't be tested here; None if it can."""
    return None if gil_enabled() else "this Python runs without its GIL"
