"""What both clients' responses tell without waiting."""

from __future__ import annotations

from wsgiref.headers import Headers

from ..events import ProtocolStatus, Response
from .exchange import Exchange


class Answer:
    """The head of an answer, and what has become known since."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._headers: Headers | None = None

    @property
    def status(self) -> int:
        """The HTTP status code; 200 where the application named none (RFC 3875 section 6.3.3)."""
        return self._head.status

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return self._head.reason

    @property
    def headers(self) -> Headers:
        """The header fields: ``headers["content-type"]``, ``get_all("Set-Cookie")``, ``items()``.

        The class of the standard library; a field that is not there is ``None``.
        """
        if self._headers is None:
            self._headers = Headers(self._head.headers)
        return self._headers

    @property
    def stderr(self) -> bytes:
        """What the application has written to its error stream so far (FCGI_STDERR)."""
        return bytes(self._exchange.stderr)

    @property
    def app_status(self) -> int:
        """The application's exit status; 0 until the answer has ended."""
        return self._exchange.app_status

    @property
    def protocol_status(self) -> ProtocolStatus:
        """REQUEST_COMPLETE, or why the server refused."""
        return self._exchange.protocol_status

    @property
    def untouched(self) -> bool:
        """The server has shown no sign of the request."""
        return self._exchange.untouched

    @property
    def _head(self) -> Response:
        head = self._exchange.head
        assert head is not None, "a response is handed out with its head"
        return head

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.reason}>"
