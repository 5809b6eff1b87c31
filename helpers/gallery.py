"""A class's laptops in one figure: one small file a reader, and a picture of them all.

A file holds runs, guesses and answers to the quiz, and nothing about the reader but the
nickname that one types. It comes back by mail, in folders or in archives, under
another name, twice, or broken: what can't be read costs a line.
"""

import itertools
import math
import os
import re
import secrets
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from helpers import workloads
from helpers.figures import Told, answers, guesses, laptops, systems
from helpers.figures.look import LOOKS, Shown, fact_of, in_a_line, quantity
from helpers.laws import speedups
from helpers.predict import Guess
from helpers.quiz import ROUNDS, checked, file_of, load_answers, questions, right_in
from helpers.runs import Run, by_workers, parsed, save
from helpers.said import say
from helpers.trace import Span

# The notes of a later version may mean something else.
VERSION = 1
# A file has some 15 kB. So many are looked at, and so many lines say what is wrong.
MOST_BYTES, MOST_FILES, MOST_LINES = 300_000, 1000, 40
NICKNAME = 24
# The function whose runs are the stripes, and the ways that are drawn of it.
WATCHED, WAYS = "watched_countdown", ("threads", "processes")
# What runs may tell of their making: no name of anybody, of a machine or of a folder.
FACTS = {
    *("date", "python", "free-threaded build", "gil", "start method", "system"),
    *("processor", "logical cores", "allowed cores"),
}
# What is beyond these no laptop has measured, and nobody has guessed.
MOST_RUNS, MOST_WORKERS, MOST_LANES, MOST_ROUNDS = 50, 4096, 8, 1000
MOST_PIECES, MOST_SECONDS, MOST_GAIN = 5000, 3600, 1000
MOST_GUESSES, MOST_ANSWERS, MOST_LETTERS, MOST_VALUE = 20, 100, 200, 1e9
# Files that systems and archives add by themselves.
NOBODYS = re.compile(r"(?i)\.|~\$|(__MACOSX|thumbs\.db|desktop\.ini)$")


@dataclass(frozen=True)
class Laptop:
    """What the file of one reader holds.

    Attributes:
        nickname: as it was typed.
        number: drawn by lot when the file was first saved: tells two of one nickname
            from one who hands in twice.
        saves: how often the file was saved; the last time counts.
        stripes: runs of a countdown that watches itself, by strategy.
        sweep: by the number of workers, the plain loop at 0.
        ceiling: what separate interpreters got; None: nobody measured it.
        guesses: by their questions.
        quiz: the answers, by "before" and "after", and the names of the questions.
        made_up: whether guesses and answers are nobody's, but drawn by lot.
    """

    nickname: str
    number: str
    saves: int
    stripes: Mapping[str, Run] = field(default_factory=dict)
    sweep: Mapping[int, Run] = field(default_factory=dict)
    ceiling: float | None = None
    guesses: Mapping[str, Told] = field(default_factory=dict)
    quiz: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    made_up: bool = False


# One reader's file.


def save_for_class(
    nickname: str,
    runs: Iterable[Run],
    guesses: Mapping[Guess, Any] | None = None,
    ceiling: float | None = None,
    folder: str | Path = ".",
) -> Path:
    """Write the file that a reader hands in, and say what it is called.

    It holds the runs, the guesses, the answers to the quiz that are saved in the
    folder, and the nickname. Of the machine it tells its cores, system and Python.

    Args:
        nickname: what the class sees.
        runs: of `watched_countdown`, in threads and in processes; and those of a sweep
            of processes, the plain loop among them.
        guesses: each with what was measured.
        ceiling: what `machine.ceiling()` returned.
        folder: where the file goes, and the answers to the quiz are.

    Returns:
        Where the file is.

    Raises:
        ValueError: there is no nickname, or nothing to hand in; in one line.
    """
    path = Path(folder) / f"class_{_for_a_file(nickname)}.json"
    kept = [_nobodys(run) for run in runs]
    notes = {
        "version": VERSION,
        "nickname": _cleaned(nickname, NICKNAME),
        **_next_save(path),
        "ceiling": None if ceiling is None else float(ceiling),
        "guesses": _noted(guesses or {}),
        "quiz": _quiz_in(Path(folder)),
        "made up": False,
    }
    laptop = laptop_of(kept, notes)
    save(path, kept, notes=notes)
    size = f"{path.stat().st_size / 1000:.0f} kB"
    say(f"Saved as {path.name}, {size}: {_contents(laptop)}.")
    return path


