"""A socket, and the pump that all threads with a request on it share.

No thread runs in the background. Whoever waits for an answer receives for everybody on the
connection, and goes on sending its own body meanwhile: so an answer may begin before the
upload ends, and neither direction can block the other.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from ...errors import ClientTimeout, ConnectFailed
from ...events import Event
from ...protocols.interface import Buffers
from ..exchange import Exchange
from ..outgoing import Outgoing
from ..patience import Patience
from ..settings import Settings, busy_delays

_HIGH_WATER = 256 * 1024
"""Bytes not yet taken by the kernel above which no further piece of a body is made."""

_RECEIVE = 256 * 1024
_MAX_BUFFERS = 64  # for one sendmsg; IOV_MAX is larger everywhere


class Call:
    """A request on its way: its exchange, what is still to be sent, and who waits for it."""

    __slots__ = ("exchange", "news", "rest")

    def __init__(self, exchange: Exchange, rest: Iterator[Event], news: threading.Condition):
        self.exchange = exchange
        self.rest: Iterator[Event] | None = None if exchange.uploaded else rest
        self.news = news


class Connection:
    """One connection to a server. Raises ``ConnectFailed``, ``ClientTimeout`` when made."""

    def __init__(self, settings: Settings, *, limit: int = 1) -> None:
        self._link = settings.link(limit)
        self._lock = threading.Lock()
        self._waiting: set[threading.Condition] = set()  # of those who cannot poll just now
        self._output: deque[bytes | memoryview] = deque()
        self._unsent = 0
        self._deaf = False  # the server takes no more; what it said before may still come
        self._reading = self._writing = False  # some thread polls for it
        self._closed = False
        self._socket = _connect(settings)
        self._socket.setblocking(False)

    @property
    def idle(self) -> bool:
        """No request is unanswered."""
        return self._link.idle

    @property
    def shared(self) -> bool:
        """It carries several requests at a time."""
        return self._link.limit > 1

    @property
    def reusable(self) -> bool:
        """A further request may begin. An idle server that says anything says that it leaves."""
        with self._lock:
            if not self._link.room or self._deaf or self._closed:
                return False
            if not self._link.idle:
                return not self._link.full
            return not self._unsent and not _poll(self._socket, select.POLLIN, 0)

    def begin(self, outgoing: Outgoing, *, keep: bool) -> Call:
        """Send the first of *outgoing*. That the server has gone shows when one waits.

        Raises ``LocalProtocolError`` for what the protocol cannot carry.
        """
        news = threading.Condition(self._lock)
        with self._lock:
            exchange, buffers = self._link.begin(outgoing.first(), news.notify, keep=keep)
            self._write(buffers)
        return Call(exchange, outgoing.rest(exchange.request_id), news)

    def wait(self, call: Call, ready: Callable[[], bool], patience: Patience) -> None:
        """Send and receive until *ready*. Raises ``ClientTimeout``, and what the body raises."""
        exchange = call.exchange
        since, moved = time.monotonic(), exchange.moved
        try:
            while not ready():
                uploading = self._upload(call)
                now = time.monotonic()
                with self._lock:
                    if not ready():
                        self._pump(call.news, 0 if uploading else patience.left(now, since))
                now = time.monotonic()
                if exchange.moved != moved:
                    since, moved = now, exchange.moved
                if (late := patience.exhausted(now, since)) and not ready():
                    reason = " while another answer here lies unread" if self._link.full else ""
                    raise ClientTimeout(late[1] + reason, phase=late[0], **exchange.facts())
        finally:
            with self._lock:
                self._wake_one()

    def take(self, exchange: Exchange, size: int = -1) -> bytes:
        """See :meth:`~fcgikit.client.exchange.Exchange.take`."""
        with self._lock:
            piece = exchange.take(size)
            self._wake_one()  # there may be room to receive more
            return piece

    def ask_values(self, names: tuple[str, ...], patience: Patience) -> dict[str, str]:
        """FCGI_GET_VALUES. Raises ``ClientTimeout``, ``Truncated``, ``ServerProtocolError``."""
        link = self._link
        since = time.monotonic()
        news = threading.Condition(self._lock)
        with self._lock:
            self._write(link.ask_values(names))
            while link.values is None and not link.ended:
                self._pump(news, patience.left(time.monotonic(), since))
                late = patience.exhausted(time.monotonic(), since)
                if late and link.values is None:
                    raise ClientTimeout(
                        f"FCGI_GET_VALUES: {late[1]}", phase=late[0], address=link.address
                    )
            return link.known_values()

    def abandon(self, exchange: Exchange) -> None:
        """Give a request up; a connection that carries no other is closed."""
        with self._lock:
            ended = exchange.ended
            self._write(self._link.abandon(exchange))
            self._wake_one()
        if not ended and not self.shared:
            self.close()

    def close(self) -> None:
        """Close it at once; whoever waits on it learns that."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._reading or self._writing:  # the last to poll closes: fds are used again
                self._socket.shutdown(socket.SHUT_RDWR)
            else:
                self._socket.close()
            self._lose()

    # -- the pump: with the lock held -------------------------------------------------------

    def _pump(self, news: threading.Condition, timeout: float | None) -> None:
        """Wait for news: poll for what no other thread polls for, or until one wakes us."""
        reading = not self._reading and not self._link.full
        writing = bool(self._output) and not self._writing
        if self._link.ended or self._closed:
            return
        if not reading and not writing:
            self._waiting.add(news)
            news.wait(timeout)
            self._waiting.discard(news)
            return
        self._reading |= reading
        self._writing |= writing
        self._lock.release()
        try:
            events = select.POLLIN * reading | select.POLLOUT * writing
            found = _poll(self._socket, events, timeout)
        finally:
            self._lock.acquire()
            self._reading &= not reading
            self._writing &= not writing
        self._act(found if reading else 0, found if writing else 0)

    def _act(self, readable: int, writable: int) -> None:
        if self._closed:  # meanwhile, by another thread
            if not self._reading and not self._writing:
                self._socket.close()
            return
        if writable:
            self._flush()
        if readable:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        self._link.receive(data)

    def _write(self, buffers: Buffers) -> None:
        if self._deaf or self._closed:
            return
        self._output += buffers
        self._unsent += sum(map(len, buffers))
        if not self._writing:
            self._flush()

    def _flush(self) -> None:
        while self._output:
            first = [self._output[at] for at in range(min(len(self._output), _MAX_BUFFERS))]
            try:
                count = self._socket.sendmsg(first)
            except BlockingIOError:
                break
            except OSError:
                self._deaf = True
                self._output.clear()
                self._unsent = 0
                break
            self._unsent -= count
            while self._output and count >= len(self._output[0]):
                count -= len(self._output.popleft())
            if count:
                self._output[0] = memoryview(self._output[0])[count:]
        if self._unsent < _HIGH_WATER:
            for news in self._waiting:  # they may have more to send
                news.notify()

    def _lose(self) -> None:
        self._deaf = True
        self._output.clear()
        self._unsent = 0
        self._link.lost()

    def _wake_one(self) -> None:
        """Let another thread poll, now that this one may be done."""
        for news in self._waiting:
            news.notify()
            return

    # -- without the lock -------------------------------------------------------------------

    def _upload(self, call: Call) -> bool:
        """Send a piece of the body, if there is one and room for it; whether that is so."""
        if call.rest is None or call.exchange.ended or self._deaf or self._unsent >= _HIGH_WATER:
            return False
        event = next(call.rest, None)  # runs the caller's code
        if event is None:
            call.rest = None
            return False
        with self._lock:
            self._write(self._link.send(call.exchange, event))
        return True


def _connect(settings: Settings) -> socket.socket:
    target, limit = settings.target, settings.connect_timeout
    deadline = None if limit is None else time.monotonic() + limit
    try:
        if not isinstance(target, str):
            connection = socket.create_connection(target, limit)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        for delay in busy_delays():
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            try:
                connection.connect(target)
                return connection
            except BlockingIOError:
                connection.close()
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError from None
                time.sleep(delay)
            except BaseException:
                connection.close()
                raise
        raise AssertionError("the delays do not end")
    except TimeoutError as error:
        raise ClientTimeout(
            f"no connection within {limit:g} seconds", phase="connect", address=settings.address
        ) from error
    except OSError as error:
        raise ConnectFailed(
            f"cannot connect: {error.strerror or error}", address=settings.address
        ) from error


def _poll(connection: socket.socket, events: int, timeout: float | None) -> int:
    """Which of *events* there are, or others, such as the end of the connection."""
    poll = select.poll()
    poll.register(connection, events)
    found = poll.poll(None if timeout is None else max(0, timeout * 1000))
    return found[0][1] if found else 0
