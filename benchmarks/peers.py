"""Starts the peers that have no command line: ``python -m benchmarks.peers NAME SOCKET``."""

from __future__ import annotations

import asyncio
import importlib
import sys

from benchmarks.app import app


def flup(path: str) -> None:
    importlib.import_module("flup.server.fcgi").WSGIServer(app, bindAddress=path, debug=False).run()


def fcgisgi(path: str) -> None:
    asyncio.run(importlib.import_module("fcgisgi").run_wsgi_server(app, bind_address=path))


if __name__ == "__main__":
    _, name, path = sys.argv
    {"flup": flup, "fcgisgi": fcgisgi}[name](path)