def _for_a_file(nickname: str) -> str:
    """Return a nickname as any system takes it in the name of a file."""
    short = in_a_line(str(nickname), NICKNAME)
    safe = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", short)).strip("_")
    if not isinstance(nickname, str) or not safe:
        raise ValueError("type a nickname, with a letter or a digit in it")
    return safe


def _next_save(path: Path) -> dict[str, Any]:
    """Return the number of the file, which it keeps, and how often it was saved."""
    try:
        earlier = laptop_of(*parsed(path.read_bytes()))
    except (OSError, ValueError):
        return {"number": secrets.token_hex(4), "saves": 1}
    return {"number": earlier.number, "saves": earlier.saves + 1}


def _nobodys(run: Run) -> Run:
    """Return a run without what tells one machine or one day's session from another.

    Its clock begins at 0, its processes and its threads are numbered from 1.
    """
    if run.strategy.split()[0] not in LOOKS:
        raise ValueError(f"a run in a way of your own is not drawn: {run.strategy!r}")
    pids = {pid: n for n, (pid, _) in enumerate(run.by_worker, 1)}
    threads = {thread: n for n, (_, thread) in enumerate(run.by_worker, 1)}

    def moved(span: Span) -> Span:
        start, end = _since(run.began, span.start, span.end)
        pieces = tuple(_since(run.began, *each) for each in span.stretches)
        who = pids[span.pid], threads[span.thread]
        return Span(span.task, *who, start, end, span.cpu, pieces)

    return replace(
        run,
        function=run.function if _of_the_kit(run.function) else "own function",
        began=0.0,
        spans=tuple(map(moved, run.spans)),
        made={name: fact for name, fact in run.made.items() if name in FACTS},
    )


def _of_the_kit(function: str) -> bool:
    return function == WATCHED or hasattr(workloads, function)


def _since(began: float, start: float, end: float) -> tuple[float, float]:
    """Return two times by a clock that began then, to a microsecond."""
    return round(start - began, 6), round(end - began, 6)


def _noted(guesses: Mapping[Guess, Any]) -> list[dict[str, Any]]:
    """Return as data the guesses for which something was measured."""
    return [
        {
            "question": guess.question,
            "value": guess.value,
            "measured": measured if isinstance(measured, str) else float(measured),
            "touched": guess.touched,
            "unit": guess.unit,
        }
        for guess, measured in guesses.items()
        if isinstance(measured, str) or math.isfinite(measured)
    ]


def _quiz_in(folder: Path) -> dict[str, dict[str, str]]:
    """Return the answers that are saved there; a line tells of a broken file."""
    found = {}
    for when in ROUNDS:
        try:
            if answered := load_answers(file_of(when, folder)):
                found[when] = answered
        except ValueError as error:
            say(str(error))
    return found


def _contents(laptop: Laptop) -> str:
    runs = quantity(len(laptop.stripes) + len(laptop.sweep), "run")
    guessed = quantity(len(laptop.guesses), "guess", "guesses")
    asked = " and ".join(laptop.quiz) or "not answered"
    return f"{runs}, {guessed}, the quiz {asked}"


# What a file says, looked at.


def laptop_of(runs: Iterable[Run], notes: Any) -> Laptop:
    """Return what a file holds, after a look at all of it.

    Args:
        runs, notes: as `parsed` returns them.

    Raises:
        ValueError: it wasn't saved for a class, or can't be right; in one line.
    """
    if not isinstance(notes, dict) or "nickname" not in notes:
        raise ValueError("these runs were not saved for a class")
    version, saves = notes.get("version"), notes.get("saves")
    if not _counts(version) or not _counts(saves):
        raise ValueError("its version can't be right")
    if version > VERSION:
        raise ValueError("it was saved by a newer version of this kit")
    stripes, sweep = _sorted(list(runs))
    laptop = Laptop(
        _cleaned(notes["nickname"], NICKNAME),
        _cleaned(notes.get("number"), NICKNAME),
        saves,
        stripes,
        sweep,
        _ceiling(notes.get("ceiling")),
        _guesses(notes.get("guesses")),
        _quiz(notes.get("quiz")),
        notes.get("made up") is True,
    )
    if not (laptop.stripes or laptop.sweep or laptop.guesses or laptop.quiz):
        raise ValueError("there is nothing in it to draw")
    return laptop


