"""`%%importable` in a real IPython shell."""

import os
import sys
from pathlib import Path

import pytest
from conftest import START_METHODS
from IPython.core.interactiveshell import InteractiveShell

from helpers.importable import MARK
from helpers.measure import run


def save(shell: InteractiveShell, name: str, cell: str) -> None:
    shell.run_cell(f"%%importable {name}\n{cell}").raise_error()


def refusal(shell: InteractiveShell, name: str, capsys: pytest.CaptureFixture) -> str:
    """Return the one line that an attempt to save a cell by that name gets."""
    capsys.readouterr()
    shell.run_cell(f"%%importable {name}\ndef grow(x): return x")
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert said.startswith("UsageError: ")
    assert said.count("\n") == 1
    return said


def test_saves_and_imports(
    shell: InteractiveShell, capsys: pytest.CaptureFixture
) -> None:
    save(shell, "lesson_cell", "import math\n_n = 1\ndef grow(x):\n    return x + _n\n")
    assert capsys.readouterr().out == "lesson_cell.py: saved and imported\n"
    assert "def grow(x):" in Path("lesson_cell.py").read_text()
    assert shell.user_ns["grow"](1) == 2
    assert shell.user_ns["grow"].__module__ == "lesson_cell"
    assert shell.user_ns["lesson_cell"].grow is shell.user_ns["grow"]
    assert "_n" not in shell.user_ns


def test_takes_the_new_code(shell: InteractiveShell) -> None:
    """In the same second, of the same size: Python's own cache would keep the old."""
    for number in (1, 2, 3, 1):
        save(shell, "lesson_cell", f"def grow(x): return x + {number}")
        assert shell.user_ns["grow"](0) == number
        assert run(shell.user_ns["grow"], [0], "processes", 1).results == [number]


def test_the_same_code_again(shell: InteractiveShell) -> None:
    for _ in range(2):
        save(shell, "lesson_cell", "def grow(x): return x + 1")
    assert run(shell.user_ns["grow"], [0], "processes", 1).results == [1]


def test_a_function_with_the_name_of_the_module(shell: InteractiveShell) -> None:
    save(shell, "grow", "def grow(x): return x + 1")
    assert shell.user_ns["grow"](1) == 2


def test_kept_workers_end_even_if_the_import_fails(shell: InteractiveShell) -> None:
    """Else the same cell, run again, would find nothing changed."""
    grown = "def grow(x): return x + {}\n"
    save(shell, "lesson_cell", grown.format(1))
    call = "Parallel(n_jobs=2)(delayed(grow)(x) for x in range(4))"
    shell.run_cell("from joblib import Parallel, delayed")
    assert shell.run_cell(call).result == [1, 2, 3, 4]
    later = grown.format(2) + "import builtins\nif not hasattr(builtins, 'ok'): 1 / 0\n"
    shell.run_cell(f"%%importable lesson_cell\n{later}")
    shell.run_cell("import os; os.environ['OK'] = '1'")
    again = later.replace("1 / 0", "pass")
    save(shell, "lesson_cell", again)
    assert shell.run_cell(call).result == [2, 3, 4, 5]


@pytest.mark.parametrize("method", START_METHODS)
def test_workers_can_import_it(shell: InteractiveShell, method: str) -> None:
    save(shell, "lesson_cell", "def grow(x): return x + 1")
    grow = shell.user_ns["grow"]
    assert run(grow, [1, 2], f"processes {method}", 2).results == [2, 3]
    assert run(grow, [1, 2], f"multiprocessing_pool {method}", 2).results == [2, 3]


