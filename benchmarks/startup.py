"""Start to first answer, and memory: ``python -m benchmarks.startup``.

How long ``fcgikit serve hello:app`` takes from its start to the first byte of its first answer,
with bytecode cached, beside a Python that does next to nothing. The least of the rounds is what it
costs, the median what else ran here.

Memory is PSS, of supervisor and worker together: of a page that n processes share, each has one
nth. Every other process of the same Python makes it less, this one too; so beside it stands what
it would be at most without them: all pages of the supervisor, and the worker's own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.e2e import wire
from tests.e2e.process import ROOT

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world!"]
"""

STANDARD_LIBRARY = "import dataclasses, logging, re, socket, threading, typing"
"""What any server of this kind begins with."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="starts of each (default 20)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="fk") as directory:
        Path(directory, "hello.py").write_text(APP)
        memory: list[tuple[int, int]] = []
        cases: dict[str, Callable[[], float]] = {
            "import wsgiref": lambda: ended(directory, "import wsgiref"),
            "its standard library": lambda: ended(directory, STANDARD_LIBRARY),
            "the same and click": lambda: ended(directory, STANDARD_LIBRARY + ", click"),
            "serve --workers 0": lambda: answered(directory, 0),
            "serve --workers 1": lambda: answered(directory, 1, memory),
        }
        times = measured(cases, rounds)
    print(f"Python {sys.version.split()[0]}, {rounds} rounds")
    first = min(times["import wsgiref"])
    for name, seconds in times.items():
        least, median = min(seconds), statistics.median(seconds)
        print(
            f"{name:24}{least * 1e3:7.1f} ms  median {median * 1e3:6.1f} ms  {least / first:5.2f} x"
        )
    shared, alone = (statistics.median(sizes) / 1e6 for sizes in zip(*memory, strict=True))
    print(f"{'supervisor and worker':24}{shared:7.1f} MB PSS, at most {alone:.1f} MB alone")


def measured(cases: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each case, round by round, so that all have the same weather."""
    for measure in cases.values():
        measure()  # writes the bytecode
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, measure in cases.items():
            times[name].append(measure())
    return times


def ended(directory: str, code: str) -> float:
    """Seconds until a Python that runs *code* has ended."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environ(directory), check=True)
    return time.perf_counter() - begin


def answered(directory: str, workers: int, memory: list[tuple[int, int]] | None = None) -> float:
    """Seconds until a server has answered; to *memory* goes what a pool of one has then."""
    path = f"{directory}/s"
    argv = [sys.executable, "-m", "fcgikit", "serve", "hello:app"]
    argv += ["-b", f"unix:{path}", "--workers", str(workers), "--log-level", "warning"]
    begin = time.perf_counter()
    with subprocess.Popen(argv, cwd=directory, env=environ(directory)) as server:
        try:
            with connected(path, server) as connection:
                connection.sendall(wire.request("/"))
                if not connection.recv(1):
                    raise RuntimeError("the server closed the connection")
                seconds = time.perf_counter() - begin
            if memory is not None:
                memory.append(memory_of(server.pid))
        finally:
            server.terminate()
    return seconds


@contextlib.contextmanager
def connected(path: str, server: subprocess.Popen[bytes]) -> Iterator[socket.socket]:
    """A connection, as soon as *server* listens."""
    while server.poll() is None:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(path)
            except OSError:
                time.sleep(0.0005)
                continue
            yield connection
            return
    raise RuntimeError(f"the server has ended with {server.returncode}")


def environ(directory: str) -> dict[str, str]:
    """Ours, but with bytecode cached, whatever it says."""
    cached = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": f"{directory}/cache"}
    return {**os.environ, **cached, "PYTHONDONTWRITEBYTECODE": ""}


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes of a supervisor and its one worker: their PSS, and what it would be without others."""
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    first, second = sizes(pid), sizes(worker)
    own = second["Private_Clean"] + second["Private_Dirty"]
    return first["Pss"] + second["Pss"], first["Rss"] + own


def sizes(pid: int) -> dict[str, int]:
    """The memory of a process in bytes, by the kernel's names: proc_pid_smaps(5)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)
    return {name: int(number) * 1024 for name, number in found}


if __name__ == "__main__":
    main()
