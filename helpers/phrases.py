"""The phrase book in a terminal: `python -m helpers.phrases "several arguments"`.

It prints the phrase that has these words as a script that runs: the loop, its parallel
form, and whether both give the same.
"""

import ast
import json
import re
import sys
from pathlib import Path
from textwrap import fill, indent
from typing import NamedTuple

BOOK = Path(__file__).parent.parent / "notebooks" / "13_phrase_book.ipynb"
GUARD = 'if __name__ == "__main__":\n'


class Phrase(NamedTuple):
    """A loop and its parallel form, as the cells of the phrase book have them."""

    name: str
    title: str
    words: str  # what people call it, from the index
    pays: str
    loop: str
    form: str


def cells() -> dict[str, str]:
    """Return the sources of the phrase book's cells by their ids."""
    stored = json.loads(BOOK.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in stored}


def phrases() -> list[Phrase]:
    """Return all phrases of the book, in its order."""
    sources, found = cells(), []
    index = dict(re.findall(r"(?m)^- \[(.+)\]\(#.+\): (.+)$", sources["index"]))
    for name in (each[:-5] for each in sources if each.endswith("-form")):
        title, pays = sources[name].removeprefix("### ").split("\n\n", 1)
        code = sources[f"{name}-loop"], sources[f"{name}-form"]
        found.append(Phrase(name, title, index[title], pays, *code))
    return found


def matching(asked: str) -> list[Phrase]:
    """Return the phrases that have most of the words of asked, first those in titles.

    A word counts where another begins with it: "thread" is in "threads".
    """
    words = [rf"(?<!\w){re.escape(word)}" for word in asked.split()]

    def has(text: str) -> int:
        return sum(bool(re.search(word, text, re.IGNORECASE)) for word in words)

    found = {each: has(f"{each.title}, {each.words}") for each in phrases()}
    most = max(1, *found.values())
    best = [each for each, has_words in found.items() if has_words == most]
    return sorted(best, key=lambda each: -has(each.title))


def script(*chosen: Phrase) -> str:
    """Return these phrases as a script, with what they use and nothing else."""
    body = "\n".join(
        f"# {each.title}: the loop\n{each.loop}\n\n# Its parallel form\n{each.form}\n\n"
        "print(results == expected)\n"
        for each in chosen
    )
    begin, end = GUARD, ""
    if awaits(body):
        begin, end = "async def main():\n", f"\n\n{GUARD}    asyncio.run(main())\n"
    imports, functions, inputs = used_by(body + end)
    begun = begin + indent("\n".join([*inputs, "", body]), "    ") + end
    return "\n\n\n".join(["\n".join(imports), *functions, begun])


def awaits(source: str) -> bool:
    """Return whether source has an `await` outside of functions."""
    try:
        compile(source, "", "exec")
    except SyntaxError:
        return True
    return False


def used_by(source: str) -> tuple[list[str], list[str], list[str]]:
    """Return the imports, functions and inputs of the book that source needs."""
    kept: dict[str, list[str]] = {"imports": [], "tasks": [], "inputs": []}
    needed = names(ast.parse(source))
    for name, cell in reversed(cells().items()):
        lines = ["" if line.startswith("%") else line for line in cell.splitlines()]
        kind = name.partition("-")[0]
        if kind not in kept:
            continue
        for node in reversed(ast.parse("\n".join(lines)).body):
            if not bound(node) & needed:
                continue
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [n for n in node.names if (n.asname or n.name) in needed]
                needed -= bound(node)
                kept["imports"].insert(0, ast.unparse(node))
            else:
                needed |= names(node)
                text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                kept[kind].insert(0, text)
    return kept["imports"], kept["tasks"], kept["inputs"]


def names(node: ast.AST) -> set[str]:
    """Return the names that stand in the code."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(aliases) | ast.ImportFrom(names=aliases):
            return {each.asname or each.name for each in aliases}
        case ast.Assign(targets):
            return set().union(*map(names, targets))
    return set()


def main(asked: str) -> int:
    """Print the phrase that has most words of asked; return 1 if none has one."""
    found = matching(asked) if asked else []
    if not found:
        print(
            f"No phrase has a word of {asked!r}. There are:" if asked else "There are:"
        )
        print(*(each.title for each in phrases()), sep="\n")
        return 1
    best, *others = found
    print(fill(best.pays, 86, initial_indent="# ", subsequent_indent="# "))
    print("# (What it imports from `helpers` is in this folder.)")
    print(script(best))
    for each in others:
        print(f"# See also: {each.title}")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
