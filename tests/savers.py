"""Answers to "Safe to run twice", most of them wrong; processes import this file."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

Lines = Callable[[str], Any]


def text_of(lines: Lines, item: str) -> str:
    return "".join(lines(item))


def in_place(lines: Lines, item: str, folder: str, mode: str = "w") -> None:
    with open(Path(folder, f"{item}.txt"), mode) as file:
        file.writelines(lines(item))


def whole_at_once(lines: Lines, item: str, folder: str) -> None:
    Path(folder, f"{item}.txt").write_text(text_of(lines, item))


def unless_there(lines: Lines, item: str, folder: str) -> None:
    if not Path(folder, f"{item}.txt").exists():
        in_place(lines, item, folder)


def in_one_file(lines: Lines, item: str, folder: str) -> None:
    with open(Path(folder, "all.txt"), "a") as file:
        file.writelines(lines(item))


def in_a_new_file(lines: Lines, item: str, folder: str) -> None:
    in_place(lines, f"{item}-{random.random()}", folder)


def appended_to_a_part(lines: Lines, item: str, folder: str) -> None:
    part = Path(folder, f"{item}.part")
    with open(part, "a", buffering=1) as file:
        file.writelines(lines(item))
    os.replace(part, Path(folder, f"{item}.txt"))


def copied(lines: Lines, item: str, folder: str) -> None:
    part = Path(folder, f"{item}-{os.getpid()}.part")
    part.write_text(text_of(lines, item))
    shutil.copy(part, Path(folder, f"{item}.txt"))


def behind_a_lock(lines: Lines, item: str, folder: str) -> None:
    """Who is killed doesn't unlock."""
    lock = Path(folder, f"{item}.lock")
    lock.touch(exist_ok=False)
    named(lines, item, folder)
    lock.unlink()


def once_marked(lines: Lines, item: str, folder: str) -> None:
    """Marked as done before it is."""
    mark = Path(folder, f"{item}.done")
    if not mark.exists():
        mark.touch()
        named(lines, item, folder)


def made_up(lines: Lines, item: str, folder: str) -> None:
    Path(folder, f"{item}.txt").write_text("done\n")


def other_lines(lines: Lines, item: str, folder: str) -> None:
    named(lambda item: [line.upper() for line in lines(item)], item, folder)


def never(lines: Lines, item: str, folder: str) -> None:
    time.sleep(60)


def mistyped(lines: Lines, item: str, folder: str) -> None:
    next(lines(item))
    print(fodler)  # type: ignore[name-defined]  # noqa: F821


def named(lines: Lines, item: str, folder: str) -> None:
    """Right: with a file of a name that nobody has."""
    with NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.writelines(lines(item))
    os.replace(file.name, Path(folder, f"{item}.txt"))


def fixed_name(lines: Lines, item: str, folder: str) -> None:
    """Right, as long as no two run at the same time."""
    part = Path(folder, f"{item}.part")
    part.write_text(text_of(lines, item))
    part.replace(Path(folder, f"{item}.txt"))
