"""Name-value pairs (FastCGI 1.0 section 3.4): lengths of one or four bytes, then the bytes.

Text is latin-1, the identity map on bytes. A whole block is decoded once and sliced as
text, which costs half of slicing bytes and decoding each piece.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ...errors import RemoteProtocolError, Scope
from ..params import merge

_LONG = struct.Struct(">I")
_LONG_FLAG = 0x80000000
_LONG_MASK = 0x7FFFFFFF


def encode_pairs(items: Iterable[tuple[str, str]]) -> bytes:
    """A block of pairs. Raises ``UnicodeEncodeError`` for text outside latin-1."""
    pieces: list[bytes] = []
    for name, value in items:
        name_bytes, value_bytes = name.encode("latin-1"), value.encode("latin-1")
        pieces += (
            _encode_size(len(name_bytes)),
            _encode_size(len(value_bytes)),
            name_bytes,
            value_bytes,
        )
    return b"".join(pieces)


def decode_params(block: bytes) -> dict[str, str]:
    """The variables of one complete FCGI_PARAMS stream, repeated names merged (rule R12).

    Raises :class:`RemoteProtocolError` when a length reaches beyond the block; nothing is
    allocated on the word of a length.
    """
    text = block.decode("latin-1")
    params: dict[str, str] = {}
    position, end, count = 0, len(block), 0
    try:
        while position < end:
            name_size = block[position]
            value_size = block[position + 1]
            if name_size > 127 or value_size > 127:
                name_size, value_size, start = _decode_sizes(block, position)
            else:
                start = position + 2
            value_start = start + name_size
            position = value_start + value_size
            params[text[start:value_start]] = text[value_start:position]
            count += 1
    except (IndexError, struct.error):
        raise _bad_pair("a name-value pair's length is cut off") from None
    if position != end:
        raise _bad_pair("a name-value pair is longer than the records that carry it")
    return params if len(params) == count else merge(decode_pairs(block))


def decode_pairs(block: bytes) -> list[tuple[str, str]]:
    """Every pair of a block in order, repeated ones too. Raises like :func:`decode_params`."""
    text = block.decode("latin-1")
    pairs: list[tuple[str, str]] = []
    position, end = 0, len(block)
    while position < end:
        try:
            name_size, value_size, start = _decode_sizes(block, position)
        except (IndexError, struct.error):
            raise _bad_pair("a name-value pair's length is cut off") from None
        value_start = start + name_size
        position = value_start + value_size
        if position > end:
            raise _bad_pair("a name-value pair is longer than the records that carry it")
        pairs.append((text[start:value_start], text[value_start:position]))
    return pairs


def _bad_pair(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, scope=Scope.REQUEST)


def _encode_size(size: int) -> bytes:
    return bytes((size,)) if size < 128 else _LONG.pack(size | _LONG_FLAG)


def _decode_sizes(block: bytes, position: int) -> tuple[int, int, int]:
    """Both lengths of the pair at *position*, and where its name begins."""
    name_size = block[position]
    position += 1
    if name_size > 127:
        name_size = _LONG.unpack_from(block, position - 1)[0] & _LONG_MASK
        position += 3
    value_size = block[position]
    position += 1
    if value_size > 127:
        value_size = _LONG.unpack_from(block, position - 1)[0] & _LONG_MASK
        position += 3
    return name_size, value_size, position
