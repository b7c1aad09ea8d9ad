"""Load on an HTTP server: ``wrk`` where it is installed, else a small client of our own."""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from typing import NamedTuple

CLIENTS = 16


class Load(NamedTuple):
    """What came of it: answers in total and how many of them were not the right ones."""

    requests: int
    failures: int


def tool_name() -> str:
    return "wrk" if shutil.which("wrk") else "built-in client (install wrk for a faster one)"


def run(address: tuple[str, int], seconds: float) -> Load:
    """Keep the server busy over kept client connections, from another process."""
    host, port = address
    wrk = shutil.which("wrk")
    if wrk is None:
        argv = [sys.executable, "-m", "benchmarks.load", host, str(port), str(seconds)]
        told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        requests, failures = map(int, told.split())
        return Load(requests, failures)
    # wrk knows whole seconds only.
    length = f"{max(1, round(seconds))}s"
    argv = [wrk, "-t1", f"-c{CLIENTS}", "-d", length, f"http://{host}:{port}/"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in", told)
    assert found is not None, told
    failures = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", told))
    for errors in re.findall(r"Socket errors: (.*)", told):
        failures += sum(int(n) for n in re.findall(r"\d+", errors))
    return Load(int(found[1]), failures)


def generate(address: tuple[str, int], seconds: float) -> Load:
    """Our own client: one thread, one request in flight on each of its connections.

    Takes every answer to be as long as the first.
    """
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connections = [socket.create_connection(address) for _ in range(CLIENTS)]
    connections[0].sendall(request)
    size = len(connections[0].recv(65536))
    requests = failures = 0
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for key, _ in selector.select():
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                answer = ready.recv(65536)
                requests += 1
                failures += not answer.startswith(b"HTTP/1.1 200 ") or len(answer) != size
                ready.sendall(request)
    for connection in connections:
        connection.close()
    return Load(requests, failures)


if __name__ == "__main__":
    _, host, port, seconds = sys.argv
    print(*generate((host, int(port)), float(seconds)))
