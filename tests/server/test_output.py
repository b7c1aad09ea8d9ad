"""Everything goes out whole and in order, or the front end is known to be gone."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from fcgikit.errors import ClientDisconnected
from fcgikit.protocols.interface import Buffers
from fcgikit.server.output import MAX_UNSENT, Output
from tests.e2e import wire
from tests.e2e.process import PATIENCE


class Line:
    """An output and its peer; neither end's buffer holds much."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.ours = ours
        self.theirs = theirs
        self.theirs.settimeout(PATIENCE)
        self.lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1)

    def output(self, timeout: float = PATIENCE) -> Output:
        return Output(self.ours, timeout, lambda: None, self.lock)

    def read(self, size: int, step: int = 1 << 16) -> Future[bytes]:
        """Let the peer read *size* bytes, at most *step* at a time, while the test goes on."""

        def work() -> bytes:
            data = b""
            while len(data) < size and (more := self.theirs.recv(min(step, size - len(data)))):
                data += more
            return data

        return self._pool.submit(work)

    def write(self, output: Output, buffers: Buffers) -> None:
        """Write in turn, after what waits and before what comes meanwhile, as connections do."""
        with self.in_turn(output):
            output.write(buffers)

    def write_file(
        self, output: Output, frame: tuple[bytes, int, bytes], *where: int, times: int = 1
    ) -> int:
        with self.in_turn(output):
            return output.write_file(frame, times, *where)

    def reply(self, output: Output, answer: bytes) -> bool:
        with self.lock:
            return output.reply(answer)

    @contextmanager
    def in_turn(self, output: Output) -> Iterator[None]:
        with self.lock:
            try:
                if output.taken:
                    output.wait_for_turn()
                yield
            finally:
                if output.taken:
                    output.end_turn()

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()
        self._pool.shutdown()


def unix_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs.connect(listener.getsockname())
        return listener.accept()[0], theirs


