"""The phrase book: every form gives what its loop gives, here and in a script."""

import ast
import asyncio
import inspect
import multiprocessing
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from math import inf, nan
from pathlib import Path
from threading import Event, Lock
from time import monotonic, sleep
from types import FunctionType
from typing import Any

import joblib
import numpy as np
import pytest
from conftest import START_METHODS
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lessons import code_cells, read

from helpers import server, workers
from helpers.phrases import BOOK, GUARD, Phrase, awaits, main, phrases, script

PHRASES = phrases()
FEWEST, MOST_LINES, MOST_WORDS = 30, 6, 45
LONGER = {"best": 7}  # with six it would stop only by how CPython ends generators

each_phrase = pytest.mark.parametrize("phrase", PHRASES, ids=lambda each: each.name)

# Its form.


def source(name: str) -> str:
    return next(cell.source for cell in read(BOOK).cells if cell.id == name)


def test_its_frame() -> None:
    first, last = read(BOOK).cells[0].source, read(BOOK).cells[-1].source
    assert "**To test:**" in first
    assert re.search(r"Version \d\S*, \w+ \d{4}", first)
    assert last.startswith("## What to remember\n")
    assert 3 <= len(re.findall(r"(?m)^- ", last)) <= 6
    assert "**Read on:**" in last and ".ipynb" in last


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({each.title for each in PHRASES}) == len(PHRASES) >= FEWEST


def test_the_index_names_every_phrase_and_nothing_twice() -> None:
    named = re.findall(r"(?m)^- \[(.+)\]\(#(.+)\): \w", source("index"))
    assert [(title.replace(" ", "-")) for title, _ in named] == [to for _, to in named]
    titles = [title for title, _ in named]
    assert titles == [each.title for each in PHRASES] + ["Can my loop be parallel"]


@each_phrase
def test_it_has_a_loop_a_short_form_one_sentence_and_a_claim(phrase: Phrase) -> None:
    ids = [cell.id for cell in read(BOOK).cells]
    at = ids.index(phrase.name)
    parts = ("", "-loop", "-form", "-claim")
    assert ids[at : at + 4] == [phrase.name + part for part in parts]
    lines = [line for line in phrase.form.splitlines() if line]
    assert 1 <= len(lines) <= LONGER.get(phrase.name, MOST_LINES)
    pays = re.sub(r"\(.*\)|`[^`]*`", "", phrase.pays)
    assert pays.startswith("Pays ") and len(re.findall(r"[.!?](?=\s|$)", pays)) == 1
    assert len(phrase.pays.split()) <= MOST_WORDS
    claim = source(f"{phrase.name}-claim")
    assert re.fullmatch(r'claim\(\s*".+",\s*results == expected,?\s*\)', claim)
    assert "expected" not in phrase.form and "results" not in phrase.loop


# Over random inputs.

SMALL = st.integers(-9, 20)
PAGES = ("home", "news", "shop", "cart")
TEXTS = st.lists(st.text("ab \n", max_size=12), max_size=4)
TREES: st.SearchStrategy = st.recursive(
    st.tuples(SMALL, st.just([])),
    lambda below: st.tuples(SMALL, st.lists(below, max_size=3)),
    max_leaves=8,
)
DRAWN: dict[str, st.SearchStrategy] = {
    "numbers": st.lists(SMALL, max_size=8),
    "widths": st.lists(SMALL, max_size=4),
    "heights": st.lists(SMALL, max_size=4),
    "pairs": st.lists(st.tuples(SMALL, SMALL), max_size=8),
    "prices": st.dictionaries(st.text(max_size=3), SMALL, max_size=8),
    "rows": st.lists(st.tuples(st.sampled_from(PAGES), SMALL), max_size=12),
    "texts": TEXTS,
    "big": SMALL.map(lambda least: np.arange(least, 200_000.0)),
    "table": st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=12).map(np.array),
    "tree": TREES,
    "links": st.fixed_dictionaries(
        {page: st.lists(st.sampled_from(PAGES), max_size=3) for page in PAGES}
    ),
    "shop": SMALL,  # its tax
    "good_enough": st.integers(0, 9),
    "wanted": st.integers(0, 40),
    "first": SMALL,
    "last": SMALL,
    "stride": st.integers(1, 9),
    "questions": st.lists(st.sampled_from(["a", "b", "ab"]), max_size=4),
    "folder": TEXTS,  # what is in its files
    "big_file": TEXTS,
    "urls": st.lists(st.integers(0, 3), max_size=4),  # milliseconds
    "commands": st.lists(SMALL, max_size=3),  # what they print
    "slow_url": st.none(),
}
# Those that wait, or begin a pool of their own, take a while.
FEW = {"urls": 4, "commands": 3, "slow_url": 1, "questions": 3, "big": 5}
ONCE = ("numbers", "pairs", "texts", "urls")  # may be iterators, too


