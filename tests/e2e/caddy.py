"""A real Caddy, started with the ``Caddyfile`` of ``conf/caddy/`` as users copy it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.checks import Traits
from tests.e2e.front import SOCKET, FrontEnd, find, ready
from tests.e2e.process import ROOT

CONF = ROOT / "conf" / "caddy"

# No certificates for a test, and no socket by which others could change the configuration.
GLOBAL = """\
{
	admin off
	auto_https off
}
"""


class Caddy(FrontEnd):
    """Caddy, passing everything to the application on *socket*."""

    up = "serving initial configuration"
    traits = Traits(cookies="a=1, b=2")

    def __init__(self, socket: str) -> None:
        self._socket = socket
        super().__init__()

    def configure(self) -> Sequence[str]:
        host, port = self.address
        placeholders = {"app.example": f"http://{host}:{port}", SOCKET: self._socket}
        path = self.directory / "Caddyfile"
        path.write_text(GLOBAL + ready(CONF / "Caddyfile", placeholders))
        return [find("caddy", "caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]
