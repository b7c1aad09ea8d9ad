"""Connections change from one worker to another, and their front ends do not notice."""

from __future__ import annotations

import itertools
import os
import resource
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from fcgikit.gateways.interface import Exchange
from fcgikit.server.handover import Handover
from fcgikit.server.poller import EpollPoller, Poller, SelectorPoller
from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.server.harness import Gate, ask, body_of, echo
from tests.server.pool import Pool

THREADS = pytest.mark.parametrize("threads", [1, 3])


# -- idle connections ------------------------------------------------------------------------------


@THREADS
@pytest.mark.parametrize("make_poller", [EpollPoller, SelectorPoller])
def test_idle_connections_go_on_elsewhere(
    threads: int, make_poller: Callable[[], Poller]
) -> None:
    with Pool(make_poller=make_poller, threads=threads) as pool, ExitStack() as stack:
        first = pool.start()
        kept = [stack.enter_context(pool.connect(kind)) for kind in ("unix", "tcp") * 20]
        for connection in kept[:-4]:  # some have never asked anything
            assert ask(connection, "/first") == b"/first "
        second = pool.start()
        first.retire()
        assert first.loop.connections == 0
        for turn in range(3):
            for number, connection in enumerate(kept):
                target = f"/{turn}"
                answer = ask(connection, target, number % 5 + 1, b"x" * number * 1000)
                assert answer == target.encode() + b" " + b"x" * number * 1000
        second.stop()
        assert all(wire.read_all(connection) == b"" for connection in kept)


def test_what_has_arrived_and_was_not_received_is_answered_by_the_next() -> None:
    """Not even a member that has been waiting gets it earlier: it is there when it looks."""
    with Pool(threads=1) as pool, pool.connect() as kept:
        first = pool.start()
        assert ask(kept, "/first") == b"/first "
        first.retire()  # to nobody yet
        kept.sendall(wire.request("/between", 7, b"body", keep=True))
        second = pool.start()
        assert body_of(wire.read_answer(kept, 7)) == b"/between body"
        second.stop()


@pytest.mark.parametrize("protocol", ["auto", "fastcgi", "scgi", "uwsgi"])
def test_a_connection_that_has_said_nothing_yet(protocol: str) -> None:
    others = {"scgi": wire.scgi("/fresh"), "uwsgi": wire.uwsgi("/fresh")}
    data = others.get(protocol, wire.request("/fresh"))
    with Pool(threads=2, protocol=protocol) as pool, pool.connect() as fresh:
        first = pool.start()
        while not first.loop.connections:
            threading.Event().wait(0.001)
        second = pool.start()
        first.retire()
        fresh.sendall(data)
        assert b"/fresh " in wire.read_all(fresh)
        second.stop()


def test_the_end_of_a_connection_is_seen_by_its_new_owner() -> None:
    with Pool(threads=2) as pool:
        first, kept = pool.start(), pool.connect()
        assert ask(kept, "/") == b"/ "
        second = pool.start()
        first.retire()
        assert ask(kept, "/") == b"/ "
        assert second.loop.connections == 1
        kept.close()
        with pool.connect() as other:
            while second.loop.connections > 1:
                assert ask(other, "/") == b"/ "
        second.stop()


# -- busy connections ------------------------------------------------------------------------------


@THREADS
def test_a_running_request_is_answered_where_it_runs(threads: int) -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/hold":
            gate.pass_through()
        echo(exchange)

    with Pool(work, threads=threads) as pool, pool.connect() as busy, pool.connect() as idle:
        first = pool.start()
        assert ask(idle, "/idle") == b"/idle "
        busy.sendall(wire.request("/hold", keep=True))
        gate.wait()
        second = pool.start()
        first.loop.retire()
        assert ask(idle, "/idle") == b"/idle ", "though the only thread is busy"
        assert second.loop.connections == 1
        busy.sendall(wire.request("/next", 3, keep=True))
        gate.open()
        assert body_of(wire.read_answer(busy)) == b"/hold "
        assert body_of(wire.read_answer(busy, 3)) == b"/next "
        first.retire()
        assert second.loop.connections == 2
        second.stop()


def test_a_request_that_has_begun_to_arrive_stays() -> None:
    data = wire.request("/split", body=b"body", keep=True)
    with Pool(threads=2) as pool, pool.connect() as connection, pool.connect() as other:
        first = pool.start()
        connection.sendall(data[:30])
        for _ in range(3):
            assert ask(other, "/") == b"/ "  # by now those have been received
        second = pool.start()
        first.loop.retire()
        assert first.loop.connections == 1
        connection.sendall(data[30:])
        assert body_of(wire.read_answer(connection)) == b"/split body"
        first.retire()
        assert ask(connection, "/next") == b"/next "
        assert second.loop.requests == 1
        second.stop()


def test_connections_of_one_request_are_answered_and_closed() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        gate.pass_through()
        echo(exchange)

    with Pool(work, threads=3) as pool, ExitStack() as stack:
        first = pool.start()
        once = [stack.enter_context(pool.connect()) for _ in range(3)]
        for connection, data in zip(
            once, [wire.request("/once"), wire.scgi("/once"), wire.uwsgi("/once")], strict=True
        ):
            connection.sendall(data)
        gate.wait(3)
        second = pool.start()
        first.loop.retire()
        gate.open()
        for connection in once:
            assert b"/once " in wire.read_all(connection)
        first.retire()
        assert second.loop.requests == 0
        second.stop()


