"""Instructions per operation, counted by valgrind: a figure that no neighbour can disturb.

A run of few times is subtracted from a run of many, so that the start of Python cancels.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from benchmarks.builds import Build
from benchmarks.micro.operations import Operation
from tests.e2e.process import ROOT

FEW, MANY = 200, 1_200
"""Times in the two runs. The first are not like the rest: caches of the interpreter fill."""


def instructions(operation: Operation, build: Build) -> int:
    """Instructions that one operation takes in a *build*."""
    more = count(operation.name, MANY, build) - count(operation.name, FEW, build)
    return round(more / (MANY - FEW))


def count(name: str, times: int, build: Build) -> int:
    """Instructions of a whole run."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is not installed: apt-get install valgrind")
    argv = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    argv += build.python("benchmarks.micro.loop", name, str(times))
    # Another seed would be another order of every set, and other collisions.
    environ = {**os.environ, **build.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stderr}")
    return int(found[1])
