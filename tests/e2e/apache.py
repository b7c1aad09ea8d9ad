"""A real Apache httpd, started with a file of ``conf/apache/`` as users copy it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.checks import Traits
from tests.e2e.front import SOCKET, FrontEnd, find, ready, unprivileged, write_script
from tests.e2e.process import ROOT

CONF = ROOT / "conf" / "apache"
MODULES = Path("/etc/apache2/mods-available")
STOCK = ["alias", "authz_core", "dir", "env", "mime", "mpm_event", "reqtimeout", "setenvif"]
"""Modules that are on from the start, as far as they could matter."""

# What a distribution's main file would say, reduced to running from one directory.
MAIN = """\
ServerRoot {directory}
DefaultRuntimeDir {directory}
Mutex file:{directory}
PidFile apache2.pid
ServerName main.example
Listen {host}:{port}
TypesConfig /etc/mime.types
ErrorLog /proc/self/fd/2
ErrorLogFormat "[%l] [pid %P] %M"
StartServers 1
<IfModule fcgid_module>
    FcgidIPCDir {directory}/ipc
    FcgidProcessTableFile {directory}/shm
</IfModule>
"""


class Apache(FrontEnd):
    """Apache with the ready *file*, passing everything to the application on *socket*.

    With mod_fcgid it starts ``index.fcgi`` itself; *settings* are those of its ``serve()``,
    *more* further lines of configuration, which follow the file.
    """

    up = "resuming normal operations"

    def __init__(
        self, file: str, socket: str = "", *, settings: str = "threads=1", more: str = ""
    ) -> None:
        self._file = CONF / file
        self.traits = Traits(
            # The other two need a length before the body.
            takes_chunked=file in ("mod_fcgid.conf", "proxy_fcgi.conf"),
            cookies="a=1, b=2",
        )
        self._socket = socket
        self._settings = settings
        self._more = more
        super().__init__()

    def configure(self) -> Sequence[str]:
        host, port = self.address
        main = MAIN.format(directory=self.directory, host=host, port=port)
        load = [f"Include {MODULES}/{name}.load" for name in self.modules()]
        optional = [f"IncludeOptional {MODULES}/{name}.conf" for name in self.modules()]
        site = ready(self._file, {"*:80": f"{host}:{port}", **self.placeholders()})
        text = "\n".join([*load, *optional, main, site, self._more])
        (self.directory / "apache2.conf").write_text(text)
        server = [find("apache2", "apache2"), "-DFOREGROUND"]
        return [*unprivileged(), *server, "-f", str(self.directory / "apache2.conf")]

    def placeholders(self) -> dict[str, str]:
        """What stands for the application in the file, and what it is here."""
        if self._socket:
            return {SOCKET: self._socket}
        write_script(self.directory, self._settings)
        return {"/srv/app": str(self.directory)}

    def modules(self) -> list[str]:
        """Those that are on anyway, those the file says to enable, and what they depend on."""
        told = re.findall(r"^# +a2enmod (.*)$", self._file.read_text(), re.MULTILINE)
        named = [name for line in told for name in line.split()]
        result: list[str] = []
        for name in [*STOCK, *named]:
            depends = re.search(r"# Depends: (.*)", (MODULES / f"{name}.load").read_text())
            result += depends[1].split() if depends else []
            result.append(name)
        return list(dict.fromkeys(result))
