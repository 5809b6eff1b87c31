"""How the kit is built: who imports whom, how long things are, what keeps its name.

Four floors of rooms. A room is a file of helpers/, or a folder. It imports from the
floors below its own, or on its own floor from a room named before it.
"""

import ast
import functools
import importlib
import re
import statistics
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest
from lessons import NOTEBOOKS, code_cells, read

ROOT = Path(__file__).parent.parent
HELPERS = ROOT / "helpers"
FLOORS = {
    # What workers import: the standard library only.
    "ground": ["trace", "workloads", "probe", "travel", "workers", "mishaps"],
    # Runs in a bare Python.
    "core": [
        "runs",
        "pythons",
        "machine",
        "cluster",
        "strategies",
        "measure",
        "faults",
        "jobs",
        "elsewhere",
    ],
    "judgement": ["said", "laws", "claims", "trial", "advice"],
    "faces": [
        *("server", "predict", "importable", "needed", "phrases"),
        *("figures", "explore", "exercises", "quiz", "gallery"),
    ],
}
ROOMS = [room for rooms in FLOORS.values() for room in rooms]
# What may be imported from other projects. The faces: whatever pyproject.toml names.
FOREIGN = {
    "ground": set(),
    "core": {"psutil", "joblib", "tqdm"},
    "judgement": {"numpy"},
}
FOREIGN_IN_ROOM = {
    # It knows how joblib's pools end; their workers never ask it to.
    "workers": {"joblib"},
    # What fetches, or multiplies matrices, needs them; other workers never import them.
    "workloads": {"tornado", "numpy", "threadpoolctl"},
    # It is of an extra, which may be missing.
    "cluster": {"distributed", "dask", "cloudpickle"},
    # They speak to the notebook, and read the call that is running.
    "said": {"IPython"},
    "claims": {"executing"},
    # It reads the call that is running; looks whether the memory is there.
    "advice": {"executing"},
    "trial": {"psutil"},
}
# There, what is foreign may be missing: it is imported when it is needed.
LAZY = ("ground", "core")

MOST_LINES, MOST_LINES_OF_A_CLASS, MEDIAN_LINES = 50, 150, 6

# What readers type, and what therefore stays where it is.
NAMES = {
    "advice": "Advice advise",
    "claims": "claim coarse_clock fewer_cores_than gil_off",
    "exercises": "as_they_come cache_safely cancel_the_late cap_the_threads "
    "choose_a_way each_its_own_way flatten get_the_log joblib_loop keep_the_count "
    "keep_the_rest longest_first mend_the_pool read_ahead read_the_law safe_twice "
    "scatter_once send_a_setting send_once shrink_the_serial_part sort_six "
    "stop_in_time ten_at_a_time too_many_trips unfreeze_the_loop wait_together",
    "explore": "chunks faults gil joblib nested pools pythons speedup waiting",
    "faults": "FAULTS POOLS every_call go_wrong",
    "figures": "break_even cores decision gains grid heartbeats heat_map outcomes "
    "predictions race_bars speedup startups stripes timeline waits",
    "gallery": "class_gallery save_for_class",
    "laws": "amdahl fit_amdahl fit_overhead gustafson karp_flatt serial_or_overhead "
    "speedups",
    "machine": "ceiling connections cores describe gil_enabled pythons start_methods",
    "needed": "need",
    "measure": "by_workers calibrate load PythonFailed race run save sweep",
    "predict": "choice number",
    "quiz": "quiz",
    "runs": "Run by_workers load longest_gap save",
    "said": "say",
    "server": "start stop",
    "trace": "Span Traced watched_countdown",
    "travel": "worker_traceback",
    "workers": "begin_quietly let_kernel_end scratch_folder",
    "workloads": "blas_threads count_tokens countdown fetch fetch_async fetch_together "
    "fibonacci library_files Multiply nap nap_async sha256_rounds",
}
LISTED = [f"{room}.{name}" for room, names in NAMES.items() for name in names.split()]

# Private by their form only: the language's own documentation tells of each.
DOCUMENTED = {
    *("sys._getframe", "sys._current_frames", "sys._is_gil_enabled", "os._exit"),
    *("_replace", "_asdict", "_fields"),  # of any named tuple
}


def files_of(*folders: str) -> list[Path]:
    """Return the modules of the kit in those folders."""
    return sorted(path for each in folders for path in (ROOT / each).rglob("*.py"))


