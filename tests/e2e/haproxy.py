"""A real HAProxy, started with ``conf/haproxy/haproxy.cfg`` as users copy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.e2e.checks import Traits
from tests.e2e.front import SOCKET, FrontEnd, find, ready
from tests.e2e.process import ROOT

CONF = ROOT / "conf" / "haproxy"

# What a distribution's main file would say. Each thread has its own connections, and tests count.
MAIN = """\
global
    log stdout format raw local0
    nbthread 1
    maxconn 1000
"""


class HAProxy(FrontEnd):
    """HAProxy, passing everything to the application on *socket*.

    *replaced* are further words of the file and what a test has in their place.
    """

    up = "Loading success"
    traits = Traits()

    def __init__(self, socket: str, replaced: Mapping[str, str] | None = None) -> None:
        self._socket = socket
        self._replaced = replaced or {}
        super().__init__()

    def configure(self) -> Sequence[str]:
        host, port = self.address
        placeholders = {"bind :80": f"bind {host}:{port}", SOCKET: self._socket, **self._replaced}
        main, site = self.directory / "main.cfg", self.directory / "haproxy.cfg"
        main.write_text(MAIN)
        site.write_text(ready(CONF / "haproxy.cfg", placeholders))
        return [find("haproxy", "haproxy"), "-W", "-db", "-f", str(main), "-f", str(site)]
