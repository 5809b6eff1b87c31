"""A lesson whose package is missing says so in a line, and claims nothing falsely."""

import os
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from lessons import LESSONS, code_cells, read, said
from nbclient import NotebookClient

from helpers.needed import OnlyClaims, need

LESSON = next(path for path in LESSONS if path.name.startswith("11"))


def test_without_it_a_cell_is_its_claims(
    shell: InteractiveShell,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("helpers.needed.get_ipython", lambda: shell)
    shell.run_cell("from helpers.claims import claim\nfrom helpers.needed import need")
    shell.run_cell("need('nosuch', 'pip install nosuch')").raise_error()
    words = (
        "This lesson needs nosuch: pip install nosuch. Without, it can only be read."
    )
    assert capsys.readouterr().out.strip() == words
    shell.run_cell("import nosuch\nx = claim('It holds', nosuch.x > 1)").raise_error()
    shell.run_cell("nosuch.y()\n1 / 0").raise_error()
    assert (
        capsys.readouterr().out == "– It holds (not tested here: nosuch is missing)\n"
    )
    shell.run_cell("need('ast', 'as it comes with Python')").raise_error()
    shell.run_cell("claim('It holds', 2 > 1)").raise_error()
    assert capsys.readouterr().out == "✓ It holds\n"


def test_exercises_need_no_more_than_the_kit(shell: InteractiveShell) -> None:
    shell.ast_transformers.append(OnlyClaims("nosuch"))
    shell.run_cell("x = 1").raise_error()
    assert "x" not in shell.user_ns
    shell.run_cell("from helpers.exercises import safe_twice").raise_error()
    shell.run_cell("x = safe_twice.name").raise_error()
    assert shell.user_ns["x"] == "safe_twice"
    shell.ast_transformers.clear()


def test_it_is_for_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helpers.needed.get_ipython", lambda: None)
    with pytest.raises(ValueError, match="for the cells of a notebook"):
        need("ast", "it is there")


def test_the_lesson_says_the_same_without_distributed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the marks of its claims, which nbval takes for the same."""
    (tmp_path / "distributed.py").write_text("raise ImportError")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    lesson = read(LESSON)
    stored = {cell.id: said(cell) for cell in code_cells(lesson)}
    NotebookClient(
        lesson,
        timeout=60,
        kernel_name="python3",
        resources={"metadata": {"path": str(LESSON.parent)}},
    ).execute()
    cells = {cell.id: cell for cell in code_cells(lesson)}
    assert said(cells.pop("need")).startswith("This lesson needs distributed: pip")
    why = " (not tested here: distributed is missing)"
    assert any(why in said(cell) for cell in cells.values())
    for name, cell in cells.items():
        if not cell.metadata.get("tags"):
            now = [line.removesuffix(why) for line in said(cell).splitlines()]
            assert [line.replace("– ", "✓ ") for line in now] == stored[
                name
            ].splitlines()
