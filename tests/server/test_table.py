"""What is open, seen from outside the loop."""

from __future__ import annotations

import time

from fcgikit.gateways.interface import Exchange
from tests.e2e import wire
from tests.server.harness import Gate, Server, ask, echo


def test_who_is_idle_who_runs_and_who_is_late() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/hold":
            gate.pass_through()
        echo(exchange)

    with Server(work) as server, server.connect() as quick, server.connect() as slow:
        assert ask(quick, "/") == b"/ "
        slow.sendall(wire.request("/hold", keep=True))
        gate.wait()
        table = server.loop.table
        assert (len(table), table.idle) == (2, 1)
        (exchange,) = table.running
        assert exchange.request.params["REQUEST_URI"] == "/hold"
        assert table.overdue(time.monotonic()) == []
        idle = next(one for one in table.values() if one is not exchange.connection)
        assert table.overdue(idle.deadline) == [idle]
        # A thread that is late sets one for what it has answered; the next request is open already.
        exchange.connection.deadline = 0.0
        assert table.overdue(time.monotonic()) == []
        gate.open()
        assert wire.read_answer(slow).stdout
