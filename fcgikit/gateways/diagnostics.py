"""``wsgi.errors``: text for the log of ours and for the front end's error log.

What an application writes may repeat what a client has sent, so no control character
passes, and nothing but a newline ends a log record.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ClientDisconnected
from ..events import Diagnostic
from .interface import Exchange

_log = logging.getLogger("fcgikit.application")

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
del _CONTROLS[ord("\n")]


def printable(text: str) -> str:
    r"""*text* with its control characters, newlines excepted, written as ``\x1b``."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def one_line(text: str) -> str:
    r"""As :func:`printable`, with newlines written as ``\x0a``, too."""
    return printable(text).replace("\n", "\\x0a")


def request_name(params: Mapping[str, Any]) -> str:
    """A request as the log names it, on one line whatever the client sent."""
    target = params.get("REQUEST_URI") or params.get("PATH_INFO", "")
    return one_line(f"{params.get('REQUEST_METHOD', '-')} {target}")


class ErrorStream:
    """A text stream whose lines go to the logger ``fcgikit.application`` and to the front end.

    Lines are sent when they are complete, at ``flush()`` and at the end of the request;
    *limit* bytes of them in all. After :meth:`end` they go to the logger alone.
    """

    __slots__ = ("_exchange", "_limit", "_sending_thread", "_written", "pending")

    def __init__(self, exchange: Exchange, limit: int) -> None:
        self._exchange: Exchange | None = exchange
        self._limit = limit
        self.pending = ""
        self._written = 0
        self._sending_thread = 0

    def write(self, text: str) -> int:
        """Take *text*. Does not fail because the front end has gone."""
        lines, newline, rest = text.rpartition("\n")
        if newline:
            lines, self.pending = self.pending + lines, rest
            self._emit(lines)
        else:
            self.pending += text
            if len(self.pending) > self._limit:
                self.flush()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of *lines*; as with any file, they bring their own newlines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send an unfinished line as it is."""
        if self.pending:
            lines, self.pending = self.pending, ""
            self._emit(lines)

    def report(self, text: str) -> None:
        """Send *text* to the front end as one ``Diagnostic``; for what we have logged ourselves."""
        self._send(_cut(_encode(text), self._limit))

    def end(self) -> None:
        """Send what is pending; from now on there is no front end to hear of more."""
        if self.pending:
            self.flush()
        self._exchange = None

    def _emit(self, lines: str) -> None:
        left = self._limit - self._written
        if left < 0 or self._sending_thread == threading.get_ident():
            return  # the latter: a log handler that itself writes to wsgi.errors
        data = _cut(_encode(lines), left)
        self._written += len(data) + 1
        self._sending_thread = threading.get_ident()
        try:
            for line in data.split(b"\n"):
                _log.error("%s", line.decode("utf-8", "replace"))
            self._send(data)
        finally:
            self._sending_thread = 0

    def _send(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is not None:
            try:
                exchange.send(Diagnostic(exchange.request.request_id, data + b"\n"))
            except ClientDisconnected:
                self._exchange = None


def _encode(text: str) -> bytes:
    return printable(text).encode("utf-8", "backslashreplace")


def _cut(data: bytes, limit: int) -> bytes:
    if len(data) < limit:
        return data
    whole = data[:limit].decode("utf-8", "ignore").encode()  # no half character at the end
    return whole + b"\n(the rest is dropped; setting: max_diagnostics_size)"
