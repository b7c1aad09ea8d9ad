"""An application of a test's own, in a directory of its own, served by a pool."""

from __future__ import annotations

import os
import re
import select
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.e2e.worker import Worker

APP = """
import ctypes, os, threading
from urllib.parse import parse_qsl
from tests.e2e.gate import pass_gate

VERSION = "one"
HOARD = []

def app(environ, start_response):
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    path = environ["PATH_INFO"]
    if path == "/wait":
        pass_gate(query["gate"], str(os.getpid()))
    elif path == "/abort":
        os.abort()
    elif path == "/grow":
        HOARD.append(b"x" * (64 << 20))
    elif path == "/stuck":
        ctypes.PyDLL(None).sleep(60)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{VERSION} {os.getpid()}".encode()]
"""


class Project:
    """Its module is ``shop``, which :meth:`write` replaces; its pool runs in the block."""

    def __init__(self, text: str = APP) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="fk"))
        self.directory.chmod(0o755)
        self.write(text)

    def write(self, text: str) -> None:
        (self.directory / "shop.py").write_text(text)

    def pool(
        self,
        *options: str,
        workers: int = 2,
        threads: int = 2,
        environ: Mapping[str, str] | None = None,
    ) -> Pool:
        """A supervisor with its workers; *environ* are more variables of its environment."""
        return Pool(
            "--chdir", str(self.directory), *options,
            workers=workers, threads=threads, application="shop:app",
            # A module that is rewritten within a second shall not be read from a cache.
            environ={"PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.directory)


class Pool(Worker):
    """A supervisor and its workers."""

    def ask(self, target: str = "/") -> tuple[str, int]:
        """What the application says: its version, and which process has answered."""
        with self.connect() as connection:
            connection.sendall(wire.request(target))
            return parse(wire.read_answer(connection))

    def ready(self, count: int = 1, since: int = 0) -> list[int]:
        """Wait until *count* workers have become ready since then; who they are."""
        pattern = r"worker (\d+) ready"
        while len(found := re.findall(pattern, self.log(since))) < count:
            self.wait_for_log(pattern, since + self._after(pattern, since, len(found)))
        return [int(pid) for pid in found]

    def _after(self, pattern: str, since: int, matches: int) -> int:
        """Lines from *since* to the one behind the last of so many *matches*."""
        for number, line in enumerate(self.log(since).split("\n")):
            if not matches:
                return number
            matches -= bool(re.search(pattern, line))
        return self.mark - since

    def turn(self, number: int, pattern: str) -> int:
        """Send a signal and wait for the log to say *pattern*; where the log ended before."""
        seen = self.mark
        os.kill(self.pid, number)
        self.wait_for_log(pattern, seen)
        return seen


def wait_for_rest(pids: Iterable[int]) -> None:
    """Wait until no thread of these processes is at work or about to be."""
    deadline = time.monotonic() + PATIENCE
    while any(_is_at_work(pid) for pid in pids):
        assert time.monotonic() < deadline, "somebody is always at work"


def _is_at_work(pid: int) -> bool:
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return any(stat.read_text().rpartition(")")[2].split()[0] != "S" for stat in stats)


def parse(answer: wire.Answer) -> tuple[str, int]:
    version, pid = answer.stdout.partition(b"\r\n\r\n")[2].decode().split()
    return version, int(pid)


def wait_for_end(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], PATIENCE)[0], f"process {pid} goes on"
    finally:
        os.close(fd)
