"""What an answer starts while it runs: pools, threads, processes, shared memory.

A notebook may run other threads at the same time, and they may start workers too: these
are left alone. An answer's are those that its own thread starts, and the threads that
this one started.
"""

import ctypes
import inspect
import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.pool import Pool
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory
from threading import Thread
from time import monotonic
from typing import Any

import joblib
import psutil

from helpers import workers
from helpers.workers import begin_quietly, has_threads, processes_of, size_of

# How long what an answer has started may take to end by itself, in seconds.
PATIENCE = 1.0
# A thread that these start for themselves is not the answer's to wait for.
LIBRARIES = sys.stdlib_module_names | {"joblib", "tqdm"}


@dataclass
class Started:
    """A pool that an answer started, or a call of joblib's `Parallel`.

    Attributes:
        pool: what was started.
        size: how many workers it has.
        method: how its processes start; None if they are threads, or joblib's own.
        waited: whether each task was handed in after the one before it had ended.
        futures: of the tasks that were handed in one by one.
        processes: those that it has had so far.
    """

    pool: Executor | Pool | joblib.Parallel
    size: int
    method: str | None = None
    waited: bool = False
    futures: list[Future] = field(default_factory=list)
    processes: set[BaseProcess] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        return not self.is_joblib and workers.is_open(self.pool)

    @property
    def is_joblib(self) -> bool:
        return isinstance(self.pool, joblib.Parallel)

    @property
    def lost_a_worker(self) -> bool:
        """Whether a worker of a `multiprocessing.Pool` died: it then waits for ever."""
        if not isinstance(self.pool, Pool):
            return False
        # In this order: a pool that is ended says so before its workers die of it.
        return any(process.exitcode for process in self.processes) and self.is_open

    @property
    def expected(self) -> int:
        """How many of its workers should have a task by now."""
        if isinstance(self.pool, Executor):
            handed_in = sum(not future.done() for future in self.futures)
        elif self.is_joblib:
            handed_in = workers.waiting_in(self.pool)
        else:
            handed_in = 1 if self.waited else self.size
        return min(self.size, handed_in)

    def note(self, future: Future) -> None:
        after_the_last = bool(self.futures) and self.futures[-1].done()
        self.waited = after_the_last and (self.waited or len(self.futures) == 1)
        self.futures.append(future)
        self.processes.update(processes_of(self.pool))


