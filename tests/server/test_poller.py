"""What every poller promises, whatever it is made of."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from fcgikit.server.poller import EpollPoller, Poller, SelectorPoller, best_poller
from tests.e2e.process import PATIENCE

POLLERS: dict[str, Callable[[], Poller]] = {
    "epoll": EpollPoller,
    "selector": SelectorPoller,
    "poll": lambda: SelectorPoller(selectors.PollSelector()),
    "select": lambda: SelectorPoller(selectors.SelectSelector()),
}


@pytest.fixture(params=list(POLLERS.values()), ids=list(POLLERS))
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made: Poller = request.param()
    yield made
    made.close()


class Pair:
    """A socket to be watched, and its other end."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.fileno = self.ours.fileno()

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def pairs() -> Iterator[Callable[[], Pair]]:
    made: list[Pair] = []

    def make() -> Pair:
        made.append(Pair())
        return made[-1]

    yield make
    for pair in made:
        pair.close()


def reported(poller: Poller, *pairs: Pair, timeout: float = 0.0) -> set[int]:
    """Which of *pairs* are reported next; other descriptors must be the poller's own."""
    ours = {pair.fileno for pair in pairs}
    while found := {fileno for fileno, _ in poller.wait(timeout, 100)}:
        if found - ours:
            poller.woken()
        if found & ours:
            return found & ours
    return set()


def await_report(poller: Poller, *pairs: Pair) -> set[int]:
    return reported(poller, *pairs, timeout=PATIENCE)


def receive(poller: Poller, pair: Pair) -> bytes:
    """Receive to the end what has been reported, as a connection does."""
    data = b""
    try:
        while piece := pair.ours.recv(100):
            data += piece
    except BlockingIOError:
        pass
    if poller.received is not None:
        poller.received(pair.fileno)
    return data


def test_each_arrival_is_reported_until_it_is_received(
    poller: Poller, pairs: Callable[[], Pair]
) -> None:
    one, two = pairs(), pairs()
    poller.add(one.fileno)
    poller.add(two.fileno)
    assert reported(poller, one, two) == set()
    for turn in range(3):
        two.theirs.send(b"%d" % turn)
        assert await_report(poller, one, two) == {two.fileno}
        assert receive(poller, two) == b"%d" % turn
        assert reported(poller, one, two) == set()


def test_what_arrived_before_is_reported(poller: Poller, pairs: Callable[[], Pair]) -> None:
    pair = pairs()
    pair.theirs.send(b"early")
    poller.add(pair.fileno)
    assert await_report(poller, pair) == {pair.fileno}


def test_what_is_not_received_does_not_spin(poller: Poller, pairs: Callable[[], Pair]) -> None:
    """One request is served while more of its body arrives: nobody can do anything about it."""
    busy, other = pairs(), pairs()
    poller.add(busy.fileno)
    poller.add(other.fileno)
    busy.theirs.send(b"a")
    assert await_report(poller, busy, other) == {busy.fileno}
    assert reported(poller, busy, other) == set()
    other.theirs.send(b"b")
    assert await_report(poller, busy, other) == {other.fileno}
    assert receive(poller, busy) == b"a"
    busy.theirs.send(b"c")
    assert await_report(poller, busy, other) == {busy.fileno}


def test_the_end_is_reported_and_told_where_it_can_be(
    poller: Poller, pairs: Callable[[], Pair]
) -> None:
    for half in (True, False):
        pair = pairs()
        poller.add(pair.fileno)
        if half:
            pair.theirs.shutdown(socket.SHUT_WR)
        else:
            pair.theirs.close()
        found: dict[int, int] = {}
        while pair.fileno not in found:
            found = dict(poller.wait(PATIENCE, 100))
            if pair.fileno not in found:
                poller.woken()
        assert bool(found[pair.fileno] & poller.ended) == bool(poller.ended)
        assert receive(poller, pair) == b""
        poller.discard(pair.fileno)
        pair.close()


def test_a_released_socket_is_not_reported_though_another_process_has_it(
    poller: Poller, pairs: Callable[[], Pair]
) -> None:
    pair = pairs()
    poller.add(pair.fileno)
    with pair.ours.dup():
        poller.release(pair.fileno)
        pair.ours.close()
        pair.theirs.send(b"for the other")
        assert reported(poller, pair) == set()


