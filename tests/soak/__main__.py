"""A worker behind nginx under mixed load for a while: failures, memory, open descriptors.

``make soak`` runs it for three minutes, ``make soak SOAK_SECONDS=3600`` for an hour. The exit
status is 1 if anything failed that should not have.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPException

from tests.e2e import wire
from tests.e2e.apps import pattern
from tests.e2e.client import Client
from tests.e2e.nginx import Front, Nginx
from tests.e2e.process import PATIENCE
from tests.e2e.worker import Worker

MEGABYTE = 1 << 20
FRONTS = [
    Front("fastcgi-keepalive.conf", "unix"),
    Front("fastcgi-streaming.conf", "unix"),
    Front("fastcgi-tcp.conf", "tcp"),
    Front("scgi.conf", "unix"),
    Front("uwsgi.conf", "tcp"),
]


def hello(client: Client) -> None:
    number = str(random.random())
    answer = client.request("GET", f"/hello?n={number}")
    assert json.loads(answer.body)["QUERY_STRING"] == f"n={number}"


def upload(client: Client) -> None:
    body = random.randbytes(random.choice([0, 1, 10_000, 300_000, 3 * MEGABYTE]))
    answer = json.loads(client.request("POST", "/digest", body).body)
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()


def chunked_upload(client: Client) -> None:
    pieces = [random.randbytes(random.randrange(1, 100_000)) for _ in range(5)]
    answer = json.loads(client.request("POST", "/digest", iter(pieces)).body)
    assert answer["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()


def download(client: Client) -> None:
    size = random.choice([1, 100_000, 5 * MEGABYTE])
    answer = client.request("GET", f"/big?size={size}&length=1")
    assert answer.body == b"".join(pattern(size))


def early(client: Client) -> None:
    assert client.request("POST", "/early", bytes(200_000)).status == 403
    client.close()  # so does nginx, when it streams uploads and has not forwarded all of one


def failing(client: Client) -> None:
    assert client.request("GET", "/boom").status == 500


def aborted(client: Client) -> None:
    """Leave in the middle of a download or of an upload."""
    with socket.create_connection(_address(client), timeout=PATIENCE) as connection:
        if random.random() < 0.5:
            connection.sendall(b"GET /big?size=20000000 HTTP/1.0\r\n\r\n")
            connection.recv(10_000)
        else:
            connection.sendall(b"POST /digest HTTP/1.0\r\nContent-Length: 900000\r\n\r\n")
            connection.sendall(bytes(300_000))
        if random.random() < 0.5:
            reset = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)


def slow(client: Client) -> None:
    """Take a download in small pieces, with pauses."""
    client.connection.request("GET", "/big?size=400000")
    response = client.connection.getresponse()
    size = 0
    while piece := response.read(20_000):
        size += len(piece)
        time.sleep(0.02)
    assert size == 400_000


Kind = Callable[[Client], None]
KINDS: list[Kind] = [
    *[hello] * 8, upload, chunked_upload, download, early, failing, aborted, slow,
]  # fmt: skip


def _address(client: Client) -> tuple[str, int]:
    return client.connection.host, client.connection.port


def broken_peer(worker: Worker) -> None:
    """Straight to the worker: a request that ends anywhere, or goes wrong."""
    data = bytearray(wire.request("/digest", body=random.randbytes(3000), keep=True))
    if random.random() < 0.5:
        data[random.randrange(len(data))] = random.randrange(256)
    with worker.connect(random.choice(["unix", "tcp"])) as connection:
        connection.sendall(data[: random.randrange(len(data) + 1)])
        if random.random() < 0.5:
            connection.shutdown(socket.SHUT_WR)
            wire.read_all(connection)


class Load:
    """Clients at work until the time is over, counting what they did and what failed."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self.done: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end

    def _count(self, name: str, error: BaseException | None) -> None:
        with self._lock:
            self.done[name] += 1
            if error is not None:
                self.failures.append(f"{name}: {type(error).__name__}: {error}")

    def use(self, nginx: Nginx, front: Front) -> None:
        """One client of nginx."""
        client = Client(nginx.address)
        kind: Kind = hello
        while not self.over:
            before, kind = kind, random.choice(KINDS)
            try:
                kind(client)
            except (AssertionError, OSError, HTTPException, ValueError, KeyError) as error:
                self._count(f"{kind.__name__} after {before.__name__} at {front}", error)
                client.close()
            else:
                self._count(kind.__name__, None)
        client.close()

    def break_in(self, worker: Worker) -> None:
        """One peer that only ever does wrong, a few times a second."""
        while not self.over:
            try:
                broken_peer(worker)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before the end
            except OSError as error:
                self._count("broken_peer", error)
                continue
            self._count("broken_peer", None)
            time.sleep(0.05)


def memory(pid: int) -> int:
    """Resident memory of a process, in KiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def measure(worker: Worker) -> tuple[int, int]:
    """Memory in KiB and open descriptors, once the worker has closed what it is going to close."""
    time.sleep(5)  # linger_timeout, header_timeout, and the look at them after that
    return memory(worker.pid), descriptors(worker.pid)


def run(seconds: float, clients: int) -> int:
    with Worker("--header-timeout", "2", "--keepalive-timeout", "65", threads=8) as worker:
        for turn, name in ((min(seconds / 6, 20), "warm-up"), (seconds, "soak")):
            load = Load(turn)
            fronts = [Nginx(front, worker.address(front.transport)) for front in FRONTS]
            try:
                threads = [threading.Thread(target=load.break_in, args=[worker])]
                pairs = list(zip(fronts, FRONTS, strict=True))
                threads += [
                    threading.Thread(target=load.use, args=pairs[number % len(pairs)])
                    for number in range(clients)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            finally:
                for nginx in fronts:
                    nginx.__exit__(None, None, None)
            if name == "warm-up":
                first = measure(worker)
        last = measure(worker)
        status = worker.stop()
        critical = [line for line in worker.log().splitlines() if "CRITICAL" in line]
    for name, count in sorted(load.done.items()):
        print(f"{name:>16} {count:8}")
    print(f"{'failures':>16} {len(load.failures):8}", *load.failures[:10], *critical, sep="\n  ")
    print(f"memory      {first[0]} -> {last[0]} KiB")
    print(f"descriptors {first[1]} -> {last[1]}")
    print(f"exit status {status}")
    failed = load.failures or critical or status or last[1] > first[1]
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--clients", type=int, default=10)
    arguments = parser.parse_args()
    sys.exit(run(arguments.seconds, arguments.clients))
