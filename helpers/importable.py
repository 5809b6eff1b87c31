"""`%%importable name`: a cell saved as a module that workers can import.

`%load_ext helpers.importable` makes it known to the notebook.
"""

import importlib.util
import keyword
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import Pool
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class

from helpers.workers import end_kept_loky, is_open, processes_of

MARK = "# Saved from a notebook cell by %%importable.\n"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magic to the shell; IPython calls this for `%load_ext`."""
    shell.register_magics(Importable)


@magics_class
class Importable(Magics):
    """The cell magic `%%importable`."""

    shell: InteractiveShell  # the one that has registered it

    @cell_magic
    def importable(self, line: str, cell: str) -> None:
        """Save the cell as NAME.py beside the notebook, and import all that it defines.

        Usage: `%%importable NAME`. Run again, it saves and imports again, and ends the
        workers that joblib keeps, so that none of them goes on with the old code.
        """
        name = line.strip()
        path = _free_path(name)
        changed = _write(path, cell)
        if changed:
            end_kept_loky()
        module = _import_afresh(name, path)
        if changed:
            for pool in _kept_pools(self.shell.user_ns):
                print(f"{pool} still runs the code from before: start a new one")
        public = {k: v for k, v in vars(module).items() if not k.startswith("_")}
        # A function that has the module's name is the one that the reader will call.
        self.shell.user_ns.update({name: module} | public)
        print(f"{path.name}: saved and imported")


def _free_path(name: str) -> Path:
    """Return the file for a module of that name, if there may be one."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"%%importable needs a module's name, not {name!r}")
    path = Path.cwd() / f"{name}.py"
    if path.exists():
        if not path.read_text(encoding="utf-8", errors="replace").endswith(MARK):
            raise UsageError(f"{path.name} is a file of yours: choose another name")
    else:
        known = sys.modules.get(name) or importlib.util.find_spec(name)
        if known and getattr(known, "__file__", None) != str(path):
            raise UsageError(f"a module {name!r} exists already: choose another name")
    return path


def _write(path: Path, cell: str) -> bool:
    """Write the cell to path; return whether that changed what path held."""
    text = (cell.rstrip("\n") + "\n\n\n" + MARK).encode()
    if path.exists() and path.read_bytes() == text:
        return False
    compile(cell, path.name, "exec")  # a SyntaxError leaves the old file as it is
    path.write_bytes(text)
    # Python takes a compiled file for up to date that is from the same second.
    Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)
    return True


def _import_afresh(name: str, path: Path) -> ModuleType:
    folder = str(path.parent)
    if folder not in sys.path:  # by its own name: workers may have another ""
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def _kept_pools(namespace: dict[str, Any]) -> list[str]:
    """Return the names of the notebook's process pools that were started before."""
    return [
        name
        for name, value in namespace.items()
        if not name.startswith("_")
        and isinstance(value, ProcessPoolExecutor | Pool)
        and is_open(value)
        and processes_of(value)
    ]
