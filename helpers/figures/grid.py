"""What goes with what: a table of words as a picture."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from helpers.figures.look import SERIAL, Drawn, listed, new_figure, shown


@shown
def grid(found: Mapping[str, Mapping[str, str]], good: str, title: str) -> Drawn:
    """Show a table of words as a picture, the cells that hold the good word filled.

    Args:
        found: by name of a row, by name of a column: a word.
        good: the word that fills its cell.
        title: what the picture says.

    Raises:
        ValueError: there is no row, or no column.
    """
    columns = list(dict.fromkeys(name for row in found.values() for name in row))
    if not columns:
        raise ValueError("grid: nothing was found, so there is nothing to draw")
    figure = new_figure(0.4 * len(found) + 0.9)
    axes = figure.subplots()
    for row, words in enumerate(found.values()):
        for column, name in enumerate(columns):
            if name in words:
                _cell(axes, row, column, words[name], words[name] == good)
    axes.set_xticks(range(len(columns)), columns, fontsize=12)
    axes.set_yticks(range(len(found)), list(found), fontsize=11)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=12, pad=12)
    return figure, " ".join(_column_sentence(found, name, good) for name in columns)


def _cell(axes: Axes, row: int, column: int, word: str, filled: bool) -> None:
    shade, ink = (SERIAL.colour, "white") if filled else ("white", "black")
    place = (column - 0.47, row - 0.44)
    edge = SERIAL.colour
    axes.add_patch(Rectangle(place, 0.94, 0.88, facecolor=shade, edgecolor=edge))
    text = axes.text(column, row, word, ha="center", va="center", color=ink)
    text.set(fontweight="bold" if filled else "normal", fontsize=11)


def _column_sentence(
    found: Mapping[str, Mapping[str, str]], column: str, good: str
) -> str:
    rows = [name for name, words in found.items() if words.get(column) == good]
    others = [name for name in found if name not in rows]
    if not rows:
        which = "none of them"
    elif not others:
        which = "all of them"
    elif len(others) == 1 < len(rows):
        which = f"all but {others[0]}"
    else:
        which = listed(rows)
    return f"{column}: “{good}” for {which}."
