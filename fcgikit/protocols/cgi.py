"""The CGI response head (RFC 3875 section 6): what an application's answer begins with.

FastCGI and SCGI carry it as it is; uwsgi puts an HTTP status line in place of ``Status``.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from ..errors import RemoteProtocolError

Headers = list[tuple[str, str]]

_STATUS_LINE = re.compile(r"HTTP/\d+(?:\.\d+)? +(\d{3})(?: +(.*))?", re.ASCII)
_STATUS_VALUE = re.compile(r"(\d{3})(?: +(.*))?", re.ASCII)
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)", re.ASCII)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


def encode_head(status: int, reason: str, headers: Headers) -> bytes:
    """A head block with exactly one ``Status``, as its last field.

    Last, because HAProxy before 2025-02 turns every status into 302 when ``Location`` comes
    after it (rule R6). Names and values must be free of CR and LF and within latin-1.
    """
    head = ""
    for name, value in headers:  # cheaper than a join(), for as few as there are
        head += f"{name}: {value}\r\n"
    return f"{head}Status: {status} {reason}\r\n\r\n".encode("latin-1")


def encode_authorizer_head(status: int, reason: str, headers: Headers) -> bytes:
    """A head block that begins with ``Status``.

    First, because lighttpd otherwise drops the fields before it: until it knows better it takes
    an authorizer's answer for access, whose fields are none of the client's business.
    """
    return _encode_head_from(f"Status: {status} {reason}", headers)


def encode_status_line_head(status: int, reason: str, headers: Headers) -> bytes:
    """A head block that begins with ``HTTP/1.1 NNN Reason``, as mod_proxy_uwsgi demands."""
    return _encode_head_from(f"HTTP/1.1 {status} {reason}", headers)


def _encode_head_from(head: str, headers: Headers) -> bytes:
    """A head block that begins with the line *head*."""
    for name, value in headers:
        head += f"\r\n{name}: {value}"
    return f"{head}\r\n\r\n".encode("latin-1")


def refusal(status: int, explanation: str) -> tuple[str, Headers, bytes]:
    """Reason phrase, headers and body of the short plain answer to a refused request."""
    reason = reason_phrase(status)
    body = f"{status} {reason}: {explanation}\n".encode("utf-8", "replace")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    return reason, headers, body


def reason_phrase(status: int) -> str:
    """The registered reason phrase of a status code, or ``"Unknown"``."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class HeadReader:
    """Collects a response until its head is complete; any split of the bytes will do.

    A head of more than *limit* bytes is refused.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._collected = bytearray()

    def feed(self, data: bytes) -> tuple[int, str, Headers, bytes] | None:
        """Status, reason, headers and the body bytes behind them; ``None`` until then.

        Raises :class:`RemoteProtocolError` for a head that is malformed or too long.
        """
        searched = max(0, len(self._collected) - 3)
        self._collected += data
        if self._collected.startswith((b"\n", b"\r\n")):
            raise RemoteProtocolError("the response has an empty head", status=502)
        end = _END_OF_HEAD.search(self._collected, searched)
        size = len(self._collected) if end is None else end.end()
        if size > self._limit:
            raise RemoteProtocolError(
                f"the response head has more than {self._limit} bytes",
                status=502,
                limit="max_head_size",
            )
        if end is None:
            return None
        text = self._collected[: end.start()].decode("latin-1")
        rest = bytes(self._collected[end.end() :])
        return (*parse_head(text.split("\n")), rest)


def parse_head(lines: list[str]) -> tuple[int, str, Headers]:
    """Status, reason and headers of a head given as lines; the inverse of both encoders."""
    lines = [line.removesuffix("\r") for line in lines]
    status, reason = 0, ""
    line_match = _STATUS_LINE.fullmatch(lines[0])
    if line_match is not None:
        status, reason = int(line_match[1]), line_match[2] or ""
        del lines[0]
    headers: Headers = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise RemoteProtocolError(f"bad line in the response head: {line[:80]!r}", status=502)
        name, value = field[1], field[2].rstrip(" \t")
        if name.lower() != "status":
            headers.append((name, value))
            continue
        value_match = _STATUS_VALUE.fullmatch(value)
        if value_match is None:
            raise RemoteProtocolError(f"bad Status in the response: {value[:80]!r}", status=502)
        status, reason = int(value_match[1]), value_match[2] or ""
    if not status:
        redirects = any(name.lower() == "location" for name, _ in headers)
        status = 302 if redirects else 200
    return status, reason or reason_phrase(status), headers