def test_who_is_busy_accepts_nobody() -> None:
    """A new connection goes to a member with a free thread, never behind a busy one."""
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/hold":
            gate.pass_through()
        echo(exchange)

    with Pool(work, threads=1) as pool, ExitStack() as stack:
        members = [pool.start(), pool.start()]
        busy = stack.enter_context(pool.connect())
        busy.sendall(wire.request("/hold", keep=True))
        gate.wait()
        for _ in range(50):
            with pool.connect("tcp") as fresh:
                assert ask(fresh, "/") == b"/ "
        assert sorted(member.loop.requests for member in members) == [1, 50]
        gate.open()
        assert body_of(wire.read_answer(busy)) == b"/hold "
        for member in members:
            member.stop()


# -- no pause, no loss -----------------------------------------------------------------------------


class FrontEnd:
    """Asks without pause on one kept connection; ends at the first thing that is not right."""

    def __init__(self, connection: socket.socket, talk: Callable[[Any, int], None]) -> None:
        self.connection = connection
        self.asked = 0
        self.trouble = ""
        self._talk = talk
        self._begun: defaultdict[int, bytes] = defaultdict(bytes)
        self._ended: dict[int, bytes] = {}
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for turn in itertools.count():
                if self._over:
                    break
                self._talk(self, turn)
        except (OSError, AssertionError) as error:
            self.trouble = f"at request {self.asked}: {error!r}"

    def finish(self) -> None:
        self._over = True
        self._thread.join(PATIENCE)
        self.connection.close()
        assert not self.trouble
        assert not self._thread.is_alive()

    def check(self, request_id: int, body: bytes) -> None:
        """Read on until this answer has ended; one that was asked for later may come first."""
        self.asked += 1
        while request_id not in self._ended:
            record = wire.read_record(self.connection)
            assert record is not None
            kind, about, content = record
            if kind == wire.STDOUT:
                self._begun[about] += content
            elif kind == wire.END:
                assert not any(content)
                self._ended[about] = self._begun.pop(about)
        assert self._ended.pop(request_id).partition(b"\r\n\r\n")[2] == body


def asks(front: FrontEnd, turn: int) -> None:
    front.connection.sendall(wire.request(f"/{turn}", keep=True))
    front.check(1, f"/{turn} ".encode())


def uploads(front: FrontEnd, turn: int) -> None:
    body = b"%d," % turn * (turn % 7 * 1500)
    front.connection.sendall(wire.request("/upload", 1, body, keep=True))
    front.check(1, b"/upload " + body)


def pipelines(front: FrontEnd, turn: int) -> None:
    """The next request is always there before the answer to the last one is read."""
    if not turn:
        front.connection.sendall(wire.request("/0", 1, keep=True))
    front.connection.sendall(wire.request(f"/{turn + 1}", turn % 2 + 2, keep=True))
    front.check((turn - 1) % 2 + 2 if turn else 1, f"/{turn} ".encode())


def dribbles(front: FrontEnd, turn: int) -> None:
    data = wire.request(f"/{turn}", 1, b"body", keep=True)
    for at in range(0, len(data), 97):
        front.connection.sendall(data[at : at + 97])
    front.check(1, f"/{turn} body".encode())


@THREADS
def test_nobody_who_asks_without_pause_loses_anything(threads: int) -> None:
    """Hundreds of hand-overs in the midst of requests: none fails, no connection is closed."""
    rounds = 100
    with Pool(threads=threads) as pool:
        member = pool.start()
        fronts = [
            FrontEnd(pool.connect(transport), talk)
            for transport in ("unix", "tcp")
            for talk in (asks, uploads, pipelines, dribbles)
        ]
        for _ in range(rounds):
            successor = pool.start()
            member.retire()
            member = successor
        for front in fronts:
            front.finish()
        assert all(front.asked > rounds // 10 for front in fronts)
        member.stop()


# -- when there is no room -------------------------------------------------------------------------


def test_who_finds_no_room_serves_on_until_there_is() -> None:
    with Pool(threads=2) as pool, ExitStack() as stack:
        receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.enter_context(sender)
        first = pool.start(receiver)
        kept = stack.enter_context(pool.connect())
        assert ask(kept, "/") == b"/ "
        fill(pool.pair[1])
        first.loop.retire()
        assert first.loop.connections == 1
        assert ask(kept, "/still") == b"/still "
        second = pool.start()  # it takes what is there, for no connections
        first.retire()
        assert ask(kept, "/next") == b"/next "
        second.stop()


def fill(sender: socket.socket) -> None:
    """Send messages until there is no room for another."""
    with pytest.raises(BlockingIOError):
        while True:
            sender.send(b"\0", socket.MSG_DONTWAIT)


@pytest.fixture
def no_descriptor() -> Iterator[Callable[[], None]]:
    """Lets a test forbid this process any further descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def forbid() -> None:
        with open(os.devnull, "rb") as lowest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), hard))

    yield forbid
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_without_a_descriptor_waits(no_descriptor: Callable[[], None]) -> None:
    """The kernel would drop it: nobody may ask for it then."""
    ours, theirs = socket.socketpair()
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    handover = Handover(receiver, sender)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ours, theirs:
        assert handover.give(ours)
        no_descriptor()
        with pytest.raises(OSError, match="Too many open files"):
            handover.accept()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        taken, _ = handover.accept()
        with closing(taken):
            assert not os.get_inheritable(taken.fileno())
            theirs.sendall(b"still here")
            assert taken.recv(100) == b"still here"
        with pytest.raises(BlockingIOError):
            handover.accept()
    handover.end()


def test_a_peer_that_has_gone_on_the_way_is_no_connection() -> None:
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    handover = Handover(receiver, sender)
    with socket.socket() as never_connected:
        assert handover.give(never_connected)
    with pytest.raises(OSError, match="not connected"):
        handover.accept()
    handover.end()
    with socket.socket() as late:
        assert not handover.give(late), "nobody is there"
