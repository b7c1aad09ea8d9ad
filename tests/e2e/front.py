"""What the harnesses of the front ends share: ready files, and servers that bind a port."""

from __future__ import annotations

import abc
import contextlib
import os
import pwd
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType

from tests.e2e.process import ROOT, Process

SOCKET = "/run/fcgikit/app.sock"
"""Where the ready files expect the application."""

SCRIPT = """\
#!{python}
import logging, sys
sys.path.insert(0, {root!r})
from fcgikit import serve
from tests.e2e.apps import app
logging.basicConfig(level=logging.INFO)
serve(app, {settings})
"""


@cache
def find(program: str, package: str) -> str:
    """The path of a program. Raises with the advice to install it: a missing one is no skip."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise AssertionError(f"{program} is not installed: apt-get install {package}")
    return path


def ready(path: Path, placeholders: Mapping[str, str]) -> str:
    """A file of ``conf/`` with its documented placeholders, and nothing else, replaced."""
    # The comments name addresses too; they are for people.
    lines = path.read_text().splitlines(keepends=True)
    code = "".join(line for line in lines if not line.lstrip().startswith("#"))
    for placeholder, value in placeholders.items():
        assert placeholder in code, f"{path.name} must say {placeholder!r}"
        code = code.replace(placeholder, value)
    return code


def write_script(directory: Path, settings: str) -> None:
    """The tests' application as an ``index.fcgi``; *settings* are those of ``serve()``."""
    path = directory / "index.fcgi"
    text = SCRIPT.format(python=sys.executable, root=str(ROOT), settings=settings)
    path.write_text(text)
    path.chmod(0o755)


def unprivileged() -> list[str]:
    """What to put before a command that shall not run as root, if we do.

    It may still open our private sockets and files: the tests are not about permissions.
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("www-data")
    capabilities = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [find("setpriv", "util-linux"), *ids, *capabilities, "--"]


@contextlib.contextmanager
def reserved() -> Iterator[tuple[str, int]]:
    """A loopback address with a port that is given to nobody while somebody starts on it.

    It is bound, but does not listen: whoever sets SO_REUSEADDR may bind it as well.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        host, port = bound.getsockname()
        yield host, port


class FrontEnd(Process, abc.ABC):
    """A web server on a loopback port, which keeps its files in a directory of its own.

    Subclasses write :meth:`configure`. *up* is what the server logs when it listens.
    """

    up: str
    address: tuple[str, int]

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="fk"))
        with reserved() as self.address:
            home = {name: str(self.directory) for name in ("HOME", "XDG_CONFIG_HOME")}
            super().__init__(self.configure(), environ=home)
            try:
                self.wait_for_log(self.up)
            except BaseException:
                self.__exit__(None, None, None)
                raise

    @abc.abstractmethod
    def configure(self) -> Sequence[str]:
        """Write the configuration; the command that runs it in the foreground."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            shutil.rmtree(self.directory)