@pytest.mark.parametrize("method", START_METHODS)
def test_from_a_folder_that_was_changed_to(
    shell: InteractiveShell, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers read "" on the path as the folder in which the kernel started."""
    sys.path.insert(0, "")
    os.mkdir("sub")
    monkeypatch.chdir("sub")
    save(shell, "lesson_cell", "def grow(x): return x + 1")
    grow = shell.user_ns["grow"]
    assert run(grow, [1, 2], f"processes {method}", 2).results == [2, 3]


def test_joblibs_workers_take_the_new_code(shell: InteractiveShell) -> None:
    from joblib import Parallel, delayed

    for number in (1, 2):
        save(shell, "lesson_cell", f"def grow(x): return x + {number}")
        grow = shell.user_ns["grow"]
        assert Parallel(2)(delayed(grow)(x) for x in (0, 1)) == [number, number + 1]


def test_a_pool_that_keeps_the_old_code_is_named(
    shell: InteractiveShell, capsys: pytest.CaptureFixture
) -> None:
    save(shell, "lesson_cell", "def grow(x): return x + 1")
    shell.run_cell("from concurrent.futures import ProcessPoolExecutor as P")
    shell.run_cell("old, unused = P(1), P(1); print(*old.map(grow, [1]))")
    capsys.readouterr()
    save(shell, "lesson_cell", "def grow(x): return x + 2")
    said = capsys.readouterr().out
    shell.run_cell("old.shutdown()")
    assert said.splitlines()[0] == (
        "old still runs the code from before: start a new one"
    )


def test_pools_without_old_code_are_not_named(
    shell: InteractiveShell, capsys: pytest.CaptureFixture
) -> None:
    """Threads call what they are handed, and a pool that was closed calls nothing."""
    save(shell, "lesson_cell", "def grow(x): return x + 1")
    shell.run_cell("from concurrent.futures import ProcessPoolExecutor as P")
    shell.run_cell("from multiprocessing.pool import ThreadPool")
    shell.run_cell("closed, threads = P(1), ThreadPool(1)")
    shell.run_cell("print(*closed.map(grow, [1])); closed.shutdown()")
    capsys.readouterr()
    save(shell, "lesson_cell", "def grow(x): return x + 2")
    assert capsys.readouterr().out == "lesson_cell.py: saved and imported\n"
    shell.run_cell("print(*threads.map(grow, [1])); threads.terminate()")
    assert capsys.readouterr().out == "3\n"


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a.b", "a-b", "1a", "class", "../a", "json", "helpers", "__main__"],
)
def test_refuses_a_name(
    shell: InteractiveShell, name: str, capsys: pytest.CaptureFixture
) -> None:
    assert repr(name) in refusal(shell, name, capsys)
    assert not list(Path().glob("*.py"))


@pytest.mark.parametrize("content", [b"x = 1\n", b"", "# é".encode("latin-1")])
def test_refuses_to_overwrite_a_file(
    shell: InteractiveShell, content: bytes, capsys: pytest.CaptureFixture
) -> None:
    Path("theirs.py").write_bytes(content)
    assert "theirs.py is a file of yours" in refusal(shell, "theirs", capsys)
    assert Path("theirs.py").read_bytes() == content


def test_a_syntax_error_leaves_the_old_file(shell: InteractiveShell) -> None:
    save(shell, "lesson_cell", "def grow(x): return x + 1")
    before = Path("lesson_cell.py").read_text()
    with pytest.raises(SyntaxError):
        save(shell, "lesson_cell", "def grow(x) return x + 2")
    assert Path("lesson_cell.py").read_text() == before
    assert shell.user_ns["grow"](1) == 2


def test_an_error_on_import_can_be_mended(shell: InteractiveShell) -> None:
    with pytest.raises(ZeroDivisionError):
        save(shell, "broken_cell", "1 / 0")
    with pytest.raises(ZeroDivisionError):
        save(shell, "broken_cell", "1 / 0")
    save(shell, "broken_cell", "def grow(x): return x")
    assert shell.user_ns["grow"](1) == 1


def test_a_file_that_was_deleted(shell: InteractiveShell) -> None:
    save(shell, "lesson_cell", "def grow(x): return x + 1")
    Path("lesson_cell.py").unlink()
    save(shell, "lesson_cell", "def grow(x): return x + 2")
    assert shell.user_ns["grow"](0) == 2
    assert Path("lesson_cell.py").read_text().endswith(MARK)
