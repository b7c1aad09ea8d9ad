from __future__ import annotations

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
