"""Hello world behind one nginx, server by server: CPU time per request.

Start it with ``make bench``, which also installs the peers. The servers take turns, round
after round, so that whatever else the machine does meets them all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load
from benchmarks.app import BODY
from benchmarks.servers import REFERENCE, SERVERS, Server
from tests.e2e.client import fetch
from tests.e2e.nginx import Nginx
from tests.e2e.process import PATIENCE, ROOT, Process

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

NOTES = """
Compare the CPU time, user and system, of all the server's processes for one request: median
(lowest-highest round), and the ratio to the first row round by round. A wide spread means that
something else ran here: then trust the ratios, or repeat. Requests per second are in the JSON
file only, and mean little: load generator, nginx and server share this machine's cores.
kept: nginx keeps its connections to the server; one-shot: it opens one for each request. uWSGI
closes every FastCGI connection and gunicorn sync every HTTP one: for these, both are one-shot.
gunicorn speaks HTTP and adds its own Date and Server headers; n threads: as many as it likes.
A clock tick of {tick:.0f} ms is {error:.1f} us per request over 30,000 requests.
"""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads, and all its descendants."""
    family = {pid}
    found: dict[int, tuple[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    # A child's number is usually, not always, higher than its parent's: go on until none is new.
    while new := {child for child, (parent, _) in found.items() if parent in family} - family:
        family |= new
    return sum(found[member][1] for member in family) / TICKS_PER_SECOND


@dataclass
class Contestant:
    """A server that runs, with nginx in front of it once or twice, and its figures."""

    server: Server
    process: Process
    fronts: dict[str, Nginx]
    cpu: dict[str, list[float]] = field(default_factory=dict)
    rate: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, way: str, seconds: float) -> None:
        """One turn: microseconds of CPU per request, and requests per second."""
        before, began = cpu_seconds(self.process.pid), time.monotonic()
        done = load.run(self.fronts[way].address, seconds)
        spent, took = cpu_seconds(self.process.pid) - before, time.monotonic() - began
        assert done.failures == 0, f"{self.server.name}: {done}\n{self.process.log()[-2000:]}"
        self.cpu.setdefault(way, []).append(spent / done.requests * 1e6)
        self.rate.setdefault(way, []).append(done.requests / took)


def start(server: Server, stack: contextlib.ExitStack, directory: str, number: int) -> Contestant:
    """Start a server and its nginx; both end with *stack*."""
    path = f"{directory}/{number}"
    process = Process(server.command(path), environ={"PYTHONPATH": str(ROOT)})
    stack.callback(process.stop)
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                break
        if not process.running or time.monotonic() > deadline:
            raise SystemExit(f"{server.name} did not start:\n{process.log()}")
        time.sleep(0.02)
    fronts = {}
    for way in ("kept", "one-shot"):
        front = server.front(way == "kept")
        if front is not None:
            fronts[way] = stack.enter_context(Nginx(front, f"unix:{path}"))
            answer = fetch(fronts[way].address, "/")
            assert (answer.status, answer.body) == (200, BODY), (server.name, answer)
    return Contestant(server, process, fronts)


def cell(contestant: Contestant, reference: Contestant | None, way: str) -> str:
    """Median, spread, and the median of the ratios to the reference in the same round."""
    figures = contestant.cpu.get(way)
    if not figures:
        return f"{'-':>7}{'':22}"
    median = statistics.median(figures)
    text = f"{median:7.1f} ({min(figures):.1f}-{max(figures):.1f})".ljust(23)
    ratio = ""
    if reference is not None:
        pairs = zip(figures, reference.cpu[way], strict=True)
        ratio = f"{statistics.median(own / other for own, other in pairs):.2f}x"
    return f"{text}{ratio:>6}"


def table(contestants: list[Contestant]) -> str:
    reference = next((c for c in contestants if c.server is REFERENCE), None)
    lines = [
        f"{'':28}{'protocol':10}{'threads':>7}   {'kept: us per request':30}one-shot",
    ]
    for c in contestants:
        name = f"{c.server.name} {c.server.version}"
        row = f"{name:28}{c.server.protocol:10}{c.server.threads:>7} "
        lines.append(row + " ".join(cell(c, reference, way) for way in ("kept", "one-shot")))
    return "\n".join(lines)


def as_json(contestants: list[Contestant], arguments: argparse.Namespace) -> str:
    rows = [
        {
            "server": c.server.name,
            "version": c.server.version,
            "protocol": c.server.protocol,
            "threads": c.server.threads,
            "cpu_us_per_request": c.cpu,
            "requests_per_second": c.rate,
        }
        for c in contestants
    ]
    about = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": load.tool_name(),
        "clients": load.CLIENTS,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
    }
    return json.dumps({"about": about, "servers": rows}, indent=1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn (default 3)")
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help='rows whose name contains it, e.g. "fcgikit"'
    )
    parser.add_argument(
        "--json", type=Path, default=ROOT / "build" / "benchmark.json", metavar="FILE"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    chosen: list[Server] = []
    missing: list[Server] = []
    for server in SERVERS:
        name = f"{server.name} {server.protocol}".lower()
        if arguments.only and not any(text.lower() in name for text in arguments.only):
            continue
        (chosen if server.version else missing).append(server)
    for server in missing:
        print(f"{server.name} is not installed: make bench installs it", file=sys.stderr)
    directory = tempfile.mkdtemp(prefix="fk")
    try:
        with contextlib.ExitStack() as stack:
            contestants = [start(s, stack, directory, n) for n, s in enumerate(chosen)]
            for turn in range(1 + arguments.rounds):
                for contestant in contestants:
                    for way in contestant.fronts:
                        contestant.measure(way, arguments.seconds if turn else 1)
                if not turn:  # a warm-up that is not counted
                    for contestant in contestants:
                        contestant.cpu.clear()
                        contestant.rate.clear()
                print(f"round {turn} of {arguments.rounds}", file=sys.stderr)
    finally:
        shutil.rmtree(directory)
    print(table(contestants))
    tick = 1000 / TICKS_PER_SECOND
    print(NOTES.format(tick=tick, error=tick * 1000 / 30_000))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(as_json(contestants, arguments))
    print(f"Written to {arguments.json}")


if __name__ == "__main__":
    main()
