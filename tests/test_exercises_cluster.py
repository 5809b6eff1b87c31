"""The exercises of lesson 11 name what is wrong with each wrong answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import savers
from test_exercises import DISORDERED, HID, NEVER_RUN, NOTHING, assert_named, wrong

from helpers.cluster import client_of
from helpers.exercises import safe_twice, scatter_once
from helpers.workloads import rank

Answer = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_stays")

# A task that is safe to run twice.

TWICE = "left its lines twice"
IN_PLACE = "The file itself is opened to write"
A_PART = "What a killed run had left was taken for the whole"
FAILED = "After a kill, the same task failed: "
NO_FILE = "no file of its own"
LEFT = "Another file is left beside"


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(savers.named),
        wrong(savers.fixed_name),
        wrong(savers.in_place, IN_PLACE),
        wrong(savers.in_place, TWICE, IN_PLACE, mode="a"),
        wrong(savers.in_place, f"{FAILED}FileExistsError", mode="x"),
        wrong(savers.whole_at_once, IN_PLACE),
        wrong(savers.unless_there, A_PART, IN_PLACE),
        wrong(savers.in_one_file, NO_FILE),
        wrong(savers.in_a_new_file, NO_FILE),
        wrong(savers.appended_to_a_part, TWICE),
        wrong(savers.copied, IN_PLACE, LEFT),
        wrong(savers.behind_a_lock, f"{FAILED}FileExistsError"),
        wrong(savers.once_marked, NO_FILE),
        wrong(savers.made_up, "did not ask for the lines"),
        wrong(savers.other_lines, "are not those of the item"),
        wrong(savers.mistyped, "raised NameError: name 'fodler' is not defined"),
    ],
)
def test_a_task_that_is_not_safe(answer: Answer, fragments: list[str]) -> None:
    assert_named(safe_twice.judge(answer), *fragments)


def test_a_task_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(safe_twice), "LIMIT", 0.5)
    said = [line.sentence for line in safe_twice.judge(savers.never)]
    assert said == ["Your function raised it had not ended in time"]


# An array that is sent once.

EACH = "The array was sent 12 times, for 12 tasks"
WAITED = "Each result was waited for"
HERE = "The notebook did all the work"


def partly(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    return client.gather(client.map(partial(work, array), items))


def in_the_loop(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    sent = [client.scatter(array) for _ in items]
    return client.gather(client.map(work, sent, items))


def one_by_one(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    sent = client.scatter(array)
    return [client.submit(work, sent, item).result() for item in items]


def futures(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    sent = client.scatter(array)
    return [client.submit(work, sent, item) for item in items]


def here(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    client.scatter(array)
    return [work(array, item) for item in items]


def backwards(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    return once(client, work, array, items)[::-1]


def the_first(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    return once(client, work, array, items[:-1])


def nothing(client: Any, work: Any, array: np.ndarray, items: list) -> None:
    once(client, work, array, items)


def hidden(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    try:
        return once(client, work, array, items)
    except ValueError:
        return []


def came_back(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    """What was sent is asked for, and sent again."""
    sent = client.scatter(array).result()
    return client.gather([client.submit(work, sent, item) for item in items])


def once(client: Any, work: Any, array: np.ndarray, items: list) -> list:
    """Right: Dask's workers hand it on to each other."""
    sent = client.scatter(array)
    return client.gather(client.map(work, [sent] * len(items), items, pure=False))


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(once),
        wrong(partly, EACH),
        wrong(in_the_loop, EACH),
        wrong(came_back, "The array was sent 13 times"),
        wrong(one_by_one, WAITED),
        wrong(futures, "You returned futures"),
        wrong(here, HERE),
        wrong(backwards, DISORDERED),
        wrong(the_first, "not those of the loop", NEVER_RUN),
        wrong(nothing, NOTHING),
        wrong(hidden, HID),
    ],
)
def test_an_array_that_is_sent_too_often(answer: Answer, fragments: list[str]) -> None:
    assert_named(scatter_once.judge(answer), *fragments)


def test_a_real_client_takes_the_same_answers() -> None:
    """The check hands out a stand-in for it, in which it can see what is sent.

    Each gets another array: distributed 2026.8 may lose one that is scattered again
    just when the first is let go.
    """
    pytest.importorskip("distributed")
    answers: list[Answer] = [once, came_back, one_by_one, backwards]
    with client_of(2) as client:
        for number, answer in enumerate(answers):
            array, items = np.arange(1000.0) + number, [3, 1, 4, 1, 5]
            found = answer(client, rank, array, items)
            assert found == (items[::-1] if answer is backwards else items)
