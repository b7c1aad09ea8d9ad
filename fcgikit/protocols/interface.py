"""What every chapter offers, whichever wire protocol it speaks.

A chapter is one connection's protocol state: bytes in, events out, events in, bytes out.
It performs no I/O and reads no clock. The driver's duty after each step is short::

    events = chapter.receive_data(data)     # or receive_eof()
    write(chapter.data_to_send())           # what the protocol answers by itself
    ... act on the events, and for each answer: write(chapter.send(event))
    if chapter.must_close: close

Bad input never raises: the last event is then ``Closed(error)``, or ``Refused`` where only
one request is lost. Misuse by the caller raises ``LocalProtocolError``.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from ..config import Config
from ..events import Event, Side

Buffers: TypeAlias = list[bytes | memoryview]
"""Pieces of output in order, for one ``sendmsg``."""


class Connection(Protocol):
    """One connection of one wire protocol, seen from one side."""

    @property
    def must_close(self) -> bool:
        """No further request can come here: close once all output is written."""

    @property
    def input_complete(self) -> bool:
        """Nothing more is owed by the peer, and nothing it sent is left undecoded.

        A driver that closes while this is false must half-close and drain, or the kernel
        resets the connection and the peer may lose the answer (rule R2).
        """

    @property
    def open_requests(self) -> int:
        """Requests that have begun here and are not answered to the end."""

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, in order."""

    def receive_eof(self) -> list[Event]:
        """The peer will send no more: aborts of what is unfinished, then ``Closed``."""

    def send(self, event: Event) -> Buffers:
        """The bytes that say *event* to the peer. Raises ``LocalProtocolError``."""

    def data_to_send(self) -> bytes:
        """What the protocol itself answers, since the last call; often empty."""

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """How to send up to *count* body bytes from elsewhere, a file.

        Returns ``(before, size, after)``: write *before*, then *size* body bytes, then
        *after*. The same goes around each further *size* bytes, while *count* has so many left.
        """

    def finish(self) -> None:
        """Accept no further request; ``must_close`` once those that run are answered."""


class Chapter(Protocol):
    """Makes the connections of one wire protocol: the class itself, in practice."""

    def __call__(self, side: Side, config: Config) -> Connection: ...
