"""How much memory this process has, and how much of it that is free it keeps."""

from __future__ import annotations

import os
import resource
import sys

KEPT = 1024 * 1024
"""Bytes of free memory that each thread may keep: what a body takes that is on its way through."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_memory() -> int:
    """Bytes of memory resident now; where the system does not tell, the most there have been."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def keep_freed_memory() -> None:
    """Do not give memory back to the kernel with each body, only to get it again page by page.

    The C library of Linux keeps twice the size of the largest block that was freed (mallopt(3),
    M_MMAP_THRESHOLD); others do as they please. A block that nobody writes to costs nothing.
    """
    bytes(KEPT // 2)
