"""The applications that the servers run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BODY = b"Hello, world!\n"
HEAD = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]

FILE = os.environ.get("BENCHMARK_FILE", os.devnull)
"""What :func:`file` sends: so much."""
FILE_SIZE = 10 << 20

KIBIBYTE = bytes(1024)
PIECE = bytes(64 * 1024)

BURNT = 0.005
"""Seconds of CPU time that :func:`burn` takes: a hundred times what it costs to serve it."""


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The smallest complete answer."""
    start_response("200 OK", HEAD)
    return [BODY]


def upload(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Reads the body in pieces and says how long it was."""
    size = 0
    read = environ["wsgi.input"].read
    while piece := read(64 * 1024):
        size += len(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(size).encode()]


def file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A file of known length, handed over for the server to send."""
    opened = open(FILE, "rb")  # noqa: SIM115 - the server closes it
    size = os.fstat(opened.fileno()).st_size
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened, 64 * 1024)
    return wrapped


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """64 blocks of 1 KiB, each to be sent before the next is asked for."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(64):
        yield KIBIBYTE


def download(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """As many pieces as the query asks for."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(int(environ["QUERY_STRING"])):
        yield PIECE


def burn(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """hello, after work that outweighs by far what server and load generator do for it."""
    work()
    return hello(environ, start_response)


def work() -> None:
    end = time.thread_time() + BURNT
    while time.thread_time() < end:
        pass
