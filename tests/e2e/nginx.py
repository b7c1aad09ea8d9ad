"""A real nginx, started with a file of ``conf/nginx/`` as users copy it.

Only what the file says must be changed is changed: the port to listen on, the address of the
application, and which ``*_params`` files nginx finds next to its configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.e2e.checks import Traits
from tests.e2e.front import find, ready
from tests.e2e.process import ROOT, Process

CONF = ROOT / "conf" / "nginx"
UPSTREAM_PARAMS = Path(__file__).parent / "params"
"""The params files of nginx itself; distributions change theirs."""

LISTEN = "listen 80;"
ADDRESSES = ("unix:/run/fcgikit/app.sock", "127.0.0.1:9000")

# What a distribution's main file would say, reduced to running from one directory. The default
# temporary directories and the log belong to the system's own nginx.
MAIN = """\
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    fastcgi_temp_path fastcgi;
    proxy_temp_path proxy;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    keepalive_requests 1000000;
    include site.conf;
}}
"""


def find_nginx() -> str:
    return find("nginx", "nginx-light")


@cache
def distribution_params() -> Path:
    """The directory of the ``*_params`` files that came with this nginx."""
    told = subprocess.run([find_nginx(), "-V"], capture_output=True, text=True, check=True).stderr
    match = re.search(r"--conf-path=(\S+)", told)
    return Path(match[1]).parent if match else Path("/usr/local/nginx/conf")


@dataclass(frozen=True)
class Front:
    """One way to put nginx in front: a file, the kind of socket, and whose params files."""

    file: str
    transport: str
    params: str = "distribution"

    @property
    def protocol(self) -> str:
        return self.file.partition("-")[0].removesuffix(".conf")

    @property
    def kept(self) -> bool:
        """The connection outlives a request, so nginx can tell a cut response by itself."""
        return "fastcgi_keep_conn on;" in (CONF / self.file).read_text()

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.conf')}-{self.transport}-{self.params}"

    def site(self, port: int, address: str) -> str:
        """The file with its documented placeholders, and nothing else, replaced."""
        path = CONF / self.file
        (placeholder,) = (a for a in ADDRESSES if a in ready(path, {}))
        return ready(path, {LISTEN: f"listen 127.0.0.1:{port};", placeholder: address})


class Site(Protocol):
    """What nginx shall serve: the text of a server block, and whose params files it includes."""

    @property
    def params(self) -> str: ...

    def site(self, port: int, address: str) -> str: ...


class Nginx(Process):
    """nginx on a loopback port, passing everything to the application at *address*.

    *address* is in nginx's words: ``unix:/path`` or ``127.0.0.1:port``.
    """

    traits = Traits()

    def __init__(self, front: Site, address: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address: tuple[str, int] = listener.getsockname()
            self._start(front, address, listener)

    def _start(self, front: Site, address: str, listener: socket.socket) -> None:
        site = front.site(self.address[1], address)
        params = UPSTREAM_PARAMS if front.params == "upstream" else distribution_params()
        self._prefix = Path(tempfile.mkdtemp(prefix="fk"))
        # nginx gives up root for a user who could not reach a test's private socket.
        user = "user root;" if os.geteuid() == 0 else ""
        (self._prefix / "nginx.conf").write_text(MAIN.format(user=user))
        (self._prefix / "site.conf").write_text(site)
        for source in params.glob("*_params"):
            shutil.copy(source, self._prefix)
        # nginx takes over the listening sockets named in NGINX (its binary upgrade): nobody can
        # take the port in between, and a client that comes too early waits in the backlog.
        super().__init__(
            [find_nginx(), "-p", f"{self._prefix}/", "-c", "nginx.conf", "-e", "stderr"],
            environ={"NGINX": f"{listener.fileno()};"},
            fds=[listener.fileno()],
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            shutil.rmtree(self._prefix)
