"""Measure in a process of its own, in the background, where it can be stopped.

A thread that computes can't be stopped from outside, and would share the GIL with the
kernel that draws the widgets. So a second Python measures, and sends each run as soon
as it is made. Stopping ends that Python with all its workers, whatever they do.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO, NamedTuple

import psutil

from helpers import server, workloads
from helpers.measure import Run, calibrate, run
from helpers.trace import watched_countdown

# A process that measures, and that nobody has asked anything for so long, ends.
PATIENCE = 60.0
# Seconds that processes have to end by themselves before they are ended by force.
GRACE = 0.5


class Job(NamedTuple):
    """What to measure.

    Attributes:
        workload: a name from WORKLOADS.
        tasks: how many.
        seconds: how long one takes, about, where that can be set.
        ways: (strategy, workers) of each way; they run by turns.
        rounds: how often each way runs.
        interval: the switch interval in seconds; None for Python's own.
    """

    workload: str
    tasks: int
    seconds: float
    ways: tuple[tuple[str, int], ...]
    rounds: int = 3
    interval: float | None = None


def _calibrated(function: Callable[[int], Any], job: Job) -> list[int]:
    return [calibrate(function, job.seconds)] * job.tasks


def _urls(function: Callable[[str], Any], job: Job) -> list[str]:
    return [f"{server.start()}?delay={job.seconds}"] * job.tasks


def _naps(function: Callable[[float], Any], job: Job) -> list[float]:
    return [job.seconds] * job.tasks


def _files(function: Callable[[str], Any], job: Job) -> list[str]:
    return workloads.library_files(job.tasks)


# By name: the function, and what finds the inputs for a job.
WORKLOADS: dict[str, tuple[Callable[[Any], Any], Callable[..., list[Any]]]] = {
    "count": (workloads.countdown, _calibrated),
    "count and watch": (watched_countdown, _calibrated),
    "hash": (workloads.sha256_rounds, _calibrated),
    "sleep": (workloads.nap, _naps),
    "fetch": (workloads.fetch, _urls),
    "tokenize files": (workloads.count_tokens, _files),
}


class Background:
    """A process that measures for this one; started when it is first needed.

    Args:
        heard: called from another thread with the number of a job and, as it comes,
            each of its runs; then with None when the job is done, or with a line that
            says what failed. Of a job that was stopped or replaced one more run may
            come: its number tells.
    """

    def __init__(self, heard: Callable[[int, Run | str | None], None]) -> None:
        self._heard = heard
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._job: Job | None = None
        self._lock = threading.Lock()

    def ask(self, job: Job) -> int:
        """Measure job, in place of the one under way if any; return its number.

        Raises:
            OSError: no process could be started.
        """
        with self._lock:
            self._number, self._job = self._number + 1, job
            try:
                self._send()
            except OSError:  # it was just ending, for want of something to do
                self._process = None
                self._send()
            return self._number

    def stop(self) -> None:
        """End what is measured, and every process that takes part, within a second."""
        with self._lock:
            self._number += 1
            process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _send(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = _started()
            threading.Thread(
                target=self._listen, args=[self._process], daemon=True
            ).start()
        pickle.dump((self._number, self._job), self._process.stdin)
        self._process.stdin.flush()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        ended = 0  # the last job that was heard to its end
        while True:
            try:
                number, answer = pickle.load(process.stdout)
            except (EOFError, pickle.UnpicklingError):
                break
            if not isinstance(answer, Run):
                ended = number
            if number == self._number:
                self._heard(number, answer)
        gave_up_waiting = process.wait() == 0
        with self._lock:
            if process is not self._process:  # it was stopped
                return
            self._process, number = None, self._number
            if ended == number:
                return
            if gave_up_waiting:  # just as it was asked for this
                with suppress(OSError):
                    self._send()
                    return
        self._heard(number, "the process that measures has died")


def _started() -> subprocess.Popen[bytes]:
    """Start the process that measures, where an interrupt of the kernel misses it."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    # By -c: with a file of it, workers that start fresh would import that file.
    return subprocess.Popen(
        [sys.executable, "-c", "from helpers.background import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **apart,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End process and all that it has started, those that pools start just now too."""
    family = _family(process.pid)
    if sys.platform == "win32":
        for member in family:
            with suppress(psutil.Error):
                member.terminate()
    else:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
    # Those that clean up after pools don't listen: they end when the others have gone.
    deadline = time.monotonic() + GRACE
    while (left := list(filter(_runs, family))) and time.monotonic() < deadline:
        time.sleep(0.005)
    for member in left:
        with suppress(psutil.Error):
            member.kill()
    process.wait()
    process.stdin.close()


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def serve() -> None:
    """Measure what standard input asks for; end when it closes or stays silent."""
    # Workers inherit the standard streams: these two are ours alone.
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    asked: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[questions, asked], daemon=True).start()
    while True:
        try:
            number, job = asked.get(timeout=PATIENCE)
        except queue.Empty:
            return
        while asked.qsize():  # only the last of several counts
            number, job = asked.get()
        for answer in _answers(job, asked):
            pickle.dump((number, answer), answers)
            answers.flush()


def _read(questions: BinaryIO, asked: "queue.SimpleQueue[tuple[int, Job]]") -> None:
    with suppress(EOFError, OSError):
        while True:
            asked.put(pickle.load(questions))
    # Whoever asked is gone. The workers end too: each watches for that.
    os._exit(0)


def _answers(
    job: Job, asked: "queue.SimpleQueue[tuple[int, Job]]"
) -> Iterator[Run | str | None]:
    """Yield the runs of job, until it is done or another is asked for."""
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(job.interval or before)
        function, inputs_for = WORKLOADS[job.workload]
        inputs = inputs_for(function, job)
        for _ in range(job.rounds):
            for strategy, workers in job.ways:
                if asked.qsize():
                    return
                yield replace(run(function, inputs, strategy, workers), results=[])
        yield None
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
    finally:
        sys.setswitchinterval(before)
