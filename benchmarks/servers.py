"""The servers compared: how each is started, and how nginx talks to it.

Every one logs nothing per request, runs one process, listens on a Unix socket, and keeps
connections where it can.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.nginx import LISTEN, Front, Site

HTTP_PROXY = """\
upstream fcgikit {{
    server unix:/run/fcgikit/app.sock;
    {keepalive}
}}
server {{
    listen 80;
    location / {{
        proxy_pass http://fcgikit;
        proxy_http_version 1.1;
        proxy_set_header Connection {connection};
    }}
}}
"""


@dataclass(frozen=True)
class HttpFront:
    """nginx in front of an HTTP server."""

    kept: bool
    params: str = "distribution"

    def site(self, port: int, address: str) -> str:
        text = HTTP_PROXY.format(
            keepalive="keepalive 16;" if self.kept else "",
            connection='""' if self.kept else "close",
        )
        text = text.replace(LISTEN, f"listen 127.0.0.1:{port};")
        return text.replace("unix:/run/fcgikit/app.sock", address)


@dataclass(frozen=True)
class Server:
    """One row of the table. *command* makes the argv from the path of the socket."""

    name: str
    distribution: str
    threads: str
    protocol: str
    command: Callable[[str], list[str]]

    @property
    def version(self) -> str:
        """The installed version; empty if it is not installed."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def front(self, kept: bool) -> Site | None:
        """nginx's side with kept or one-shot connections, where the protocol has it."""
        if self.protocol == "http":
            return HttpFront(kept)
        if self.protocol == "fastcgi":
            return Front(f"fastcgi-{'keepalive' if kept else 'unix'}.conf", "unix")
        return None if kept else Front(f"{self.protocol}.conf", "unix")


def compiled() -> bool:
    """Whether fcgikit's hot modules are extension modules here."""
    spec = importlib.util.find_spec("fcgikit.protocols.fastcgi.records")
    return spec is not None and not (spec.origin or "").endswith(".py")


def tool(name: str) -> str:
    """The path of a program installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def fcgikit(threads: int, protocol: str) -> Server:
    def command(path: str) -> list[str]:
        serve = [sys.executable, "-m", "fcgikit", "serve", "benchmarks.app:app"]
        return [*serve, "--bind", f"unix:{path}", "--threads", str(threads)]

    name = f"fcgikit {'compiled' if compiled() else 'interpreted'}"
    return Server(name, "fcgikit", str(threads), protocol, command)


def uwsgi(threads: int, protocol: str) -> Server:
    def command(path: str) -> list[str]:
        option = "--uwsgi-socket" if protocol == "uwsgi" else f"--{protocol}-socket"
        argv = [tool("uwsgi"), option, path, "--module", "benchmarks.app:app", "--listen", "1024"]
        argv += ["--need-app", "--die-on-term", "--disable-logging", "--single-interpreter"]
        return argv if threads == 1 else [*argv, "--threads", str(threads)]

    return Server("uWSGI", "uwsgi", str(threads), protocol, command)


def gunicorn(worker: str) -> Server:
    def command(path: str) -> list[str]:
        argv = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{path}", "-k", worker]
        return [*argv, "--threads", "1", "--no-control-socket", "benchmarks.app:app"]

    return Server(f"gunicorn {worker}", "gunicorn", "1", "http", command)


def script(name: str, distribution: str, threads: str) -> Server:
    def command(path: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.peers", name, path]

    return Server(name, distribution, threads, "fastcgi", command)


REFERENCE = uwsgi(1, "fastcgi")

SERVERS = [
    REFERENCE,
    fcgikit(1, "fastcgi"),
    uwsgi(4, "fastcgi"),
    fcgikit(4, "fastcgi"),
    uwsgi(1, "uwsgi"),
    fcgikit(1, "uwsgi"),
    uwsgi(1, "scgi"),
    fcgikit(1, "scgi"),
    gunicorn("sync"),
    gunicorn("gthread"),
    # Both choose their number of threads themselves: flup one for each connection.
    script("flup", "flup6", "n"),
    script("fcgisgi", "fcgisgi", "n"),
]
