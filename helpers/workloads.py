"""Functions for workers to run, each with an answer that is known beforehand.

A worker process that starts fresh imports this file, so it imports nothing outside
the standard library, and each function only what it alone needs.
"""

import errno
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:  # workers need not load typing
    import asyncio
    from typing import Any

# One block of bytes for sha256_rounds: large enough that hashing lets go of the GIL
# (CPython does so above 2,047 bytes), small enough to stay in a core's cache.
BLOCK = bytes(64 * 1024)


def countdown(n: int) -> int:
    """Count from n down to 0 in pure Python, holding the GIL; return 0.

    >>> countdown(1000)
    0
    """
    while n > 0:
        n -= 1
    return n


def fibonacci(n: int) -> int:
    """Return the n-th Fibonacci number by the slow recursion (holds the GIL).

    >>> [fibonacci(n) for n in range(10)]
    [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    """
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def count_primes(n: int) -> int:
    """Return how many primes are below n, by trial division (holds the GIL).

    >>> count_primes(1000)
    168
    """
    return sum(
        all(candidate % divisor for divisor in range(2, math.isqrt(candidate) + 1))
        for candidate in range(2, n)
    )


def count_tokens(path: str | os.PathLike[str]) -> int:
    """Return how many tokens the Python file at path has (holds the GIL).

    >>> count_tokens(__file__) > 500
    True
    """
    import tokenize

    with tokenize.open(path) as file:
        return sum(1 for _ in tokenize.generate_tokens(file.readline))


def library_files(limit: int | None = None) -> list[str]:
    """Return the paths of the standard library's own modules, the largest first.

    Args:
        limit: how many at most; all if None.
    """
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_path("stdlib"))
    # Some systems leave links there that lead nowhere.
    found = [path for path in folder.glob("*.py") if path.is_file()]
    files = [path for path in found if path.stat().st_size]
    files.sort(key=lambda path: (-path.stat().st_size, path.name))
    return [str(path) for path in files[:limit]]


def rank(numbers: "Any", place: int) -> int:
    """Return how many numbers of a NumPy array are below the one at that place.

    >>> import numpy
    >>> rank(numpy.array([30, 10, 20]), 2)
    1
    """
    return int((numbers < numbers[place]).sum())


def sha256_rounds(rounds: int) -> str:
    """Hash the same 64 KiB block rounds times; return the digest (lets go of the GIL).

    >>> sha256_rounds(1)[:8]
    'de2f2560'
    """
    import hashlib

    digest = hashlib.sha256()
    for _ in range(rounds):
        digest.update(BLOCK)
    return digest.hexdigest()


