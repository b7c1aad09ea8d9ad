"""uwsgi: one packet of CGI variables, then CONTENT_LENGTH bytes of body.

Of the packet types only 0, a WSGI request, is ours; front ends send both modifiers as 0.
"""

from __future__ import annotations

import struct
from typing import Final

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError
from ...events import APP, Side
from .. import cgi
from ..interface import Connection
from ..oneshot import AppSide, Codec, decimal, refusal, too_many_variables
from ..params import merge
from ..stray import describe, guess

HEADER = struct.Struct("<BHB")
"""modifier1, datasize, modifier2"""

MAX_DATASIZE = 0xFFFF

_SIZE = struct.Struct("<H")


def UwsgiConnection(side: Side, config: Config) -> Connection:
    """A connection seen from *side*; it carries one request."""
    if side is APP:
        return AppSide(_CODEC, config)
    from ..oneshot.web_side import WebSide  # late, as a server never needs it

    return WebSide(_CODEC, config)


class UwsgiCodec(Codec):
    """The packet, and the HTTP status line that mod_proxy_uwsgi demands of the answer."""

    def block_size(self, data: bytes, limit: int) -> int:
        """See :class:`~fcgikit.protocols.oneshot.Codec`; 0 until the header is here."""
        modifier1 = data[0]
        if modifier1:
            if guess(modifier1):
                raise RemoteProtocolError(describe(modifier1))
            raise refusal(f"modifier1 {modifier1} is not served here; remove uwsgi_modifier1")
        if len(data) < HEADER.size:
            return 0
        size = data[1] | data[2] << 8
        modifier2 = data[3]
        if modifier2:
            raise refusal(f"modifier2 {modifier2} is not served here; remove uwsgi_modifier2")
        if not size:
            raise refusal("the packet holds no CGI variables")
        if size > limit:
            raise too_many_variables(limit)
        return HEADER.size + size

    def decode_params(self, data: bytes, size: int) -> dict[str, str]:
        """See :class:`~fcgikit.protocols.oneshot.Codec`."""
        block = data[HEADER.size : size]
        text = block.decode("latin-1")
        params: dict[str, str] = {}
        position, end, count = 0, len(block), 0
        try:
            while position < end:
                start = position + 2
                stop = start + block[position]
                if block[position + 1]:  # seldom: most are shorter than 256 bytes
                    stop += block[position + 1] << 8
                value_start = stop + 2
                position = value_start + block[stop]
                if block[stop + 1]:
                    position += block[stop + 1] << 8
                params[text[start:stop]] = text[value_start:position]
                count += 1
        except IndexError:
            pass
        if position == end and len(params) == count:
            return params
        return merge(_decode_vars(block, text))  # or says what is wrong

    def encode_params(self, params: dict[str, str]) -> bytes:
        """See :class:`~fcgikit.protocols.oneshot.Codec`."""
        parts: list[bytes] = []
        size = 0
        for pair in params.items():
            for text in pair:
                string = text.encode("latin-1")
                size += _SIZE.size + len(string)
                if size > MAX_DATASIZE:
                    raise LocalProtocolError("a uwsgi packet holds at most 65535 bytes")
                parts += (_SIZE.pack(len(string)), string)
        return HEADER.pack(0, size, 0) + b"".join(parts)

    def body_size(self, params: dict[str, str]) -> int:
        """CONTENT_LENGTH; none if it is empty or absent, as on a GET from nginx or Apache.

        Nothing but CONTENT_LENGTH can mark the end of a body, since front ends keep their end
        of the connection open. They therefore buffer a chunked upload and count it (nginx,
        lighttpd) or refuse it with 411 (mod_proxy_uwsgi); so do we, where one gets through.
        """
        text = params.get("CONTENT_LENGTH", "")
        if text == "-1" or (not text and params.get("HTTP_TRANSFER_ENCODING")):
            raise refusal("uwsgi cannot carry a body of unknown length", status=411)
        if not text:
            return 0
        size = decimal(text)
        if size is None:
            raise refusal(f"CONTENT_LENGTH must be a decimal number, not {text[:40]!a}")
        return size

    def encode_head(self, status: int, reason: str, headers: cgi.Headers) -> bytes:
        """See :func:`~fcgikit.protocols.cgi.encode_status_line_head`."""
        return cgi.encode_status_line_head(status, reason, headers)


_CODEC: Final = UwsgiCodec()


def _decode_vars(block: bytes, text: str) -> list[tuple[str, str]]:
    """Every variable of a block in order, repeated ones too; *text* is the same block."""
    strings: list[str] = []
    position, end = 0, len(block)
    while position < end:
        start = position + 2
        if start > end:
            raise refusal("the length of a variable is cut off")
        position = start + block[start - 2] + (block[start - 1] << 8)
        if position > end:
            raise refusal("a variable is longer than its packet")
        strings.append(text[start:position])
    if len(strings) % 2:
        raise refusal("the last variable has no value")
    return list(zip(strings[::2], strings[1::2], strict=True))
