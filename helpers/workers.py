"""How workers begin, and how pools are looked at and ended.

The one file that knows private names of other libraries: pools have no public ones for
most of what is done here. `PRIVATE` lists them, with the versions they were tried on.

A worker process that starts fresh imports this file, so it imports nothing outside the
standard library at first.
"""

import multiprocessing
import multiprocessing.pool
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ThreadPoolExecutor,
)
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool, ThreadPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

AnyPool = TypeVar("AnyPool", bound=Executor | Pool)
Answer = TypeVar("Answer")

# For what object which private names are used, and the versions that have them.
PYTHONS = "CPython 3.11.7, 3.13.0, 3.14.10 and 3.15.2"
JOBLIB = "joblib 1.6.0"
PRIVATE = {
    "ProcessPoolExecutor": (
        (
            *("_processes", "_max_workers", "_shutdown_thread"),
            *("_result_queue", "_call_queue", "_executor_manager_thread"),
            "_pending_work_items",
        ),
        PYTHONS,
    ),
    # An InterpreterPoolExecutor is one too.
    "ThreadPoolExecutor": (("_threads", "_max_workers", "_shutdown"), PYTHONS),
    "multiprocessing.Pool": (("_pool", "_processes", "_state", "_cache"), PYTHONS),
    "the answer of Pool.map_async": (("_number_left", "_set"), PYTHONS),
    "loky's reusable_executor": (
        ("_executor", "_executor_kwargs", "_executor_lock"),
        JOBLIB,
    ),
    "joblib.executor": (("_executor_args",), JOBLIB),
    "joblib.Parallel": (("n_dispatched_tasks", "n_completed_tasks"), JOBLIB),
    "multiprocessing's resource_tracker": (("_resource_tracker",), PYTHONS),
    "loky's resource_tracker": (("_resource_tracker",), JOBLIB),
    "a tracker of resources": (("_pid",), PYTHONS),
    "multiprocessing's forkserver": (("_forkserver",), PYTHONS),
    "the server of forkserver": (("_forkserver_pid",), PYTHONS),
    "multiprocessing's util": (("spawnv_passfds", "get_temp_dir"), PYTHONS),
    "ipykernel's Kernel": (("_process_children",), "ipykernel 7.4.0"),
}


# How workers begin.


def begin_work() -> None:
    """Prepare a new worker process: it ends with its parent, and only then.

    An interrupt goes to the kernel and to all of its workers at once; the workers
    leave it to the kernel, which ends them. If the kernel itself is killed, nobody
    tells them, so a thread of each watches for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def begin_quietly() -> None:
    """Prepare a new worker process whose errors, if it breaks, nobody wants to see."""
    begin_work()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def begin_interpreter(path: list[str]) -> None:
    """Prepare a new interpreter of this process: it imports from where this one does.

    It is sent there as it is, for it uses nothing that stands outside it.
    """
    import sys

    sys.path[:] = path


def safe_context(start_method: str | None) -> Any:
    """Return what starts processes in that way, None for the platform's default.

    Raises:
        ValueError: it would fork while interpreters are there; in one line.
    """
    context: Any = multiprocessing.get_context(start_method)
    # A forked process would crash at once (CPython 3.14.10 and 3.15.2).
    if context.get_start_method() == "fork" and interpreters_run():
        raise ValueError(
            "no process can be forked while interpreters run: wait for their tasks "
            'to end, or take "spawn"'
        )
    return context


def interpreters_run() -> bool:
    """Return whether this process has other interpreters: some outlive an interrupt."""
    known: Any = sys.modules.get("concurrent.interpreters")
    return known is not None and len(known.list_all()) > 1


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    try:
        parent.join()
    except (TypeError, ValueError):  # joblib's workers hold no end of a pipe to it
        _wait_for_end_of(parent.pid)
    os._exit(1)


if sys.platform == "win32":

    def _wait_for_end_of(parent: int) -> None:
        # A worker's os.getppid() stays the same there when the parent has gone.
        import ctypes

        synchronize, without_limit = 0x00100000, 0xFFFFFFFF
        system = ctypes.WinDLL("kernel32")
        system.OpenProcess.restype = ctypes.c_void_p
        system.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        handle = system.OpenProcess(synchronize, False, parent)
        if handle:  # else it has gone already
            system.WaitForSingleObject(handle, without_limit)

else:

    def _wait_for_end_of(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(0.5)


# What a pool is like. It is "Any" here: the private names of one have no types.


def size_of(pool: Any) -> int:
    """Return how many workers the pool has, or will have when it needs them."""
    return getattr(pool, "_max_workers", None) or pool._processes


def processes_of(pool: Any) -> list[BaseProcess]:
    """Return the processes of the pool that have been started; none, if threads."""
    if isinstance(pool, ThreadPool):
        return []
    if isinstance(pool, Executor):
        return list((getattr(pool, "_processes", None) or {}).values())
    return list(pool._pool)


def has_threads(pool: object) -> bool:
    """Return whether the pool's workers are threads, with interpreters or without."""
    return isinstance(pool, ThreadPoolExecutor | ThreadPool)


