"""Doors that are shut while we are full, and for good at the end; and who waits there first."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fcgikit.config import Config
from fcgikit.gateways.interface import Exchange
from fcgikit.server.entrance import Entrance
from fcgikit.server.listener import Listener
from fcgikit.server.poller import EpollPoller
from tests.e2e import wire
from tests.server.harness import Gate, Place, Server, answer, ask, body_of, echo
from tests.server.pool import Pool


class Hall:
    """An entrance with one connection knocking, for at most *most* inside."""

    def __init__(self, most: int = 1) -> None:
        self.place = Place(Config())
        self.poller = EpollPoller()
        self.entrance = Entrance(self.place.listeners, None, self.poller, most)
        self.caller = self.place.connect()

    def reported(self) -> list[int]:
        return [fileno for fileno, _ in self.poller.wait(0, 10)]

    def accept(self, inside: int = 0) -> Any:
        door = self.entrance.door(self.place.listeners[0].socket.fileno())
        assert door is not None
        return self.entrance.accept(door, inside)

    def close(self) -> None:
        self.caller.close()
        self.entrance.close()
        self.poller.close()
        self.place.close()


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.close()


def test_who_finds_no_room_waits_in_the_backlog(hall: Hall) -> None:
    assert hall.reported()
    assert hall.accept(inside=1) is None
    assert hall.entrance.paused
    assert not hall.reported()
    hall.entrance.resume(inside=1)
    assert not hall.reported()
    hall.entrance.resume(inside=0)
    assert hall.reported()
    sock, _ = hall.accept()
    sock.close()


def test_a_thread_may_still_take_the_lead_when_the_process_has_closed_its_sockets() -> None:
    place, poller = Place(Config()), EpollPoller()
    entrance = Entrance(place.listeners, None, poller, 1)
    place.close()
    entrance.step_back()
    assert not poller.wait(0, 10)
    poller.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_a_system_that_is_full_is_not_asked_again_at_once(
    hall: Hall, error: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Listener) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Listener, "accept", fail)
    assert hall.accept() is None
    assert hall.entrance.paused
    assert os.strerror(error) in caplog.text


def test_one_that_another_has_taken_is_no_reason_to_pause(hall: Hall) -> None:
    hall.accept()[0].close()
    assert hall.accept() is None
    assert not hall.entrance.paused


@pytest.mark.parametrize("inside", [0, 1])
def test_after_the_end_there_is_no_door(hall: Hall, inside: int) -> None:
    if inside:
        hall.accept(inside)  # paused: the poller does not know the doors any more
    hall.entrance.close()
    hall.entrance.resume(0)
    assert hall.entrance.door(hall.place.listeners[0].socket.fileno()) is None
    assert not hall.reported()


def test_who_retires_takes_what_the_kernel_has_told_nobody_else(hall: Hall) -> None:
    assert hall.reported()
    ((door, (sock, _)),) = hall.entrance.close(take=True)
    assert isinstance(door, Listener)
    sock.close()


def test_who_stops_leaves_what_waits_to_the_others(hall: Hall) -> None:
    assert hall.reported()
    assert hall.entrance.close() == []


# -- letting others go first; what comes of it is in e2e ------------------------------------------

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


@pytest.mark.parametrize("whole", [False, True])
def test_who_steps_back_is_told_all_the_same(hall: Hall, whole: bool) -> None:
    door = hall.entrance.door(hall.place.listeners[0].socket.fileno())
    hall.entrance.step_back(None if whole else door)
    assert hall.reported() == [hall.place.listeners[0].socket.fileno()]


def test_doors_that_are_shut_stay_shut(hall: Hall) -> None:
    hall.accept(inside=1)
    hall.entrance.step_back()
    assert not hall.reported()
    hall.entrance.resume(inside=0)
    assert hall.reported()
    hall.entrance.close()
    hall.entrance.step_back()
    assert not hall.reported()
