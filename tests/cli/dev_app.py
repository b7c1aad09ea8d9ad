"""What the tests of ``fcgikit dev`` serve."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

released = threading.Event()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/die":
        os._exit(7)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/wait":
        return wait()
    if path == "/release":
        released.set()
    if environ["REQUEST_METHOD"] == "POST":
        return iter(lambda: environ["wsgi.input"].read(65536), b"")
    return [f"{path} {environ['SCRIPT_NAME']} {os.getpid()}".encode()]


def wait() -> Iterator[bytes]:
    yield b"first"
    released.wait()
    yield b" second"
