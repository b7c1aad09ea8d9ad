"""One request by CGI/1.1 (RFC 3875): variables in the environment, body on fd 0, answer on fd 1.

The way in for an ``index.fcgi`` on a host that runs it as a plain CGI script.
"""

from __future__ import annotations

import logging
import os
import sys

from ..config import Config
from ..errors import BodyTooLarge, BodyTruncated, ClientDisconnected, LocalProtocolError
from ..events import Diagnostic, EndOfResponse, Event, Request, Response, ResponseBody
from ..gateways.interface import Gateway
from ..protocols.cgi import encode_head
from ..protocols.oneshot import decimal

_PIECE = 65536


class Exchange:
    """The request of this process, between file descriptors."""

    def __init__(self, config: Config, params: dict[str, str], stdin: int, stdout: int) -> None:
        # Without a length there is no body: reading on could wait for ever (section 4.2).
        self._expected = decimal(params.get("CONTENT_LENGTH", "")) or 0
        self._too_large = self._expected > config.max_body_size
        self._stdin = stdin
        self._stdout = stdout
        self.request = Request(1, params, complete=self._expected == 0)
        self.aborted = False

    def read(self) -> bytes:
        """The body's next piece; ``b""`` after CONTENT_LENGTH bytes."""
        if self._too_large:
            raise BodyTooLarge(f"the body of {self._expected} bytes exceeds max_body_size")
        if not self._expected:
            return b""
        data = os.read(self._stdin, min(self._expected, _PIECE))
        if not data:
            raise BodyTruncated(f"the body ended {self._expected} bytes early")
        self._expected -= len(data)
        return data

    def send(self, event: Event) -> None:
        """Write a part of the answer to standard output, diagnostics to standard error.

        There the web server's error log takes them, once: not again where the log goes there too.
        """
        if isinstance(event, Response):
            self._write(encode_head(event.status, event.reason, event.headers) + event.body)
        elif isinstance(event, ResponseBody):
            self._write(event.data)
        elif isinstance(event, Diagnostic):
            if not _log_is_on_stderr():
                os.write(2, event.data)
        elif not isinstance(event, EndOfResponse):
            raise LocalProtocolError(f"{type(event).__name__} is no part of an answer")

    def send_file(self, fileno: int, offset: int, count: int) -> int:
        """Copy *count* bytes of an open file to the answer's body; how many there were."""
        sent = 0
        while sent < count:
            data = os.pread(fileno, min(count - sent, _PIECE), offset + sent)
            if not data:
                break
            self._write(data)
            sent += len(data)
        return sent

    def truncate(self) -> None:
        """Write nothing further: CGI has no other way to say that an answer is incomplete."""

    def release(self) -> None:
        """Close standard output: that is what the web server takes for the end."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stdout)
        os.close(null)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._stdout, rest) :]
        except (BrokenPipeError, ConnectionResetError) as error:
            self.aborted = True
            raise ClientDisconnected("the web server no longer reads the answer") from error


def _log_is_on_stderr() -> bool:
    """Whether ``wsgi.errors`` reaches standard error through the log already."""
    log = logging.getLogger("fcgikit.application")
    if not log.isEnabledFor(logging.ERROR):
        return False
    logger: logging.Logger | None = log
    handlers: list[logging.Handler] = []
    while logger is not None:
        handlers += logger.handlers
        logger = logger.parent if logger.propagate else None
    # Without any handler Python writes to standard error.
    return not handlers or any(
        handler.level <= logging.ERROR and getattr(handler, "stream", None) is sys.stderr
        for handler in handlers
    )


def started_as_cgi() -> bool:
    """Whether the environment is that of a CGI script (section 4.1.4).

    mod_fcgid's and lighttpd's FastCGI processes have none of these variables. Ask only when
    fd 0 is not a listening socket: being one is a fact, the environment is hearsay.
    """
    return "GATEWAY_INTERFACE" in os.environ


def answer(gateway: Gateway, config: Config) -> None:
    """Answer the request this process was started for."""
    # What a client calls "Proxy:" would direct the application's own HTTP requests (httpoxy).
    os.environ.pop("HTTP_PROXY", None)
    params = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()
    }
    # Whatever the application prints belongs in the error log, not in front of the answer.
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        gateway(Exchange(config, params, 0, stdout))
    finally:
        os.close(stdout)