def room_of(path: Path) -> str:
    """Return the room that the file of helpers/ belongs to."""
    return path.relative_to(HELPERS).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def every_file_but(name: str) -> pytest.MarkDecorator:
    """Return what hands a test the modules of helpers/ as path, all but one."""
    paths = [path for path in files_of("helpers") if path != HELPERS / name]
    return pytest.mark.parametrize("path", paths, ids=name_of)


# Who imports whom.


class Import(NamedTuple):
    """A module that a text imports, and whether it can do without at first."""

    module: str
    lazy: bool


def imports_of(node: ast.AST, lazy: bool = False) -> Iterator[Import]:
    """Yield what is imported: in functions too, and what is for the types only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(name.name, lazy) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            if module == "helpers":
                yield from (Import(f"helpers.{n.name}", lazy) for n in child.names)
            else:
                yield Import(module, lazy)
        else:
            yield from imports_of(child, lazy or waits(child))


def waits(node: ast.AST) -> bool:
    """Return whether what stands in node is not needed to import its module."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.Try):
        caught = [ast.unparse(each.type) for each in node.handlers if each.type]
        return bool({"ImportError", "ModuleNotFoundError"} & set(caught))
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def floor_of(room: str) -> str:
    return next(floor for floor, rooms in FLOORS.items() if room in rooms)


def wrong_imports(room: str, source: str) -> list[str]:
    """Return what source, a text of that room, must not import, and why."""
    found = (fault_of(room, each) for each in imports_of(ast.parse(source)))
    return [fault for fault in found if fault]


def fault_of(room: str, imported: Import) -> str | None:
    package, _, rest = imported.module.partition(".")
    if not package:
        return f"{imported.module}: by its full name, please"
    if package == "helpers":
        other = rest.partition(".")[0]
        below = [*ROOMS[: ROOMS.index(room)], room]
        return None if other in below else f"{other} is not below {room}"
    if package in sys.stdlib_module_names:
        return None
    return foreign_fault(room, package, imported.lazy)


def foreign_fault(room: str, package: str, lazy: bool) -> str | None:
    floor = floor_of(room)
    allowed = FOREIGN.get(floor, declared()) | FOREIGN_IN_ROOM.get(room, set())
    if package not in allowed:
        return f"{package} is not for {room}"
    if floor in LAZY and not lazy:
        return f"{package} must be imported where it is needed"
    return None


