"""The web server's side of our protocols, for Python programs.

:class:`Client` (for threads) and :class:`AsyncClient` (for asyncio) send requests over FastCGI,
SCGI or uwsgi. :class:`FastCGIApp` puts a FastCGI worker behind any ASGI server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import (
    CannotMultiplex,
    ClientError,
    ClientTimeout,
    ConnectFailed,
    Overloaded,
    Rejected,
    ServerProtocolError,
    Truncated,
    UnknownRole,
)
from .sync.client import Client, Response

if TYPE_CHECKING:
    from .aio.client import AsyncClient, AsyncResponse
    from .asgi import FastCGIApp

__all__ = [
    "Client",
    "Response",
    "AsyncClient",
    "AsyncResponse",
    "FastCGIApp",
    "ClientError",
    "ConnectFailed",
    "ClientTimeout",
    "Truncated",
    "ServerProtocolError",
    "Rejected",
    "CannotMultiplex",
    "Overloaded",
    "UnknownRole",
]


def __getattr__(name: str) -> object:
    """asyncio is imported for those who ask for it: it is slow to."""
    if name in ("AsyncClient", "AsyncResponse"):
        from .aio import client

        return getattr(client, name)
    if name == "FastCGIApp":
        from .asgi import FastCGIApp

        return FastCGIApp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
