"""What the threads note, and who is told."""

from __future__ import annotations

import threading

import pytest

from fcgikit.gateways.interface import Exchange
from fcgikit.server.seats import Seats
from tests.e2e import wire
from tests.server.harness import Gate, Server, answer, ask


class Line:
    """A line of the board."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[str, str]] = {}
        self.began: list[str] = []

    def begin(self, seat: int, method: str, target: str, now: float) -> None:
        assert seat not in self.running
        self.running[seat] = (method, target)
        self.began.append(target)

    def end(self, seat: int) -> None:
        del self.running[seat]

    def beat(
        self, now: float, requests: int, connections: int, slow_requests: int
    ) -> None:
        raise AssertionError("that is the main thread's")


def test_the_board_knows_what_runs_on_which_seat() -> None:
    line, gate = Line(), Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/hold":
            gate.pass_through()
        answer(exchange)

    with (
        Server(work, threads=3, seats=Seats(3, slot=line)) as server,
        server.connect() as one,
        server.connect() as other,
    ):
        for connection in (one, other):
            connection.sendall(wire.request("/hold", keep=True))
        gate.wait(2)
        assert list(line.running.values()) == [("GET", "/hold")] * 2
        assert set(line.running) < {0, 1, 2}
        gate.open()
        for connection in (one, other):
            assert wire.read_answer(connection).app_status == 0
        with server.connect() as unix:
            unix.sendall(wire.scgi("/scgi"))
            wire.read_all(unix)
    assert line.running == {}
    assert line.began == ["/hold", "/hold", "/scgi"]


@pytest.mark.parametrize("threads", [1, 4])
def test_enough_is_said_with_the_request_that_reaches_the_limit(threads: int) -> None:
    reached: list[int] = []
    seats = Seats(threads, max_requests=7, enough=lambda: reached.append(seats.requests))
    with (
        Server(answer, threads=threads, seats=seats) as server,
        server.connect() as one,
        server.connect() as other,
    ):
        for _ in range(5):
            ask(one, "/")
            ask(other, "/")
        assert server.loop.requests == 10
    assert reached == [7]


def test_each_thread_has_a_seat_of_its_own() -> None:
    seats = Seats(4)
    threads = [threading.Thread(target=seats.take) for _ in range(4)]
    for thread in threads:
        thread.start()
        thread.join()
    assert [seat.number for seat in seats.all] == [0, 1, 2, 3]
    assert all(seat.thread for seat in seats.all)
    assert (seats.requests, seats.stuck, seats.noting) == (0, 0, False)
    with pytest.raises(IndexError):
        seats.take()
