"""A request on the application's side, and how most of them come: whole, and without a body.

FastCGI 1.0 sections 5.1 (FCGI_BEGIN_REQUEST) and 6.2 (Responder).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from ...errors import RemoteProtocolError
from ...events import RESPONDER, Request, Role
from ..answers import HEAD
from .constants import FCGI_HEADER_LEN, FCGI_PARAMS, FCGI_STDIN, FCGI_VERSION_1
from .pairs import decode_params
from .records import encode_begin_request, encode_record
from .states import AFTER_STREAM, PARAMS

BODILESS_ID: Final = 1
"""The id of such requests here: most front ends know no other (rule R16)."""

_TYPE_AND_ID = bytes((FCGI_VERSION_1, FCGI_PARAMS, 0, BODILESS_ID))

# All there is before contentLength and after the padding of their FCGI_PARAMS.
_BEGINNINGS: Final = {
    encode_begin_request(BODILESS_ID, RESPONDER, keep_conn) + _TYPE_AND_ID: keep_conn
    for keep_conn in (True, False)
}
_ENDS: Final = encode_record(FCGI_PARAMS, BODILESS_ID) + encode_record(FCGI_STDIN, BODILESS_ID)

_SIZES_AT: Final = 2 * FCGI_HEADER_LEN + len(_TYPE_AND_ID)
_CONTENT_AT: Final = 3 * FCGI_HEADER_LEN
_ENDS_AT: Final = -len(_ENDS)
_AROUND_CONTENT: Final = _CONTENT_AT + len(_ENDS)

# contentLength and paddingLength
_unpack_sizes: Final[Callable[[bytes, int], tuple[int, int]]] = struct.Struct(">HB").unpack_from


class OpenRequest:
    """One request: what the peer still sends, and what we still owe."""

    __slots__ = ("answer", "keep_conn", "params", "params_size", "role", "state", "stderr")

    def __init__(self, role: Role, keep_conn: bool, state: str = PARAMS) -> None:
        self.role = role
        self.keep_conn = keep_conn
        self.state = state
        self.answer: str = HEAD
        self.params: list[bytes] = []
        self.params_size = 0
        self.stderr = b""  # sent at the end

    def end_stream(self) -> None:
        """The stream that came has ended: the next one, if there is one."""
        self.state = AFTER_STREAM[self.role][self.state]


def bodiless_request(data: bytes, limit: int) -> Request | None:
    """The request, if *data* is just one, without a body and with up to *limit* bytes of variables.

    Four records in one piece, as every front end sends them: they are told by what is always the
    same in them. ``None`` says nothing: then the records are to be read one by one.
    """
    keep_conn = _BEGINNINGS.get(data[:_SIZES_AT])
    if keep_conn is None or data[_ENDS_AT:] != _ENDS:
        return None
    size, padding = _unpack_sizes(data, _SIZES_AT)
    if not 0 < size <= limit or size + padding != len(data) - _AROUND_CONTENT:
        return None
    try:
        params = decode_params(data[_CONTENT_AT : _CONTENT_AT + size])
    except RemoteProtocolError:
        return None
    return Request(BODILESS_ID, params, RESPONDER, keep_conn, b"", True)
