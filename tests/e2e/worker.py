"""An fcgikit worker as users start it: ``python -m fcgikit serve``, by itself or in a pool."""

from __future__ import annotations

import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.e2e.process import PATIENCE, Process

APPLICATION = "tests.e2e.apps:app"


class Worker(Process):
    """A worker on a Unix socket and on a loopback port of the kernel's choice.

    *options* are further arguments of ``fcgikit serve``. With *workers* it is a pool of so many,
    and the process is their supervisor.
    """

    def __init__(
        self,
        *options: str,
        workers: int = 0,
        threads: int = 4,
        application: str = APPLICATION,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="fk"))
        self.path = str(self._directory / "app.sock")
        argv = [sys.executable, "-m", "fcgikit", "serve", application]
        argv += ["--bind", f"unix:{self.path}", "--bind", "127.0.0.1:0"]
        argv += ["--workers", str(workers), "--threads", str(threads), *options]
        super().__init__(argv, environ=environ)
        try:
            # It says so once it listens; from then on whoever connects waits in the backlog.
            self.wait_for_log("listening on unix:")
            told = self.wait_for_log(r"listening on 127\.0\.0\.1:")
            self.port = int(re.findall(r"127\.0\.0\.1:(\d+)", told)[0])
        except BaseException:
            self._popen.kill()
            self.__exit__(None, None, None)
            raise

    def address(self, transport: str) -> str:
        """Where it listens, in nginx's words; *transport* is ``unix`` or ``tcp``."""
        return f"unix:{self.path}" if transport == "unix" else f"127.0.0.1:{self.port}"

    def connect(self, transport: str = "unix") -> socket.socket:
        """A connection to the worker, as a front end makes it."""
        if transport == "tcp":
            return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self.path)
        return connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            shutil.rmtree(self._directory)
