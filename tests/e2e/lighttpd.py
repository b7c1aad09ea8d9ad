"""A real lighttpd, started with a file of ``conf/lighttpd/`` as users copy it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.checks import Traits
from tests.e2e.front import SOCKET, FrontEnd, find, ready, write_script
from tests.e2e.process import ROOT

CONF = ROOT / "conf" / "lighttpd"

# What a distribution's main file would say, reduced to running from one directory.
MAIN = """\
server.bind = "{host}"
server.port = {port}
server.document-root = "{directory}"
server.upload-dirs = ( "{directory}" )
"""


class Lighttpd(FrontEnd):
    """lighttpd with the ready *file*, passing everything to the application on *socket*.

    With ``bin-path`` it starts ``index.fcgi`` itself; *settings* are those of its ``serve()``.
    """

    up = "server started"
    traits = Traits(any_bytes=False)

    def __init__(self, file: str, socket: str = "", *, settings: str = "") -> None:
        self._file = CONF / file
        self._socket = socket
        self._settings = settings
        super().__init__()

    def configure(self) -> Sequence[str]:
        if self._socket:
            placeholders = {SOCKET: self._socket}
        else:
            placeholders = {"/srv/app": str(self.directory), "/run/lighttpd": str(self.directory)}
            write_script(self.directory, self._settings)
        host, port = self.address
        main = MAIN.format(host=host, port=port, directory=self.directory)
        path = self.directory / "lighttpd.conf"
        path.write_text(main + ready(self._file, placeholders))
        return [find("lighttpd", "lighttpd"), "-D", "-f", str(path)]
