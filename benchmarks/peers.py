"""Starts the peers that have no command line: ``python -m benchmarks.peers NAME SOCKET``."""

from __future__ import annotations

import asyncio
import importlib
import sys

from benchmarks.apps import hello


def bjoern(path: str) -> None:
    importlib.import_module("bjoern").run(hello, f"unix:{path}")


def flup(path: str) -> None:
    server = importlib.import_module("flup.server.fcgi").WSGIServer
    server(hello, bindAddress=path, debug=False).run()


def fcgisgi(path: str) -> None:
    asyncio.run(importlib.import_module("fcgisgi").run_wsgi_server(hello, bind_address=path))


if __name__ == "__main__":
    _, name, path = sys.argv
    {"bjoern": bjoern, "flup": flup, "fcgisgi": fcgisgi}[name](path)
