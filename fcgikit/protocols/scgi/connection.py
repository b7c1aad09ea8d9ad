"""SCGI: a netstring of CGI variables, then CONTENT_LENGTH bytes of body.

The specification is short and this reads it strictly, with one exception: real front ends
repeat ``HTTP_*`` names, which it forbids, so those are merged (rule R12).
"""

from __future__ import annotations

from typing import Final

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError
from ...events import APP, Side
from .. import cgi
from ..interface import Connection
from ..oneshot import AppSide, Codec, decimal, refusal, too_many_variables
from ..params import merge
from ..stray import describe

MAX_LENGTH_DIGITS: Final = 10
"""Digits of a netstring's length before we stop waiting for its colon: 4 GiB has as many."""

_ZERO = 0x30
_NINE = 0x39


def SCGIConnection(side: Side, config: Config) -> Connection:
    """A connection seen from *side*; it carries one request."""
    if side is APP:
        return AppSide(_CODEC, config)
    from ..oneshot.web_side import WebSide  # late, as a server never needs it

    return WebSide(_CODEC, config)


class SCGICodec(Codec):
    """The netstring, and the CGI head of the answer."""

    def block_size(self, data: bytes, limit: int) -> int:
        """See :class:`~fcgikit.protocols.oneshot.Codec`; 0 until the colon is here."""
        digits, colon, _ = data[: MAX_LENGTH_DIGITS + 1].partition(b":")
        if not digits.isdigit() or digits[0] == _ZERO or len(digits) > MAX_LENGTH_DIGITS:
            _check_length(data, digits)
        if not colon:
            return 0
        size = int(digits)
        if size > limit:
            raise too_many_variables(limit)
        return len(digits) + 1 + size + 1

    def decode_params(self, data: bytes, size: int) -> dict[str, str]:
        """See :class:`~fcgikit.protocols.oneshot.Codec`; CONTENT_LENGTH is checked later."""
        strings = data[:size].decode("latin-1").split("\0")
        if strings.pop() != ",":
            raise refusal("the netstring does not end with a NUL byte and a comma")
        if len(strings) % 2:
            raise refusal("the last variable has no value")
        strings[0] = strings[0].partition(":")[2]
        if strings[0] != "CONTENT_LENGTH":
            raise refusal("the first variable must be CONTENT_LENGTH")
        pairs = iter(strings)
        params = dict(zip(pairs, pairs))  # noqa: B905 - strict costs as much as two variables
        if len(params) * 2 < len(strings):
            params = _merge(strings)
        if "" in params:
            raise refusal("a variable has no name")
        if params.get("SCGI") != "1":
            raise refusal("the variable SCGI=1 is missing")
        return params

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
        if text == "0":  # as most say
            return 0
        size = decimal(text)
        if size is None:
            raise refusal(f"CONTENT_LENGTH must be a decimal number, not {text[:40]!a}")
        return size

    def encode_head(self, status: int, reason: str, headers: cgi.Headers) -> bytes:
        """See :func:`~fcgikit.protocols.cgi.encode_head`."""
        return cgi.encode_head(status, reason, headers)


_CODEC: Final = SCGICodec()


def _check_length(data: bytes, digits: bytes) -> None:
    """Say what is wrong with a netstring's length, if anything is: 0 is one."""
    if not _ZERO <= data[0] <= _NINE:
        raise RemoteProtocolError(describe(data[0]))
    if digits[0] == _ZERO and len(digits) > 1:
        raise refusal("the netstring's length has a leading zero")
    if not digits.isdigit():
        raise refusal("the netstring's length is not a decimal number")
    if len(digits) > MAX_LENGTH_DIGITS:
        raise refusal(f"the netstring's length has more than {MAX_LENGTH_DIGITS} digits")


def _merge(strings: list[str]) -> dict[str, str]:
    """The variables in *strings*, of which only ``HTTP_*`` may come more than once."""
    names = strings[::2]
    seen: set[str] = set()
    for name in names:
        if name in seen and not name.startswith("HTTP_"):
            raise refusal(f"the variable {name[:40]!a} comes twice")
        seen.add(name)
    return merge(list(zip(names, strings[1::2], strict=True)))
