"""The quiz: what is right is shown by the lessons, and told after the course only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from lessons import FOLDER, code_cells, read, said

from helpers.quiz import (
    Question,
    Quiz,
    file_of,
    load_answers,
    questions,
    quiz,
    right_in,
    save_answers,
)

ASKED = questions()
each_question = pytest.mark.parametrize("asked", ASKED, ids=lambda each: each.name)


def claims_of(lesson: Path) -> Iterator[tuple[str, str]]:
    """Yield the sentence of each claim in a lesson, with what its cell has said."""
    for cell in code_cells(read(lesson)):
        code = "\n".join(x for x in cell.source.splitlines() if not x.startswith("%"))
        for node in ast.walk(ast.parse(code)):
            match node:
                case ast.Call(ast.Name("claim"), [ast.Constant(str(sentence)), *_]):
                    yield sentence, said(cell)


def test_there_are_ten_each_with_its_name() -> None:
    assert len(ASKED) == len({each.name for each in ASKED}) == 10
    assert len({each.short for each in ASKED}) == 10


@each_question
def test_one_of_three_or_four_options_is_right(asked: Question) -> None:
    assert 3 <= len(asked.options) <= 4
    assert len(set(asked.options)) == len(asked.options)
    assert asked.options.count(asked.answer) == 1


def test_the_right_ones_have_no_usual_place() -> None:
    places = [each.right for each in ASKED]
    assert max(map(places.count, places)) <= 4


@each_question
def test_a_lesson_shows_what_is_right(asked: Question) -> None:
    shown = dict(claims_of(FOLDER / asked.shown_by["lesson"]))
    sentence = asked.shown_by["claim"]
    assert f"✓ {sentence}" in shown[sentence]


# Answers.


def answer(shown: Quiz, right: int) -> None:
    """Answer all questions, so many of them rightly."""
    for number, (asked, choice) in enumerate(zip(shown.asked, shown.choices)):
        wrong = asked.options[asked.right - 1]
        choice.value = asked.answer if number < right else wrong


def words_of(shown: Quiz) -> str:
    return " ".join(note.value for note in (*shown.notes, shown.status))


def test_before_the_course_nothing_is_told(tmp_path: Path) -> None:
    shown = Quiz("before", tmp_path)
    answer(shown, 4)
    shown.button.click()
    assert load_answers(tmp_path / "quiz_before.json") == shown.answers
    assert "10 of 10 answered" in words_of(shown)
    assert not any(each.why in words_of(shown) for each in ASKED)
    assert "✓" not in words_of(shown) and "✗" not in words_of(shown)
    assert not shown.choices[0].disabled


def test_after_it_what_is_right_is_told_with_its_claim(tmp_path: Path) -> None:
    save_answers(file_of("before", tmp_path), {ASKED[0].name: ASKED[0].answer})
    shown = Quiz("after", tmp_path)
    answer(shown, 7)
    assert not any(note.value for note in shown.notes)
    shown.button.click()
    assert [note.value[3] for note in shown.notes] == list("✓✓✓✓✓✓✓✗✗✗")
    assert all(each.shown_by["claim"] in words_of(shown) for each in ASKED[:2])
    assert "7 are right; before the course it was 1." in words_of(shown)
    assert shown.button.disabled and shown.choices[0].disabled


def test_as_long_as_one_is_open_nothing_is_told(tmp_path: Path) -> None:
    shown = Quiz("after", tmp_path)
    answer(shown, 10)
    shown.choices[3].value = None
    shown.button.click()
    assert "9 of 10 answered" in words_of(shown) and "✓" not in words_of(shown)
    assert len(load_answers(shown.path)) == 9
    again = Quiz("after", tmp_path)
    assert again.answers == shown.answers and not again.button.disabled


def test_what_was_saved_is_chosen_again_and_what_was_told_stays(tmp_path: Path) -> None:
    for when in ("before", "after"):
        shown = Quiz(when, tmp_path)
        answer(shown, 5)
        shown.save()
        again = Quiz(when, tmp_path)
        assert again.answers == shown.answers
        assert again.button.disabled == (when == "after")


@pytest.mark.parametrize(
    "content",
    [
        *("", "3", "[]", "{}", '{"format": 1}', '{"format": 2, "answers": {}}'),
        *('{"format": 1, "answers": {"a": 1}}', "[" * 100_000, " " * 200_000),
    ],
    ids=range(9),
)
def test_a_broken_file_costs_a_line(content: str, tmp_path: Path) -> None:
    path = file_of("before", tmp_path)
    path.write_text(content)
    shown = Quiz("before", tmp_path)
    assert "quiz_before.json: these are no answers" in words_of(shown)
    answer(shown, 1)
    shown.save()
    assert len(load_answers(path)) == 10


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    shown = Quiz("before", tmp_path / "nowhere")
    shown.save()
    assert "Not saved: No such file" in words_of(shown)


def test_answers_to_other_questions_do_not_count(tmp_path: Path) -> None:
    save_answers(file_of("before", tmp_path), {"other": "x", ASKED[1].name: "y"})
    assert Quiz("before", tmp_path).answers == {}
    answers = {"other": "x", ASKED[0].name: ASKED[0].answer, ASKED[1].name: "y"}
    assert right_in(answers, ASKED) == {ASKED[0].name: True, ASKED[1].name: False}


def test_it_is_asked_before_and_after_only() -> None:
    with pytest.raises(ValueError, match="not 'during'"):
        quiz("during")


def test_every_control_has_a_label_and_its_words_are_there_without_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shown = Quiz("before", tmp_path)
    labels = [choice.description for choice in shown.choices]
    assert len(set(labels)) == 10 and all(labels)
    assert all(each.question in repr(shown) for each in ASKED)
    quiz("before")
    assert ASKED[9].question in capsys.readouterr().out
