"""Two servers that start at the same moment on one socket path."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fcgikit.config import DEFAULT
from fcgikit.errors import ConfigError
from fcgikit.server import sockets
from fcgikit.server.listener import Listener
from fcgikit.server.sockets import open_listener
from tests.e2e.process import PATIENCE


@pytest.fixture
def path() -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="fk"))
    yield f"{directory}/s"
    shutil.rmtree(directory)


def test_the_second_does_not_take_the_first_one_for_dead(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its bind() and its listen() a connection to the first one is refused."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    bound, go_on = threading.Event(), threading.Event()
    real = sockets._set_permissions
    first: list[Listener] = []

    def slowly(*arguments: Any) -> None:
        bound.set()
        assert go_on.wait(PATIENCE)
        real(*arguments)

    def start() -> None:
        first.append(open_listener(f"unix:{path}", DEFAULT))

    def instead_of_sleeping(_: float) -> None:
        go_on.set()
        thread.join(PATIENCE)

    monkeypatch.setattr(sockets, "_set_permissions", slowly)
    monkeypatch.setattr("fcgikit.server.sockets.time.sleep", instead_of_sleeping)
    thread = threading.Thread(target=start)
    thread.start()
    try:
        assert bound.wait(PATIENCE)
        with pytest.raises(ConfigError, match="another process answers"):
            open_listener(f"unix:{path}", DEFAULT)
    finally:
        go_on.set()
        thread.join(PATIENCE)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    first[0].close()


def test_a_lock_of_somebody_else_does_not_stop_us(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("fcgikit.server.sockets.time.sleep", waits.append)
    with sockets._locked(str(Path(path).parent)):
        listener = open_listener(f"unix:{path}", DEFAULT)
    listener.close()
    assert 0.5 < sum(waits) < 2.0
