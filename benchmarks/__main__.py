"""CPU time per request beside other servers, behind one nginx each, and what scales how.

Start it with ``make bench``, which also installs the peers and makes the compiled build.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import chart, pages, table
from benchmarks.apps import FILE_SIZE
from benchmarks.cases import Case, cases
from benchmarks.contestants import Contestant
from benchmarks.figures import Report
from benchmarks.http_load import CLIENTS, wrk
from benchmarks.rounds import run
from benchmarks.usage import TICKS_PER_SECOND
from tests.e2e.nginx import find_nginx
from tests.e2e.process import ROOT

NOTES = """
CPU time is user and system time of all the server's processes, for one request: the median of
the rounds (lowest-highest). Ratios are of medians, and in brackets round by round. A wide spread
means that something else ran here: then trust the ratios, or repeat. A clock tick of {tick:.0f} ms
is an error of {error:.1f} % in a turn of {seconds} s that keeps one core busy.
kept: nginx keeps its connections to the server; one-shot: it opens one for each request. uWSGI
closes every FastCGI connection and gunicorn sync every HTTP one: for these, both are one-shot.
gunicorn and granian speak HTTP and add headers of their own; n threads: as many as it likes.
The floor is a C program that answers anything with the same bytes: what the system calls cost.
fcgikit serves in one process, without a supervisor, where no number of workers is named.
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a turn (default 2)")
    parser.add_argument("--case", nargs="+", metavar="NAME", help="these cases only")
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help='rows that contain it, e.g. "fcgikit"'
    )
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "build" / "benchmark.json", metavar="FILE",
        help="where to write all figures (default build/benchmark.json)",
    )  # fmt: skip
    parser.add_argument(
        "--again", action="store_true", help="measure nothing, show the figures of that file"
    )
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw hello world as SVG")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="renew the measured parts of this page"
    )
    return parser


def chosen(names: list[str] | None) -> list[Case]:
    everything = {case.name: case for case in cases()}
    if unknown := set(names or ()) - set(everything):
        raise SystemExit(f"no case {', '.join(unknown)}; there are {', '.join(everything)}")
    return [case for name, case in everything.items() if not names or name in names]


def measure(arguments: argparse.Namespace) -> Report:
    """Run the cases, printing each as it is done."""

    def wanted(contestant: Contestant) -> bool:
        server = contestant.server
        name = f"{server.name} {server.build} {server.protocol} {contestant.note}".lower()
        return not arguments.only or any(text.lower() in name for text in arguments.only)

    report = Report(about(arguments), [])
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="fk") as file:
        file.truncate(FILE_SIZE)
        os.environ["BENCHMARK_FILE"] = file.name
        for case in chosen(arguments.case):
            outcome = run(case, arguments.rounds, arguments.seconds, wanted)
            report.outcomes.append(outcome)
            print(table.text(outcome), flush=True)
    report.about["minutes it took"] = f"{(time.monotonic() - began) / 60:.0f}"
    return report


def about(arguments: argparse.Namespace) -> dict[str, str]:
    nginx = subprocess.run([find_nginx(), "-v"], capture_output=True, text=True, check=True)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "front end": nginx.stderr.strip().rpartition(": ")[2],
        "load": f"{Path(wrk()).name}, {CLIENTS} connections",
        "rounds": f"{arguments.rounds} of {arguments.seconds} s",
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    arguments = parser().parse_args()
    if arguments.list:
        for case in cases():
            print(f"{case.name:20}{case.title}")
        return
    if arguments.again:
        report = Report.from_json(json.loads(arguments.json.read_text()))
        print(*map(table.text, report.outcomes), sep="\n")
    else:
        report = measure(arguments)
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report.to_json(), indent=1) + "\n")
    tick = 1000 / TICKS_PER_SECOND
    error = tick / 1000 / arguments.seconds * 100
    print(NOTES.format(tick=tick, error=error, seconds=arguments.seconds))
    print(f"All figures: {arguments.json}", file=sys.stderr)
    if arguments.chart:
        arguments.chart.write_text(chart.draw(report))
    if arguments.markdown:
        pages.rewrite(arguments.markdown, table.parts(report))


if __name__ == "__main__":
    main()
