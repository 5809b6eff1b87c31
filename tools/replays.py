"""The replays: what an explorer shows of its recorded runs, on a page without a kernel.

Each picture is drawn by the explorer's own figures, for each setting that there is a
recording of (`tools/record.py replays`).
"""

import html
import io
import itertools
import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ipywidgets import Checkbox, Dropdown
from lessons import FOLDER
from PIL import Image

from helpers import explore
from helpers.explore.kept import Picture
from helpers.explore.replay import options_of, plain
from helpers.figures.look import DRAWN, SEEN, capital, origins

RECORDED = FOLDER / "recorded"
# Controls that change the picture of the same runs, and what they are turned to.
DRAWN_ONLY = {"speedup": {"serial": [0, 0.1, 0.2, 0.5]}}
COLOURS = 64


class Knob(NamedTuple):
    """A control of a replay.

    Attributes:
        name: that of the explorer's setting.
        words: what is written before it.
        values: what it can be turned to.
        labels: what it shows of each.
        at: the place of the value that is shown at first.
        menu: whether it is a menu, not a slider.
    """

    name: str
    words: str
    values: list[Any]
    labels: list[str]
    at: int
    menu: bool


def pages(folder: Path, source: str) -> dict[str, str]:
    """Draw every replay that is recorded; return the HTML of each, by its explorer.

    Args:
        folder: where the pictures are written.
        source: the address of that folder, as a page sees it.
    """
    found = RECORDED.glob("replay_*.json")
    names = sorted(path.stem.removeprefix("replay_") for path in found)
    with ProcessPoolExecutor() as pool:
        drawings = pool.map(drawn, names, [folder] * len(names))
        return {n: page(n, each, source) for n, each in zip(names, drawings)}


def loaded(name: str) -> explore.Explorer:
    """Return the explorer of that name with its replay."""
    explorer: explore.Explorer = getattr(explore, name)()
    explorer.load(RECORDED / f"replay_{name}.json")
    return explorer


def knobs_of(explorer: explore.Explorer) -> list[Knob]:
    """Return the controls that have several values in the replay."""
    values: dict[str, list[Any]] = {}
    for settings in explorer.replay.settings:
        for name, value in settings.items():
            values.setdefault(name, [])
            values[name] += [] if value in values[name] else [value]
    values |= DRAWN_ONLY.get(explorer.name, {})
    return [
        _knob(explorer, name, each) for name, each in values.items() if len(each) > 1
    ]


def _knob(explorer: explore.Explorer, name: str, values: list[Any]) -> Knob:
    control = explorer.controls[name]
    words = {plain(value): word for word, value in options_of(control).items()}
    if isinstance(control, Checkbox):
        words = {True: "yes", False: "no"}
    labels = [str(words.get(value, value)) for value in values]
    now, menu = plain(control.value), isinstance(control, Checkbox | Dropdown)
    at = values.index(now) if now in values else 0
    return Knob(name, control.description, values, labels, at, menu)


def drawn(name: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Draw all pictures of a replay into a folder.

    Returns:
        What shows them, as `img` has it: by the places of the knobs' values, "0,2,1".
    """
    explorer, found = loaded(name), {}
    knobs, first = knobs_of(explorer), explorer.replay.settings[0]
    for places in itertools.product(*(range(len(knob.values)) for knob in knobs)):
        turned = {k.name: k.values[p] for k, p in zip(knobs, places, strict=True)}
        if pictures := explorer.pictures(first | turned):
            key = ",".join(map(str, places))
            found[key] = [
                _written(picture, folder / f"{name}-{key.replace(',', '-')}-{number}")
                for number, picture in enumerate(pictures)
            ]
    explorer.close()
    return found


def _written(picture: Picture, path: Path) -> dict[str, Any]:
    """Write a picture in a few colours, a tenth of its size; return how to show it."""
    png, words = picture
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.quantize(COLOURS, Image.Quantize.FASTOCTREE)
    path = path.with_suffix(".png")
    image.save(path, optimize=True)
    width, height = (round(each * SEEN / DRAWN) for each in image.size)
    return {"src": path.name, "alt": words, "width": width, "height": height}


def page(name: str, pictures: Mapping[str, list[dict[str, Any]]], source: str) -> str:
    """Return the HTML of a replay. Its script (docs/_static/replay.js) moves it."""
    explorer = loaded(name)
    knobs, made = knobs_of(explorer), origins(explorer.replay.best())
    explorer.close()
    first = pictures.get(",".join(str(knob.at) for knob in knobs), [])
    data = {"source": source, "pictures": pictures}
    title = f"The explorer {name}, replayed"
    return f"""<div class="replay" role="group" aria-label="{title}">
<p class="replay-words">{html.escape(capital(made))}. Move a control to see it with
other settings. Nothing is measured on this page; in JupyterLab it is, on your machine,
and <em>Load a run</em> shows the same: notebooks/recorded/replay_{name}.json.</p>
<div class="replay-knobs" hidden>{"".join(_control(name, knob) for knob in knobs)}</div>
<div class="replay-pictures" aria-live="polite">{
        "".join(_figure(each, source) for each in first)
    }</div>
<script type="application/json">{_as_json(data)}</script>
</div>"""


def _control(name: str, knob: Knob) -> str:
    """Return the HTML of a control: a menu, or a slider with the words of its place."""
    known = f"replay-{name}-{knob.name}"
    label = f'<label for="{known}">{html.escape(knob.words)}</label>'
    words = list(map(html.escape, knob.labels))
    if knob.menu:
        options = "".join(
            f"<option{' selected' * (place == knob.at)}>{each}</option>"
            for place, each in enumerate(words)
        )
        return f'<p>{label} <select id="{known}">{options}</select></p>'
    labels = html.escape(json.dumps(knob.labels))
    return (
        f'<p>{label} <input type="range" id="{known}" min="0" '
        f'max="{len(words) - 1}" value="{knob.at}" data-labels="{labels}" '
        f'aria-valuetext="{words[knob.at]}"> <output>{words[knob.at]}</output></p>'
    )


def _figure(picture: Mapping[str, Any], source: str) -> str:
    words = html.escape(picture["alt"])
    return (
        f'<img src="{source}/{picture["src"]}" alt="{words}" '
        f'width="{picture["width"]}" height="{picture["height"]}"><p>{words}</p>'
    )


def _as_json(data: Any) -> str:
    """Return data as JSON that may stand in a script: nothing in it ends that."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
