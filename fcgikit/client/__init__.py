"""The web server's side of our protocols, for Python programs.

:class:`FastCGIApp` puts a FastCGI worker behind any ASGI server.
"""

from __future__ import annotations

from .asgi import FastCGIApp

__all__ = ["FastCGIApp"]