class KeptProcesses:
    """Stands for ProcessPoolExecutor: the same processes for all phrases.

    So what travels, and how, is what travels with a pool of the phrase's own.
    """

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(2, self.context)
        self.map, self.submit = self.pool.map, self.pool.submit

    def __call__(self, workers: int = 2, **initializer: Any) -> Any:
        if initializer:
            return ProcessPoolExecutor(workers, self.context, **initializer)
        return self

    def __enter__(self) -> "KeptProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the processes to the next phrase."""

    def shutdown(self, cancel_futures: bool) -> None:
        """Leave the calls alone: nobody asks for their results."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Yield what the cells before the first phrase define, with its functions in files.

    The inputs are left out. The processes of all phrases are the same.
    """
    folder = tmp_path_factory.mktemp("phrases")
    sys.path.insert(0, str(folder))
    names: dict[str, Any] = {"__name__": "phrase_book"}
    for cell in code_cells(read(BOOK)):
        kind, _, name = cell.source.partition("\n")[0].partition(" ")
        if kind == "%%importable":
            (folder / f"{name}.py").write_text(cell.source.partition("\n")[2])
            exec(f"from {name} import *", names)
        elif cell.id.startswith("imports"):
            exec(re.sub(r"(?m)^%.*", "", cell.source), names)
    names["ProcessPoolExecutor"] = kept = KeptProcesses()
    yield names
    kept.pool.shutdown()
    workers.end_kept_loky()
    server.stop()
    sys.path.remove(str(folder))


def made(name: str, drawn: Any, shared: dict[str, Any], folder: Path) -> Any:
    """Return the input of that name that was drawn, or what was drawn makes."""
    address = server.start() if "url" in name else ""
    match name:
        case "shop":
            return shared["Shop"](drawn)
        case "folder":
            return shared["filled"](folder, drawn)
        case "big_file":
            return shared["filled"](folder, drawn) / "big.log"
        case "urls":
            return [f"{address}?delay={each / 1000}" for each in drawn]
        case "slow_url":
            return f"{address}?delay=30"
        case "commands":
            return [[sys.executable, "-I", "-S", "-c", f"print({n})"] for n in drawn]
    return drawn


