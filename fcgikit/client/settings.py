"""What both clients are told when they are made, and what becomes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, Unpack

from ..addresses import SocketAddress, socket_address
from ..config import Config
from ..errors import ConfigError
from ..protocols import PROTOCOLS
from .link import Link, Trace
from .outgoing import Arguments, Outgoing, prepare
from .patience import Patience
from .pool import Keepable, Pool

VALUES = ("FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS")
"""The variables of FCGI_GET_VALUES (FastCGI 1.0 section 4.1)."""

MAX_HEAD_SIZE = 256 * 1024
"""Bytes of a response head we accept; the front ends measured take 4 to 32 KiB."""

_UNREAD = 256 * 1024
"""Bytes of an answer that may lie unread on a connection of its own."""

_UNREAD_SHARED = 16 << 20
"""The same on a shared one: FastCGI cannot hold back one answer without its siblings."""

_MULTIPLEXED = 128
"""Requests on one connection where the server names no FCGI_MAX_REQS."""


_SETTLED = 0.05
"""Seconds after which a connection that the server has not closed is believed to be kept.
uWSGI closes in spite of FCGI_KEEP_CONN, at once but not always before our next request."""

C = TypeVar("C", bound=Keepable)


@dataclass(frozen=True)
class Settings:
    """What a client is told when it is made; :class:`ClientBase` explains each."""

    address: str
    protocol: str
    multiplex: bool
    max_idle: int
    connect_timeout: float | None
    read_timeout: float | None
    timeout: float | None
    max_head_size: int
    trace: Trace | None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol {self.protocol!r} is unknown: use fastcgi, scgi or uwsgi")
        if self.multiplex and self.protocol != "fastcgi":
            raise ConfigError(f"multiplex: {self.protocol} carries one request per connection")
        self.target  # noqa: B018 - it is an error here and now if there is none

    @property
    def target(self) -> SocketAddress:
        """Where to connect."""
        return socket_address(self.address, "address")

    @property
    def keep(self) -> bool:
        """Connections are kept for further requests."""
        return self.max_idle > 0 or self.multiplex

    def link(self, limit: int) -> Link:
        """The state of a new connection for *limit* requests at a time."""
        config = Config(max_head_size=self.max_head_size)
        window = _UNREAD if limit == 1 else _UNREAD_SHARED
        return Link(self.address, self.protocol, config, self.trace, limit=limit, window=window)


class ClientBase(Generic[C]):
    """The settings of a client, and the connections it has.

    *address* is ``unix:PATH``, ``HOST:PORT`` or ``[IPV6]:PORT``; *protocol* is ``fastcgi``,
    ``scgi`` or ``uwsgi``. FastCGI connections are kept, *max_idle* of them between requests (0:
    none). With *multiplex* many requests share a connection, if the server says that it can
    (FCGI_MPXS_CONNS); otherwise each has one to itself.

    *connect_timeout* and *read_timeout* are seconds; the latter is the silence allowed in both
    directions. *timeout* is for a whole request, to the end of its answer. ``None`` is for ever.
    *max_head_size* is the most bytes of response headers taken. *trace* is called with ``">"``
    or ``"<"`` and every event sent or received.

    Raises ``ConfigError`` for settings that cannot work.
    """

    def __init__(
        self,
        address: str,
        *,
        protocol: str = "fastcgi",
        multiplex: bool = False,
        max_idle: int = 16,
        connect_timeout: float | None = 5.0,
        read_timeout: float | None = 60.0,
        timeout: float | None = None,
        max_head_size: int = MAX_HEAD_SIZE,
        trace: Trace | None = None,
    ) -> None:
        self._settings = Settings(
            address,
            protocol,
            multiplex,
            max_idle,
            connect_timeout,
            read_timeout,
            timeout,
            max_head_size,
            trace,
        )
        self._pool: Pool[C] = Pool(max_idle)
        self._busy: set[C] = set()
        self._limit = 0 if multiplex else 1  # requests per connection; 0: not known yet
        self._kept = False  # the server has answered a second request on a connection
        self._set_up()

    def _set_up(self) -> None:
        """Make what the kind of client needs besides."""

    def _prepare(self, method: str, url: str, **arguments: Unpack[Arguments]) -> Outgoing:
        return prepare(self._settings.protocol, method, url, **arguments)

    def _for_values(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if self._settings.protocol != "fastcgi":
            raise ValueError(f"{self._settings.protocol} has no FCGI_GET_VALUES")
        return names or VALUES

    def _patience(self, now: float, timeout: float | None = None) -> Patience:
        total = self._settings.timeout if timeout is None else timeout
        return Patience.starting(now, self._settings.read_timeout, total)

    def _take(self, outgoing: Outgoing, now: float) -> C | None:
        """A kept connection for *outgoing*: if failing there could do harm, a proven one."""
        trusted = self._kept or outgoing.repeatable
        return self._pool.take(now, 0.0 if trusted else _SETTLED)

    def _forget_all(self) -> set[C]:
        """Every connection, to be closed."""
        connections = {*self._pool.drain(), *self._busy}
        self._busy.clear()
        return connections


def requests_at_once(values: dict[str, str]) -> int:
    """How many requests a server that answers FCGI_GET_VALUES so takes on one connection."""
    if values.get("FCGI_MPXS_CONNS") != "1":
        return 1
    most = values.get("FCGI_MAX_REQS", "")
    named = int(most) if most.isascii() and most.isdigit() and len(most) < 10 else 0
    return min(named or _MULTIPLEXED, _MULTIPLEXED)


def busy_delays() -> Iterator[float]:
    """Seconds between attempts to connect to a Unix socket whose backlog is full (EAGAIN)."""
    return itertools.chain((0.001, 0.002, 0.005, 0.01), itertools.repeat(0.02))
