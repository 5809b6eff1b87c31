"""A replay: recorded runs, each with the settings of the controls that it is for."""

from collections.abc import Iterable, Mapping
from typing import Any

from helpers.explore.kept import Kept, from_source
from helpers.runs import Run

# In what a run notes of its making: "setting workers" is the value of that control.
SETTING = "setting "


class Replay:
    """What a file has for some settings of an explorer's controls.

    Args:
        runs: with what `noted` adds; others are left out.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._kept: dict[tuple[tuple[str, Any], ...], Kept] = {}
        for run in from_source(None, runs):
            if settings := _settings_of(run):
                self._kept.setdefault((*settings.items(),), Kept()).runs.append(run)

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The settings that it has something for, by the names of the controls."""
        return [dict(key) for key in self._kept]

    def near(self, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the settings that it has something for: first what differs least."""
        return sorted(
            self.settings,
            key=lambda had: sum(plain(settings.get(n)) != had[n] for n in had),
        )

    def at(self, settings: Mapping[str, Any]) -> Kept | None:
        """Return what there is for settings; those that it doesn't name may be any."""
        for key, kept in self._kept.items():
            if all(plain(settings.get(name)) == value for name, value in key):
                return kept
        return None

    def best(self) -> list[Run]:
        """Return the best run of each way, for all settings."""
        return [run for kept in self._kept.values() for run in kept.best()]

    def __contains__(self, run: Run) -> bool:
        return (*_settings_of(run).items(),) in self._kept


def noted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is to note, so that it is drawn for these settings."""
    return {SETTING + name: plain(value) for name, value in settings.items()}


def plain(value: Any) -> Any:
    """Return a setting as a file has it: a Python by its name."""
    return getattr(value, "name", value)


def options_of(control: Any) -> dict[str, Any]:
    """Return the values between which a control lets choose, by their words."""
    given = getattr(control, "options", ())
    pairs = given.items() if isinstance(given, Mapping) else given
    return dict((each, each) if isinstance(each, str) else each for each in pairs)


def _settings_of(run: Run) -> dict[str, Any]:
    return {
        name.removeprefix(SETTING): value
        for name, value in run.made.items()
        if name.startswith(SETTING)
    }