def is_open(pool: Any) -> bool:
    """Return whether the pool still takes tasks."""
    if isinstance(pool, ThreadPoolExecutor):
        return not pool._shutdown
    if isinstance(pool, Executor):
        return not getattr(pool, "_shutdown_thread", False)
    return pool._state == multiprocessing.pool.RUN


def waiting_in(parallel: Any) -> int:
    """Return how many tasks a call of joblib's `Parallel` has sent and not got back."""
    sent = getattr(parallel, "n_dispatched_tasks", 0)
    return sent - getattr(parallel, "n_completed_tasks", 0)


# How a pool ends. The standard library's own `with` waits for the running tasks, also
# when a reader has pressed Stop.


@contextmanager
def ended(pool: AnyPool) -> Iterator[AnyPool]:
    """Yield the pool; end it with the `with`, its workers at once if that failed."""
    try:
        yield pool
        if isinstance(pool, Executor):
            pool.shutdown()
        else:
            end(pool)
    except BaseException as error:
        # A thread can't be ended. An error waits for those that work, as `with` does.
        end(pool, patience=None if isinstance(error, Exception) else 0.0)
        raise


def end(pool: Executor | Pool, patience: float | None = 0.0) -> None:
    """End the pool's workers, whatever they do, and whoever waits for them.

    Args:
        pool: what to end.
        patience: how long to wait for threads, which end with their tasks only, in
            seconds; None: however long it takes.
    """
    if isinstance(pool, Pool):
        _end_pool(pool)
    elif isinstance(pool, ThreadPoolExecutor):
        pool.shutdown(wait=patience is None, cancel_futures=True)
        until = time.monotonic() + (patience or 0.0)
        for thread in pool._threads:
            thread.join(max(0.0, until - time.monotonic()))
    else:
        _end_executor(pool)


def _end_executor(pool: Any) -> None:
    # Python 3.14 has kill_workers(); before, their attribute is the only way.
    workers = processes_of(pool)
    # In this order: whoever closes the pool beside this forgets the manager first.
    inputs, results = pool._call_queue, pool._result_queue
    manager = pool._executor_manager_thread
    if sys.version_info < (3, 13):
        # Those that `map` has cancelled would upset the pool when it fails them too.
        for item in list(pool._pending_work_items.values()):
            if item.future.cancelled():
                item.future = Future()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        _end_process(worker)
    # With their workers gone the tasks fail; those cancelled now would upset the pool.
    # Another thread may be leaving the pool's `with`, and close what this would.
    pool.shutdown(wait=False, cancel_futures=not workers)
    if manager is None:
        return
    manager.join(0.3)
    if manager.is_alive():
        # A worker that ended in the middle of a result has left the pool's own thread
        # waiting for the rest; nobody can write it once this end is closed too.
        results._writer.close()
        if sys.version_info < (3, 12):
            # And inputs that nobody reads hold up the thread that sends them.
            inputs._reader.close()
        manager.join(1)  # nobody may have to wait for ever


