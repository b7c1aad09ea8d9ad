"""Words between supervisor and worker: in order, never waiting, and only words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fcgikit.orders import Order, Report
from fcgikit.supervisor.channel import SupervisorEnd, WorkerEnd, channel


@pytest.fixture
def ends() -> Iterator[tuple[SupervisorEnd, WorkerEnd]]:
    pair = channel()
    yield pair
    for end in pair:
        end.close()


def test_words_arrive_in_order(ends: tuple[SupervisorEnd, WorkerEnd]) -> None:
    supervisor, worker = ends
    assert worker.orders() == []
    assert supervisor.reports() == []
    supervisor.give(Order.REOPEN_LOGS)
    supervisor.give(Order.RETIRE)
    worker.report(Report.READY)
    assert worker.orders() == [Order.REOPEN_LOGS, Order.RETIRE]
    assert supervisor.reports() == [Report.READY]


def test_the_last_words_come_before_the_end(ends: tuple[SupervisorEnd, WorkerEnd]) -> None:
    supervisor, worker = ends
    worker.report(Report.MAX_MEMORY)
    worker.close()
    assert supervisor.reports() == [Report.MAX_MEMORY]
    assert supervisor.reports() is None
    supervisor.give(Order.STOP)
    assert supervisor.reports() is None


def test_a_worker_learns_that_the_supervisor_has_gone(
    ends: tuple[SupervisorEnd, WorkerEnd],
) -> None:
    supervisor, worker = ends
    supervisor.close()
    assert worker.orders() is None
    worker.report(Report.READY)
    assert worker.orders() is None


def test_nobody_waits_for_one_who_does_not_read(ends: tuple[SupervisorEnd, WorkerEnd]) -> None:
    supervisor, worker = ends
    for _ in range(10_000):
        supervisor.give(Order.REOPEN_LOGS)
        worker.report(Report.READY)
    assert set(worker.orders() or ()) == {Order.REOPEN_LOGS}
    assert set(supervisor.reports() or ()) == {Report.READY}


def test_bytes_that_are_no_words_are_skipped(ends: tuple[SupervisorEnd, WorkerEnd]) -> None:
    supervisor, worker = ends
    worker._socket.send(bytes(range(256)))
    assert supervisor.reports() == list(Report)
    supervisor._socket.send(b"\0\xff" + bytes((Order.QUIT,)))
    assert worker.orders() == [Order.QUIT]


def test_an_end_lives_on_in_its_descriptor(ends: tuple[SupervisorEnd, WorkerEnd]) -> None:
    supervisor, worker = ends
    again = SupervisorEnd.of_fd(supervisor._socket.detach())
    again.give(Order.STOP)
    assert worker.orders() == [Order.STOP]
    again.close()
