"""What the server hands to a gateway: one request and the means to answer it.

The server calls ``gateway(exchange)`` on the thread that shall run the application; when
the call returns, the exchange is over. A gateway never lets an exception escape.
"""

from __future__ import annotations

from typing import Protocol

from ..events import Event, Request


class Exchange(Protocol):
    """One request on its way through an application."""

    @property
    def request(self) -> Request:
        """The request; ``request.body`` is the part of its body that came along."""

    @property
    def aborted(self) -> bool:
        """The front end has gone away or aborted the request."""

    def read(self) -> bytes:
        """The body's next piece after ``request.body``, waiting for it; ``b""`` at its end.

        Of a Filter, what follows that end are the pieces of FCGI_DATA, and ``b""`` again.
        Raises ``BodyTruncated``, ``BodyTimeout``, ``BodyTooLarge`` or ``ClientDisconnected``.
        """

    def send(self, event: Event) -> None:
        """Write a ``Response``, ``ResponseBody``, ``Diagnostic`` or ``EndOfResponse``.

        Returns when the kernel has taken the bytes. Raises ``ClientDisconnected``.
        """

    def send_file(self, fileno: int, offset: int, count: int) -> int:
        """Send *count* bytes of an open file as response body; how many there were.

        Raises ``ClientDisconnected``.
        """

    def truncate(self) -> None:
        """End an answer that cannot be completed so that the front end sees the cut (rule R22)."""

    def release(self) -> None:
        """Let go of the connection: the answer ends here, while the application goes on.

        What of the body has been received can still be read.
        """


class Gateway(Protocol):
    """An application with its calling convention."""

    def __call__(self, exchange: Exchange) -> None:
        """Run the application for this request and answer it to the end."""