def begun_pool(context: Any, workers: int) -> Pool:
    """Return a pool of that context; an interrupt while it begins leaves no worker.

    The pool itself ends those that it has started after an `Exception` only.
    """
    others = set(multiprocessing.active_children())
    pool: Any = object.__new__(Pool)
    try:
        pool.__init__(workers, begin_work, context=context)
    except BaseException:
        if "_worker_handler" in vars(pool):  # it would start others in their place
            pool._worker_handler._state = multiprocessing.pool.TERMINATE
            pool._worker_handler.join(1)
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
            worker.join(1)
        raise
    return pool


def _end_pool(pool: Any) -> None:
    workers = processes_of(pool)
    # terminate() waits for a lock; a worker that was killed may have died with it.
    ending = threading.Thread(target=pool.terminate, daemon=True)
    ending.start()
    ending.join(0.5)
    for worker in workers + processes_of(pool):
        worker.kill()
        worker.join(1)
    for answer in list(pool._cache.values()):  # nobody will give it any more
        answer._number_left = 1
        answer._set(getattr(answer, "_index", 0), (False, TimeoutError()))


def _end_process(worker: BaseProcess) -> None:
    worker.join(1)
    if worker.is_alive():
        worker.kill()
        worker.join(1)


# A loop in a thread.


def in_own_loop(
    main: Callable[[], Coroutine[Any, Any, Answer]], giving_up: Callable[[], Any]
) -> Answer:
    """Run a coroutine in a new thread, in a loop of its own; return its answer.

    A notebook's own thread has a loop that is in use. What interrupts the waiting
    cancels all tasks of the new one; what blocks it goes on in the background.

    Args:
        main: returns the coroutine.
        giving_up: is called before the tasks are cancelled.
    """
    import asyncio

    answers, errors = list[Answer](), list[BaseException]()
    given_up, loops = threading.Event(), list[asyncio.AbstractEventLoop]()
    # Before Python 3.13 a join() that is interrupted takes the thread for ended.
    over = threading.Event()

    def work() -> None:
        try:
            # In this thread no interrupt comes between the two lines.
            with asyncio.Runner() as runner:
                loops.append(runner.get_loop())
                if not given_up.is_set():
                    answers.append(runner.run(main()))
        except BaseException as error:
            errors.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
        while not over.wait(0.1):  # without a limit, Windows would let no interrupt in
            pass
    except BaseException as error:
        given_up.set()
        giving_up()
        _cancel_tasks(loops)
        if thread.ident and not over.wait(0.5):
            error.add_note(
                "Something doesn't end: it blocks the loop, or is in another thread, "
                "or won't be cancelled. It goes on in the background."
            )
        raise
    thread.join()
    if errors:
        raise errors.pop()  # held by its own frames it would stay
    return answers.pop()


def _cancel_tasks(loops: "list[asyncio.AbstractEventLoop]") -> None:
    import asyncio

    def cancel(loop: "asyncio.AbstractEventLoop") -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    for loop in loops:
        with suppress(RuntimeError):  # it has ended just now
            loop.call_soon_threadsafe(cancel, loop)


# joblib's workers.


def own_loky() -> Any:
    """Return a joblib backend with worker processes of its own, which end with it.

    Those that joblib keeps for the reader's own `Parallel` are neither used nor ended.
    """
    from joblib import executor as memory
    from joblib.externals.loky import reusable_executor as kept
    from joblib.parallel import LokyBackend

    class OwnLoky(LokyBackend):
        def configure(self, *args: Any, **options: Any) -> int:
            # joblib keeps one pool for all: let it find none, and give it back.
            with kept._executor_lock:
                theirs = kept._executor, kept._executor_kwargs, memory._executor_args
                kept._executor = kept._executor_kwargs = memory._executor_args = None
                try:
                    return super().configure(*args, **options)
                finally:
                    kept._executor, kept._executor_kwargs, memory._executor_args = (
                        theirs
                    )

        def terminate(self) -> None:
            mine = self._workers
            super().terminate()
            if mine is not None:
                mine.terminate(kill_workers=True)

    # Also those that joblib starts anew when a task has failed begin like the others.
    return OwnLoky(initializer=begin_work)