@pytest.fixture(params=[unix_pair, tcp_pair], ids=["unix", "tcp"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    make: Callable[[], tuple[socket.socket, socket.socket]] = request.param
    ours, theirs = make()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    made = Line(ours, theirs)
    yield made
    made.close()


def block(number: int, size: int) -> bytes:
    return (b"%d," % number * size)[:size]


@pytest.mark.parametrize(
    "sizes",
    [[1], [100_000], [3] * 3000, [0, 5, 0, 0, 70_000, 0], [8, 65_528, 8] * 4, [10, 1 << 20, 1]],
    ids=["one", "large", "many", "empty ones", "records", "mixed"],
)
@pytest.mark.parametrize("step", [777, 1 << 16])
def test_all_buffers_in_order_however_slow_the_peer(
    line: Line, sizes: list[int], step: int
) -> None:
    buffers: Buffers = [block(number, size) for number, size in enumerate(sizes)]
    expected = b"".join(buffers)
    received = line.read(len(expected), step)
    line.write(line.output(), buffers)
    assert received.result(PATIENCE) == expected


def test_views_are_buffers_too(line: Line) -> None:
    data = block(1, 200_000)
    received = line.read(100_003)
    line.write(line.output(), [b"abc", memoryview(data)[50_000:150_000]])
    assert received.result(PATIENCE) == b"abc" + data[50_000:150_000]


def test_writers_do_not_mix(line: Line) -> None:
    output = line.output()
    writers, size = 8, 30_000
    received = line.read(writers * size, 5000)
    with ThreadPoolExecutor(writers) as pool:
        halves = [bytes([number]) * (size // 2) for number in range(writers)]
        list(pool.map(lambda half: line.write(output, [half, half]), halves))
    data = received.result(PATIENCE)
    pieces = {data[at : at + size] for at in range(0, len(data), size)}
    assert pieces == {half * 2 for half in halves}


def test_who_takes_one_turn_after_the_other_lets_others_in_between(line: Line) -> None:
    large, small = b"x" * (1 << 20), b"small"
    output = line.output()

    def work() -> None:
        for _ in range(2):
            line.write(output, [large])

    writer = threading.Thread(target=work)
    writer.start()
    assert line.read(100).result(PATIENCE) == large[:100]
    late = threading.Thread(target=line.write, args=[output, [small]])
    late.start()
    while not output._waiting:  # for its turn
        pass
    data = line.read(2 * len(large) + len(small) - 100).result(PATIENCE)
    assert data == large[100:] + small + large
    for thread in (writer, late):
        thread.join(PATIENCE)


def test_a_peer_that_has_gone(line: Line) -> None:
    output = line.output()
    line.theirs.close()
    with pytest.raises(ClientDisconnected):
        for _ in range(3):  # TCP learns it from the answer to what was sent
            line.write(output, [b"x" * 100_000])
    assert output.broken
    with pytest.raises(ClientDisconnected):
        line.write(output, [b"y"])


def test_a_peer_that_goes_while_it_is_waited_for(line: Line) -> None:
    line.read(10_000).add_done_callback(lambda _: line.theirs.close())
    with pytest.raises(ClientDisconnected):
        line.write(line.output(), [b"x" * (8 << 20)])


def test_a_peer_that_reads_nothing(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    output = line.output(timeout=0.05)
    with pytest.raises(ClientDisconnected):
        line.write(output, [b"x" * (8 << 20)])
    assert output.broken
    assert "setting: write_timeout" in caplog.text


def test_the_time_limit_is_for_silence_not_for_the_whole(line: Line) -> None:
    """However long it takes in all: what is read now and then is written to the end."""
    size = 300_000
    received = line.read(size, 2000)
    line.write(line.output(timeout=2), [b"x" * size])
    assert len(received.result(PATIENCE)) == size


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "step"), [(1, 10), (65_528, 1000), (3_000_000, 1 << 16)])
def test_a_file_between_its_frame(line: Line, size: int, step: int) -> None:
    data = os.urandom(size + 100)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        received = line.read(size + 6, step)
        line.write_file(line.output(), (b"<<<<", size, b">>"), file.fileno(), 70)
        assert received.result(PATIENCE) == b"<<<<" + data[70 : 70 + size] + b">>"


def test_a_file_without_a_frame(line: Line) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        output = line.output()
        line.write_file(output, (b"", 4, b""), file.fileno(), 3)
        line.write(output, [b"!"])
        assert line.read(5).result(PATIENCE) == b"3456!"


def test_a_file_in_many_frames(line: Line) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        assert line.write_file(line.output(), (b"<", 3, b">"), file.fileno(), 1, times=3) == 3
        assert line.read(15).result(PATIENCE) == b"<123><456><789>"


def test_a_file_makes_room_for_others_between_its_frames(line: Line) -> None:
    size = 4 << 20  # more than pipe and socket hold
    with tempfile.TemporaryFile() as file, ThreadPoolExecutor(2) as pool:
        file.truncate(3 * size)
        output = line.output()
        frame = (b"<", size, b">")
        first = pool.submit(line.write_file, output, frame, file.fileno(), 0, times=3)
        assert line.read(1).result(PATIENCE) == b"<"  # and then its turn lasts until it is read
        second = pool.submit(line.write, output, [b"second"])
        while not output._waiting:
            pass
        assert line.reply(output, b"reply")
        received = line.read(size + 1 + 5 + 6).result(PATIENCE)
        assert received[size:] == b">replysecond"
        assert first.result(PATIENCE) == 1
        second.result(PATIENCE)


def test_a_file_that_has_become_shorter(line: Line) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"12345")
        file.flush()
        output = line.output()
        with pytest.raises(ClientDisconnected):
            line.write_file(output, (b"<", 10, b">"), file.fileno(), 0)
        assert output.broken, "a whole record was promised: nothing may follow"


def test_a_file_for_a_peer_that_has_gone(line: Line) -> None:
    output = line.output()
    line.theirs.close()
    with tempfile.TemporaryFile() as file:
        file.truncate(8 << 20)
        with pytest.raises(ClientDisconnected):
            line.write_file(output, (b"<", 8 << 20, b">"), file.fileno(), 0)


def test_a_file_after_one_whose_peer_has_gone(line: Line) -> None:
    """What was left of the first on its way is not for the second."""
    gone, nobody = socket.socketpair()
    nobody.close()
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 10_000)
        file.flush()
        with pytest.raises(ClientDisconnected):
            lost = Output(gone, PATIENCE, lambda: None, line.lock)
            line.write_file(lost, (b"first", 50_000, b""), file.fileno(), 0, times=2)
        gone.close()
        line.write_file(line.output(), (b"<", 3, b">"), file.fileno(), 1)
        assert line.read(5).result(PATIENCE) == b"<123>"


def test_a_file_for_a_peer_that_reads_nothing(line: Line) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(8 << 20)
        with pytest.raises(ClientDisconnected):
            line.write_file(line.output(timeout=0.05), (b"<", 8 << 20, b">"), file.fileno(), 0)


# -- automatic answers -----------------------------------------------------------------------------


def stuff(line: Line, output: Output, answer: bytes) -> int:
    """Reply until the peer's buffers are full and one waits; how often."""
    count = 0
    while line.reply(output, answer):
        count += 1
        assert count < 100_000
    return count + 1


def test_a_reply_never_waits_and_tells_when_too_much_has_gathered(line: Line) -> None:
    answer = wire.record(wire.UNKNOWN_TYPE, b"12345678", 0) * 10
    output = line.output()
    count = stuff(line, output, answer)
    assert not output.broken
    received = line.read(1 << 30)
    for _ in range(50):  # what waits goes with the next writes, as far as there is room
        line.write(output, [wire.record(wire.STDOUT, b"end")])
    line.ours.close()
    data = received.result(PATIENCE)
    # Whole records, whichever way they found room: none inside another.
    kinds = [kind for kind, _, _ in records(data)]
    assert kinds.count(wire.STDOUT) == 50
    assert kinds.count(wire.UNKNOWN_TYPE) == 10 * count


def records(data: bytes) -> list[tuple[int, int, bytes]]:
    found = []
    while data:
        version, kind, request_id, size, padding = struct.unpack(">BBHHBx", data[:8])
        assert version == 1
        found.append((kind, request_id, data[8 : 8 + size]))
        data = data[8 + size + padding :]
    return found


def test_a_reply_during_a_write_comes_after_it(line: Line) -> None:
    output = line.output()
    body = b"x" * (2 << 20)
    writer = threading.Thread(target=line.write, args=[output, [body]])
    writer.start()
    assert line.read(100).result(PATIENCE) == body[:100]
    assert line.reply(output, b"reply")  # returns while the write is under way
    received = line.read(len(body) - 100 + 6)
    writer.join(PATIENCE)
    line.write(output, [b"!"])  # if there was no room before
    assert received.result(PATIENCE) == body[100:] + b"reply!"


def test_a_reply_to_a_peer_that_has_gone(line: Line) -> None:
    output = line.output()
    line.theirs.close()
    for _ in range(3):
        line.reply(output, b"x" * (MAX_UNSENT // 10))  # to nobody: no exception
    with pytest.raises(ClientDisconnected):
        for _ in range(3):
            line.write(output, [b"x"])


# -- the end ---------------------------------------------------------------------------------------


def test_a_cut_is_a_reset_on_tcp_and_an_end_on_unix(line: Line) -> None:
    output = line.output()
    line.write(output, [b"some"])
    assert line.theirs.recv(10) == b"some"
    output.reset_on_close()
    with pytest.raises(ClientDisconnected):
        line.write(output, [b"more"])
    line.ours.close()
    if line.theirs.family == socket.AF_UNIX:
        assert line.theirs.recv(10) == b""
    else:
        with pytest.raises(ConnectionResetError):
            line.theirs.recv(10)