def _sorted(runs: list[Run]) -> tuple[dict[str, Run], dict[int, Run]]:
    """Return the runs that are stripes, and the others, which are a sweep."""
    runs = [run for run in runs if run.spans]
    if sum(map(_pieces, runs)) > MOST_PIECES:
        raise ValueError(f"more than {MOST_PIECES:,} pieces are too many to draw")
    if len(runs) > MOST_RUNS or not all(map(_plausible, runs)):
        raise ValueError("a laptop doesn't measure such runs")
    watched = {run.strategy: run for run in runs if run.function == WATCHED}
    stripes = {way: watched[way] for way in WAYS if way in watched}
    if any(len(run.lanes) > MOST_LANES for run in stripes.values()):
        raise ValueError(f"its stripes have more than {MOST_LANES} rows")
    sweep = by_workers(run for run in runs if run.function != WATCHED)
    if sweep:
        _check_sweep(sweep)
    return stripes, sweep


def _pieces(run: Run) -> int:
    """Return how many tasks a run has, and stretches of them."""
    return len(run.spans) + sum(len(span.stretches) for span in run.spans)


def _plausible(run: Run) -> bool:
    """Return whether a laptop may have measured that, and a figure can hold it."""
    ends = [end for span in run.spans for end in (span.start, span.end)]
    ends += [end for span in run.spans for pair in span.stretches for end in pair]
    walls = [run.wall, *(each.wall for each in run.rounds)]
    return (
        all(1e-9 < wall < MOST_SECONDS for wall in walls)
        and run.startup < MOST_SECONDS
        and run.workers <= MOST_WORKERS
        and run.made.get("allowed cores", 1) <= MOST_WORKERS
        and len(run.rounds) <= MOST_ROUNDS
        and all(-1 < end - run.began < run.wall + 1 for end in ends)
    )


def _check_sweep(sweep: Mapping[int, Run]) -> None:
    if 0 not in sweep or len(sweep) < 2:
        raise ValueError("its speed-ups lack the plain loop, or have nothing else")
    if any(run.strategy.split()[0] != "processes" for n, run in sweep.items() if n):
        raise ValueError("its speed-ups are not those of processes")
    for point in speedups(sweep):
        if not all(1 / MOST_GAIN < x < MOST_GAIN for x in (point.best, *point.rounds)):
            raise ValueError("its speed-ups can't be right")


def _ceiling(value: object) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 1 / MOST_GAIN < value < MOST_WORKERS:
        raise ValueError("its ceiling can't be right")
    return float(value)


def _guesses(listed: object) -> dict[str, Told]:
    if not isinstance(listed, list) or len(listed) > MOST_GUESSES:
        raise ValueError("its guesses can't be right")
    return dict(map(_guess, listed))


def _guess(noted: Any) -> tuple[str, Told]:
    try:
        told = Told(
            _worded(noted["value"]),
            _worded(noted["measured"]),
            noted["touched"] is True,
            _cleaned(noted["unit"] or "-", NICKNAME).strip("-"),
        )
        return _cleaned(noted["question"], MOST_LETTERS), told
    except (TypeError, LookupError):
        raise ValueError("its guesses can't be right") from None


def _worded(value: object) -> float | str:
    """Return the value of a guess, if a reader can have guessed it."""
    if isinstance(value, str):
        return _cleaned(value, MOST_LETTERS)
    if not _is_number(value):
        raise TypeError
    return float(value)


def _quiz(answered: object) -> dict[str, dict[str, str]]:
    if not isinstance(answered, dict) or not answered.keys() <= set(ROUNDS):
        raise ValueError("its answers to the quiz can't be right")
    found = {when: checked(each) for when, each in answered.items()}
    if any(len(each) > MOST_ANSWERS for each in found.values()):
        raise ValueError("it has more answers than the quiz has questions")
    return found


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -MOST_VALUE < value < MOST_VALUE


def _counts(value: object) -> TypeGuard[int]:
    return _is_number(value) and isinstance(value, int) and value >= 1


