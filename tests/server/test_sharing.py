"""Workers that wait at the same doors let each other go first; what comes of it is in e2e."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from fcgikit.gateways.interface import Exchange
from fcgikit.server.poller import EpollPoller
from tests.e2e import wire
from tests.server.harness import Gate, Server, answer, ask, body_of, echo
from tests.server.pool import Pool

DOORS = 3
"""Two listening sockets and the way from other workers."""


class Counted(EpollPoller):
    """Counts how often its worker has let others go first."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def step_back(self, fileno: int) -> None:
        super().step_back(fileno)
        self.steps += 1


def test_who_has_taken_one_in_steps_back_before_it_answers() -> None:
    """The front end may come again as soon as it has the answer, and find nobody else waiting."""
    poller = Counted()
    before: list[int] = []

    def count(exchange: Exchange) -> None:
        before.append(poller.steps)
        echo(exchange)

    with Pool(count, lambda: poller, threads=1) as pool:
        member = pool.start()
        for _ in range(3):
            with pool.connect() as kept:
                assert ask(kept, "/") == ask(kept, "/")
        member.stop()
    assert before == [1, 1, 2, 2, 3, 3]


def test_connections_for_one_request_cost_no_step() -> None:
    poller = Counted()
    with Pool(make_poller=lambda: poller, threads=1) as pool, ExitStack() as stack:
        opened = [stack.enter_context(pool.connect()) for _ in range(5)]
        for connection in opened:  # it is there when the connection is accepted, as nginx's is
            connection.sendall(wire.request("/"))
        member = pool.start()
        assert [body_of(wire.read_answer(one)) for one in opened] == [b"/ "] * 5
        member.stop()
    assert poller.steps == 0


def test_a_worker_that_is_busy_steps_back_though_a_thread_of_it_waits() -> None:
    """To the kernel one of two threads is as good as a worker that has nothing to do."""
    gate = Gate()
    poller = Counted()

    def work(exchange: Exchange) -> None:
        gate.pass_through()
        answer(exchange)

    with Pool(work, lambda: poller, threads=2) as pool, pool.connect() as busy:
        member = pool.start()
        busy.sendall(wire.request("/"))
        gate.wait()
        while poller.steps < 2 * DOORS:  # when a thread leads for the first time, and now
            threading.Event().wait(0.001)
        gate.open()
        assert wire.read_answer(busy).app_status == 0
        member.stop()


def test_where_nobody_else_waits_nobody_steps_back() -> None:
    poller = Counted()
    with Server(echo, poller=poller) as server, server.connect() as kept:
        assert ask(kept, "/") == b"/ "
    assert poller.steps == 0