def end_kept_loky() -> None:
    """End the workers that joblib keeps for its next call, if there are any."""
    from joblib.externals.loky import reusable_executor as kept

    if kept._executor is not None:
        kept._executor.shutdown(wait=True)


# What a kernel leaves behind.

_kept: list[Any] = []  # as long as this Python runs


@lru_cache(maxsize=1)
def scratch_folder() -> Path:
    """Return a folder for files that are gone when this Python is.

    In a notebook they are gone too when the kernel has been killed.
    """
    import tempfile

    made = tempfile.TemporaryDirectory(prefix="many_cores_", ignore_cleanup_errors=True)
    _kept.append(made)
    return Path(made.name)


def _watch_kernel() -> None:
    """Start what cleans up if this kernel is killed, or its group of processes."""
    import subprocess
    from multiprocessing.util import get_temp_dir

    # The second holds the sockets of forkserver.
    folders = [str(scratch_folder()), get_temp_dir()]
    watcher = [sys.executable, "-I", "-S", __file__, str(os.getpid()), *folders]
    _start_apart(watcher, stderr=subprocess.DEVNULL)
    if sys.platform != "win32":
        _start_tracker_apart()


def _start_tracker_apart() -> None:
    """Start multiprocessing's own cleaner, which else were in the kernel's group."""
    from multiprocessing import util as module

    util: Any = module
    before = util.spawnv_passfds
    util.spawnv_passfds = lambda path, args, fds: _start_apart(args, pass_fds=fds)
    try:
        resource_tracker.ensure_running()
    finally:
        util.spawnv_passfds = before


def _start_apart(command: Sequence[Any], **options: Any) -> int:
    """Start a command that no signal to this group reaches; return its process."""
    import subprocess

    nowhere: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.DEVNULL)
    started = subprocess.Popen(command, start_new_session=True, **nowhere, **options)
    _kept.append(started)
    return started.pid


def _clean_up_after(kernel: int, folders: list[str]) -> None:
    """Wait until a kernel has ended; end what it has started, and remove its files.

    All that it starts is in its group. Python's own cleaners leave the signal alone;
    they do their work when the others have gone.
    """
    import shutil

    _wait_for_end_of(kernel)
    if sys.platform != "win32":
        with suppress(ProcessLookupError):  # nobody is left, or it had no group
            os.killpg(kernel, signal.SIGTERM)
            time.sleep(0.5)  # they end, and write no more
    # joblib's cleaner may have been killed with its group.
    of_joblib = (f"sem.loky-{kernel}-*", f"joblib_memmapping_folder_{kernel}_*")
    shared = Path("/dev/shm")
    for path in [*map(Path, folders), *(p for n in of_joblib for p in shared.glob(n))]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def let_kernel_end() -> None:
    """Let the kernel that this runs in, if any, end at once and without complaints.

    If it is killed, its workers end too.

    A kernel ends its children first, and waits for them. Those that serve pools don't
    end before it does: they ignore its signal, or nobody takes note of their end. So it
    would be killed, before it has told them what they need not clean up, and they would
    complain of that.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel: Any = getattr(shell, "kernel", None)
    all_children = getattr(kernel, "_process_children", None)
    if all_children is None or "_process_children" in vars(kernel):
        return

    def children() -> list[Any]:
        servants = _servants()
        return [child for child in all_children() if child.pid not in servants]

    kernel._process_children = children
    _watch_kernel()


def _servants() -> set[int | None]:
    """Return the processes that fork workers, and clean up after them, to the end."""
    loaded: dict[str, Any] = dict(sys.modules)
    trackers = [resource_tracker]
    if of_loky := loaded.get("joblib.externals.loky.backend.resource_tracker"):
        trackers.append(of_loky)
    found = {tracker._resource_tracker._pid for tracker in trackers}
    if server := loaded.get("multiprocessing.forkserver"):
        found.add(server._forkserver._forkserver_pid)
    return found


if __name__ == "__main__":
    _clean_up_after(int(sys.argv[1]), sys.argv[2:])
