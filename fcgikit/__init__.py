"""Serve Python web applications over FastCGI, SCGI and uwsgi.

``serve(app)`` is a whole server for a script; ``fcgikit serve MODULE:APP`` is the same from
the command line. :class:`Config` holds every setting, :class:`FcgikitError` is the base of
every exception. :func:`authorizer` and :func:`filter` are for FastCGI's other two roles.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .config import Config
from .errors import ConfigError, FcgikitError

if TYPE_CHECKING:
    from .gateways.context import RequestContext
    from .gateways.input import FilterFile
    from .gateways.roles import Allow, Deny, authorizer, filter
    from .server.start import serve

__version__ = "0.1.0"

__all__ = ["serve", "Config", "ConfigError", "FcgikitError",
           "RequestContext", "authorizer", "Allow", "Deny", "filter", "FilterFile"]  # fmt: skip

# Late, so that the chapters can be used without importing sockets and threads.
_LATE = {
    "serve": ".server.start",
    "authorizer": ".gateways.roles",
    "Allow": ".gateways.roles",
    "Deny": ".gateways.roles",
    "filter": ".gateways.roles",
    "FilterFile": ".gateways.input",
    "RequestContext": ".gateways.context",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
