"""What all explorers share: the widgets around a picture, and runs drawn in it."""

import html
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as widgets

from helpers.explore.kept import (
    MOST_MEGABYTES,
    SAVED,
    Draw,
    Kept,
    Picture,
    fetched,
    in_a_line,
    stored,
)
from helpers.explore.replay import Replay, options_of, plain
from helpers.runs import Run

# A visible focus, and pictures that grow with the page but never out of it.
STYLE = """<style>
.explorer :focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
.explorer img { width: 740px; max-width: 100%; background: white; }
.explorer p { line-height: 1.4; max-width: 740px; }
</style>"""

# A label is as long as its words, and no control is wider than the page.
WIDE = {
    "style": {"description_width": "initial"},
    "layout": {"width": "22em", "max_width": "98%"},
}


class Frame(widgets.VBox):
    """Controls, buttons, a line that says what happened, and a picture.

    Args:
        controls: the widgets that the reader turns, by the name of their setting.

    Attributes:
        controls: as given.
        progress, status, picture: the widgets that show how far the measuring is, what
            happened last, and the figures with their sentences.
    """

    def __init__(self, controls: Mapping[str, Any]) -> None:
        self.controls = controls
        self.run_button = widgets.Button(
            description="Run", tooltip="measure these settings"
        )
        self.stop_button = widgets.Button(
            description="Stop", tooltip="end the measuring"
        )
        self.save_button = widgets.Button(
            description="Save this run", tooltip=f"write it into the folder {SAVED}"
        )
        self.files = widgets.FileUpload(
            description="Load a run",
            tooltip=f"draw saved runs, up to {MOST_MEGABYTES} MB",
            accept=".json",
            multiple=True,
        )
        self.progress = widgets.IntProgress(max=1, description="progress")
        self.status = widgets.HTML()
        self.picture = widgets.HTML()
        super().__init__(
            [
                widgets.HTML(STYLE),
                _row(*controls.values()),
                _row(self.run_button, self.stop_button, self.progress),
                self.status,
                self.picture,
                _row(self.save_button, self.files),
            ]
        )
        self.add_class("explorer")

    @property
    def settings(self) -> dict[str, Any]:
        """The values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def closed(self) -> bool:
        """Whether its widgets are gone from the page."""
        return self.comm is None

    def say(self, *lines: str) -> None:
        """Show lines as the status."""
        escaped = "<br>".join(map(html.escape, lines))
        self.status.value = f'<p role="status">{escaped}</p>'

    def close(self) -> None:
        """Take it off the page, and let go of its widgets and pictures."""
        if not self.closed:
            for part in list(_parts(self)):
                part.unobserve_all()
                part.close()
            super().close()
            self.picture.value = ""

    def __repr__(self) -> str:
        if self.closed:
            return "An explorer, closed: there is a newer one of its kind."
        names = ", ".join(c.description for c in self.controls.values())
        return f"An explorer. Run this cell to move its controls: {names}."


def _row(*parts: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(parts, layout={"flex_flow": "row wrap"})


def _parts(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """Yield what a widget is made of: those in it, and their layouts and styles."""
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, widgets.Widget):
                yield from _parts(part)
                yield part


class Viewer(Frame):
    """Draws runs for the settings of its controls; saves and loads them.

    Args:
        name: what its saved runs are called.
        controls: the widgets that the reader turns, by the name of their setting.
        draw: returns pictures of runs for the settings: PNGs, each with its sentence.

    Attributes:
        lock: held while anything is drawn or changed: matplotlib isn't made for several
            threads, and callbacks come on any (ipykernel 7 has one of its own for
            widgets).
        shown: the runs that are drawn.
        replay: what has been loaded for settings of the controls.
        turning: whether a replay moves the controls, not the reader.
    """

    lock: ClassVar = threading.RLock()

    def __init__(self, name: str, controls: Mapping[str, Any], draw: Draw) -> None:
        super().__init__(controls)
        self.name, self._draw = name, draw
        self.shown, self.replay, self.turning = Kept(), Replay(), False
        self.save_button.on_click(lambda _: self.save())
        self.files.observe(self._uploaded, "value")

    def show(self, kept: Kept) -> str:
        """Draw what is kept; return why not, if somebody's runs lack something."""
        try:
            self.picture.value = kept.drawn(self._draw, self.settings)
        except Exception as error:
            return f"These runs can't be drawn here: {in_a_line(str(error))}"
        self.shown = kept
        return ""

    def show_or_say(self, kept: Kept) -> None:
        """Draw what is kept, or say why it can't be drawn."""
        if why_not := self.show(kept):
            self.say(why_not)

    def save(self) -> None:
        """Write the runs that are drawn to a new file, in the folder of saved runs."""
        with self.lock:
            best = self.shown.best()
            none = "There is no run to save yet."
            self.say(stored(self.name, best) if best else none)

    def load(self, *paths: str | Path) -> None:
        """Draw the runs in these files; a line tells of each that can't be read."""
        self._load([(Path(path), Path(path).name) for path in paths])

    def close(self) -> None:
        """Take it off the page, and let go of its widgets, runs and pictures."""
        self.shown, self.replay = Kept(), Replay()
        super().close()

    def to_show(self, runs: list[Run]) -> Kept:
        """Return what to draw of loaded runs: of a replay, what the controls can show.

        If it has nothing for where they stand, as few of them move as possible.
        """
        self.replay = Replay(runs)
        for settings in ({}, *self.replay.near(self.settings)):
            kept = self.turn(settings) and self.replay.at(self.settings)
            if kept:
                return kept
        return Kept(runs)

    def turn(self, settings: Mapping[str, Any]) -> bool:
        """Move the controls, if each has such a value; measure and draw nothing."""
        values = {name: self._value(name, value) for name, value in settings.items()}
        if None in values.values():
            return False
        self.turning = True
        for name, value in values.items():
            self.controls[name].value = value
        self.turning = False
        return True

    def _value(self, name: str, wanted: Any) -> Any:
        """Return the value of a control that a file has so; None if there is none."""
        control = self.controls.get(name)
        if options := options_of(control):
            return next((v for v in options.values() if plain(v) == wanted), None)
        if control is None or not isinstance(wanted, int | float):
            return None
        low, high = getattr(control, "min", wanted), getattr(control, "max", wanted)
        return wanted if low <= wanted <= high else None

    def turn_to(self, kept: Kept, words: str) -> None:
        """Draw what is kept, in place of what is being measured, and say so."""
        self.make_way()
        self.say(words)
        self.show_or_say(kept)

    def rest_of(self, runs: list[Run]) -> list[Run]:
        """Return the replay that these runs belong to, nothing if to none."""
        return self.replay.best() if any(r in self.replay for r in runs) else []

    def pictures(self, settings: Mapping[str, Any]) -> list[Picture]:
        """Return what the replay has for settings, drawn; nothing if it has nothing."""
        kept = self.replay.at(settings)
        return self._draw(kept.best(), **{**self.settings, **settings}) if kept else []

    def make_way(self) -> None:
        """Do what must be done before somebody's runs are drawn."""

    def _uploaded(self, change: Any) -> None:
        if not self.files.value:
            return
        # A name may be anything that a browser sends: none of it gets to the disk.
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, file in enumerate(self.files.value):
                path = Path(folder, str(number))
                path.write_bytes(file["content"])
                files.append((path, file["name"]))
            self._load(files)
        self.files.value = ()  # so that the same file can be loaded again

    def _load(self, files: Iterable[tuple[Path, str]]) -> None:
        """Draw the runs in files, each with the name that the reader knows."""
        self.say("Reading …")
        found, said = [], []
        for path, name in files:
            runs, line = fetched(path, name)
            found += runs
            said.append(line)
        with self.lock:
            if found:
                self.make_way()
                said.append(self.show(self.to_show(found)))
            self.say(*filter(None, said or ["No file was named."]))


def slider(description: str, value: int, low: int, high: int) -> widgets.IntSlider:
    """Return a control for a whole number from low to high."""
    return widgets.IntSlider(
        value, low, high, description=description, continuous_update=False, **WIDE
    )


def steps(
    description: str, options: Mapping[str, Any], value: Any
) -> widgets.SelectionSlider:
    """Return a control that goes through values in order, each with its words."""
    return widgets.SelectionSlider(
        options=list(options.items()),
        value=value,
        description=description,
        continuous_update=False,
        **WIDE,
    )


def choice(
    description: str, options: Sequence[str] | Mapping[str, Any]
) -> widgets.Dropdown:
    """Return a control that names one of several."""
    return widgets.Dropdown(options=options, description=description, **WIDE)
