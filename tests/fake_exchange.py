"""An Exchange without a server: fed by hand, it keeps what a gateway sends and judges the order."""

from __future__ import annotations

import os

from fcgikit.errors import ClientDisconnected
from fcgikit.events import (
    Diagnostic,
    EndOfResponse,
    Event,
    Request,
    Response,
    ResponseBody,
    Role,
)

PARAMS = {
    "QUERY_STRING": "a=1",
    "REQUEST_METHOD": "GET",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "SCRIPT_NAME": "/up/hello",
    "REQUEST_URI": "/up/hello?a=1",
    "DOCUMENT_URI": "/up/hello",
    "DOCUMENT_ROOT": "/srv/www",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http",
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "nginx/1.22.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "37982",
    "SERVER_ADDR": "127.0.0.1",
    "SERVER_PORT": "8080",
    "SERVER_NAME": "app.example",
    "REDIRECT_STATUS": "200",
    "HTTP_HOST": "app.example",
    "HTTP_USER_AGENT": "test/1.0",
}
"""What nginx sends with its stock ``fastcgi_params``."""


class FakeExchange:
    """*pieces* are what ``read()`` gives, an exception among them is raised.

    *patience*: how many events are taken before the peer is gone.
    """

    def __init__(
        self,
        method: str = "GET",
        *,
        body: bytes = b"",
        complete: bool = True,
        pieces: list[bytes | Exception] | None = None,
        patience: int = 1000,
        role: Role = Role.RESPONDER,
        **params: str,
    ) -> None:
        variables = {**PARAMS, "REQUEST_METHOD": method, **params}
        self.request = Request(7, variables, role, body=body, complete=complete)
        self.aborted = False
        self.events: list[Event] = []
        self.truncated = False
        self.released = False
        self.files: list[tuple[int, int]] = []
        self._pieces = pieces or []
        self._patience = patience
        self._file_data = b""

    # -- the gateway's side -----------------------------------------------------------------

    def read(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def send(self, event: Event) -> None:
        assert not self.ended, f"{event} after the end"
        assert getattr(event, "request_id", 7) == 7
        if isinstance(event, Response):
            assert self.response is None, "a second response"
        elif not isinstance(event, Diagnostic):
            assert self.response is not None, f"{event} before the response"
        if not self._patience:
            raise ClientDisconnected("gone")
        self._patience -= 1
        self.events.append(event)

    def send_file(self, fileno: int, offset: int, count: int) -> int:
        assert self.response is not None
        data = os.pread(fileno, count, offset)
        self.files.append((offset, count))
        self._file_data += data
        return len(data)

    def truncate(self) -> None:
        assert not self.ended
        assert self.response is not None
        self.truncated = True

    def release(self) -> None:
        assert self.ended
        self.released = True

    # -- the test's side --------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        return self.truncated or any(
            isinstance(event, EndOfResponse) or (isinstance(event, Response) and event.complete)
            for event in self.events
        )

    @property
    def response(self) -> Response | None:
        return next((event for event in self.events if isinstance(event, Response)), None)

    @property
    def head(self) -> Response:
        assert self.response is not None
        return self.response

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name."""
        return {name.lower(): value for name, value in self.head.headers}

    @property
    def blocks(self) -> list[bytes]:
        """The pieces the body was sent in, without what a file gave."""
        data = [event.data for event in self.events if isinstance(event, ResponseBody)]
        return [self.head.body, *data] if self.head.body else data

    @property
    def body(self) -> bytes:
        return b"".join(self.blocks) + self._file_data

    @property
    def diagnostics(self) -> str:
        data = [event.data for event in self.events if isinstance(event, Diagnostic)]
        return b"".join(data).decode()
