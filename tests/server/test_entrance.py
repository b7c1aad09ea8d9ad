"""Doors that are shut while we are full, and for good at the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest

from fcgikit.config import Config
from fcgikit.server.entrance import Entrance
from fcgikit.server.listener import Listener
from fcgikit.server.poller import EpollPoller
from tests.server.harness import Place


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
