"""A class's files: what is in one, how they come back, that none is lost."""

import getpass
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import classroom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lessons import FOLDER

from helpers import figures, gallery, predict
from helpers.gallery import (
    FACTS,
    MOST_BYTES,
    HandedIn,
    class_gallery,
    handed_in,
    pictures,
    save_for_class,
)
from helpers.measure import race, sweep
from helpers.predict import Guess
from helpers.quiz import file_of, questions, save_answers
from helpers.runs import Run, load
from helpers.trace import watched_countdown
from helpers.workloads import countdown

RECORDED = FOLDER / "recorded"
CLASS = RECORDED / "class"
RUNS = [
    *load(RECORDED / "stripes_python_3.14.json")[:2],
    *load(RECORDED / "sweep_python_3.14.json"),
]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """A figure that warns, of a letter that its font lacks say, does so on the page."""
    with warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning):
            warnings.simplefilter("error", kind)
        yield


def a_guess(value: float | None = None) -> Guess:
    guess = predict.number("How many times as fast?", 0.25, 4, 2, "×")
    if value is not None:
        guess.children[-1].value = value
    return guess


def saved(folder: Path, nickname: str = "ada", runs: list[Run] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    guesses = {a_guess(3): 1.0}
    return save_for_class(
        nickname, RUNS if runs is None else runs, guesses, 1.9, folder
    )


def content_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def draw(found: HandedIn) -> list[str]:
    """Draw all figures; return their sentences."""
    said = []
    for show, arguments in pictures(found.laptops):
        figure, sentence = show.draw(*arguments)
        assert figures.png(figure, sentence).startswith(b"\x89PNG")
        assert "nan" not in sentence and "\n" not in sentence
        said.append(sentence)
    return said


# One file.


def test_what_a_reader_has_measured_comes_back(tmp_path: Path) -> None:
    turns = race(watched_countdown, [3000] * 2, {"threads": 2, "processes": 2}, 1, 0)
    swept = sweep(countdown, [100_000] * 2, "processes", [0, 1, 2], rounds=1)
    asked = questions()
    save_answers(file_of("before", tmp_path), {asked[0].name: asked[0].answer})
    guesses = {a_guess(): 0.98, a_guess_in_words("processes"): "threads"}
    path = save_for_class(
        "ada", [*turns.values(), *swept.values()], guesses, 1.5, tmp_path
    )
    assert path == tmp_path / "class_ada.json"
    found = handed_in(path)
    assert found.account == ["1 file: 1 drawn, 0 not."]
    laptop = found.laptops["ada"]
    assert set(laptop.stripes) == {"threads", "processes"}
    assert laptop.sweep[0].wall == swept[0].wall and set(laptop.sweep) == {0, 1, 2}
    first, second = laptop.guesses.values()
    assert (first.value, first.measured, first.touched, first.unit) == (
        2,
        0.98,
        False,
        "×",
    )
    assert (second.value, second.measured, second.touched) == (
        "processes",
        "threads",
        True,
    )
    assert laptop.quiz == {"before": {asked[0].name: asked[0].answer}}
    assert laptop.ceiling == 1.5 and not laptop.made_up
    assert len(draw(found)) == 4


def a_guess_in_words(value: str) -> Guess:
    guess = predict.choice("Faster:", ["threads", "processes"], "threads")
    guess.children[-1].value = value
    return guess


def test_it_draws_as_other_files_of_runs_do(tmp_path: Path) -> None:
    assert len(load(saved(tmp_path))) == len(RUNS)


def test_nothing_tells_who_it_was_but_the_nickname(tmp_path: Path) -> None:
    told = {"host": "secret.example", "folder": str(Path.home()), "date": "2026-11-29"}
    runs = [replace(run, made=run.made | told) for run in RUNS]
    runs[2:] = [replace(run, function="thesis_of_secret") for run in runs[2:]]
    path = saved(tmp_path, "ada", runs)
    text = path.read_text(encoding="utf-8")
    for word in ("secret", platform.node(), str(Path.home()), str(Path.cwd())):
        assert word not in text
    assert getpass.getuser() not in set(re.findall(r"\w+", text)) - {"ada"}
    for run in content_of(path)["runs"]:
        assert set(run["made"]) <= FACTS
        assert run["began"] == 0
        workers = {tuple(span[1:3]) for span in run["spans"]}
        assert all(0 < number <= len(run["spans"]) for who in workers for number in who)
        assert len(workers) == min(run["workers"], len(run["spans"]))
    assert set(content_of(path)["notes"]) == {
        *("version", "nickname", "number", "saves", "ceiling", "guesses", "quiz"),
        "made up",
    }


def test_the_pictures_of_it_are_those_of_the_runs(tmp_path: Path) -> None:
    before = {run.strategy: run for run in RUNS[:2]}
    after = handed_in(saved(tmp_path)).laptops["ada"].stripes
    for way, run in before.items():
        assert after[way].overlap == pytest.approx(run.overlap, abs=1e-3)
        assert after[way].cores_busy == pytest.approx(run.cores_busy)
        assert len(after[way].lanes) == len(run.lanes)


NICKNAMES = [
    *("../../etc/passwd", "a/b\\c:*?", "Ada\nLovelace", "żółw 🐧 学生", "x" * 300),
    *(r"$\frac{1}{2$", "con", "\u202egnp.exe", ".hidden", "-rf", "a\ud800b", "<b>bold"),
]


@pytest.mark.parametrize("nickname", NICKNAMES, ids=range(len(NICKNAMES)))
def test_any_nickname_is_a_file_and_a_name_in_the_figure(
    nickname: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, nickname)
    assert path.parent == tmp_path and list(tmp_path.iterdir()) == [path]
    assert re.fullmatch(r"class_[\w-]+\.json", path.name)
    assert len(path.name.encode()) < 150
    [name] = handed_in(tmp_path).laptops
    assert name.isprintable() and "$" not in name and len(name) <= 24
    draw(handed_in(tmp_path))


@pytest.mark.parametrize("nickname", ["", " ", "🐧", "$", "/", "\n", "._."], ids=ascii)
def test_without_a_letter_it_is_no_nickname(nickname: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nickname") as caught:
        saved(tmp_path, nickname)
    assert "\n" not in str(caught.value)


def test_what_nobody_can_hand_in_is_refused_in_a_line(tmp_path: Path) -> None:
    own = replace(RUNS[0], strategy="my map")
    huge = replace(RUNS[2], spans=RUNS[2].spans * 2000)
    for runs, words in (
        ([], "nothing in it to draw"),
        ([own], "way of your own"),
        (RUNS[2:3], "have nothing else"),
        ([huge, *RUNS[3:]], "are too many to draw"),
    ):
        with pytest.raises(ValueError, match=words):
            save_for_class("ada", runs, None, None, tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_guess_without_an_answer_is_left_out(tmp_path: Path) -> None:
    guesses = {a_guess(1): float("nan"), a_guess_in_words("threads"): "processes"}
    path = save_for_class("ada", RUNS, guesses, None, tmp_path)
    assert list(handed_in(path).laptops["ada"].guesses) == ["Faster:"]


# How files come back.


def test_who_saves_again_is_drawn_once(tmp_path: Path) -> None:
    first = saved(tmp_path)
    old = shutil.copy(first, tmp_path / "class_ada (1).json")
    saved(tmp_path)
    found = handed_in(tmp_path)
    assert list(found.laptops) == ["ada"] and found.laptops["ada"].saves == 2
    assert found.left == {Path(old).name: "class_ada.json was saved later"}


def test_two_of_one_nickname_are_two(tmp_path: Path) -> None:
    saved(tmp_path / "1")
    saved(tmp_path / "2")
    assert list(handed_in(tmp_path).laptops) == ["ada", "ada (2)"]


def test_in_whatever_way_they_travel(tmp_path: Path) -> None:
    desk, folder = tmp_path / "desk", tmp_path / "handed in"
    paths = [saved(desk, name) for name in ("ada", "bob", "cyd", "dee", "eve")]
    (folder / "Ada_12345_file").mkdir(parents=True)
    shutil.copy(paths[0], folder / "Ada_12345_file" / "class_ada (1).json")
    shutil.copy(paths[0], folder / "class_ada.json")
    shutil.copy(paths[1], folder / "class_bob.json.txt")
    marked = paths[2].read_text(encoding="utf-8")
    (folder / "class_cyd.json").write_text(marked, encoding="utf-8-sig")
    (folder / "dee.json").write_text(paths[3].read_text("utf-8"), encoding="utf-16")
    with zipfile.ZipFile(folder / "mail.ZIP", "w") as archive:
        archive.write(paths[4], "week 1/class_eve.json")
        archive.writestr("__MACOSX/week 1/._class_eve.json", b"\0\1")
        archive.writestr("week 1/photo.png", b"\x89PNG")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "~$list.docx"):
        (folder / name).write_bytes(b"\0\1")
    found = handed_in(folder)
    assert sorted(found.laptops) == ["ada", "bob", "cyd", "dee", "eve"]
    assert found.left == {
        "Ada_12345_file/class_ada (1).json": "the same as class_ada.json",
        "mail.ZIP/week 1/photo.png": "this is not JSON",
    }
    assert handed_in(folder / "mail.ZIP").account[0] == "2 files: 1 drawn, 1 not."


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder 'nowhere' here"):
        class_gallery(tmp_path / "nowhere")


def test_an_empty_folder_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    class_gallery(tmp_path)
    assert capsys.readouterr().out == "0 files: 0 drawn, 0 not.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    saved(tmp_path)
    os.mkfifo(tmp_path / "class_pipe.json")
    (tmp_path / "class_zero.json").symlink_to("/dev/zero")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    found = handed_in(tmp_path)
    assert found.account[0].startswith("3 files: 1 drawn")
    assert set(found.left.values()) == {"this is no plain file"}


def test_more_files_than_a_class_has_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "MOST_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}.json").write_text("")
    assert "more than 3" in handed_in(tmp_path).account[-1]
    assert handed_in(tmp_path).account[0] == "3 files: 0 drawn, 3 not."


def test_of_an_archive_the_sound_files_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "desk")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.json", "broken")
        archive.write(path, "2.json")
    packed = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(packed.replace(b"broken", b"Broken", 1))
    zipfile.ZipFile(tmp_path / "b.zip", "w").close()
    shutil.rmtree(tmp_path / "desk")
    found = handed_in(tmp_path)
    assert list(found.laptops) == ["ada"]
    assert "it can't be unpacked (Bad CRC" in found.left["a.zip/1.json"]
    assert found.left["b.zip"] == "there is no file in it"


