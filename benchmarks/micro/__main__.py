"""What single steps of the hot path cost, in nanoseconds or, noise-free, in instructions."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import pages
from benchmarks.builds import Build, builds
from benchmarks.micro import kept
from benchmarks.micro.callgrind import instructions
from benchmarks.micro.operations import Operation, operations


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="operations that contain it")
    parser.add_argument(
        "--callgrind",
        action="store_true",
        help="count instructions, and compare them with those in benchmarks/micro",
    )
    parser.add_argument(
        "--save", action="store_true", help="count, and keep the counts as the ones to compare with"
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="renew the table of steps in this page, with the times and the counts that are kept",
    )
    return parser


def time(chosen: list[Operation], found: list[Build]) -> dict[str, list[float]]:
    """Nanoseconds of each operation in each build, printed as they are found."""
    print(f"{'nanoseconds':40}" + "".join(f"{build.name:>14}" for build in found))
    figures = {}
    for operation in chosen:
        row = [float(build.run("benchmarks.micro.loop", operation.name)) for build in found]
        figures[operation.name] = row
        print(f"{operation.name:40}" + "".join(f"{figure:14,.0f}" for figure in row), flush=True)
    return figures


def steps(figures: dict[str, list[float]], found: list[Build]) -> str:
    """The times just measured and the counts kept, as a table of a page."""
    head = ["step"]
    head += [f"ns, {build.name}" for build in found]
    head += [f"instructions, {build.name}" for build in found]
    counts = [kept.load().get(kept.key(build), {}) for build in found]
    rows = []
    for name, row in figures.items():
        counted = [f"{each[name]:,}" if name in each else "-" for each in counts]
        rows.append([name, *(f"{figure:,.0f}" for figure in row), *counted])
    return pages.table(head, rows, tuple(range(1, len(head))))


def count(chosen: list[Operation], build: Build, save: bool) -> None:
    before = kept.load().get(kept.key(build), {})
    print(f"\n{kept.key(build)}\n{'instructions':40}{'kept':>12}{'now':>12}  change")
    counts = {}
    for operation in chosen:
        now = counts[operation.name] = instructions(operation, build)
        old = before.get(operation.name)
        shown = "-" if old is None else f"{old:,}"
        print(f"{operation.name:40}{shown:>12}{now:12,}  {kept.change(now, old)}", flush=True)
    if save:
        kept.save(counts, build)


def main() -> None:
    arguments = parser().parse_args()
    chosen = [
        operation
        for operation in operations()
        if not arguments.only or any(text in operation.name for text in arguments.only)
    ]
    if arguments.callgrind or arguments.save:
        for build in builds():
            count(chosen, build, arguments.save)
    else:
        figures = time(chosen, builds())
        if arguments.markdown:
            pages.rewrite(arguments.markdown, {"steps": steps(figures, builds())})


if __name__ == "__main__":
    main()
