"""Sentences as text of the page: in its font, at any width, light and dark.

What is printed stands in a notebook as in a terminal: in a fixed font, broken where the
line is full, in the middle of a word. A terminal still gets it printed.
"""

import html
import re

from IPython.display import display

# The space in 1.35 ×, in 50 % and in 20 ms: no line ends there.
QUANTITY = re.compile(r"(?<=\d) (?=[×%]|[mµ]?s\b)")


class Said:
    """Lines of text: a paragraph on a page, the same lines elsewhere.

    Args:
        lines: in plain text, each its own line.
        stressed: how many of the first lines stand out.
    """

    def __init__(self, *lines: str, stressed: int = 0) -> None:
        self.lines, self.stressed = lines, stressed

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        # Each line is a line here too: nbval's rule for claims finds where it begins.
        whole = [QUANTITY.sub("\N{NO-BREAK SPACE}", line) for line in self.lines]
        escaped = [html.escape(line, quote=False) for line in whole]
        loud = [f"<strong>{line}</strong>" for line in escaped[: self.stressed]]
        text = "<br>\n".join(loud + escaped[self.stressed :])
        return f"<p>\n{text}\n</p>"


def say(*lines: str, stressed: int = 0) -> None:
    """Show lines of text under the cell that runs; without a notebook, print them.

    Args:
        lines: in plain text, each its own line.
        stressed: how many of the first lines stand out.
    """
    display(Said(*lines, stressed=stressed))
