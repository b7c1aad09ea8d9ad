"""A request on the application's side, and how most of them come: whole, and without a body.

FastCGI 1.0 sections 5.1 (FCGI_BEGIN_REQUEST) and 6.2 (Responder).
"""

from __future__ import annotations

from typing import Final

from ...events import RESPONDER, Role
from ..answers import HEAD
from . import states
from .constants import FCGI_HEADER_LEN, FCGI_PARAMS, FCGI_STDIN, FCGI_VERSION_1
from .records import encode_begin_request, encode_record
from .states import PARAMS

BODILESS_ID: Final = 1
"""The id of such requests here: most front ends know no other (rule R16)."""

_TYPE_AND_ID = bytes((FCGI_VERSION_1, FCGI_PARAMS, 0, BODILESS_ID))

# All there is before contentLength and after the padding of their FCGI_PARAMS.
_BEGINNINGS: Final = {
    encode_begin_request(BODILESS_ID, RESPONDER, keep_conn) + _TYPE_AND_ID: keep_conn
    for keep_conn in (True, False)
}
_ENDS: Final = encode_record(FCGI_PARAMS, BODILESS_ID) + encode_record(FCGI_STDIN, BODILESS_ID)

_SIZE: Final = 2 * FCGI_HEADER_LEN + len(_TYPE_AND_ID)  # contentLength stands here, two bytes,
_PADDING: Final = _SIZE + 2  # and here paddingLength
_CONTENT: Final = 3 * FCGI_HEADER_LEN


class OpenRequest:
    """One request: what the peer still sends, and what we still owe."""

    __slots__ = ("after_stream", "answer", "keep_conn", "params", "params_size", "role", "state",
                 "stderr")  # fmt: skip

    def __init__(self, role: Role, keep_conn: bool, state: str = PARAMS) -> None:
        self.role = role
        self.keep_conn = keep_conn
        self.after_stream = states.AFTER_STREAM[role]
        self.state = state
        self.answer: str = HEAD
        self.params: list[bytes] = []
        self.params_size = 0
        self.stderr = b""  # sent at the end


def bodiless_request(data: bytes) -> tuple[bool, bytes] | None:
    """FCGI_KEEP_CONN and the block of variables, if *data* is nothing but such a request.

    Four records, in one piece, as every front end sends them: they are told by what is always
    the same in them. ``None`` says nothing: then the records are to be read one by one.
    """
    keep_conn = _BEGINNINGS.get(data[:_SIZE])
    if keep_conn is None or data[-len(_ENDS) :] != _ENDS:
        return None
    stop = _CONTENT + (data[_SIZE] << 8 | data[_SIZE + 1])
    if stop == _CONTENT or stop + data[_PADDING] + len(_ENDS) != len(data):
        return None
    return keep_conn, data[_CONTENT:stop]
