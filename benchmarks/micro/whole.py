"""Whole requests through a worker's loop, from bytes on a socket to bytes on a socket.

The loop's poller is the client: each time the loop waits, it takes the last answer and sends the
next request. So all happens on one thread, in the same order each time.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.apps import hello
from benchmarks.fastcgi_load import PARAMS
from fcgikit.config import Config
from fcgikit.events import Body, EndOfBody, Request, Role, Side
from fcgikit.gateways.wsgi import WSGIGateway
from fcgikit.protocols import PROTOCOLS
from fcgikit.server import loop
from fcgikit.server.memory import keep_freed_memory
from fcgikit.server.poller import EpollPoller, Report
from fcgikit.server.sockets import open_listener

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_MOST = 1 << 18  # bytes of an answer
_NGINX_RECORD = 32 * 1024  # of a body that nginx has buffered


class Client(EpollPoller):
    """Sends *data* so many times to the socket at *path*, over one connection if *kept*."""

    def __init__(self, path: str, data: bytes, kept: bool) -> None:
        super().__init__()
        self._poll, self.wait = self.wait, self._wait
        self._path = path
        self._data = data
        self._kept = kept
        self._socket: socket.socket | None = None
        self.left = 0
        self.stop: Callable[[], None]

    def _wait(self, timeout: float | None, most: int) -> list[Report]:
        client = self._socket
        if client is not None:
            assert b"200 OK" in client.recv(_MOST)
            if not (self._kept and self.left):
                client.close()
                client = None
        if self.left:
            self.left -= 1
            if client is None:
                client = socket.socket(socket.AF_UNIX)
                client.connect(self._path)
            client.send(self._data)
        else:
            self.stop()
        self._socket = client
        return self._poll(timeout, most)


def whole(
    protocol: str,
    *,
    kept: bool = False,
    threads: int = 1,
    app: WSGIApplication = hello,
    body: bytes = b"",
) -> Callable[[int], int]:
    """A function that has a worker answer so many requests, and says how many it has.

    *body* and what *app* answers to it must fit into a socket's buffers: nobody waits for us.
    """
    params = {**PARAMS, "CONTENT_LENGTH": str(len(body))}
    chapter = PROTOCOLS[protocol](Side.WEB, Config())
    data = b"".join(chapter.send(Request(1, params, keep_conn=kept, complete=not body)))
    for start in range(0, len(body), _NGINX_RECORD):
        data += b"".join(chapter.send(Body(1, body[start : start + _NGINX_RECORD])))
    if body:
        data += b"".join(chapter.send(EndOfBody(1)))

    def run(requests: int) -> int:
        keep_freed_memory()  # as a worker does
        config = Config(threads=threads, protocol=protocol)
        directory = tempfile.mkdtemp(prefix="fk")
        path = f"{directory}/s"
        listener = open_listener(f"unix:{path}", config)
        client = Client(path, data, kept)
        client.left = requests
        gateway = WSGIGateway(app, config, multithread=threads > 1, multiprocess=False)
        serving = loop.Loop({Role.RESPONDER: gateway}, [listener], config, client)
        client.stop = serving.stop
        serving.run()
        serving.close()
        shutil.rmtree(directory)
        return serving.requests

    return run
