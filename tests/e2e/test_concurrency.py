"""Many at a time: clients, kept connections, requests on one connection."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import resource
import socket
from collections import defaultdict

from fcgikit.config import Config
from fcgikit.events import EndOfResponse, Event, Request, Response, ResponseBody, Side
from fcgikit.protocols.fastcgi import FastCGIConnection
from tests.e2e import wire
from tests.e2e.apps import pattern
from tests.e2e.client import Client, fetch
from tests.e2e.gate import Gate
from tests.e2e.nginx import Front, Nginx
from tests.e2e.worker import Worker

CLIENTS = 100
MEGABYTE = 1 << 20


def test_a_hundred_kept_clients_each_get_their_own_answers(nginx: Nginx) -> None:
    def work(number: int) -> list[str]:
        client = Client(nginx.address)
        found = []
        for turn in range(5):
            answer = client.request("GET", f"/client/{number}/{turn}?n={number}")
            environ = json.loads(answer.body)
            found.append(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        client.close()
        return found

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for number, found in enumerate(pool.map(work, range(CLIENTS))):
            assert found == [f"/client/{number}/{turn}?n={number}" for turn in range(5)]


def test_a_slow_reader_delays_nobody_and_gets_everything() -> None:
    size = 32 * MEGABYTE  # more than all socket buffers on the way hold
    front = Front("fastcgi-streaming.conf", "unix")
    with Worker(threads=2) as worker, Nginx(front, worker.address("unix")) as nginx:
        slow = Client(nginx.address)
        slow.connection.request("GET", f"/big?size={size}")
        response = slow.connection.getresponse()
        total = hashlib.sha256(response.read(10))
        for _ in range(20):
            assert fetch(nginx.address, "/hello").status == 200
        while piece := response.read(65536):
            total.update(piece)
        slow.close()
    assert total.hexdigest() == hashlib.sha256(b"".join(pattern(size))).hexdigest()


class WebConnection:
    """A front end that multiplexes: our own web side of FastCGI over a real socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._chapter = FastCGIConnection(Side.WEB, Config())
        self._bodies: defaultdict[int, bytes] = defaultdict(bytes)

    def send(self, event: Event) -> None:
        self._socket.sendall(b"".join(self._chapter.send(event)))

    def finished(self) -> list[tuple[int, bytes]]:
        """Wait until at least one request is answered: their ids and bodies, in order."""
        done: list[tuple[int, bytes]] = []
        while not done:
            data = self._socket.recv(65536)
            assert data, "the worker closed the connection"
            for event in self._chapter.receive_data(data):
                match event:
                    case Response(request_id=number):
                        self._bodies[number] += event.body
                    case ResponseBody(request_id=number):
                        self._bodies[number] += event.data
                    case EndOfResponse(request_id=number):
                        done.append((number, self._bodies.pop(number)))
        return done


def wait_request(request_id: int, path: str, query: str = "") -> Request:
    params = wire.params(f"{path}?{query}")
    return Request(request_id, params, keep_conn=True, complete=True)


def test_fifty_requests_on_one_connection_finish_out_of_order(gate: Gate) -> None:
    count = 50
    with Worker(threads=count) as worker, worker.connect() as connection:
        web = WebConnection(connection)
        for number in range(1, count + 1):
            web.send(wait_request(number, "/wait", f"name={number}&{gate.query}"))
        visits = {int(visit.message): visit for visit in (gate.wait() for _ in range(count))}
        backwards = sorted(visits, reverse=True)
        for number in backwards:
            visits[number].let_go()
            assert web.finished() == [(number, f"waited {number}".encode())]


def test_a_slow_request_never_delays_a_fast_one_on_its_connection(gate: Gate) -> None:
    with Worker(threads=2) as worker, worker.connect() as connection:
        web = WebConnection(connection)
        web.send(wait_request(1, "/wait", f"name=slow&{gate.query}"))
        slow = gate.wait()
        fast = range(2, 51)
        for number in fast:
            web.send(wait_request(number, f"/fast/{number}"))
        done: dict[int, bytes] = {}
        while len(done) < len(fast):
            done.update(web.finished())
        assert {n: json.loads(body)["PATH_INFO"] for n, body in done.items()} == {
            n: f"/fast/{n}" for n in fast
        }
        slow.let_go()
        assert web.finished() == [(1, b"waited slow")]


def cpu_ticks(pid: int) -> int:
    """User and system time of a process, in clock ticks."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def thread_count(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def test_idle_connections_cost_nothing() -> None:
    """One thread, 2,000 kept connections: no thread, no CPU, and a new one is served."""
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * count)), hard))
    idle: list[socket.socket] = []
    hello = wire.request("/hello", keep=True)

    def ask(connection: socket.socket, times: int = 1) -> None:
        for _ in range(times):
            connection.sendall(hello)
            assert b"200 OK" in wire.read_answer(connection).stdout

    try:
        with Worker(threads=1) as worker:
            try:
                with worker.connect() as alone:
                    before = cpu_ticks(worker.pid)
                    ask(alone, 3000)
                    cost_alone = cpu_ticks(worker.pid) - before
                threads = thread_count(worker.pid)
                for _ in range(count):
                    idle.append(worker.connect())
                    ask(idle[-1])
                with worker.connect() as crowded:
                    before = cpu_ticks(worker.pid)
                    ask(crowded, 3000)
                    cost_crowded = cpu_ticks(worker.pid) - before
                ask(idle[0])
                assert thread_count(worker.pid) == threads
                # Equal but for noise; a server that walks its connections needs many times more.
                assert cost_crowded < 2 * cost_alone + 10
            finally:
                for connection in idle:
                    connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
