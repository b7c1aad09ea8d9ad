"""What a process and its descendants have used, from ``/proc``: proc(5)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


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


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return _status(pid, "VmRSS")


def peak_resident(pid: int) -> int:
    """The most bytes of memory it has had since :func:`forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024