class Watch:
    """Notes what a thread starts, and what the threads start that it started.

    Args:
        caller: the thread.

    Attributes:
        pools: its pools, and its calls of joblib's `Parallel`.
        threads, processes: those that it started without a pool.
        blocks: the names of the blocks of shared memory that it made.
    """

    def __init__(self, caller: Thread) -> None:
        self.pools: list[Started] = []
        self.threads: list[Thread] = []
        self.processes: list[BaseProcess] = []
        self.blocks: set[str] = set()
        self._family = {caller}
        self._known: dict[int, Started] = {}

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch for as long as the `with` lasts."""
        with ExitStack() as stack:
            for owner, name, instead in (
                (ThreadPoolExecutor, "__init__", self._start_pool),
                (ProcessPoolExecutor, "__init__", self._start_pool),
                (Pool, "__init__", self._start_pool),
                (ThreadPoolExecutor, "submit", self._submit),
                (ProcessPoolExecutor, "submit", self._submit),
                (Pool, "apply", self._apply),
                (joblib.Parallel, "__call__", self._parallel),
                (Thread, "start", self._start_thread),
                (BaseProcess, "start", self._start_process),
                (SharedMemory, "__init__", self._make_block),
            ):
                stack.enter_context(_replaced(owner, name, instead, self._family))
            yield

    def left(self) -> str:
        """Return what is still open or running, in a sentence; empty if nothing is."""
        if any(started.is_open for started in self.pools):
            return "The pool was left open: use `with`"
        for kind, runners in (
            ("process", self._all_processes()),
            ("thread", self.threads),
        ):
            if _running(runners):
                words = "still ran when your function had returned: join() waits for it"
                return f"A {kind} {words}"
        if any(map(_opened, self.blocks)):
            return "A block of shared memory was left: unlink() removes it"
        return ""

    def end(self, stuck: bool) -> None:
        """End all that is left, whatever it does.

        Args:
            stuck: whether its tasks are waited for, so that closed pools end too.
        """
        for process in _descendants(self._all_processes()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for started in self.pools:
            if started.is_open or (stuck and not started.is_joblib):
                workers.end(started.pool, PATIENCE)
        for process in _running(self._all_processes()):
            process.kill()
            process.join(PATIENCE)
        for thread in _running(self.threads):
            stop(thread)
        for block in filter(None, map(_opened, self.blocks)):
            block.unlink()

    def _all_processes(self) -> list[BaseProcess]:
        return self.processes + [
            each for started in self.pools for each in started.processes
        ]

    # What is called instead: the method itself comes first.

    def _start_pool(
        self, original: Callable, pool: Any, *args: Any, **options: Any
    ) -> None:
        if "joblib" in map(_package, _callers()):  # its calls are noted instead
            return original(pool, *args, **options)
        bound = inspect.signature(original).bind(pool, *args, **options)
        given, method = bound.arguments, None
        if not has_threads(pool):
            context = given.get("mp_context") or given.get("context") or multiprocessing
            method = context.get_start_method()
            if given.get("initializer") is None:
                given["initializer"] = begin_quietly
        original(*bound.args, **bound.kwargs)
        started = Started(pool, size_of(pool), method)
        started.processes.update(processes_of(pool))
        self._known[id(pool)] = started
        self.pools.append(started)

    def _submit(
        self, original: Callable, pool: Any, *args: Any, **options: Any
    ) -> Future:
        future = original(pool, *args, **options)
        if id(pool) in self._known:
            self._known[id(pool)].note(future)
        return future

    def _apply(self, original: Callable, pool: Any, *args: Any, **options: Any) -> Any:
        if id(pool) in self._known:
            self._known[id(pool)].waited = True
        return original(pool, *args, **options)

    def _parallel(
        self, original: Callable, call: Any, *args: Any, **options: Any
    ) -> Any:
        self.pools.append(Started(call, joblib.effective_n_jobs(call.n_jobs)))
        return original(call, *args, **options)

    def _start_thread(self, original: Callable, thread: Thread) -> None:
        self._family.add(thread)
        own = _package(next(_callers())) not in LIBRARIES
        if own and not thread.is_alive():
            # One that never ends must not hold up the kernel's end.
            thread.daemon = True
        original(thread)
        if own:
            self.threads.append(thread)

    def _start_process(self, original: Callable, process: BaseProcess) -> None:
        original(process)
        caller = next(_callers())
        # A manager, unlike a pool, is nobody's but the answer's.
        if _package(caller) not in LIBRARIES or caller == "multiprocessing.managers":
            self.processes.append(process)

    def _make_block(
        self, original: Callable, block: SharedMemory, *args: Any, **options: Any
    ) -> None:
        original(block, *args, **options)
        given = inspect.signature(original).bind(block, *args, **options).arguments
        if given.get("create"):
            self.blocks.add(block.name)


def stop(thread: Thread) -> None:
    """End a thread that runs Python code: it raises SystemExit there."""
    if thread.ident and thread.is_alive():
        raise_in(thread.ident, SystemExit)
        thread.join(PATIENCE / 2)


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an error in a thread, by its number, as soon as it runs Python code."""
    ident = ctypes.c_ulong(thread)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(error))


def _running(runners: Iterable[Any]) -> list[Any]:
    """Return the threads or processes that don't end in a while."""
    until, running = monotonic() + PATIENCE, []
    for each in runners:
        try:
            each.join(max(0.0, until - monotonic()))
            if each.is_alive():
                running.append(each)
        except ValueError:  # its process is closed, so it has ended
            continue
    return running


def _descendants(processes: list[BaseProcess]) -> list[psutil.Process]:
    """Return what these have started themselves: nobody else ends it."""
    found = []
    for process in processes:
        with suppress(ValueError, psutil.NoSuchProcess):  # it has ended already
            found += psutil.Process(process.pid).children(recursive=True)
    return found


def _opened(name: str) -> SharedMemory | None:
    """Return the block of shared memory with that name, if it is still there."""
    try:
        return SharedMemory(name)
    except FileNotFoundError:
        return None


@contextmanager
def _replaced(
    owner: type, name: str, instead: Callable, family: set[Thread]
) -> Iterator[None]:
    """Have the threads of the family call something instead of a class's method."""
    original = vars(owner)[name]

    @wraps(original)
    def method(*args: Any, **options: Any) -> Any:
        if threading.current_thread() not in family:
            return original(*args, **options)
        return instead(original, *args, **options)

    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _callers() -> Iterator[str]:
    """Yield the module of who calls a replaced method, then of who calls that."""
    frame = inspect.currentframe()
    while frame:
        module = frame.f_globals.get("__name__", "")
        if module != __name__:
            yield module
        frame = frame.f_back


def _package(module: str) -> str:
    return module.partition(".")[0]
