"""One connection, a large download and 63 small requests: does the large one stall the others?

    python -m benchmarks.fairness [GIGABYTES]

Prints how long small answers take, without the download and beside it, and the ratio of the two
99th percentiles. The connection is multiplexed FastCGI over a Unix socket, to a server with its
default settings; each small request is asked again as soon as it is answered.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from fcgikit.events import Role
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.pairs import encode_pairs
from fcgikit.protocols.fastcgi.records import RecordReader, encode_begin_request, encode_record

SMALL = range(2, 65)
"""Request ids of the small ones; 1 is the download."""

LARGE = 1
BLOCK = bytes(1 << 18)
ALONE = 60_000
"""Small requests that are measured without the download."""


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Hello, or as many bytes as the query says: generated, or from the file that it names."""
    size, _, file = environ["QUERY_STRING"].partition("&")
    if not size:
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]
    start_response("200 OK", [("Content-Length", size)])
    if file:
        opened = open(file, "rb")  # noqa: SIM115 - the wrapper closes it
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened)
        return wrapped
    return (BLOCK for _ in range(int(size) // len(BLOCK)))


def request(request_id: int, query: str = "") -> bytes:
    params = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/"), ("QUERY_STRING", query)]
    return b"".join(
        (
            encode_begin_request(request_id, Role.RESPONDER, True),
            encode_record(fcgi.FCGI_PARAMS, request_id, encode_pairs(params)),
            encode_record(fcgi.FCGI_PARAMS, request_id),
            encode_record(fcgi.FCGI_STDIN, request_id),
        )
    )


class Client:
    """The connection, and the time each small answer has taken, in seconds."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = RecordReader()

    def measure(self, count: int, download: str = "") -> tuple[list[float], int]:
        """Times of at least *count* small answers, and bytes of the download, which ends then."""
        times: list[float] = []
        began = {}
        received = 0
        pending = bytearray(request(LARGE, download) if download else b"")
        running = bool(download)
        for request_id in SMALL:
            pending += request(request_id)
            began[request_id] = time.perf_counter()
        selector = selectors.DefaultSelector()
        selector.register(self._socket, selectors.EVENT_READ)
        while began or running:
            if pending:
                self._socket.sendall(pending)
                pending.clear()
            for kind, request_id, content in self._reader.feed(self._socket.recv(1 << 18)):
                if request_id == LARGE:
                    received += len(content) if kind == fcgi.FCGI_STDOUT else 0
                    running = running and kind != fcgi.FCGI_END_REQUEST
                elif kind == fcgi.FCGI_END_REQUEST:
                    now = time.perf_counter()
                    times.append(now - began.pop(request_id))
                    if running or (not download and len(times) < count):
                        began[request_id] = now
                        pending += request(request_id)
        return times, received


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


def report(name: str, times: list[float]) -> float:
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    print(f"{name:28}{len(times):8} answers   p50 {p50 * 1e3:6.2f} ms   p99 {p99 * 1e3:6.2f} ms")
    return p99


def main() -> None:
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else "1") * (1 << 30))
    with tempfile.TemporaryDirectory(prefix="fk") as directory:
        path = f"{directory}/s"
        file = Path(directory, "file")
        with file.open("wb") as blocks:  # in memory, then: this is not about the disk
            blocks.writelines(BLOCK for _ in range(size // len(BLOCK)))
        command = [sys.executable, "-m", "fcgikit", "serve", "benchmarks.fairness:app"]
        command += ["--bind", f"unix:{path}", "--workers", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert server.stderr is not None
            while not re.search("listening on", server.stderr.readline()):
                pass
            client = Client(path)
            client.measure(ALONE // 10)
            alone = report("alone", client.measure(ALONE)[0])
            for name, query in (("generated", f"{size}"), ("file", f"{size}&{file}")):
                began = time.perf_counter()
                times, received = client.measure(0, query)
                assert received >= size
                rate = received / (time.perf_counter() - began) / 1e6
                beside = report(f"beside {name} {rate:.0f} MB/s", times)
                print(f"{'':28}p99 is {beside / alone:.1f} times that without the download")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    main()