def test_a_full_table_of_reports_loses_nothing(poller: Poller, pairs: Callable[[], Pair]) -> None:
    several = [pairs() for _ in range(5)]
    for pair in several:
        poller.add(pair.fileno)
        pair.theirs.send(b"a")
    seen: set[int] = set()
    for _ in range(100):
        found = {fileno for fileno, _ in poller.wait(0, 2)}
        assert len(found) <= 2
        seen |= found
        if found - {pair.fileno for pair in several}:
            poller.woken()
        for pair in several:
            if pair.fileno in found:
                receive(poller, pair)
        if len(seen) > 5:
            break
    assert {pair.fileno for pair in several} <= seen


def test_a_listener(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        fileno = listener.fileno()
        poller.listen(fileno)
        poller.unlisten(fileno)
        client.connect(listener.getsockname())
        while found := poller.wait(0, 100):
            assert fileno not in dict(found)
            poller.woken()
        poller.listen(fileno)
        for _ in range(2):  # until it is accepted
            poller.step_back(fileno)
            while fileno not in dict(poller.wait(PATIENCE, 100)):
                poller.woken()
        listener.accept()[0].close()
        poller.unlisten(fileno)


def test_wake_ends_a_wait(poller: Poller) -> None:
    reported(poller)  # what construction may have left
    soon = threading.Timer(0.05, poller.wake)
    soon.start()
    assert poller.wait(PATIENCE, 100), "woken, not timed out"
    soon.join()
    poller.woken()
    assert poller.wait(0, 100) == [], "a wake-up is forgotten once told"


def test_wake_before_a_wait_counts(poller: Poller) -> None:
    poller.wake()
    assert poller.wait(PATIENCE, 100)


def test_waking_again_and_again_never_blocks(poller: Poller) -> None:
    for _ in range(20_000):
        poller.wake()
    assert poller.wait(PATIENCE, 100)
    poller.woken()
    while poller.wait(0, 100):  # a pair's worth, not twenty thousand
        poller.woken()


@pytest.mark.parametrize("verb", ["add", "received"])
def test_changes_from_another_thread_reach_a_wait_under_way(
    poller: Poller, pairs: Callable[[], Pair], verb: str
) -> None:
    pair = pairs()
    if verb == "received":
        poller.add(pair.fileno)
        pair.theirs.send(b"a")
        assert await_report(poller, pair) == {pair.fileno}

    def change() -> None:
        if verb == "received":
            receive(poller, pair)
        else:
            poller.add(pair.fileno)
        pair.theirs.send(b"b")

    soon = threading.Timer(0.05, change)
    soon.start()
    assert await_report(poller, pair) == {pair.fileno}
    soon.join()


def test_a_number_that_comes_again_is_another_socket(
    poller: Poller, pairs: Callable[[], Pair]
) -> None:
    """The kernel gives a closed descriptor's number to the next socket at once."""
    for turn in range(3):
        pair = pairs()
        poller.add(pair.fileno)
        assert reported(poller, pair) == set(), f"turn {turn}"
        pair.theirs.send(b"a")
        assert await_report(poller, pair) == {pair.fileno}
        poller.discard(pair.fileno)
        pair.close()


def test_a_socket_closed_before_anybody_waited(poller: Poller, pairs: Callable[[], Pair]) -> None:
    gone, other = pairs(), pairs()
    poller.add(gone.fileno)
    poller.discard(gone.fileno)
    gone.close()
    poller.add(other.fileno)
    other.theirs.send(b"a")
    assert await_report(poller, other) == {other.fileno}


def test_who_only_looks_is_not_held_up_by_who_waits(poller: Poller) -> None:
    """The main thread looks in for applications that are busy, and must hear signals."""
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        poller.wait(PATIENCE, 1)

    waiter = threading.Thread(target=wait)
    waiter.start()
    waiting.wait(PATIENCE)
    for _ in range(100):
        assert poller.wait(0.0, 1) == []
        waiter.join(0.001)
    assert waiter.is_alive(), "the looks did not outlast its wait"
    poller.wake()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()


@pytest.mark.parametrize("make", [*POLLERS.values(), best_poller], ids=[*POLLERS.keys(), "best"])
def test_closing_releases_every_descriptor(make: Callable[[], Poller]) -> None:
    before = os.listdir("/proc/self/fd")
    make().close()
    assert os.listdir("/proc/self/fd") == before