class Multiply:
    """Multiplies a matrix by itself, in NumPy, whose BLAS has threads of its own.

    Each process makes a matrix when it gets this: so NumPy is there before the first
    call, and nothing large is sent.

    Args:
        size: how many rows and columns the matrix has.
        threads: how many threads BLAS may use; None: as many as it likes.

    >>> Multiply(10)(3)
    1.0
    """

    def __init__(self, size: int, threads: int | None = None) -> None:
        import numpy

        self.size, self.threads = size, threads
        self._matrix = numpy.full((size, size), 1 / size)

    def __reduce__(self) -> "tuple[type[Multiply], tuple[int, int | None]]":
        return Multiply, (self.size, self.threads)

    def __call__(self, times: int) -> float:
        """Multiply so many times; return the sum of a row of the product, 1."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(self.threads, "blas"):
            for _ in range(times):
                product = self._matrix @ self._matrix
        return round(float(product[0].sum()), 6)


def blas_threads(_: object = None) -> int:
    """Return how many threads NumPy's BLAS would use in this process.

    NumPy is loaded, if it is not yet. 0 where BLAS doesn't tell. Any input will do,
    so that the `map` of a pool can ask.
    """
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return max((each["num_threads"] for each in found), default=0)


def nap(seconds: float) -> float:
    """Sleep (lets go of the GIL, uses no core); return the seconds asked for.

    >>> nap(0.001)
    0.001
    """
    time.sleep(seconds)
    return seconds


def told(word: str) -> str:
    """Log a warning that says the word, and return it in capitals."""
    import logging

    logging.getLogger(__name__).warning("%s", word)
    return word.upper()


async def nap_async(seconds: float) -> float:
    """Sleep while others run in the same thread; return the seconds asked for."""
    import asyncio

    await asyncio.sleep(seconds)
    return seconds


def fetch(url: str) -> str:
    """Return the text at url: mostly waiting (lets go of the GIL).

    Raises:
        ConnectionError: no server answers there; the message says how to start ours.
        TimeoutError: it has not answered within 30 seconds.
        HTTPError (of urllib): it answers that it can't.
        OSError: there are too many open files already.
    """
    with _explained(url):
        return _download(url).decode()


async def fetch_async(url: str) -> str:
    """Return the text at url: meanwhile others run in the same thread.

    Raises:
        HTTPClientError (of tornado): the server answers that it can't.
        ConnectionError, TimeoutError, OSError: as `fetch`.
    """
    with _explained(url):
        return (await _download_async(url)).decode()


def _download(url: str) -> bytes:
    """Read what is there, whatever proxy the environment names: it is on this machine.

    Raises:
        OSError: as urllib does.
    """
    import http.client
    import urllib.request as web

    class Https(web.BaseHandler):
        # Loads certificates, which takes long, only where a site asks for it.
        def https_open(self, request: web.Request) -> object:
            return web.HTTPSHandler().https_open(request)

    straight = web.OpenerDirector()
    for handler in (
        web.HTTPHandler,
        Https,
        web.UnknownHandler,
        web.HTTPDefaultErrorHandler,
        web.HTTPRedirectHandler,
        web.HTTPErrorProcessor,
    ):
        straight.add_handler(handler())
    try:
        with straight.open(url, timeout=30) as answer:
            return answer.read()
    except http.client.HTTPException as error:  # it broke off
        raise ConnectionError(repr(error)) from None


async def _download_async(url: str) -> bytes:
    """Read what is there; if it is cancelled, nothing stays open.

    Raises:
        OSError, HTTPClientError: as tornado does.
    """
    import asyncio

    from tornado.httpclient import AsyncHTTPClient
    from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError

    # A client for each: one for all would let ten fetch at a time, unless told.
    client: Any = AsyncHTTPClient(force_instance=True, resolver=_resolver())
    connect, connecting, over = client.tcp_client.connect, list[asyncio.Task](), False

    async def noted(*args: "Any", **options: "Any") -> "Any":
        if over:
            raise asyncio.CancelledError
        connecting.append(asyncio.ensure_future(connect(*args, **options)))
        return await connecting[-1]

    client.tcp_client.connect = noted
    fetching = client.fetch(url, connect_timeout=30, request_timeout=30)
    try:
        return (await asyncio.shield(fetching)).body
    except HTTPStreamClosedError as error:
        raise ConnectionError(str(error)) from None
    except HTTPTimeoutError as error:
        raise TimeoutError(str(error)) from None
    finally:
        # The client itself would go on in the background, and closes no connection.
        over = True
        fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        await _closed(connecting)
        fetching.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _closed(connecting: "list[asyncio.Task]") -> None:
    """Close what has been connected, and give up what has not within a second.

    One that is given up in the step in which it comes would be lost, and stay open. A
    machine that stands still for a while takes up one or two of the short waits only.
    """
    import asyncio

    for _ in range(20):
        if unfinished := [each for each in connecting if not each.done()]:
            await asyncio.wait(unfinished, timeout=0.05)
    for each in connecting:
        if not each.cancel() and not each.cancelled() and not each.exception():
            each.result().close()


@lru_cache
def _resolver() -> "Any":
    """Return what reads an address of digits at once: others are found in threads."""
    import socket

    from tornado.netutil import DefaultLoopResolver, is_valid_ip

    class Digits(DefaultLoopResolver):
        async def resolve(self, host: str, port: int, *family: "Any") -> list:
            if is_valid_ip(host):
                return [
                    (found, address)
                    for found, *_, address in socket.getaddrinfo(
                        host, port, flags=socket.AI_NUMERICHOST
                    )[:1]
                ]
            return await super().resolve(host, port, *family)

    return Digits()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Say in one line what to do, where no answer comes."""
    try:
        yield
    except OSError as error:
        if hasattr(error, "code"):  # an answer, which says itself what is wrong
            raise
        reason = getattr(error, "reason", error)
        if getattr(reason, "errno", None) == errno.EMFILE:
            words = f"{os.strerror(errno.EMFILE)}: fetch fewer at once"
            raise OSError(errno.EMFILE, words) from None
        if isinstance(reason, TimeoutError):
            raise TimeoutError(f"no answer from {url} within 30 s") from None
        raise ConnectionError(
            f"no server answers at {url} ({reason}): "
            "run the cell with server.start() again, and use its new address"
        ) from None


def fetch_together(urls: Sequence[str]) -> list[str]:
    """Return the texts at urls, fetched at the same time by a thread for each.

    Raises:
        ConnectionError: as `fetch`.
    """
    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(fetch, urls))
