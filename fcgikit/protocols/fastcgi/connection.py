"""Makes FastCGI connections: the one name the rest of fcgikit needs of this chapter."""

from __future__ import annotations

from ...config import Config
from ...events import APP, Side
from ..interface import Connection
from .app_side import AppSide


def FastCGIConnection(side: Side, config: Config) -> Connection:
    """A connection seen from *side*: the two share records and tables, not behaviour."""
    if side is APP:
        return AppSide(config)
    from .web_side import WebSide  # late, as a server never needs it

    return WebSide(config)