def _cleaned(text: object, longest: int) -> str:
    """Return what somebody typed, in one line that no figure takes for a formula.

    Raises:
        ValueError: it is no text, or nothing is left of it.
    """
    if not isinstance(text, str):
        raise ValueError("a name in it is no text")
    cleaned = in_a_line(text[: 10 * MOST_LETTERS].replace("$", ""), longest)
    if not cleaned:
        raise ValueError("a name in it is empty")
    return cleaned


# What was handed in.


class File(NamedTuple):
    """A file that was found: its name, and what is in it, or why nobody can say."""

    name: str
    content: bytes | None
    why_not: str = ""


class HandedIn(NamedTuple):
    """All that was handed in.

    Attributes:
        laptops: by the name that each has in the figures.
        left: by the name of a file that is not drawn, why it isn't.
        more: whether there are more files than are looked at.
    """

    laptops: dict[str, Laptop]
    left: dict[str, str]
    more: bool = False

    @property
    def account(self) -> list[str]:
        """Lines that account for every file."""
        files = quantity(len(self.laptops) + len(self.left), "file")
        lines = [f"{files}: {len(self.laptops)} drawn, {len(self.left)} not."]
        lines += [f"{name}: {why}" for name, why in self.left.items()][:MOST_LINES]
        if len(self.left) > MOST_LINES:
            lines.append(f"… and {len(self.left) - MOST_LINES} more.")
        if self.more:
            lines.append(f"There are more than {MOST_FILES:,}: no other was looked at.")
        if made_up := sum(each.made_up for each in self.laptops.values()):
            whose = quantity(made_up, "file")
            lines.append(f"Guesses and answers of {whose} are drawn by lot, nobody's.")
        return lines


def handed_in(folder: str | Path) -> HandedIn:
    """Read all files in a folder and the folders in it, also in zip archives.

    A file that is there twice is drawn once, and of one that was saved again only the
    last. Two of one nickname are told apart.

    Args:
        folder: where they are, or one archive.

    Raises:
        ValueError: there is no such folder; in one line.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ValueError(f"there is no folder {folder.name!r} here")
    found = _files_in(folder)
    read, left, first = dict[str, Laptop](), dict[str, str](), dict[bytes, str]()
    for name, content, why_not in itertools.islice(found, MOST_FILES):
        name = _unlike(in_a_line(name), {*read, *left})
        if content is None:
            left[name] = why_not
        elif (same := first.setdefault(sha256(content).digest(), name)) != name:
            left[name] = f"the same as {same}"
        else:
            try:
                read[name] = laptop_of(*parsed(content))
            except ValueError as error:
                left[name] = _why(error)
    _leave_earlier(read, left)
    more = next(found, None) is not None
    return HandedIn(_by_nickname(read.values()), left, more)


def _why(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "this is not JSON"
    return in_a_line(str(error))


def _leave_earlier(read: dict[str, Laptop], left: dict[str, str]) -> None:
    """Of the files of one reader keep the one that was saved last."""
    last: dict[str, str] = {}
    for name in sorted(read, key=lambda name: read[name].saves):
        number = read[name].number
        if number in last:
            left[last[number]] = f"{name} was saved later"
            del read[last[number]]
        last[number] = name


def _by_nickname(found: Iterable[Laptop]) -> dict[str, Laptop]:
    named: dict[str, Laptop] = {}
    for laptop in found:
        named[_unlike(laptop.nickname, named)] = laptop
    return named


def _unlike(name: str, others: Iterable[str]) -> str:
    """Return a name that none of the others has: "ada", "ada (2)"."""
    taken, names = set(others), itertools.count(2)
    new = name
    while new in taken:
        new = f"{name} ({next(names)})"
    return new


def _files_in(folder: Path) -> Iterator[File]:
    """Yield the files in a folder and in those in it, but for nobody's."""
    if not folder.is_dir():
        yield from _opened(folder, folder.name)
        return
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not NOBODYS.match(name))
        for name in sorted(name for name in names if not NOBODYS.match(name)):
            path = Path(where, name)
            yield from _opened(path, path.relative_to(folder).as_posix())