def test_an_archive_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("class_big.json", " " * (20 * MOST_BYTES))
    (tmp_path / "b.zip").write_bytes(b"PK\3\4 and no more")
    left = handed_in(tmp_path).left
    assert "6.0 MB are too many" in left["a.zip/class_big.json"]
    assert "this archive can't be read" in left["b.zip"]


# What is broken, or hostile.


def changed(path: Path, **notes: Any) -> str:
    content = content_of(path)
    content["notes"] |= notes
    return json.dumps(content)


def changed_run(path: Path, number: int, **fields: Any) -> str:
    content = content_of(path)
    content["runs"][number] |= fields
    return json.dumps(content)


def hostile(path: Path) -> dict[str, tuple[str | bytes, str]]:
    """Return what may stand in a file instead, and words of the line about it."""
    sound = path.read_text(encoding="utf-8")
    guess = {"question": "?", "value": 1, "measured": 1, "touched": True, "unit": ""}
    many = [[n, 1, n, 0.0, 0.1, 0.1, []] for n in range(100)]
    stretches = [[0, 1, 1, 0.0, 1e9, 0.1, [[0.0, 1e9]]]]
    far = guess | {"value": 1e12}
    return {
        "empty": ("", "not JSON"),
        "cut": (sound[: len(sound) // 2], "not JSON"),
        "binary": (b"\xff\xfe\x00\xd8", "not JSON"),
        "deep": ("[" * 200_000, "no saved run"),
        "large": (" " * (MOST_BYTES + 1), "0.3 MB are too many"),
        "digits": ('{"format": ' + "1" * 100_000 + "}", ""),
        "runs": (RECORDED.joinpath("gil_threads.json").read_text(), "not saved for a"),
        "newer": (changed(path, version=2), "newer version"),
        "newer runs": (sound.replace('"format": 4', '"format": 99'), "newer version"),
        "version": (changed(path, version="one"), "version can't be right"),
        "nickname": (changed(path, nickname=3), "a name in it is no text"),
        "no nickname": (changed(path, nickname="\n"), "a name in it is empty"),
        "number": (changed(path, number=None), "a name in it is no text"),
        "saves": (changed(path, saves=True), "version can't be right"),
        "ceiling": (changed(path, ceiling=1e200), "ceiling can't be right"),
        "no guesses": (changed(path, guesses={}), "guesses can't be right"),
        "odd guess": (changed(path, guesses=[3]), "guesses can't be right"),
        "guess": (changed(path, guesses=[guess | {"value": []}]), "guesses can't"),
        "far guess": (changed(path, guesses=[far]), "guesses can't be right"),
        "guesses": (changed(path, guesses=[guess] * 999), "guesses can't be right"),
        "quiz": (changed(path, quiz=[1]), "answers to the quiz can't be right"),
        "quiz round": (changed(path, quiz={"now": {}}), "answers to the quiz can't"),
        "quiz number": (changed(path, quiz={"after": {"a": 1}}), "answers to the quiz"),
        "long wall": (changed_run(path, 0, wall=1e200), "doesn't measure such runs"),
        "short loop": (
            changed_run(path, 2, rounds=[[1e-200, 1]]),
            "doesn't measure such runs",
        ),
        "short round": (changed_run(path, 3, rounds=[[1e-8, 1]]), "speed-ups can't be"),
        "crowd": (changed_run(path, 3, workers=10**9), "doesn't measure such runs"),
        "cores": (
            changed_run(path, 2, made={"allowed cores": 10**9}),
            "doesn't measure such runs",
        ),
        "rows": (changed_run(path, 0, spans=many), "more than 8 rows"),
        "stretch": (changed_run(path, 0, spans=stretches), "doesn't measure such runs"),
        "twins": (changed_run(path, 3, workers=2), "two runs with 2 workers"),
        "threads": (changed_run(path, 3, strategy="threads"), "not those of processes"),
        "a field": (changed_run(path, 0, colour="red"), "no run has a field 'colour'"),
        "no loop": (
            json.dumps(content_of(path) | {"runs": content_of(path)["runs"][3:]}),
            "lack the plain loop",
        ),
    }


def test_each_costs_a_line_that_names_it_and_says_why(tmp_path: Path) -> None:
    sound = saved(tmp_path, "ada")
    wanted = {}
    for case, (content, words) in hostile(sound).items():
        path = tmp_path / f"class_{case}.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        wanted[path.name] = words
    found = handed_in(tmp_path)
    assert list(found.laptops) == ["ada"]
    assert set(found.left) == set(wanted)
    for name, words in wanted.items():
        assert words in found.left[name], name
    files = f"{len(wanted) + 1} files: 1 drawn, {len(wanted)} not."
    assert found.account[0] == files
    assert all(line.isprintable() and len(line) < 300 for line in found.account)
    draw(found)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner)
    ),
    max_leaves=8,
)


