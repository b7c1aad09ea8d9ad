"""One client, many threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fcgikit.client import Client, Truncated
from fcgikit.events import EndOfResponse, Response
from fcgikit.gateways.interface import Exchange
from tests.client.servers import digest, digest_of, echo
from tests.e2e.process import PATIENCE
from tests.server.harness import Gate, Server


def bodies(count: int, most: int) -> list[bytes]:
    chosen = random.Random(count)
    return [chosen.randbytes(chosen.choice((0, 10, 5000, most))) for _ in range(count)]


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Run *work* on *count* threads that begin together."""
    start = threading.Barrier(count)

    def begin(number: int) -> None:
        start.wait(PATIENCE)
        work(number)

    with ThreadPoolExecutor(count) as pool:
        for result in [pool.submit(begin, number) for number in range(count)]:
            result.result(60)


@pytest.mark.parametrize("multiplex", [True, False])
def test_threads_share_a_client(multiplex: bool) -> None:
    sent = bodies(100, 200_000)
    with Server(digest, threads=4) as server, Client(server.address, multiplex=multiplex) as client:

        def work(number: int) -> None:
            for body in (sent[number], sent[-number]):
                assert client.request("POST", "/", body=body).read() == digest_of(body)

        at_once(len(sent), work)
        if multiplex:
            assert server.loop.connections == 1


def test_hundreds_of_requests_interleave_on_one_connection() -> None:
    """All of them are open at the same time: none is answered before all have begun."""
    count = 120
    everybody = threading.Barrier(count)

    def gateway(exchange: Exchange) -> None:
        everybody.wait(PATIENCE)
        digest(exchange)

    sent = bodies(count, 100_000)
    with Server(gateway, threads=count) as server, Client(server.address, multiplex=True) as client:
        client.values()

        def work(number: int) -> None:
            assert client.request("POST", "/", body=sent[number]).read() == digest_of(sent[number])

        at_once(count, work)
        assert server.loop.connections <= 2  # the second asked for the values


def test_an_answer_that_nobody_reads_does_not_stop_new_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shared connection is full, so that the next request takes another."""
    monkeypatch.setattr("fcgikit.client.settings._UNREAD_SHARED", 1000)
    gate = Gate()

    def gateway(exchange: Exchange) -> None:
        number = exchange.request.request_id
        if exchange.request.params["QUERY_STRING"]:
            exchange.send(Response(number, 200, "OK", [], bytes(5000)))
            gate.pass_through()
            exchange.send(EndOfResponse(number))
        else:
            digest(exchange)

    with Server(gateway) as server, Client(server.address, multiplex=True) as client:
        unread = client.request("GET", "/?large")
        assert len(unread.read(10)) == 10
        assert client.request("POST", "/", body=b"x").read() == digest_of(b"x")
        assert server.loop.connections == 2
        gate.open()
        assert len(unread.read()) == 4990


def test_closing_the_client_ends_what_runs() -> None:
    gate = Gate()

    def gateway(exchange: Exchange) -> None:
        gate.pass_through()

    with Server(gateway) as server:
        client = Client(server.address)
        errors: list[Exception] = []

        def ask() -> None:
            try:
                client.request("GET", "/")
            except Truncated as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        gate.wait()
        client.close()
        thread.join(PATIENCE)
        gate.open()
        assert len(errors) == 1


def test_without_multiplexing_on_the_other_side_each_has_its_own() -> None:
    with (
        Server(echo, max_requests_per_connection=1) as server,
        Client(server.address, multiplex=True) as client,
    ):
        first = client.request("POST", "/", body=iter([b"a"]))
        assert client.request("POST", "/", body=b"b").read() == b"b"
        assert first.read() == b"a"
