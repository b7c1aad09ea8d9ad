"""The instruction counts kept in the repository, so that a change shows in review."""

from __future__ import annotations

import json
import platform
from pathlib import Path

from benchmarks.builds import Build

FILE = Path(__file__).parent / "instructions.json"

Counts = dict[str, int]
"""Instructions by the name of the operation."""


def key(build: Build) -> str:
    """Under which counts are kept: another Python or C compiler makes other instructions."""
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{version}, {platform.python_compiler()}, {platform.machine()}, {build.name}"


def load(path: Path = FILE) -> dict[str, Counts]:
    kept: dict[str, Counts] = json.loads(path.read_text()) if path.exists() else {}
    return kept


def save(counts: Counts, build: Build, path: Path = FILE) -> None:
    """Keep these, too; what was not counted now stays as it was."""
    kept = load(path)
    kept[key(build)] = {**kept.get(key(build), {}), **counts}
    path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def change(now: int, before: int | None) -> str:
    """How a count has changed, in words for a table."""
    if before is None:
        return "new"
    return "" if now == before else f"{now - before:+,} ({now / before - 1:+.1%})"
