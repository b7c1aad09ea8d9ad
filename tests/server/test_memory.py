from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from fcgikit.server.memory import resident_memory

MEGABYTE = 1 << 20


def test_memory_grows_with_what_is_used() -> None:
    before = resident_memory()
    ballast = b"x" * (64 * MEGABYTE)
    assert resident_memory() > before + 32 * MEGABYTE
    del ballast


def test_without_proc_it_is_the_most_there_has_been(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(*_: object) -> None:
        raise FileNotFoundError

    now = resident_memory()
    monkeypatch.setattr("builtins.open", no_proc)
    most = resident_memory()
    monkeypatch.undo()
    assert most > now // 2
    assert Path("/proc").exists() or most == now


PASSING_THROUGH = """
import resource, threading
from fcgikit.server.memory import keep_freed_memory
{}

def work():
    for _ in range(100):
        pieces = [b"x" * 100_000 for _ in range(5)]
        del pieces

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others do as they please")
def test_what_was_freed_is_kept_for_the_next_body() -> None:
    def faults(first: str) -> int:
        argv = [sys.executable, "-c", PASSING_THROUGH.format(first)]
        return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)

    pages_of_them = 100 * 500_000 // 4096
    assert faults("keep_freed_memory()") + pages_of_them // 4 < faults("")