def _opened(path: Path, name: str) -> Iterator[File]:
    """Yield a file with what is in it, or those in it if it is an archive."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            yield File(name, None, "this is no plain file")
        elif path.suffix.lower() == ".zip":
            yield from _unpacked(path, name)
        elif status.st_size > MOST_BYTES:
            yield File(name, None, _too_large(status.st_size))
        else:
            yield File(name, path.read_bytes())
    except OSError as error:
        yield File(name, None, error.strerror or "it can't be read")


def _unpacked(path: Path, name: str) -> Iterator[File]:
    """Yield the files in an archive; nothing is written anywhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if _somebodys(each)]
            yield from (_member(archive, each, name) for each in members)
            if not members:
                yield File(name, None, "there is no file in it")
    except Exception as error:  # an archive can be broken in any way
        yield File(name, None, f"this archive can't be read ({in_a_line(str(error))})")


def _somebodys(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return not member.is_dir() and not any(map(NOBODYS.match, parts))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> File:
    inside = f"{name}/{member.filename}"
    if member.file_size > MOST_BYTES:
        return File(inside, None, _too_large(member.file_size))
    try:
        with archive.open(member) as packed:
            return File(inside, packed.read(MOST_BYTES))
    except Exception as error:  # so can what is in it
        return File(inside, None, f"it can't be unpacked ({in_a_line(str(error))})")


def _too_large(size: int) -> str:
    return f"{size / 1e6:.1f} MB are too many: a file for the class has a tenth of it"


# The pictures.

Picture = tuple[Shown[...], tuple[Any, ...]]


def class_gallery(folder: str | Path) -> None:
    """Draw what a class has handed in: speed-ups, stripes, guesses and the quiz.

    Args:
        folder: where the files are, in whatever way they came: in folders of it too, in
            zip archives, twice. A line says how many are drawn, and one for each other
            what is wrong with it.

    Raises:
        ValueError: there is no such folder.
    """
    found = handed_in(folder)
    say(*found.account, stressed=1)
    for show, arguments in pictures(found.laptops):
        show(*arguments)


def pictures(found: Mapping[str, Laptop]) -> list[Picture]:
    """Return the figures for which there is something to draw, and their arguments."""
    sweeps = {name: each.sweep for name, each in found.items() if each.sweep}
    tops = {name: each.ceiling for name, each in found.items() if each.ceiling}
    told: dict[str, list[Told]] = {}
    for each in found.values():
        for question, guess in each.guesses.items():
            told.setdefault(question, []).append(guess)
    rounds = [_rights(found.values(), when) for when in ROUNDS]
    drawn: list[tuple[Any, Picture]] = [
        (sweeps, (laptops, (sweeps, tops))),
        (stripes := _by_system(found.values()), (systems, (stripes,))),
        (told, (guesses, (told,))),
        (any(map(any, map(dict.values, rounds))), (answers, tuple(rounds))),
    ]
    return [picture for something, picture in drawn if something]


def _rights(found: Iterable[Laptop], when: str) -> dict[str, list[bool]]:
    """Return for each question, in a few words, who was right that time."""
    asked = questions()
    given = [right_in(each.quiz.get(when, {}), asked) for each in found]
    return {
        each.short: [right[each.name] for right in given if each.name in right]
        for each in asked
    }


def _by_system(found: Iterable[Laptop]) -> dict[str, Mapping[str, Run]]:
    """Return the least disturbed stripes of each system and Python, the usual first."""
    groups: dict[str, list[Mapping[str, Run]]] = {}
    for laptop in found:
        if laptop.stripes:
            some = next(iter(laptop.stripes.values()))
            groups.setdefault(_system(some), []).append(laptop.stripes)
    ranked = sorted(groups.items(), key=lambda group: -len(group[1]))
    return {
        f"{name}, best of {len(group)}": max(group, key=_undisturbed)
        for name, group in ranked
    }


def _undisturbed(stripes: Mapping[str, Run]) -> tuple[int, float]:
    """Return how many of the stripes are there, and how much two ran at once at most.

    Other programs can only make that less: on a laptop that was left alone it is most.
    """
    return len(stripes), max(run.overlap for run in stripes.values())


def _system(run: Run) -> str:
    """Return which system and which Python made a run: "Linux, Python 3.14"."""
    system = fact_of(run, "system")
    short = ".".join(fact_of(run, "python").split(".")[:2])
    free = "t" * bool(run.made.get("free-threaded build"))
    off = " without GIL" * (run.made.get("gil") is False)
    return f"{'macOS' if system == 'Darwin' else system}, Python {short}{free}{off}"
