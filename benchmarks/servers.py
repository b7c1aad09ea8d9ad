"""The servers compared: how each is started, and what answers where nobody is in front.

Every one logs nothing per request, listens on a Unix socket, keeps connections where it can,
and runs one process, if its name does not say otherwise.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.builds import INTERPRETED, Build
from tests.e2e.process import PATIENCE, Process

HELLO = "benchmarks.apps:hello"
FLOOR = Path(__file__).parent / "floor.c"


@dataclass(frozen=True)
class Server:
    """*command* makes the argv from the path of the socket.

    *build* is fcgikit's, or empty; *note* says in what else it differs from others of its name.
    """

    name: str
    version: str
    protocol: str
    threads: str
    command: Callable[[str], list[str]]
    build: str = ""
    note: str = ""
    environ: dict[str, str] = field(default_factory=lambda: INTERPRETED.environ)

    def start(self, stack: contextlib.ExitStack, path: str) -> Process:
        """The running server, which ends with *stack*, when the socket at *path* is open."""
        process = Process(self.command(path), environ=self.environ)
        stack.callback(process.stop)
        deadline = time.monotonic() + PATIENCE
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(path) == 0:
                    return process
            if not process.running or time.monotonic() > deadline:
                raise SystemExit(f"{self.name} did not start:\n{process.tail()}")
            time.sleep(0.02)


def version(distribution: str) -> str:
    """The installed version of a package; empty if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def tool(name: str) -> str:
    """The path of a program installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def fcgikit(
    build: Build,
    protocol: str = "fastcgi",
    *options: str,
    app: str = HELLO,
    threads: int = 1,
    workers: int = 0,
) -> Server:
    """fcgikit with no supervisor, or one with *workers*."""

    def command(path: str) -> list[str]:
        argv = build.python("fcgikit", "serve", app, "--bind", f"unix:{path}")
        return [*argv, "--threads", str(threads), "--workers", str(workers), *options]

    return Server(
        "fcgikit",
        build.version.split()[1],
        protocol,
        str(threads),
        command,
        build.name,
        f"--workers {workers}" if workers else "",
        build.environ,
    )


def uwsgi(protocol: str = "fastcgi", *, app: str = HELLO, threads: int = 1) -> Server:
    def command(path: str) -> list[str]:
        option = "--uwsgi-socket" if protocol == "uwsgi" else f"--{protocol}-socket"
        argv = [tool("uwsgi"), option, path, "--module", app, "--listen", "1024"]
        argv += ["--need-app", "--die-on-term", "--disable-logging", "--single-interpreter"]
        return argv if threads == 1 else [*argv, "--threads", str(threads)]

    check_python_of_uwsgi()
    return Server("uWSGI", version("uwsgi"), protocol, str(threads), command)


@cache
def check_python_of_uwsgi() -> None:
    """Raises ``SystemExit`` if the Python built into uWSGI is not the one that runs all others."""
    command = [tool("uwsgi"), "--python-version"]
    try:
        inside = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError:
        return
    if inside != platform.python_version():
        raise SystemExit(f"uWSGI has Python {inside} in it; to build it anew: pip install"
                         " --no-cache-dir --force-reinstall uwsgi")  # fmt: skip


def gunicorn(worker: str) -> Server:
    def command(path: str) -> list[str]:
        argv = [tool("gunicorn"), "--bind", f"unix:{path}", "-k", worker, "--threads", "1"]
        return [*argv, "--no-control-socket", HELLO]

    return Server(f"gunicorn {worker}", version("gunicorn"), "http", "1", command)


def granian() -> Server:
    def command(path: str) -> list[str]:
        argv = [tool("granian"), "--interface", "wsgi", "--uds", path, "--no-access-log"]
        return [*argv, "--blocking-threads", "1", "--http", "1", HELLO]

    return Server("granian", version("granian"), "http", "1", command)


def script(name: str, distribution: str, protocol: str, threads: str) -> Server:
    """A server that :mod:`benchmarks.peers` starts; *threads* "n": as many as it likes."""

    def command(path: str) -> list[str]:
        return [sys.executable, "-m", "benchmarks.peers", name, path]

    return Server(name, version(distribution), protocol, threads, command)


def floor() -> Server:
    """The C program of ``floor.c``, compiled where its socket will be."""
    compiler = shutil.which("cc")

    def command(path: str) -> list[str]:
        assert compiler is not None
        program = f"{path}-floor"
        subprocess.run([compiler, "-O2", "-o", program, str(FLOOR)], check=True)
        return [program, path]

    return Server("floor", "(C)" if compiler else "", "fastcgi", "1", command)


def others() -> list[Server]:
    """Whom nobody has to pass, but whom one might use instead."""
    return [
        granian(),
        gunicorn("sync"),
        gunicorn("gthread"),
        script("flup", "flup6", "fastcgi", "n"),
        script("fcgisgi", "fcgisgi", "fastcgi", "n"),
    ]
