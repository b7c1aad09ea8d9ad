"""Both ways from a file to a socket say the same, whatever the room on them."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fcgikit.server import splice
from fcgikit.server.splice import Direct, Pipe, Way, give_back, take_way
from tests.e2e.process import PATIENCE

WAYS: list[Callable[[], Way]] = [Direct]
if hasattr(os, "splice"):
    WAYS += [Pipe, lambda: Pipe(4096)]


@pytest.fixture(params=WAYS, ids=["direct", "pipe", "small pipe"][: len(WAYS)])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    made: Way = request.param()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENCE)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def no_idle_ways() -> Iterator[None]:
    def drop() -> None:
        while splice._idle:
            splice._idle.pop().close()

    drop()
    yield
    drop()


@contextlib.contextmanager
def file_of(data: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.fileno()


@pytest.mark.parametrize("size", [1, 4096, 65_528, 300_001])
def test_pieces_of_a_file_between_other_bytes(
    way: Way, pair: tuple[socket.socket, socket.socket], size: int
) -> None:
    ours, theirs = pair
    data = os.urandom(5 * size + 3)
    expected = b"".join(
        b"head%d" % number + data[3 + number * size :][:size] + b"tail" for number in range(5)
    )

    def read() -> bytes:
        received = b""
        while len(received) < len(expected) and (more := theirs.recv(50_000)):
            received += more
        return received

    with file_of(data) as fileno, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for number in range(5):
            way.put(ours.fileno(), b"head%d" % number)
            way.put_file(ours.fileno(), fileno, 3 + number * size, size)
            way.put(ours.fileno(), b"tail")
        way.flush(ours.fileno())
        assert reading.result(PATIENCE) == expected


def test_a_file_with_less_than_was_promised(
    way: Way, pair: tuple[socket.socket, socket.socket]
) -> None:
    with file_of(b"12345") as fileno, pytest.raises(OSError, match="shorter"):
        way.put_file(pair[0].fileno(), fileno, 2, 4)


@pytest.mark.skipif(not hasattr(os, "splice"), reason="Linux only")
@pytest.mark.usefixtures("no_idle_ways")
class TestKeeping:
    def test_a_pipe_is_used_again(self) -> None:
        way = take_way()
        assert isinstance(way, Pipe)
        give_back(way)
        assert take_way() is way
        give_back(way)

    def test_where_no_pipe_can_be_had_it_goes_without(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none_left() -> tuple[int, int]:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(os, "pipe", none_left)
        way = take_way()
        assert isinstance(way, Direct)
        give_back(way)
        monkeypatch.undo()
        again = take_way()
        assert isinstance(again, Pipe), "only for as long as it must"
        give_back(again)
