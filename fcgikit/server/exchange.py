"""One request on its way through an application: the server's half of a gateway's Exchange."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ..errors import (
    BodyTimeout,
    BodyTooLarge,
    BodyTruncated,
    ClientDisconnected,
    LocalProtocolError,
    RequestError,
)
from ..events import (
    FILTER,
    CutOff,
    EndOfResponse,
    Event,
    ProtocolStatus,
    Request,
    Response,
    ResponseBody,
)
from ..protocols.cgi import refusal
from ..protocols.interface import Connection
from .spool import Spool

if TYPE_CHECKING:
    from .connection import ServerConnection

_PIECE = 64 * 1024  # bytes of body per turn at the connection that other requests share too
_STRETCH = 4 * 1024 * 1024  # bytes of a file to be sent before we look whether it still has more


class ServerExchange:
    """See :class:`fcgikit.gateways.interface.Exchange`, which this is to gateways.

    The methods ``add``, ``end_body``, ``abort`` and ``lose_input`` belong to the
    connection, which calls them with its lock held.
    """

    __slots__ = ("_earlier", "_failure", "_filter_data_follows", "_received", "_spool",
                 "_started", "aborted", "answered", "body_ended", "connection", "given_up",
                 "released", "request", "unwanted")  # fmt: skip

    def __init__(self, request: Request, connection: ServerConnection) -> None:
        self.request = request
        self.aborted = False
        self.unwanted = False  # aborted by a word of the peer, not only by its end
        self.answered = False  # the end of the answer is out, or about to be
        self.given_up = False  # answered by us, while the application still runs
        self.released = False  # answered, while the application still runs
        self.body_ended = request.complete
        self.connection = connection
        self._spool: Spool | None = None  # of the stream that arrives now
        self._earlier: Spool | None = None  # a filter's body, complete and not yet read
        self._filter_data_follows = request.role is FILTER
        self._failure: RequestError | None = None
        self._received = 0
        self._started = False  # the response head is out, and more is to come
        if request.body:
            self._received = len(request.body)
            if self._received > connection.config.max_body_size:
                request.body, request.complete = b"", False
                self._refuse_body()

    # -- the connection's side --------------------------------------------------------------

    @property
    def window_full(self) -> bool:
        """The application has enough to read; more would only fill memory."""
        spool = self._spool
        return spool is not None and spool.in_memory >= self.connection.config.body_window

    def add(self, data: bytes, *, multiplexed: bool) -> None:
        """A piece of the body has arrived."""
        if self._failure is not None:
            return
        config = self.connection.config
        self._received += len(data)
        if self._received > config.max_body_size:
            self._refuse_body()
            return
        spool = self._spool
        if spool is None:
            spool = self._spool = Spool()
        try:
            spool.append(data, config.spool_size if multiplexed else None)
        except OSError as error:
            self._failure = RequestError(f"cannot spool the request body: {error}")

    def _refuse_body(self) -> None:
        limit = self.connection.config.max_body_size
        self._failure = BodyTooLarge(
            f"the request body exceeds {limit} bytes (setting: max_body_size)"
        )

    def end_body(self) -> None:
        """The stream that arrives is complete: the body, or a filter's file after it."""
        if self._filter_data_follows and self._failure is None:
            self._filter_data_follows = False
            self._earlier, self._spool = self._spool or Spool(), None
        else:
            self.body_ended = True

    def abort(self) -> None:
        """The front end does not want the answer."""
        self.aborted = self.unwanted = True
        self.body_ended = True
        self._failure = ClientDisconnected("the front end has aborted the request")

    def lose_input(self) -> None:
        """The peer's half of the connection is at its end; it may still read our answer."""
        self.aborted = True
        if not self.body_ended and self._failure is None:
            self._failure = BodyTruncated("the connection ended inside the request body")
        self.body_ended = True

    # -- the loop's side --------------------------------------------------------------------

    def give_up(self, status: int, explanation: str) -> None:
        """End the request in place of its application, without waiting for anybody.

        The answer is *status* if no head was sent, else it is cut off. Whatever the application
        does from now on concerns nobody, even if the request's id is used again.
        """
        connection = self.connection
        request_id = self.request.request_id
        reason, headers, body = refusal(status, explanation)
        with connection.lock:
            visible_end = self._visible_end()
            chapter = self._take_over()
            if chapter is None:
                return  # answered; only its thread is not done
            answer = Response(request_id, status, reason, headers, body, complete=True)
            for event in (answer, visible_end):
                try:
                    connection.output.reply(b"".join(chapter.send(event)))
                except LocalProtocolError:  # the chapter knows that it is too late for this
                    continue
                if isinstance(event, CutOff):
                    connection.output.reset_on_close()
                return

    def turn_away(self, retry_after: int | None) -> None:
        """End a request that no thread has begun: FCGI_OVERLOADED, without waiting for anybody.

        With *retry_after*, in seconds, a 503 that says so comes before it.
        """
        connection = self.connection
        request_id = self.request.request_id
        events: list[Event] = [EndOfResponse(request_id, 0, ProtocolStatus.OVERLOADED)]
        if retry_after is not None:
            reason, headers, body = refusal(503, "too many requests at the moment")
            headers.append(("Retry-After", str(retry_after)))
            events.insert(0, Response(request_id, 503, reason, headers, body))
        with connection.lock:
            chapter = self._take_over()
            if chapter is not None:
                answer = [piece for event in events for piece in chapter.send(event)]
                if not connection.output.reply(b"".join(answer)):
                    connection.output.broken = True  # a peer that asks and does not read

    def _take_over(self) -> Connection | None:
        """With the lock held: end the request for its thread and our table.

        Returns the chapter if that has not had an answer yet.
        """
        connection = self.connection
        self.given_up = self.answered = True
        self._close_spools()
        self.abort()
        connection.notify_readers()
        request_id = self.request.request_id
        if connection.exchanges.get(request_id) is not self:
            return None
        del connection.exchanges[request_id]
        return connection.chapter

    def _visible_end(self) -> EndOfResponse | CutOff:
        """How to end an unfinished answer so that the front end sees it: rule R22.

        Where closing would cost others (siblings on the connection, or mod_fcgid, which kills
        a process that closes early) it is END_REQUEST with an appStatus.
        """
        connection = self.connection
        request_id = self.request.request_id
        software = self.request.params.get("SERVER_SOFTWARE", "")
        under_mod_fcgid = connection.inherited and software.startswith("Apache")
        if under_mod_fcgid or len(connection.exchanges) > 1:
            return EndOfResponse(request_id, app_status=1)
        return CutOff(request_id)

    # -- the gateway's side -----------------------------------------------------------------

    def read(self) -> bytes:
        """The body's next piece; receives for the whole connection if nobody else does."""
        connection = self.connection
        timeout = connection.config.body_timeout
        deadline = 0.0
        while True:
            with connection.lock:
                if self._earlier is not None:
                    piece = self._earlier.take()
                    if not piece:
                        self._earlier.close()
                        self._earlier = None
                    return piece
                if self._spool:
                    return self._spool.take()
                if self._failure is not None:
                    raise self._failure
                if self.body_ended:
                    return b""
                now = time.monotonic()
                deadline = deadline or now + timeout
                if now >= deadline:
                    raise BodyTimeout(
                        f"no byte of the request body for {timeout:g} s (setting: body_timeout)"
                    )
                waiting = connection.reading  # then somebody else receives for us
                if waiting:
                    connection.wait_for_arrival(deadline - now)
                else:
                    connection.reading = True
            if waiting:
                continue
            if started := connection.receive_in(deadline - now):
                connection.owner.enqueue(started)
            if connection.unreceived and (self.body_ended or len(connection.exchanges) > 1):
                connection.owner.report(connection)  # what is left there is not for us

    def send(self, event: Event) -> None:
        """Write an event of the answer. Raises ``ClientDisconnected``."""
        kind = type(event)
        if self.answered:
            raise ClientDisconnected("the request is over")
        if self.unwanted and kind is not EndOfResponse:
            raise ClientDisconnected("the front end has aborted the request")
        if kind is Response:
            self.answered = event.complete  # type: ignore[union-attr]
            self._started = True
        elif kind is EndOfResponse:
            self.answered = True
        elif len(self.connection.exchanges) > 1 and isinstance(event, ResponseBody):
            self._take_turns(event)
            return
        self.connection.send(self, event)

    def _take_turns(self, event: ResponseBody) -> None:
        """Send a body in pieces, so that other requests on the connection get their turn."""
        for start in range(0, len(event.data), _PIECE):
            self.connection.output.wait_for_room()  # before the turn, not in it
            piece = event.data[start : start + _PIECE]
            self.connection.send(self, ResponseBody(event.request_id, piece))

    def send_file(self, fileno: int, offset: int, count: int) -> int:
        """Send up to *count* bytes of a file as body; how many there were. Raises like send."""
        connection = self.connection
        sent = 0
        while sent < count:
            if self.answered or self.unwanted:
                raise ClientDisconnected("the request is over")
            left = count - sent
            if left > _PIECE and not connection.multiplexed:
                sent += connection.send_file(self, fileno, offset + sent, min(left, _STRETCH))
            else:  # little, or others are there or may come, who shall not wait for our disk
                piece = os.pread(fileno, min(left, _PIECE), offset + sent)
                self.send(ResponseBody(self.request.request_id, piece))
                sent += len(piece)
            if os.fstat(fileno).st_size <= offset + sent:
                break
        return sent

    def truncate(self) -> None:
        """End an unfinished answer visibly: rule R22."""
        if self.answered:
            return
        end = self._visible_end()
        if isinstance(end, CutOff):
            self.connection.cut_off(self, end)
            self.answered = True
        else:
            self.send(end)

    def refuse(self, status: int, explanation: str, protocol_status: ProtocolStatus) -> None:
        """Answer without an application: a full response, then its end (rule R5)."""
        reason, headers, body = refusal(status, explanation)
        request_id = self.request.request_id
        self.send(Response(request_id, status, reason, headers, body))
        self.send(EndOfResponse(request_id, 0, protocol_status))

    def release(self) -> None:
        """See :class:`fcgikit.gateways.interface.Exchange`."""
        connection = self.connection
        if self.released or self.given_up:
            return
        if not self.answered:
            self._end_answer()
        with connection.lock:
            self.released = True
            if not self.body_ended:
                self.body_ended = True
                self._failure = ClientDisconnected("the request is over")
        connection.owner.about_to_wait()
        connection.owner.answered(self)
        connection.owner.enqueue([])  # what has been received meanwhile is for other threads

    def finish(self) -> None:
        """After the gateway: make sure that the answer has ended, whatever happened."""
        if not self.answered:
            self._end_answer()
        if self._spool is not None or self._earlier is not None:
            self._close_spools()

    def _end_answer(self) -> None:
        try:
            if self._started:
                self.truncate()
            elif self.aborted:
                self.send(EndOfResponse(self.request.request_id, app_status=1))
            else:
                self.refuse(500, "the application sent no answer",
                            ProtocolStatus.REQUEST_COMPLETE)  # fmt: skip
        except ClientDisconnected:
            self.answered = True
            self.connection.remove(self)

    def _close_spools(self) -> None:
        for spool in (self._earlier, self._spool):
            if spool is not None:
                spool.close()
        self._earlier = self._spool = None