def outcome(code: str, names: dict[str, Any], wanted: str) -> Any:
    """Run a cell among these names; return what it calls wanted, or its error."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        value = eval(compile(code, "cell", "exec", flags=flags), names)
        if inspect.iscoroutine(value):
            asyncio.run(value)
    except (ValueError, TypeError) as error:
        return type(error)
    return names[wanted]


def compare(
    phrase: Phrase, shared: dict[str, Any], folder: Path, shrink: bool = True
) -> None:
    """Run loop and form over random inputs, and see that both give the same.

    What can be gone through once only gives the form the same, or a TypeError.
    With shrink, an error is shown with the smallest inputs that have it.

    Raises:
        AssertionError: it doesn't; or one of them changes what other phrases use.
    """
    code = phrase.loop + phrase.form
    inputs = {name: DRAWN[name] for name in DRAWN if re.search(rf"\b{name}\b", code)}
    most = min([FEW.get(name, 15) for name in inputs], default=1)

    parts = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]

    @settings(max_examples=most, deadline=None, database=None, phases=parts)
    @given(st.fixed_dictionaries(inputs), st.booleans())
    def same(drawn: dict[str, Any], once: bool) -> None:
        before = shared | {n: made(n, v, shared, folder) for n, v in drawn.items()}
        names = dict(before)
        expected = outcome(phrase.loop, names, "expected")
        for name in names.keys() - before.keys() - {"__builtins__"}:
            if not isinstance(names[name], FunctionType):
                del names[name]  # the form begins from the inputs, as the loop does
        assert {n for n, v in before.items() if names[n] is not v} == set()
        for name in inputs.keys() & set(ONCE) if once else ():
            names[name] = before[name] = iter(names[name])
        results = outcome(phrase.form, names, "results")
        assert results == expected or (once and results is TypeError)
        assert {n for n, v in before.items() if names[n] is not v} == set()

    same()


@each_phrase
def test_its_form_gives_what_its_loop_gives(
    phrase: Phrase, shared: dict[str, Any], tmp_path: Path
) -> None:
    compare(phrase, shared, tmp_path)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("arguments", "strict=True", "strict=False"),
        ("several", "[low for low, _ in both], [", "[high for _, high in both], ["),
        ("minimum", "min(costs)", "max(costs)"),
        ("minimum", " if costs else None", ""),
        ("best", "<= good_enough", ">= good_enough"),
        ("counting", "(first, last, stride)", "(first, last + stride, stride)"),
        ("new", 'level = {"home"}', 'level = {"news"}'),
        ("second", "factor=most", "factor=len(sizes)"),
        ("sum", "results = sum", "work = sum"),
        ("filter", "inputs = list(numbers)", "inputs = numbers"),
        ("cache", "inputs = list(numbers)", "inputs = numbers"),
        ("grid", "found, strict=True", "sorted(found), strict=True"),
        ("late", "# None is returned", "\n            return 0"),
    ],
)
def test_a_wrong_form_is_noticed(
    name: str, right: str, wrong: str, shared: dict[str, Any], tmp_path: Path
) -> None:
    [phrase] = [each for each in PHRASES if each.name == name]
    assert right in phrase.form
    changed = phrase._replace(form=phrase.form.replace(right, wrong))
    with pytest.raises((AssertionError, IndexError, KeyError)):
        compare(changed, shared, tmp_path, shrink=False)


# How they go about it: each here is given a form, and raises AssertionError.


def run_form(form: str, **given: Any) -> Any:
    """Return the results of a form, or its error; threads stand for its processes."""
    cells = {cell.id: cell.source for cell in code_cells(read(BOOK))}
    names: dict[str, Any] = {"scratch_folder": workers.scratch_folder}
    exec(cells["imports"], names)
    names["ProcessPoolExecutor"] = lambda: ThreadPoolExecutor(2)
    names["Parallel"] = lambda n_jobs: joblib.Parallel(2, backend="threading")
    names["delayed"] = joblib.delayed
    return outcome(form, names | given, "results")


class Calls:
    """A function of x that counts: all its calls, and the most at the same time."""

    def __init__(self, seconds: float, error_at: object = None) -> None:
        self.seconds, self.error_at = seconds, error_at
        self.made = self.now = self.most = 0
        self.lock = Lock()

    def begin(self) -> None:
        with self.lock:
            self.made, self.now = self.made + 1, self.now + 1
            self.most = max(self.most, self.now)

    def __call__(self, x: object) -> object:
        self.begin()
        sleep(self.seconds)
        with self.lock:
            self.now -= 1
        if x == self.error_at:
            raise ValueError(x)
        return x

    async def awaited(self, x: object) -> object:
        self.begin()
        await asyncio.sleep(self.seconds)
        self.now -= 1
        return x


def stops_at_the_first(form: str) -> None:
    call = Calls(0.02)
    given = {"numbers": range(1, 200), "is_prime": call, "cost": call}
    assert run_form(form, **given, good_enough=1) == 1
    assert call.made < 100


def stops_at_an_error(form: str) -> None:
    call = Calls(0.05, error_at=1)
    given = {"numbers": range(4, 104), "inverse": call, "urls": range(1, 200)}
    assert run_form(form, **given, fetch=call) is ValueError
    assert call.made < 100


def stops_in_time(form: str) -> None:
    call = Calls(0.3)
    limited = form.replace("60", "0.1")
    results = run_form(limited, urls=range(60), fetch=call)
    assert results == list(range(call.made)) and 8 <= call.made < 60


def takes_eight_at_once(form: str) -> None:
    call = Calls(0.02)
    given = {"fetch": call, "fetch_async": call.awaited, "slow_url": 0}
    run_form(form, **given, urls=range(60), retried=lambda f, x: f(x), shaky=call)
    assert call.made >= 60 and 1 < call.most <= 8


def gives_the_first_first(form: str) -> None:
    is_there = Event()

    def fetch(url: str) -> bool:
        if url == "slow":
            is_there.wait(30)
            sleep(0.5)  # meanwhile the first one is taken
        is_there.set()
        return True

    pages = run_form(form, urls=["slow", "fast"], fetch=fetch)
    assert list(pages) == ["fast", "slow"]


def tells_of_an_error(form: str) -> None:
    given = {"folder": Path(__file__).parent, "contents": list}
    save = Calls(0, error_at=Path(__file__).parent)
    code = form.replace('folder.glob("*.txt")', "[folder]")
    names = given | {"save_longest": lambda out, path: save(path)}
    assert run_form(code, **names) is ValueError


def reads_one_block(form: str) -> None:
    read_ahead = []

    class Lines:
        def __init__(self, *_: object, **__: object) -> None:
            self.coming = iter(range(50_000))

        __enter__ = __iter__ = lambda self: self

        def __exit__(self, *_: object) -> None: ...

        def __next__(self) -> int:
            read_ahead.append(read := next(self.coming))
            return read

    def words_in(line: int) -> int:
        assert len(read_ahead) - line <= 10_000
        return 1

    given = {"open": Lines, "words_in": words_in, "big_file": None}
    assert run_form(form, **given) == 50_000


HABITS = [
    ("hit", stops_at_the_first, "pool.shutdown(", "dict("),
    (
        "best",
        stops_at_the_first,
        "pool.map(cost, numbers)",
        "[*pool.map(cost, numbers)]",
    ),
    ("errors", stops_at_an_error, "except ZeroDivisionError", "except Exception"),
    ("deadline", stops_at_an_error, ", return_when=FIRST_EXCEPTION", ""),
    ("deadline", stops_in_time, "pool.shutdown(", "dict("),
    ("completed", gives_the_first_first, "as_completed(futures)", "futures"),
    ("save", tells_of_an_error, "list(pool.map", "(pool.map"),
    ("lines", reads_one_block, "10_000", "20_000"),
    ("downloads", takes_eight_at_once, "(8)", "(60)"),
    ("retries", takes_eight_at_once, "(8)", "(60)"),
    ("deadline", takes_eight_at_once, "(8)", "(60)"),
    ("completed", takes_eight_at_once, "(8)", "(60)"),
    ("asyncio", takes_eight_at_once, "(8)", "(60)"),
    ("late", takes_eight_at_once, "(8)", "(60)"),
]


@pytest.mark.parametrize(
    ("name", "habit", "right", "wrong"),
    HABITS,
    ids=[f"{name} {habit.__name__}" for name, habit, *_ in HABITS],
)
def test_its_habit_and_that_a_wrong_one_is_noticed(
    name: str, habit: Callable[[str], None], right: str, wrong: str
) -> None:
    [form] = [each.form for each in PHRASES if each.name == name]
    habit(form)
    assert right in form
    with pytest.raises(AssertionError):
        habit(form.replace(right, wrong))


@pytest.mark.parametrize("costs", [[nan, 1, 2], [1, nan, 0], [inf, inf], []])
def test_a_minimum_is_that_of_the_loop_whatever_the_costs(costs: list[float]) -> None:
    [phrase] = [each for each in PHRASES if each.name == "minimum"]
    given = {"numbers": range(len(costs)), "cost": costs.__getitem__}
    expected = outcome(phrase.loop, dict(given), "expected")
    assert run_form(phrase.form, **given) == expected


def test_what_computes_too_long_is_ended_with_its_processes() -> None:
    [form] = [each.form for each in PHRASES if each.name == "stuck"]
    names = {"Parallel": joblib.Parallel, "delayed": joblib.delayed, "work": sleep}
    begun = monotonic()
    with pytest.raises(multiprocessing.TimeoutError):
        outcome(form.replace("60", "1"), names | {"numbers": [0, 100]}, "results")
    workers.end_kept_loky()  # waits for what still runs
    assert monotonic() - begun < 60


def test_the_big_array_is_shared_and_cannot_be_changed() -> None:
    [form] = [each.form for each in PHRASES if each.name == "shared"]
    inputs = next(c.source for c in code_cells(read(BOOK)) if c.id == "inputs")
    [big] = re.findall(r"(?m)^big = (.+)$", inputs)
    names = {
        "Parallel": joblib.Parallel,
        "delayed": joblib.delayed,
        "nearest": lambda _, table: (hasattr(table, "filename"), table.flags.writeable),
        "numbers": [1, 2],
        "big": eval(big, {"np": np}),
    }
    assert outcome(form, names, "results") == [(True, False)] * 2


# As scripts.


def group_of(phrase: Phrase) -> str:
    """Return which script it is in: workers import all that theirs imports."""
    if awaits(phrase.loop + "\n" + phrase.form):
        return "await"
    imported = re.findall(r"(?m)^(?:from|import) (\w+)", script(phrase))
    return "plain" if sys.stdlib_module_names.issuperset(imported) else "libraries"


GROUPS = {
    group: [each for each in PHRASES if group_of(each) == group]
    for group in ("plain", "libraries", "await")
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("method", START_METHODS)
def test_as_a_script_under_each_start_method(
    group: str, method: str, tmp_path: Path
) -> None:
    begin = f"{GUARD}    multiprocessing.set_start_method({method!r})\n"
    text = script(*GROUPS[group]).replace(GUARD, begin)
    path = tmp_path / "phrases.py"
    path.write_text(f"import multiprocessing\n{text}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120
    )
    said = dict(zip([each.name for each in GROUPS[group]], done.stdout.split()))
    assert set(said.values()) == {"True"}, (said, done.stderr)
    assert done.returncode == 0 and len(said) == len(GROUPS[group]), done.stderr


def test_a_script_has_what_it_uses_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    for each in PHRASES:
        (tmp_path / f"{each.name}.py").write_text(script(each), encoding="utf-8")
    check = ["ruff", "check", "--isolated", "--no-cache", "--select=F", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", *check], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_in_a_terminal(capsys: pytest.CaptureFixture) -> None:
    assert main("Several arguments") == 0
    said = capsys.readouterr().out
    [wanted] = [each for each in PHRASES if each.name == "arguments"]
    assert script(wanted) in said and said.startswith("# Pays ")
    assert main("matrix nowhere") == 0
    assert "I have nested loops" in capsys.readouterr().out
    assert main("xyzzy lock-s") == 1
    said, *titles = capsys.readouterr().out.splitlines()
    assert said == "No phrase has a word of 'xyzzy lock-s'. There are:"
    assert titles == [each.title for each in PHRASES]
