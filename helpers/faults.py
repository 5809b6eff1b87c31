"""What goes wrong: eight short tasks in a bare pool, and one of them fails or dies.

The pool is that of a program of its own, which is watched from outside: so it may die,
hang, or be interrupted, and ends within a limit of time.
"""

import _thread
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple

from helpers.machine import facts, start_method, start_methods
from helpers.mishaps import STEP, STRUCK, TASKS, WORKERS, Meet, Task
from helpers.probe import Probe
from helpers.pythons import PythonFailed, end, started
from helpers.runs import Round, Run
from helpers.trace import Span
from helpers.travel import Map, name_of
from helpers.workers import begin_interpreter, scratch_folder

# Seconds: the limit that the pool itself has for the task that is late.
PATIENCE = 0.7
# Seconds without a word or a sign of life after which something is taken to hang; and
# after which it is ended, whatever it does.
LIMIT, LONGEST = 1.5, 20.0
# Seconds after which the caller is interrupted once more, if it has heard of nothing.
AGAIN = 1.0
# Seconds without a sign of life after which a task doesn't move any more.
SILENCE = 0.2
# Seconds that the end of a task may take that is ended: it doesn't run on then.
ENDING = 0.1
# Seconds that others have to clean up after workers that were ended.
CLEARING = 3.0
# Seconds that the workers have to start, on a machine that has much else to do.
START = 30.0
# Where pools look for a place for their files.
FOLDERS = ("TMPDIR", "TEMP", "TMP", "JOBLIB_TEMP_FOLDER")
# By name: what the task does, or what is done to it.
FAULTS = {
    "error": "raises an error",
    "odd error": "raises an error that can't be unpickled",
    "sys.exit": "calls sys.exit",
    "crash": "crashes",
    "kill": "is killed from outside",
    "interrupt": "is interrupted, with all others",
    "late": "gets stuck for long",
}
# By -c: with a file of it, workers that start fresh would import that file.
SERVE = "import sys; sys.path.insert(0, {!r}); import helpers.faults as f; f.serve(*{})"


def go_wrong(fault: str, pool: str, moment: int = 3, limit: float = LIMIT) -> Run:
    """Let one of eight tasks of 0.1 s go wrong in a pool of two workers.

    Several threads may call this at the same time.

    Args:
        fault: a name from FAULTS. "kill" is a signal from outside, as the system sends
            one for want of memory; "interrupt" is what Stop and Ctrl+C send to the
            program and its workers (on Windows: to the program), and to the program
            once more if it hasn't heard of it after a second. For "late" the pool
            gets a limit of 0.7 s of its own, as it offers one.
        pool: a name from POOLS, or "interpreters", which came with Python 3.14; a start
            method may follow: "processes spawn".
        moment: the number of the task that goes wrong, from 0.
        limit: seconds without a word or a sign of life after which it is taken to hang,
            and ended.

    Returns:
        A run with a span of each task that began, until its end or its last sign of
        life. Its wall time is that until the caller could go on, or it hung. What the
        caller has are its results. `made` has besides the usual, in plain data:

        "fault", "moment", "limit": as given.
        "fault at": seconds from the beginning; None: the task never came to it.
        "came": the name of the exception's type, "results", "nothing": it hung,
            or "death": the whole program died.
        "exception", "message": its full name, and the first line of what it says.
        "cause": the last line of what the exception gives as its cause, if it has one.
        "came after": seconds until the caller was told; None if nothing came.
        "out after": seconds until the pool let the caller go on; None: it did not.
        "results": how many of the eight the caller has.
        "unfinished": the tasks that began and did not come to their end: "3 4".
        "still ran": the tasks that ran on, or began, after the caller was told.
        "left": how many workers, as processes, were still there in the end.

    Raises:
        ValueError: there is no such fault, pool, task or limit; in one line.
        PythonFailed: the program could not begin; in one line.
    """
    kind, method = _checked(fault, pool, moment, limit)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        watched = Watched(Task(fault, moment, folder), kind, method)
        try:
            watched.watch(limit)
        finally:
            end(watched.process, CLEARING)
        run = _run_of(watched, pool, limit)
    methods = {"start method": method} if kind in PROCESSES else {}
    return replace(run, made=run.made | methods)


