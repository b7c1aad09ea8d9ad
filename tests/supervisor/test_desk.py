"""Whoever asks gets one document; who is slow to take it is in nobody's way."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest

from fcgikit.supervisor.desk import READERS, Desk
from tests.e2e.process import PATIENCE


class Office:
    """A desk, its selector, and clients."""

    def __init__(self) -> None:
        self.document = b"{}\n"
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.desk = Desk(self.listener, self.selector, lambda: self.document)
        self.clients: list[socket.socket] = []

    def ask(self) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), timeout=PATIENCE)
        self.clients.append(client)
        return client

    def work(self) -> None:
        """Until there is nothing to do."""
        while ready := self.selector.select(0.05):
            for key, _ in ready:
                key.data()

    @property
    def sockets(self) -> int:
        return len(self.selector.get_map())


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.desk.close()
    made.selector.close()
    for client in made.clients:
        client.close()


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_everybody_gets_the_document_of_that_moment(office: Office) -> None:
    first = office.ask()
    office.work()
    office.document = b"[]\n"
    second = office.ask()
    office.work()
    assert (read_all(first), read_all(second)) == (b"{}\n", b"[]\n")
    assert office.sockets == 1, "and nothing is left of them"


def test_who_reads_slowly_gets_it_all(office: Office) -> None:
    office.document = bytes(32 << 20)
    slow = office.ask()
    office.work()
    received = 0
    while data := slow.recv(1 << 20):
        received += len(data)
        if office.sockets > 1:
            office.work()
    assert received == 32 << 20


def test_of_too_many_slow_readers_the_first_gets_no_more(office: Office) -> None:
    office.document = bytes(32 << 20)
    slow = [office.ask() for _ in range(READERS)]
    office.work()
    assert office.sockets == 1 + READERS
    office.document = b"{}"
    quick = office.ask()
    office.work()
    assert read_all(quick) == b"{}"
    assert office.sockets == READERS, "one has had to go"
    assert len(read_all(slow[0])) < 32 << 20


def test_who_has_gone_is_forgotten(office: Office) -> None:
    office.document = bytes(32 << 20)
    client = office.ask()
    office.work()
    client.close()
    office.work()
    assert office.sockets == 1


def test_without_descriptors_it_does_not_spin(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def accept(self) -> None:
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(office.desk, "_listener", Full())
    accept: Callable[[], None] = office.selector.get_key(office.listener).data
    monkeypatch.setattr(office.selector, "unregister", lambda _: told.append(True))
    told: list[bool] = []
    accept()
    assert told
    monkeypatch.undo()


def test_a_forked_process_lets_go_without_a_trace(office: Office) -> None:
    office.document = bytes(32 << 20)
    slow = office.ask()
    office.work()
    pid = os.fork()
    if pid == 0:
        office.desk.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    again = office.ask()
    office.document = b"{}"
    office.work()
    assert read_all(again) == b"{}"
    assert slow.recv(1) == b"\0"
    assert office.sockets == 2
