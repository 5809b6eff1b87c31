"""Measure in another Python, which can be stopped.

A thread that computes can't be stopped from outside, and would share the GIL with the
kernel that draws the widgets. So a second Python measures, and sends each run as soon
as it is made. Stopping ends that Python with all its workers, whatever they do. It may
be another one than this: it needs its path only, and nothing installed. What goes there
and comes back is JSON.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from helpers.jobs import Job, runs_of
from helpers.runs import Run, as_data, from_data

# A process that measures, and that nobody has asked anything for so long, ends.
PATIENCE = 60.0
# What such a process ends with, so that it is told from one that can't measure.
GAVE_UP = 75
# Seconds that processes have to end by themselves before they are ended by force.
GRACE = 0.4
# By -c: with a file of it, workers that start fresh would import that file.
SERVE = "import sys; sys.path.insert(0, {!r}); import helpers.elsewhere as e; e.serve()"


class Elsewhere:
    """Another Python that measures for this one; started when it is first needed.

    Args:
        heard: called from another thread with the number of a job and, as it comes,
            each of its runs; then with None when the job is done, or with a line that
            says what failed. Of a job that was stopped or replaced one more run may
            come: its number tells.
        python: the path of the Python that measures.
    """

    def __init__(
        self,
        heard: Callable[[int, Run | str | None], None],
        python: str = sys.executable,
    ) -> None:
        self._heard, self._python = heard, python
        self._process: subprocess.Popen[str] | None = None
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
        process = self._process
        if process is None or process.poll() is not None:
            # What it complains of goes to a file: nobody has to read while it writes.
            said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
            process = self._process = _started(self._python, said)
            listening = threading.Thread(
                target=self._listen, args=[process, said], daemon=True
            )
            listening.start()
        with suppress(OSError):  # if it is just ending, the listener sees to that
            print(json.dumps([self._number, self._job]), file=process.stdin, flush=True)

    def _listen(self, process: subprocess.Popen[str], said: IO[str]) -> None:
        ended = 0  # the last job that was heard to its end
        for number, answer in _answers_of(process, said):
            if not isinstance(answer, Run):
                ended = number
            if number == self._number:
                self._heard(number, answer)
        gave_up_waiting = process.wait() == GAVE_UP
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
        self._heard(number, _last_words(said))


def _started(python: str, said: IO[str]) -> subprocess.Popen[str]:
    """Start the process that measures, where an interrupt of the kernel misses it."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    bare = [] if python == sys.executable else ["-I", "-S"]
    return subprocess.Popen(
        [python, *bare, "-c", SERVE.format(str(Path(__file__).parent.parent))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        encoding="utf-8",
        **apart,
    )


def _answers_of(
    process: subprocess.Popen[str], said: IO[str]
) -> Iterator[tuple[int, Run | str | None]]:
    """Yield (number of the job, answer) as the process sends them, until it ends."""
    for line in process.stdout or ():
        try:
            number, answer = json.loads(line)
            found = from_data(answer) if isinstance(answer, dict) else answer
        except (ValueError, TypeError):
            _end(process)
            print("what it said is no run", file=said)
            return
        yield number, found


def _last_words(said: IO[str]) -> str:
    """Return why the process has died, as far as it has said so."""
    said.seek(0)
    lines = [line.strip() for line in said if line.strip()]
    died = "the process that measures has died"
    return f"{died}: {lines[-1]}" if lines else died


def _end(process: subprocess.Popen[str]) -> None:
    """End process and all that it has started, those that pools start just now too."""
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        family = []
    if sys.platform == "win32":
        process.terminate()
        for member in family:
            with suppress(psutil.Error):
                member.terminate()
    else:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    # Those that clean up after pools don't listen: they end when the others have gone.
    _, left = psutil.wait_procs(family, GRACE)
    for member in left:
        with suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(left, 0.1)  # it takes a moment
    process.kill()
    process.wait()
    with suppress(OSError):  # what it has not read is lost
        if process.stdin:
            process.stdin.close()


# What the other Python does.


def serve() -> None:
    """Measure what standard input asks for; end when it closes or stays silent."""
    # Workers inherit the standard streams: these two are ours alone.
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    asked: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[questions, asked], daemon=True).start()
    while True:
        try:
            number, job = asked.get(timeout=PATIENCE)
        except queue.Empty:
            sys.exit(GAVE_UP)
        while asked.qsize():  # only the last of several counts
            number, job = asked.get()
        for answer in _answers(job, asked):
            print(json.dumps([number, answer]), file=answers, flush=True)


def _read(questions: IO[str], asked: "queue.SimpleQueue[tuple[int, Job]]") -> None:
    with suppress(ValueError, OSError):
        for line in questions:
            number, job = json.loads(line)
            asked.put((number, Job(*job)))
    # Whoever asked is gone. The workers end too: each watches for that.
    os._exit(0)


def _answers(
    job: Job, asked: "queue.SimpleQueue[tuple[int, Job]]"
) -> Iterator[dict[str, Any] | str | None]:
    """Yield the runs of job as data, until it is done or another is asked for."""
    try:
        for run in runs_of(job):
            yield as_data(run)
            if asked.qsize():
                return
        yield None
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