def every_call(
    function: Callable[[Any], Any], inputs: Iterable[Any], map_: Map, workers: int
) -> Run:
    """Run function over inputs, and note every call that came to its end.

    So its spans are those too whose results were lost, or that were made again.

    Args:
        function: takes one input.
        inputs: what it runs over.
        map_: of a pool or a cluster of yours: its workers must find this kit.
        workers: how many these are.
    """
    watched = Probe(function)
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        watched.begin(Path(folder, "calls"))
        began = perf_counter()
        results = list(map_(watched, inputs))
        wall = perf_counter() - began
        spans = tuple(call.span for call in watched.calls())
    name, label = name_of(function), name_of(map_).replace("_", " ")
    made = {"date": date.today().isoformat(), **facts()}
    run = Run(name, label, workers, 0.0, began, wall, spans, results=results, made=made)
    return replace(run, rounds=(Round(wall, run.cores_busy),))


def _checked(fault: str, pool: str, moment: int, limit: float) -> tuple[str, str]:
    """Return the kind of pool, and its start method, if all can be."""
    kind, _, method = pool.partition(" ")
    if fault not in FAULTS:
        raise ValueError(f"no fault {fault!r}: choose from {list(FAULTS)}")
    known = [*POOLS, *["interpreters"] * (sys.version_info >= (3, 14))]
    if kind not in known:
        raise ValueError(f"no pool {pool!r} here: choose from {known}")
    if method and kind not in PROCESSES:
        raise ValueError(f"a start method is for {' and '.join(PROCESSES)}")
    if method and method not in start_methods():
        raise ValueError(f"no start method {method!r} here: {start_methods()}")
    if moment not in range(TASKS):
        raise ValueError(f"moment is the number of a task: 0 to {TASKS - 1}")
    if not 0 < limit < math.inf:
        raise ValueError("limit is in seconds, and more than 0")
    return kind, method or start_method()


# What the program does.

# Makes a bare pool, as the caller would: with the start method that is usual there.
POOLS: dict[str, Callable[[int], Any]] = {
    "threads": ThreadPoolExecutor,
    "processes": ProcessPoolExecutor,
    "multiprocessing_pool": multiprocessing.Pool,
    "joblib": lambda workers: nullcontext(),  # it is started by each call
}
# Their processes start as `multiprocessing` is told to.
PROCESSES = ("processes", "multiprocessing_pool")


def _interpreters(workers: int) -> Any:
    """Return a pool of interpreters, which import from where this one does."""
    if sys.version_info >= (3, 14):
        from concurrent.futures import InterpreterPoolExecutor

        path = (sys.path,)
        return InterpreterPoolExecutor(
            workers, initializer=begin_interpreter, initargs=path
        )
    raise ValueError("interpreters came with Python 3.14")


def _map(pool: Any, function: Any, count: int, patience: float | None) -> Iterable[int]:
    """Do what the caller would write, with the pool's own limit if there is one."""
    if isinstance(pool, Executor):
        return pool.map(function, range(count), timeout=patience)
    if pool is not None:  # what its `map` does, which takes no limit
        return pool.map_async(function, range(count)).get(patience)
    from joblib import Parallel, delayed

    jobs = [delayed(function)(number) for number in range(count)]
    return Parallel(WORKERS, timeout=patience)(jobs)


def serve(task: Sequence[Any], pool: str, method: str) -> None:
    """Be the program in which it goes wrong: say what comes, and wait to be ended."""
    threading.Thread(target=_listen, args=[task[-1]], daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.set_start_method(method)
    # What is left behind is left in the folder, which goes.
    os.environ.update(dict.fromkeys(FOLDERS, task[-1]))
    begun = perf_counter()
    make = POOLS.get(pool, _interpreters)
    try:
        with make(WORKERS) as workers:
            list(_map(workers, Meet(task[-1]), WORKERS, None))
            _say("began", os.getpid(), perf_counter() - begun)
            _ask(workers, Task(*task))
    except BaseException as error:
        _say("failed", f"{_name_of(error)}: {error}")
    _say("out")
    while True:
        sleep(START)


def _ask(workers: Any, task: Task) -> None:
    """Ask a pool for the results; say what comes, and let errors through."""
    patience, results = PATIENCE if task.fault == "late" else None, list[int]()
    try:
        for result in _map(workers, task, TASKS, patience):
            results.append(result)
    except BaseException as error:
        name, why = _name_of(error), str(error.__cause__ or "")
        _say("came", results, type(error).__name__, name, str(error), why)
        raise
    _say("came", results, "results", None, "", "")


def _listen(folder: str) -> None:
    """Let interrupts in where there is no signal for them; end with who started it."""
    while os.read(0, 1):
        _thread.interrupt_main()
    for _ in range(9):  # tasks may begin meanwhile
        shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGTERM)
    os._exit(1)