def places_in(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each node of JSON, of long lists to the first of them only."""
    yield way
    if isinstance(node, dict):
        for name in node:
            yield from places_in(node[name], (*way, name))
    elif isinstance(node, list):
        for number in range(min(2, len(node))):
            yield from places_in(node[number], (*way, number))


with tempfile.TemporaryDirectory() as desk:
    SOUND = saved(Path(desk)).read_text(encoding="utf-8")
PLACES = list(places_in(json.loads(SOUND)))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PLACES), anything, st.booleans())
def test_whatever_stands_at_any_place_the_figures_are_drawn(
    tmp_path: Path, place: tuple[Any, ...], thing: Any, remove: bool
) -> None:
    content = json.loads(SOUND)
    if place:
        *way, last = place
        node = content
        for step in way:
            node = node[step]
        if remove and isinstance(node, dict):
            del node[last]
        else:
            node[last] = thing
    else:
        content = thing
    (tmp_path / "odd.json").write_text(json.dumps(content))
    found = handed_in(tmp_path)
    assert len(found.laptops) + len(found.left) == 1
    for show, arguments in pictures(found.laptops):
        figure, sentence = show.draw(*arguments)
        figure.draw_without_rendering()
        assert "nan" not in sentence


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300), st.sampled_from(["a.json", "a.zip", "a"]))
def test_whatever_the_bytes_each_file_is_accounted_for(
    tmp_path: Path, content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = handed_in(tmp_path)
    assert not found.laptops
    files = [path for path in tmp_path.iterdir() if path.suffix != ".zip"]
    assert set(found.left) >= {path.name for path in files}


# A whole class.


def in_class(folder: Path, readers: int) -> None:
    """Let the recorded laptops come so often, each time with another reader."""
    folder.mkdir()
    laptops = sorted(CLASS.glob("class_*.json"))
    for reader in range(readers):
        content = content_of(laptops[reader % len(laptops)])
        content["notes"] |= {"nickname": f"reader {reader}", "number": f"{reader}"}
        (folder / f"class_reader_{reader}.json").write_text(json.dumps(content))


def test_of_thirty_files_each_is_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    in_class(tmp_path / "class", 25)
    classroom.spoil(tmp_path / "class")
    class_gallery(tmp_path / "class")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "30 files: 25 drawn, 5 not."
    named = [line.partition(": ")[0] for line in said[1:6]]
    assert named == [
        *("class_cut_off.json", "class_deep.json", "class_empty.json"),
        *("class_far_away.json", "class_notebook.json"),
    ]
    assert said[6] == "Guesses and answers of 25 files are drawn by lot, nobody's."
    assert len([line for line in said if "Image" in line]) == 4
    assert said[8].startswith("25 laptops: with processes, ")


def test_the_recorded_class_is_of_several_pythons_and_says_what_is_made_up() -> None:
    found = handed_in(CLASS)
    assert not found.left and len(found.laptops) >= 6
    assert all(laptop.made_up for laptop in found.laptops.values())
    runs = [run for each in found.laptops.values() for run in each.sweep.values()]
    assert len({run.made["python"] for run in runs}) >= 5
    assert len({run.made["allowed cores"] for run in runs}) > 1


def test_forty_rows_of_a_hundred_can_be_read(tmp_path: Path) -> None:
    in_class(tmp_path / "class", 100)
    (show, arguments), *_ = pictures(handed_in(tmp_path / "class").laptops)
    figure, sentence = show.draw(*arguments)
    figure.draw_without_rendering()
    curves, rows = figure.axes
    assert len(curves.lines) == 101  # the ideal one too
    names = rows.get_yticklabels()
    assert len(names) == 40 and "The rows are 40 of the 100" in sentence
    boxes = [name.get_window_extent() for name in names]
    for upper, lower in pairwise(boxes):
        assert lower.y1 <= upper.y0, "two names overlap"
    assert all(box.x0 >= curves.get_window_extent().x1 for box in boxes)


def test_a_joker_far_off_does_not_flatten_the_others() -> None:
    told = [figures.Told(value, 1.0, True, "×") for value in (1, 1.5, 2, 2, 3, 1e8)]
    figure, _ = figures.guesses.draw({"How many?": told})
    assert figure.axes[0].get_xlim()[1] < 10


def test_a_guess_that_nobody_made_is_not_drawn_as_one() -> None:
    told = [figures.Told(2.0, 1.0, False, "×"), figures.Told(3.0, 1.0, True, "×")]
    _, sentence = figures.guesses.draw({"How many?": told})
    assert (
        "1 of 2 guessed, in the middle 3 ×; measured was in the middle 1 ×" in sentence
    )
