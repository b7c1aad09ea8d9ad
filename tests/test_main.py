"""The command itself, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

APP = """
import gc

print("collected" if gc.isenabled() else "not collected")
app = print
"""


def test_garbage_of_applications_is_collected(tmp_path: Path) -> None:
    """Only our own imports do without."""
    (tmp_path / "shop.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "-m", "fcgikit", "serve", "shop:app", "--check-config"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.startswith("collected\n")
