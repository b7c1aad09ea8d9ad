"""One connection to a server, as a client shares it out among requests. No I/O.

The driver's duty is the one it has to any chapter: bytes from the socket into ``receive``,
bytes from ``begin`` and ``send`` onto the socket, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..config import Config
from ..errors import (
    LocalProtocolError,
    RemoteProtocolError,
    ServerProtocolError,
    Truncated,
)
from ..events import (
    Abort,
    Closed,
    EndOfBody,
    EndOfFilterData,
    Event,
    GetValues,
    Refused,
    Request,
    RequestEvent,
    Role,
    Side,
    Values,
)
from ..protocols import PROTOCOLS
from ..protocols.interface import Buffers
from .exchange import Exchange

Trace: TypeAlias = Callable[[str, Event], None]
"""Is told ``">"`` and each event sent, ``"<"`` and each event received."""


class Link:
    """A chapter's web side, and the exchanges that run over it.

    *limit* is the number of requests it may carry at once. Beyond *window* bytes of one answer
    that lie unread the driver shall stop reading.
    """

    def __init__(
        self,
        address: str,
        protocol: str,
        config: Config,
        trace: Trace | None = None,
        *,
        limit: int = 1,
        window: int,
    ) -> None:
        self.address = address
        self.limit = limit
        self.values: dict[str, str] | None = None
        self.ended = False
        self._keeps = protocol == "fastcgi"
        self._chapter = PROTOCOLS[protocol](Side.WEB, config)
        self._window = window
        self._trace = trace
        self._open: dict[int, Exchange] = {}
        self._spoiled = False
        self.error: RemoteProtocolError | None = None

    # -- what the driver asks ---------------------------------------------------------------

    @property
    def room(self) -> bool:
        """One more request may begin here."""
        return (
            len(self._open) < self.limit
            and not self._spoiled
            and not self.ended
            and not self._chapter.must_close
        )

    @property
    def idle(self) -> bool:
        """No request is unanswered."""
        return not self._open

    @property
    def full(self) -> bool:
        """An answer lies unread: its reader shall catch up before more is received."""
        return any(each.unread > self._window and each.wanted for each in self._open.values())

    # -- requests out -----------------------------------------------------------------------

    def begin(
        self, request: Request, notify: Callable[[], None], *, keep: bool
    ) -> tuple[Exchange, Buffers]:
        """Send *request* under an id that is free; its ``request_id`` is not looked at.

        Raises ``LocalProtocolError`` for what the protocol cannot carry.
        """
        request_id = next(each for each in range(1, 0x10000) if each not in self._open)
        request.request_id = request_id
        request.keep_conn = keep and self._keeps
        buffers = self._chapter.send(request)
        self._told(">", request)
        bodiless = request.params.get("REQUEST_METHOD") == "HEAD"
        exchange = Exchange(request_id, self.address, bodiless=bodiless, notify=notify)
        exchange.uploaded = request.role is Role.AUTHORIZER or (
            request.complete and request.role is Role.RESPONDER
        )
        exchange.last = EndOfFilterData if request.role is Role.FILTER else EndOfBody
        self._open[request_id] = exchange
        return exchange, buffers

    def send(self, exchange: Exchange, event: Event) -> Buffers:
        """Send a further piece of the request; nothing once the answer has ended."""
        if exchange.ended:
            return []
        buffers = self._chapter.send(event)
        self._told(">", event)
        exchange.moved += 1
        exchange.uploaded = type(event) is exchange.last
        return buffers

    def abandon(self, exchange: Exchange) -> Buffers:
        """Give the request up: FCGI_ABORT_REQUEST, and what still comes of it is dropped."""
        exchange.wanted = False
        exchange.pieces.clear()
        exchange.unread = 0
        if exchange.ended:
            return []
        try:
            return self.send(exchange, Abort(exchange.request_id))
        except LocalProtocolError:  # it has just been answered
            return []

    def ask_values(self, names: tuple[str, ...]) -> Buffers:
        """FCGI_GET_VALUES; :attr:`values` is the answer once it is there."""
        self.values = None
        event = GetValues(names)
        self._told(">", event)
        return self._chapter.send(event)

    def known_values(self) -> dict[str, str]:
        """The answer to :meth:`ask_values`. Raises why there is none, once that is known."""
        if self.values is not None:
            return self.values
        if self.error is not None:
            raise ServerProtocolError(str(self.error), address=self.address)
        raise Truncated(
            "the server closed the connection instead of answering FCGI_GET_VALUES",
            address=self.address,
        )

    # -- answers in -------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Hand out what *data* completes; empty: the server will send no more."""
        chapter = self._chapter
        for event in chapter.receive_data(data) if data else chapter.receive_eof():
            self._told("<", event)
            if isinstance(event, Closed):
                self._close(event.error)
            elif isinstance(event, Values):
                self.values = event.values
            else:
                self._hand_out(event)

    def _hand_out(self, event: Event) -> None:
        exchange = self._open.get(event.request_id) if isinstance(event, RequestEvent) else None
        if exchange is None:
            return
        exchange.receive(event)
        if exchange.ended:
            del self._open[exchange.request_id]
            # The rest of a refused answer would pass for that of the id's next request; and a
            # server may wait for the rest of an upload that we no longer send.
            if isinstance(event, Refused) or (self.limit == 1 and not exchange.uploaded):
                self._spoiled = True
        exchange.notify()

    def _close(self, error: RemoteProtocolError | None) -> None:
        self.ended = True
        self.error = error
        for exchange in self._open.values():
            exchange.break_off(error)
            exchange.notify()
        self._open.clear()

    def lost(self) -> None:
        """The connection broke; what had not ended before is cut short, whatever the protocol."""
        if not self.ended:
            self._close(None)

    def _told(self, direction: str, event: Event) -> None:
        if self._trace is not None:
            self._trace(direction, event)
