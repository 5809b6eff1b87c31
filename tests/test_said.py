"""Sentences: text of the page in a notebook, printed elsewhere."""

import pytest
from IPython.core.formatters import DisplayFormatter

from helpers.said import Said, say


def test_without_a_notebook_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say("One <line>.", "And & another.")
    assert capsys.readouterr().out == "One <line>.\nAnd & another.\n"


def test_a_page_gets_a_paragraph_and_the_plain_text() -> None:
    shown, _ = DisplayFormatter().format(Said("a < b", "c", stressed=1))
    assert shown["text/plain"] == "a < b\nc"
    assert shown["text/html"] == "<p>\n<strong>a &lt; b</strong><br>\nc\n</p>"


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    said = Said("It was 1.35 ×, 50 %, 20 ms, 3 s and 2 µs; 3 sheep may part.")
    page = said._repr_html_().replace("\N{NO-BREAK SPACE}", "~")
    assert "It was 1.35~×, 50~%, 20~ms, 3~s and 2~µs; 3 sheep may part." in page
