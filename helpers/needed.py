"""A lesson that needs what may be missing: it then says so in a line, and goes on.

What it can't run it leaves out. Its claims say that they are not tested here.
"""

import ast
from importlib import import_module

from IPython.core.getipython import get_ipython

from helpers.said import say

# From this import on nothing of a lesson needs more than the kit: its exercises.
EXERCISES = "helpers.exercises"


def need(package: str, how: str) -> None:
    """Say in one line how to get a package if it is missing.

    The cells below, down to the exercises, then do nothing but say their claims.

    Args:
        package: what is imported.
        how: how to install it.
    """
    shell = get_ipython()
    if shell is None:
        raise ValueError("need is for the cells of a notebook")
    changing = shell.ast_transformers
    changing[:] = [each for each in changing if not isinstance(each, OnlyClaims)]
    try:
        import_module(package)
    except ImportError:
        say(f"This lesson needs {package}: {how}. Without, it can only be read.")
        changing.append(OnlyClaims(package))


class OnlyClaims(ast.NodeTransformer):
    """Leaves nothing of a cell but its claims, as not tested.

    Args:
        package: what is missing.
    """

    def __init__(self, package: str) -> None:
        self._why = ast.Constant(f"{package} is missing")
        self._over = False

    def visit_Module(self, cell: ast.Module) -> ast.Module:
        imported = {n.module for n in cell.body if isinstance(n, ast.ImportFrom)}
        self._over = self._over or EXERCISES in imported
        calls = {ast.unparse(n.func) for n in ast.walk(cell) if isinstance(n, ast.Call)}
        if not self._over and "need" not in calls:
            cell.body = [*map(self._untested, _claims_in(cell))]
        return ast.fix_missing_locations(cell)

    def _untested(self, claim: ast.Call) -> ast.stmt:
        said, unless = claim.args[0], ast.keyword("unless", self._why)
        return ast.Expr(ast.Call(claim.func, [said, ast.Constant(False)], [unless]))


def _claims_in(cell: ast.Module) -> list[ast.Call]:
    calls = (node for node in ast.walk(cell) if isinstance(node, ast.Call))
    claims = [call for call in calls if ast.unparse(call.func) == "claim"]
    return sorted(claims, key=lambda call: call.lineno)
