"""Wire protocols: bytes to events and back, without I/O. One folder is one chapter."""

from __future__ import annotations

from .fastcgi import FastCGIConnection
from .interface import Chapter
from .scgi import SCGIConnection
from .stray import FIRST_BYTES, StrayConnection
from .uwsgi import UwsgiConnection

PROTOCOLS: dict[str, Chapter] = {
    "fastcgi": FastCGIConnection,
    "scgi": SCGIConnection,
    "uwsgi": UwsgiConnection,
}

_BY_FIRST_BYTE = {
    first: PROTOCOLS[name.lower()]
    for first, name in FIRST_BYTES.items()
    if name.lower() in PROTOCOLS
}


def detect(first: int) -> Chapter:
    """The chapter for a connection that begins with byte *first*; it is told that byte too."""
    return _BY_FIRST_BYTE.get(first, StrayConnection)
