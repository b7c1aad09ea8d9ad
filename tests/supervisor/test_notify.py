"""What the service manager is told, and that nobody else inherits the way to tell it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from math import inf

import pytest

from fcgikit.supervisor.notify import Notifier

Manager = Callable[[], list[str]]


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """The next message to a service manager, line by line."""
    directory = tempfile.mkdtemp(prefix="fk")
    name = f"{directory}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind(name if request.param == "file" else f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", name if request.param == "file" else f"@{name}")
        yield lambda: sock.recv(4096).decode().split("\n")
    shutil.rmtree(directory)


def test_states_and_texts(manager: Manager) -> None:
    notifier = Notifier()
    notifier.send("ready", "2 workers")
    assert manager() == ["READY=1", "STATUS=2 workers"]
    notifier.send("reloading")
    first, second = manager()
    assert first == "RELOADING=1"
    name, _, moment = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert moment.isdecimal()
    notifier.send("", "one\nline")
    assert manager() == ["STATUS=one line"]
    notifier.send("")
    notifier.send("stopping")
    assert manager() == ["STOPPING=1"]


def test_only_we_know_the_way(manager: Manager) -> None:
    Notifier().send("ready")
    assert manager() == ["READY=1"]
    assert "NOTIFY_SOCKET" not in os.environ


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, inf),
        ({"WATCHDOG_USEC": "soon"}, inf),
        ({}, inf),
    ],
)
def test_signs_of_life(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], interval: float
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    notifier = Notifier()
    notifier.beat(1000.0)
    if interval == inf:
        assert notifier.wake_at == inf
        notifier.send("ready")
        assert manager() == ["READY=1"], "and nothing before it"
        return
    assert manager() == ["WATCHDOG=1"]
    assert notifier.wake_at == 1000.0 + interval
    notifier.beat(1000.1)
    notifier.beat(1001.5)
    assert manager() == ["WATCHDOG=1"]
    assert notifier.wake_at == 1003.0


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    notifier = Notifier()
    notifier.send("ready")
    assert notifier.wake_at == inf


def test_a_service_manager_that_is_gone_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    notifier = Notifier()
    notifier.send("ready")
    assert notifier.wake_at == inf
