"""The two builds of fcgikit that are measured: the sources as they are, and the compiled wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tests.e2e.process import ROOT

UNPACKED = ROOT / "build" / "bench-compiled"
"""Where ``make bench`` unpacks the compiled wheel."""


@dataclass(frozen=True)
class Build:
    """*paths*: where Python finds fcgikit, and the benchmarks."""

    name: str
    paths: tuple[Path, ...]

    @property
    def environ(self) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join(map(str, self.paths))}

    def python(self, module: str, *arguments: str) -> list[str]:
        """The argv that runs *module* of this build, with :attr:`environ`."""
        # -P: the current directory, with the sources in it, does not come before PYTHONPATH.
        return [sys.executable, "-P", "-m", module, *arguments]

    def run(self, module: str, *arguments: str) -> str:
        """What it prints. Raises ``SystemExit`` when it fails; why, it has said itself."""
        argv = self.python(module, *arguments)
        environ = os.environ | self.environ
        done = subprocess.run(
            argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)} failed")
        return done.stdout

    @cached_property
    def version(self) -> str:
        """What ``fcgikit --version`` says."""
        return self.run("fcgikit", "--version").strip()


INTERPRETED = Build("interpreted", (ROOT,))
COMPILED = Build("compiled", (UNPACKED, ROOT))


@cache
def builds() -> list[Build]:
    """The builds there are. Raises ``SystemExit`` where one is not what its name says."""
    found = []
    for build, words in ((INTERPRETED, "pure Python"), (COMPILED, "compiled")):
        if build is COMPILED and not UNPACKED.exists():
            print("There is no compiled build: make bench makes it", file=sys.stderr)
            continue
        if words not in build.version:
            raise SystemExit(f"The {build.name} build is {build.version}: make clean, start anew")
        found.append(build)
    if COMPILED in found and (stale := differing()):
        print(f"The compiled build is of other sources: {', '.join(stale)}", file=sys.stderr)
    return found


def differing() -> list[str]:
    """Modules whose source in the compiled build is not the one in the tree."""
    return sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "fcgikit").rglob("*.py")
        if not (unpacked := UNPACKED / path.relative_to(ROOT)).exists()
        or unpacked.read_bytes() != path.read_bytes()
    )