def _say(word: str, *facts: object) -> None:
    print(json.dumps([word, perf_counter(), *facts]), flush=True)


def _name_of(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


# What is seen from outside.


class Notes(NamedTuple):
    """What a task has noted: who did it, and when it did what."""

    span: Span
    done: bool
    fault: float | None


class Watched:
    """The program in which something goes wrong, as it is seen from outside.

    Args:
        task: what its workers do.
        pool: which workers; and how processes are started.

    Attributes:
        process: the program.
        said: what it has said, by its first word: when, and facts.
        struck: when something was done to it; 0 if nothing was yet.
        died: whether it ended by itself.
        left: how many of its workers were still there in the end.
    """

    def __init__(self, task: Task, pool: str, method: str) -> None:
        self.task, self.said = task, dict[str, list[Any]]()
        self.struck, self.died, self.left = 0.0, False, 0
        root = str(Path(__file__).parent.parent)
        code = SERVE.format(root, (tuple(task), pool, method))
        try:
            self.process = started([sys.executable, "-c", code], subprocess.DEVNULL)
        except OSError as error:
            raise PythonFailed(f"no program could be started: {error}") from None
        self._hearer = threading.Thread(target=self._hear, daemon=True)
        self._hearer.start()

    def _hear(self) -> None:
        with suppress(ValueError, OSError):  # it was ended
            for line in self.process.stdout or ():
                word, *known = json.loads(line)
                self.said[word] = known

    def watch(self, limit: float) -> None:
        """Wait until its caller is out, or until nothing moves; strike if need be.

        Raises:
            PythonFailed: it did not even begin; in one line.
        """
        patient = perf_counter() + START
        while not {"began", "out"} & set(self.said):
            if perf_counter() > patient or self._has_died():
                break
            sleep(STEP)
        if "began" not in self.said:
            _, why = self.said.get("failed", [0.0, "nothing was heard of them"])
            raise PythonFailed(f"the workers did not start: {why}"[:300])
        while not self._is_over(limit):
            self._strike()
            sleep(STEP)
        self.died = self._has_died()
        if not self.died:
            _, process, _ = self.said["began"]  # that of a launcher is another one
            self.left = _workers_left(process)

    def _has_died(self) -> bool:
        """Return whether it has ended; then all that it has said was heard."""
        if self.process.poll() is None:
            return False
        self._hearer.join(CLEARING)
        return True

    def _is_over(self, limit: float) -> bool:
        """Return whether nothing more will come: a busy machine only takes longer."""
        if self._has_died():
            return True
        now, notes = perf_counter(), self.notes()
        if now > self.said["began"][0] + max(LONGEST, 2 * limit):
            return True
        if "out" in self.said:
            unfinished = [each.span.end for each in notes if not each.done]
            return now - max(unfinished, default=0.0) > SILENCE
        return now - self.last_sign(notes) > limit

    def last_sign(self, notes: Sequence[Notes]) -> float:
        """Return when it last said something, or one of its tasks noted something."""
        heard = [said[0] for said in list(self.said.values())]
        return max([*heard, *(each.span.end for each in notes)])

    def _strike(self) -> None:
        """Do from outside what the fault is, once its task is in the middle."""
        if self.task.fault not in ("kill", "interrupt"):
            return
        if self.struck:
            self._interrupt_again()
            return
        for notes in self.notes():
            if notes.fault is not None:
                self.struck = perf_counter()
                with suppress(OSError):
                    self._interrupt_or_kill(notes.span.pid)
                Path(self.task.folder, STRUCK).touch()

    def _interrupt_again(self) -> None:
        """Press Stop once more where nothing came, as one does who waits for it.

        Linux may hand a signal to any thread of the caller. If it isn't the one that
        waits, that one does not wake up: with multiprocessing's pool, which has three
        more, once in some hundred times.
        """
        waited = perf_counter() - self.struck
        told = self.task.fault == "kill" or "came" in self.said
        if not told and waited > AGAIN and sys.platform != "win32":
            self.struck = perf_counter()
            with suppress(OSError):
                os.kill(self.process.pid, signal.SIGINT)

    def _interrupt_or_kill(self, worker: int) -> None:
        if self.task.fault == "kill":
            os.kill(worker, getattr(signal, "SIGKILL", signal.SIGTERM))
        elif sys.platform != "win32":
            os.killpg(self.process.pid, signal.SIGINT)
        else:  # it interrupts itself
            print("!", end="", file=self.process.stdin, flush=True)

    def notes(self) -> list[Notes]:
        """Return what each task that began has noted so far."""
        return list(_notes_in(self.task.folder))


def _notes_in(folder: str) -> Iterator[Notes]:
    for number in range(TASKS):
        with suppress(OSError):
            text = Path(folder, str(number)).read_text()
            lines = [line.split() for line in text.splitlines(True) if "\n" in line]
            if lines:
                yield _notes_of(number, lines)


def _notes_of(number: int, lines: list[list[str]]) -> Notes:
    """Return what a task has noted, from its lines: a word, a time, and facts."""
    (_, start, pid, thread), (last, time, *cpu) = lines[0], lines[-1]
    faults = [float(line[1]) for line in lines if line[0] == "fault"]
    done = last == "done"
    times = float(start), float(time), float(cpu[0]) if done else 0.0
    span = Span(number, int(pid), int(thread), *times)
    return Notes(span, done, faults[0] if faults else None)


def _workers_left(pid: int) -> int:
    """Return how many worker processes the program has: not what only serves it."""
    import psutil

    found: list[psutil.Process] = []
    children = []
    with suppress(psutil.Error):
        children = psutil.Process(pid).children()
    for child in children:
        with suppress(psutil.Error):  # it has just ended
            command = " ".join(child.cmdline())
            if "multiprocessing.forkserver" in command:
                found += child.children()
            elif "resource_tracker" not in command:
                found.append(child)
    left = 0
    for process in found:
        with suppress(psutil.Error):
            left += process.status() != psutil.STATUS_ZOMBIE
    return left


def _run_of(watched: Watched, pool: str, limit: float) -> Run:
    """Return what was seen as a run."""
    began, _, startup = watched.said["began"]
    spans = tuple(each.span for each in watched.notes())
    over = max([began + STEP, *(span.end for span in spans)])
    if not watched.died:
        hung = watched.last_sign(watched.notes()) + limit
        over = watched.said.get("out", [hung])[0]
    wall = over - began
    return Run(
        *("nap", pool, WORKERS, startup, began, wall, spans),
        rounds=(Round(wall, sum(span.cpu for span in spans) / wall),),
        ready=WORKERS,
        results=watched.said.get("came", [None, []])[1],
        made={"date": date.today().isoformat(), **facts(), **_seen(watched, limit)},
    )


def _seen(watched: Watched, limit: float) -> dict[str, Any]:
    """Return what a run notes of what went wrong."""
    task, said, notes = watched.task, watched.said, watched.notes()
    silent = "death" if watched.died else "nothing"
    nothing: list[Any] = [None, [], silent, None, "", ""]
    told, results, came, name, message, why = said.get("came", nothing)
    began, faults = said["began"][0], [each.fault for each in notes if each.fault]
    return {
        "fault": task.fault,
        "moment": task.moment,
        "limit": limit,
        "fault at": faults[0] - began if faults else None,
        "came": came,
        "exception": name,
        "message": message.partition("\n")[0],
        "cause": _last_line(why),
        "came after": told and told - began,
        "out after": said["out"][0] - began if "out" in said else None,
        "results": len(results),
        "unfinished": _words(each.span.task for each in notes if not each.done),
        "still ran": _words(
            each.span.task
            for each in notes
            if told and each.span.end > told + (2 * STEP if each.done else ENDING)
        ),
        "left": watched.left,
    }


def _last_line(cause: str) -> str:
    """Return the last line of what a pool quotes of a worker, without the quotes."""
    said = cause.replace('"""', "").replace("'''", "").strip()
    return said.rpartition("\n")[2]


def _words(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))
