"""A web server on this machine, whose answers take as long as you say.

`start()` returns its address; `/?delay=0.2` answers after 0.2 seconds. It runs in a
process of its own, so that waiting for it is real waiting, and ends with the process
that started it.
"""

import asyncio
import logging
import signal
import subprocess
import sys
import threading

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from helpers.machine import connections

LONGEST_DELAY = 60.0
# Connections that it holds at once, where the system lets it; and as many more may wait
# until it takes them. What finds no place there is tried again a second later.
MOST = 4096

_running: subprocess.Popen[str] | None = None
_address = ""
_starting = threading.Lock()


def start() -> str:
    """Start the server unless it runs already; return its address.

    It listens on a free port of the loopback interface: no other machine sees it.

    Raises:
        RuntimeError: it could not be started; with what it said.
    """
    global _running, _address
    with _starting:
        if _running is None or _running.poll() is not None:
            stop()  # closes the pipes of one that has ended
            _running = subprocess.Popen(
                [sys.executable, "-m", "helpers.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert _running.stdout and _running.stderr
            _address = _running.stdout.readline().strip()
            if not _address:
                said = _running.stderr.read()
                raise RuntimeError(f"the server did not start: {said}")
        return _address


def stop() -> None:
    """End the server, if it runs."""
    global _running
    if _running is not None:
        _running.kill()
        _running.communicate()
        _running = None


class Delayed(RequestHandler):
    """Answers after as many seconds as the request's `delay` says."""

    async def get(self) -> None:
        try:
            delay = float(self.get_query_argument("delay", "0"))
        except ValueError:
            raise HTTPError(400, reason="delay must be a number of seconds") from None
        if not 0 <= delay <= LONGEST_DELAY:
            allowed = f"from 0 to {LONGEST_DELAY:g} seconds"
            raise HTTPError(400, reason=f"delay must be {allowed}")
        await asyncio.sleep(delay)
        self.set_header("Content-Type", "text/plain")
        self.finish(f"waited {delay:g} s")


async def _serve() -> None:
    # An interrupt goes to the kernel and all of its children: it isn't meant for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()  # nobody reads it, and a full pipe would stop the server
    connections(MOST)
    sockets = bind_sockets(0, "127.0.0.1", backlog=MOST)
    application = Application([("/", Delayed)], log_function=lambda _: None)
    HTTPServer(application).add_sockets(sockets)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
    # Standard input closes when the process that started us ends, however it ends.
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
