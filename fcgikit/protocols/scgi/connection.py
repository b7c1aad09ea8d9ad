"""SCGI: a netstring of CGI variables, then CONTENT_LENGTH bytes of body.

The specification is short and this reads it strictly, with one exception: real front ends
repeat ``HTTP_*`` names, which it forbids, so those are merged (rule R12).
"""

from __future__ import annotations

from typing import Final

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError
from ...events import Side
from .. import cgi
from ..interface import Connection
from ..oneshot import AppSide, decimal, refusal, too_many_variables
from ..params import merge
from ..stray import describe

MAX_LENGTH_DIGITS: Final = 10
"""Digits of a netstring's length before we stop waiting for its colon: 4 GiB has as many."""

_COLON = b":"
_COMMA = 0x2C
_ZERO = 0x30
_NINE = 0x39


def SCGIConnection(side: Side, config: Config) -> Connection:
    """A connection seen from *side*; it carries one request."""
    codec = SCGICodec()
    if side is Side.APP:
        return AppSide(codec, config)
    from ..oneshot.web_side import WebSide  # late, as a server never needs it

    return WebSide(codec, config)


class SCGICodec:
    """The netstring, and the CGI head of the answer."""

    def decode_params(self, data: bytearray, limit: int) -> tuple[dict[str, str], int] | None:
        """See :class:`~fcgikit.protocols.oneshot.Codec`."""
        length = _decode_length(data)
        if length is None:
            return None
        size, start = length
        if size > limit:
            raise too_many_variables(limit)
        end = start + size
        if len(data) <= end:
            return None
        if data[end] != _COMMA:
            raise refusal("the netstring does not end with a comma")
        return _decode_headers(data[start:end].decode("latin-1")), end + 1

    def encode_params(self, params: dict[str, str]) -> bytes:
        """See :class:`~fcgikit.protocols.oneshot.Codec`; ``SCGI=1`` is added."""
        if params.get("SCGI", "1") != "1":
            raise LocalProtocolError("the SCGI variable is always '1'")
        strings = ["CONTENT_LENGTH", params["CONTENT_LENGTH"], "SCGI", "1"]
        for name, value in params.items():
            if name not in ("CONTENT_LENGTH", "SCGI"):
                strings += (name, value)
        if "" in strings[::2] or any("\0" in string for string in strings):
            raise LocalProtocolError("an SCGI name is never empty, and NUL ends every string")
        block = "\0".join(strings).encode("latin-1") + b"\0"
        return b"%d:%b," % (len(block), block)

    def body_size(self, params: dict[str, str]) -> int:
        """CONTENT_LENGTH, which is always there and digits only."""
        text = params.get("CONTENT_LENGTH", "")
        size = decimal(text)
        if size is None:
            raise refusal(f"CONTENT_LENGTH must be a decimal number, not {text[:40]!a}")
        return size

    def encode_head(self, status: int, reason: str, headers: cgi.Headers) -> bytes:
        """See :func:`~fcgikit.protocols.cgi.encode_head`."""
        return cgi.encode_head(status, reason, headers)


def _decode_length(data: bytearray) -> tuple[int, int] | None:
    """The netstring's length and where its string begins; ``None`` until the colon is here."""
    if not _ZERO <= data[0] <= _NINE:
        raise RemoteProtocolError(describe(data[0]))
    colon = data.find(_COLON, 0, MAX_LENGTH_DIGITS + 1)
    digits = data[: colon if colon >= 0 else MAX_LENGTH_DIGITS + 1]
    if digits[0] == _ZERO and len(digits) > 1:
        raise refusal("the netstring's length has a leading zero")
    if not digits.isdigit():
        raise refusal("the netstring's length is not a decimal number")
    if len(digits) > MAX_LENGTH_DIGITS:
        raise refusal(f"the netstring's length has more than {MAX_LENGTH_DIGITS} digits")
    return (int(digits), colon + 1) if colon >= 0 else None


def _decode_headers(text: str) -> dict[str, str]:
    """The variables in the string of the netstring; CONTENT_LENGTH is checked later."""
    strings = text.split("\0")
    if strings.pop() or not strings:
        raise refusal("the variables do not end with a NUL byte")
    if len(strings) % 2:
        raise refusal("the last variable has no value")
    names = strings[::2]
    if "" in names:
        raise refusal("a variable has no name")
    if names[0] != "CONTENT_LENGTH":
        raise refusal("the first variable must be CONTENT_LENGTH")
    params = merge(list(zip(names, strings[1::2], strict=True)))
    if len(params) < len(names):
        _check_repetitions(names)
    if params.get("SCGI") != "1":
        raise refusal("the variable SCGI=1 is missing")
    return params


def _check_repetitions(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen and not name.startswith("HTTP_"):
            raise refusal(f"the variable {name[:40]!a} comes twice")
        seen.add(name)
