"""Other people's servers, for the client: how each is started, each with the same application."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.process import PATIENCE, Process

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A server: its name in the table, its protocol, and its command from a directory.

    *script* is the file that a request must name with *root*, empty where there is none. *ready*
    is what the log says once the server can be stopped, too.
    """

    name: str
    protocol: str
    command: Callable[[Path], list[str]]
    script: str = ""
    ready: str = ""


def program(name: str) -> str:
    """The path of a program of the distribution; one that is missing is no skip."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed: see tests/apt.txt"
    return found


def php_fpm(directory: Path) -> list[str]:
    version = max(Path("/etc/php").glob("*/fpm")).parent.name
    (directory / "fpm.conf").write_text(
        "[global]\n"
        "error_log = /dev/stderr\n"
        "daemonize = no\n"
        "[www]\n"
        f"user = {pwd.getpwuid(os.getuid()).pw_name}\n"
        f"listen = {directory}/s\n"
        "pm = static\n"
        "pm.max_children = 2\n"
        "ping.path = /ping\n"
    )
    argv = [program(f"php-fpm{version}"), "-F", "-y", str(directory / "fpm.conf")]
    return [*argv, "-R"] if os.getuid() == 0 else argv


def uwsgi(protocol: str) -> Callable[[Path], list[str]]:
    def command(directory: Path) -> list[str]:
        option = "--uwsgi-socket" if protocol == "uwsgi" else f"--{protocol}-socket"
        argv = [program("uwsgi"), "--plugin", "python3", option, f"{directory}/s", "--need-app"]
        return [*argv, "--wsgi-file", str(HERE / "app.py"), "--die-on-term", "--threads", "2"]

    return command


def fcgikit(directory: Path) -> list[str]:
    serve = [sys.executable, "-m", "fcgikit", "serve", "tests.e2e.peers.app:application"]
    return [*serve, "--bind", f"unix:{directory}/s", "--workers", "0"]


def flup(directory: Path) -> list[str]:
    return [sys.executable, "-m", "tests.e2e.peers.flup_server", f"{directory}/s"]


def libfcgi(directory: Path) -> list[str]:
    binary = str(directory / "responder")
    source = str(HERE / "responder.c")
    subprocess.run([program("gcc"), "-O1", "-o", binary, source, "-lfcgi"], check=True)
    return [binary, f"{directory}/s"]


def fcgiwrap(directory: Path) -> list[str]:
    return [program("fcgiwrap"), "-f", "-s", f"unix:{directory}/s"]


PEERS = [
    Peer("fcgikit", "fastcgi", fcgikit),
    Peer("php-fpm", "fastcgi", php_fpm, "/script.php"),
    Peer("uWSGI", "fastcgi", uwsgi("fastcgi"), ready="spawned uWSGI worker"),
    Peer("flup", "fastcgi", flup),
    Peer("libfcgi", "fastcgi", libfcgi),
    Peer("fcgiwrap", "fastcgi", fcgiwrap, "/script.cgi"),
    Peer("uWSGI, SCGI", "scgi", uwsgi("scgi"), ready="spawned uWSGI worker"),
    Peer("uWSGI, uwsgi", "uwsgi", uwsgi("uwsgi"), ready="spawned uWSGI worker"),
]


class Running:
    """A peer that runs, and takes connections; leaving the ``with`` block stops it."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._directory = Path(tempfile.mkdtemp(prefix="fk"))
        self.address = f"unix:{self._directory}/s"
        self.process = Process(peer.command(self._directory))

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE
        while not self._listening():
            if not self.process.running or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise AssertionError(f"{self.peer.name} does not listen:\n{self.process.tail()}")
            time.sleep(0.01)
        if self.peer.ready:
            self.process.wait_for_log(self.peer.ready)
        return self

    def _listening(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(self.address.removeprefix("unix:")) == 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.process.stop()
        finally:
            shutil.rmtree(self._directory)