@functools.cache
def declared() -> set[str]:
    """Return the packages that come with the kit because pyproject.toml names them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [re.match(r"[\w.-]+", each) for each in project["project"]["dependencies"]]
    wanted = {name[0].lower() for name in names if name}
    return {
        package
        for package, origins in packages_distributions().items()
        if wanted & {origin.lower() for origin in origins}
    }


def test_every_room_is_in_the_plan() -> None:
    rooms = {room_of(path) for path in files_of("helpers")} - {"__init__"}
    assert rooms - set(ROOMS) == set(), "in the folder, not in the plan"
    assert set(ROOMS) - rooms == set(), "in the plan, not in the folder"


def test_workers_come_in_through_an_empty_door() -> None:
    assert (HELPERS / "__init__.py").read_text(encoding="utf-8") == ""


@every_file_but("__init__.py")
def test_imports_go_downwards(path: Path) -> None:
    assert wrong_imports(room_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source", "fault"),
    [
        ("trace", "import numpy", "numpy is not for trace"),
        ("trace", "def f():\n    import psutil", "psutil is not for trace"),
        ("trace", "from helpers import workers", "workers is not below trace"),
        ("workers", "import joblib", "joblib must be imported where it is needed"),
        ("machine", "from helpers.measure import run", "measure is not below machine"),
        ("machine", "import psutil", "psutil must be imported where it is needed"),
        ("runs", "import helpers.figures.look", "figures is not below runs"),
        (
            "runs",
            "if TYPE_CHECKING:\n    from helpers.laws import Fit",
            "laws is not below runs",
        ),
        ("laws", "from helpers.claims import claim", "claims is not below laws"),
        ("laws", "import scipy.optimize", "scipy is not for laws"),
        ("figures", "from helpers import explore, laws", "explore is not below"),
        ("figures", "from . import look", "by its full name"),
        ("figures", "import pandas", "pandas is not for figures"),
        ("figures", "from helpers.elsewhere_too import x", "is not below figures"),
    ],
)
def test_a_wrong_import_is_noticed(room: str, source: str, fault: str) -> None:
    [found] = wrong_imports(room, source)
    assert fault in found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("trace", "import os.path, collections.abc"),
        ("workers", "def f():\n    import joblib.executor"),
        ("machine", "try:\n    import psutil\nexcept ImportError:\n    pass"),
        ("laws", "import numpy as np\nfrom helpers.runs import Run"),
        ("said", "from IPython.display import display"),
        ("figures", "import matplotlib.figure\nfrom helpers.figures.look import x"),
    ],
)
def test_a_right_import_is_not(room: str, source: str) -> None:
    assert wrong_imports(room, source) == []


# Private names.


def private_reads(source: str) -> list[str]:
    """Return the private names of other modules' things that source uses.

    Those that it defines itself are its own: of its classes, its functions, its values.
    """
    tree = ast.parse(source)
    own = set(defined_in(tree))
    return [
        f"line {line}: {written}"
        for line, written, name in names_in(tree)
        if re.match(r"_[^_]", name)
        and name not in own
        and DOCUMENTED.isdisjoint([name, written])
    ]


def defined_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(ast.Name("self" | "cls"), name, ast.Store()):
                yield name


def names_in(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the text and the name of each attribute that is used."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                yield node.lineno, ast.unparse(node), node.attr
            case ast.ImportFrom():
                for name in node.names:
                    yield node.lineno, f"{node.module}.{name.name}", name.name
            case ast.Call(
                ast.Name("getattr" | "hasattr" | "setattr" | "delattr"),
                [thing, ast.Constant(str(attribute)), *_],
            ):
                yield node.lineno, f"{ast.unparse(thing)}.{attribute}", attribute


@every_file_but("workers.py")
def test_only_workers_knows_private_names(path: Path) -> None:
    assert private_reads(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "pool._processes",
        "from helpers.machine import _steps_per_second",
        "getattr(pool, '_state', None)",
        "self._pool",
        "pool._processes = None",
        "class A:\n    def f(self):\n        return self._x\na._y",
    ],
)
def test_a_private_name_is_noticed(source: str) -> None:
    assert private_reads(source)


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def __init__(self):\n        self._x = 1\na._x, a.__class__",
        "class A:\n    def _f(self):\n        return self._f()",
        "os._exit(1), span._replace(end=1), sys._getframe()",
    ],
)
def test_an_own_name_is_not(source: str) -> None:
    assert private_reads(source) == []


# Sizes.


def functions_in(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Return the lines from the first with `def` or `class` to the last."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lines_of_body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines after the docstring, with the empty ones and the comments."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", files_of("helpers", "tools"), ids=name_of)
def test_functions_and_classes_are_short(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    long = [
        *(f.name for f in functions_in(path) if lines_of(f) > MOST_LINES),
        *(c.name for c in classes if lines_of(c) > MOST_LINES_OF_A_CLASS),
    ]
    assert long == []


def test_most_functions_are_very_short() -> None:
    files = files_of("helpers", "tools")
    sizes = [lines_of_body(f) for path in files for f in functions_in(path)]
    assert statistics.median(sizes) <= MEDIAN_LINES


# What readers type.


def typed_in(cells: list[str]) -> set[str]:
    """Return the names of helpers that a lesson's cells use, as "room.name"."""
    rooms: dict[str, str] = {}
    found = set()
    for cell in cells:
        lines = [line for line in cell.splitlines() if not line.startswith("%")]
        for node in ast.walk(ast.parse("\n".join(lines))):
            match node:
                case ast.ImportFrom("helpers", names):
                    rooms |= {name.asname or name.name: name.name for name in names}
                case ast.ImportFrom(str(module), names):
                    package, _, room = module.partition(".")
                    if package == "helpers":
                        found |= {f"{room}.{name.name}" for name in names}
                case ast.Attribute(ast.Name(name)) if name in rooms:
                    found.add(f"{rooms[name]}.{node.attr}")
    return found


@pytest.mark.parametrize("name", LISTED)
def test_what_readers_type_is_there(name: str) -> None:
    room, _, thing = name.partition(".")
    assert hasattr(importlib.import_module(f"helpers.{room}"), thing)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_all_that_a_lesson_types_is_listed(path: Path) -> None:
    typed = typed_in([cell.source for cell in code_cells(read(path))])
    assert typed and typed - set(LISTED) == set()


def test_what_a_cell_types_is_seen() -> None:
    cells = ["%%magic\nfrom helpers import explore as e", "e.gil(); x.y"]
    assert typed_in([*cells, "from helpers.runs import Run as R, load"]) == {
        *("explore.gil", "runs.Run", "runs.load"),
    }
