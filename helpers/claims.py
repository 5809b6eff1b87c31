"""Sentences that the run must bear out."""

import ast
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

Excuse = str | Callable[[], str | None] | None


def claim(sentence: str, holds: bool, unless: Excuse = None) -> None:
    """Print the sentence, marked ✓ if it holds here, ✗ if it does not.

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
        print(f"– {sentence} (not tested here: {unless})")
    elif holds:
        print(f"✓ {sentence}")
    elif unless is not None and (reason := unless()):
        print(f"– {sentence} (not tested here: {reason})")
    else:
        print(f"✗ {sentence}")
        print(f"  {_measured(sys._getframe(1))}")
        print("  Close other programs, then run the cells of this section again.")


def _measured(frame: FrameType) -> str:
    """Return the condition that the caller wrote, and the values in it."""
    condition = _condition(frame)
    if condition is None:
        return "The condition does not hold."
    values = {
        ast.unparse(operand): _value(operand, frame) for operand in _operands(condition)
    }
    shown = ", ".join(f"{source} = {value}" for source, value in values.items())
    return f"{ast.unparse(condition)} does not hold: {shown or 'it is false'}"


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


def _condition(frame: FrameType) -> ast.expr | None:
    """Return the second argument of the call that frame is in the middle of."""
    place = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    first, last, start, end = place
    if None in place:
        return None
    lines = linecache.getlines(frame.f_code.co_filename)[first - 1 : last]
    if not lines:
        return None
    encoded = [line.encode() for line in lines]
    encoded[-1] = encoded[-1][:end]
    encoded[0] = encoded[0][start:]
    call = ast.parse(b"".join(encoded).decode()).body[0].value
    if len(call.args) > 1:
        return call.args[1]
    return next(word.value for word in call.keywords if word.arg == "holds")


def _value(operand: ast.expr, frame: FrameType) -> str:
    try:
        expression = ast.fix_missing_locations(ast.Expression(operand))
        source = compile(expression, "<claim>", "eval")
        value = eval(source, frame.f_globals, frame.f_locals)
    except Exception as error:
        return f"({error})"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return _shown(value)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else repr(value)
