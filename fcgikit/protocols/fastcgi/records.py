"""FastCGI records: the eight-byte header, the fixed bodies, and cutting a stream into them.

FastCGI 1.0 sections 3.3 (records), 5 (application records) and 4 (management records).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from ...errors import RemoteProtocolError
from ...events import REQUEST_COMPLETE, ProtocolStatus, Role
from ..interface import Buffers
from .constants import (
    FCGI_BEGIN_REQUEST,
    FCGI_DATA,
    FCGI_END_REQUEST,
    FCGI_HEADER_LEN,
    FCGI_KEEP_CONN,
    FCGI_PARAMS,
    FCGI_STDIN,
    FCGI_STDOUT,
    FCGI_UNKNOWN_TYPE,
    FCGI_VERSION_1,
)

HEADER = struct.Struct(">BBHHBx")
"""version, type, requestId, contentLength, paddingLength, reserved"""

# Typed, which struct is not: when compiled, only what is known to be a tuple is read as one.
_unpack_header: Final[Callable[[bytes, int], tuple[int, int, int, int, int]]] = HEADER.unpack_from
_pack_header: Final[Callable[[int, int, int, int, int], bytes]] = HEADER.pack

_BEGIN_REQUEST = struct.Struct(">BBHHBxHB5x")
_END_RESPONSE = struct.Struct(">2sH6sH4sIB3x")
_UNKNOWN_TYPE = struct.Struct(">BBHHBxB7x")
_END_BODY = struct.Struct(">IB")

# The two records that end an answer differ in nothing but id and status: packed around these.
_STDOUT_TYPE = bytes((FCGI_VERSION_1, FCGI_STDOUT))
_NO_CONTENT_END_TYPE = bytes((0, 0, 0, 0, FCGI_VERSION_1, FCGI_END_REQUEST))
_EIGHT_BYTES = bytes((0, 8, 0, 0))

MAX_CONTENT = 65528
"""Bytes of content we put into one record: the most that stays aligned to eight bytes."""

# Streams whose records mean nothing by themselves (section 3.3). One of FCGI_STDERR is a message.
_FLOWING: Final = frozenset((FCGI_PARAMS, FCGI_STDIN, FCGI_STDOUT, FCGI_DATA))

_PADDING = [bytes(size) for size in range(8)]
_COPY_BELOW = 16 * 1024  # under this, one joined buffer is cheaper than several for sendmsg

Record = tuple[int, int, bytes]
"""type, requestId and content of one record, or of a piece of it"""


class RecordReader:
    """Cuts a byte stream into records, whatever pieces it arrives in.

    What a record of variables or of a body holds is passed on as it comes, so there may be more
    than one piece of it; only an end of the stream is empty. Others are passed on when they are
    complete. After bad input :attr:`error` is set, and nothing more is returned.
    """

    __slots__ = ("_needed", "_padding", "_request_id", "_rest", "_tail", "_type", "empty", "error")

    def __init__(self) -> None:
        self.empty = True  # what has come so far ends with a record
        self.error: RemoteProtocolError | None = None
        self._tail = bytearray()  # the beginning of a record, or
        self._needed = 0
        self._type = 0  # of the stream record that is being passed on,
        self._request_id = 0
        self._rest = 0  # of whose content so much is still to come,
        self._padding = 0  # and then so much padding

    def feed(self, data: bytes) -> list[Record]:
        """The records, or pieces, that *data* brings, in order."""
        records: list[Record] = []
        position = 0
        if not self.empty:
            if self._tail:
                if len(self._tail) + len(data) < self._needed:
                    self._tail += data
                    return records
                data = b"".join((self._tail, data))
                self._tail.clear()
            else:
                position = self._pass_on(data, records)
                if self._rest or self._padding:
                    return records
            self.empty = True
        end = len(data)
        start = position + FCGI_HEADER_LEN  # of the content, if there is a header before it
        self._needed = FCGI_HEADER_LEN
        while start <= end:
            version, type_, request_id, size, padding = _unpack_header(data, position)
            if version != FCGI_VERSION_1:
                self.error = RemoteProtocolError(
                    f"record of FastCGI version {version}; only version 1 exists"
                )
                return records
            stop = start + size
            following = stop + padding
            if following > end:
                if not (type_ in _FLOWING and request_id):
                    self._needed = following - position
                    break
                content = data[start:stop]  # as much as has come
                if content or not size:
                    records.append((type_, request_id, content))
                self._type, self._request_id = type_, request_id
                self._rest, self._padding = size - len(content), min(padding, following - end)
                self.empty = False
                return records
            records.append((type_, request_id, data[start:stop] if size else b""))
            position = following
            start = position + FCGI_HEADER_LEN
        if position < end:
            self._tail += memoryview(data)[position:]
            self.empty = False
        return records

    def _pass_on(self, data: bytes, records: list[Record]) -> int:
        """Go on with a stream record; how many bytes of *data* are of it."""
        content = data if len(data) <= self._rest else data[: self._rest]
        size = len(content)
        if size:
            records.append((self._type, self._request_id, content))
            self._rest -= size
        skipped = min(self._padding, len(data) - size)
        self._padding -= skipped
        return size + skipped


def encode_record(type_: int, request_id: int, content: bytes = b"", padding: int = -1) -> bytes:
    """One record; *padding* bytes are appended, as many as align it to eight if negative."""
    if padding < 0:
        padding = -len(content) & 7
    header = _pack_header(FCGI_VERSION_1, type_, request_id, len(content), padding)
    return b"".join((header, content, bytes(padding)))


def encode_stream(type_: int, request_id: int, data: bytes) -> Buffers:
    """Non-empty *data* as the records of a stream (section 3.3); does not end the stream."""
    size = len(data)
    if size < _COPY_BELOW:
        padding = -size & 7
        header = _pack_header(FCGI_VERSION_1, type_, request_id, size, padding)
        return [b"".join((header, data, _PADDING[padding]))]
    view = memoryview(data)
    buffers: Buffers = []
    for start in range(0, size, MAX_CONTENT):
        before, count, after = frame_stream(type_, request_id, size - start)
        buffers += (before, view[start : start + count])
        if after:
            buffers.append(after)
    return buffers


def frame_stream(type_: int, request_id: int, size: int) -> tuple[bytes, int, bytes]:
    """Header, content size and padding of the next record of a stream of *size* more bytes."""
    count = min(size, MAX_CONTENT)
    padding = -count & 7
    header = _pack_header(FCGI_VERSION_1, type_, request_id, count, padding)
    return header, count, _PADDING[padding]


def encode_answer(request_id: int, head: bytes, body: bytes) -> bytes:
    """A whole answer of at most MAX_CONTENT bytes, from the first byte to FCGI_END_REQUEST."""
    size = len(head) + len(body)
    padding = -size & 7
    header = _pack_header(FCGI_VERSION_1, FCGI_STDOUT, request_id, size, padding)
    if request_id < len(_ENDS):
        end = _ENDS[request_id]
    else:
        end = encode_end_of_response(request_id, 0, REQUEST_COMPLETE)
    return b"".join((header, head, body, _PADDING[padding], end))


def encode_end_of_response(request_id: int, app_status: int, status: ProtocolStatus) -> bytes:
    """The end of the STDOUT stream and FCGI_END_REQUEST (section 5.5)."""
    return _END_RESPONSE.pack(
        _STDOUT_TYPE, request_id, _NO_CONTENT_END_TYPE, request_id, _EIGHT_BYTES,
        app_status, status,
    )  # fmt: skip


# Made once for the ids that are used first; most front ends know no other than 1 (rule R16).
_ENDS = [encode_end_of_response(id_, 0, REQUEST_COMPLETE) for id_ in range(64)]


def encode_begin_request(request_id: int, role: Role, keep_conn: bool) -> bytes:
    """FCGI_BEGIN_REQUEST (section 5.1)."""
    flags = FCGI_KEEP_CONN if keep_conn else 0
    return _BEGIN_REQUEST.pack(
        FCGI_VERSION_1, FCGI_BEGIN_REQUEST, request_id, 8, 0, role, flags
    )


def decode_begin_request(content: bytes) -> tuple[int, bool]:
    """Role number and whether to keep the connection. Raises ``RemoteProtocolError``."""
    if len(content) != 8:
        raise RemoteProtocolError(f"FCGI_BEGIN_REQUEST of {len(content)} bytes instead of 8")
    return content[0] << 8 | content[1], bool(content[2] & FCGI_KEEP_CONN)


def decode_end_request(content: bytes) -> tuple[int, ProtocolStatus]:
    """appStatus and protocolStatus. Raises ``RemoteProtocolError``."""
    if len(content) != 8:
        raise RemoteProtocolError(f"FCGI_END_REQUEST of {len(content)} bytes instead of 8")
    app_status, protocol_status = _END_BODY.unpack_from(content)
    try:
        return app_status, ProtocolStatus(protocol_status)
    except ValueError:
        raise RemoteProtocolError(f"unknown protocolStatus {protocol_status}") from None


def encode_unknown_type(type_: int) -> bytes:
    """FCGI_UNKNOWN_TYPE (section 4.2)."""
    return _UNKNOWN_TYPE.pack(FCGI_VERSION_1, FCGI_UNKNOWN_TYPE, 0, 8, 0, type_)
