"""An fcgikit worker as users start it: ``python -m fcgikit serve``."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from tests.e2e.process import ROOT, Process

APPLICATION = "tests.e2e.apps:app"


class Worker(Process):
    """A worker on a Unix socket, which it binds itself, and on a loopback port.

    The port's listener is handed over (``fd://``), so that no other program can get it.
    *options* are further arguments of ``fcgikit serve``.
    """

    def __init__(self, *options: str, threads: int = 4) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="fk"))
        self.path = str(self._directory / "app.sock")
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            self.port: int = listener.getsockname()[1]
            argv = [sys.executable, "-m", "fcgikit", "serve", APPLICATION]
            argv += ["--bind", f"unix:{self.path}", "--bind", f"fd://{listener.fileno()}"]
            argv += ["--threads", str(threads), *options]
            super().__init__(argv, environ={"PYTHONPATH": str(ROOT)}, fds=[listener.fileno()])
        try:
            # Logged after listening, hence no polling; what counts is that it accepts.
            self.wait_for_log(r"(?i)listening.*unix:")
            self.connect().close()
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
            return socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
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
