"""The sockets of a pool go from one image to the next; only the difference is opened or closed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcgikit.cli.sockets import pool_sockets
from fcgikit.config import Config
from fcgikit.errors import ConfigError
from fcgikit.supervisor.image import KeptSocket, State


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fk"))
    yield path
    shutil.rmtree(path)


def left_by_an_image(config: Config) -> State:
    """What stays of the sockets when the process is replaced."""
    with pool_sockets(config, None) as sockets:
        kept = []
        for one, listener in zip(sockets.kept(), sockets.listeners, strict=True):
            fd = os.dup(one.fd)
            kept.append(
                KeptSocket(fd, one.bind, one.address, one.inherited, one.path, one.inode)
            )
            listener.path = ""  # as after an exec: nobody has cleaned up
    return State(board=0, slots=2, sockets=tuple(kept), handover=(0, 0))


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_sockets_go_on(directory: Path) -> None:
    config = Config(bind=(f"unix:{directory}/a", "127.0.0.1:0"))
    state = left_by_an_image(config)
    connect(directory / "a")
    with pool_sockets(config, state) as sockets:
        assert [(one.bind, one.address) for one in sockets.kept()] == [
            (one.bind, one.address) for one in state.sockets
        ]
        connect(directory / "a")
    assert not (directory / "a").exists()


def test_new_ones_are_opened_and_others_closed(directory: Path) -> None:
    state = left_by_an_image(Config(bind=(f"unix:{directory}/a", f"unix:{directory}/b")))
    wanted = Config(bind=(f"unix:{directory}/b", f"unix:{directory}/c"))
    with pool_sockets(wanted, state) as sockets:
        assert [one.bind for one in sockets.kept()] == list(wanted.bind)
        connect(directory / "b")
        connect(directory / "c")
        assert not (directory / "a").exists()
    assert list(directory.iterdir()) == []


def test_what_cannot_be_had_does_not_end_a_service_that_runs(directory: Path) -> None:
    state = left_by_an_image(Config(bind=(f"unix:{directory}/a",)))
    wanted = Config(bind=(f"unix:{directory}/a", f"unix:{directory}/no/such/b"))
    with pool_sockets(wanted, state) as sockets:
        assert [one.bind for one in sockets.kept()] == [f"unix:{directory}/a"]
        connect(directory / "a")


def test_at_a_first_start_it_does(directory: Path) -> None:
    with pytest.raises(ConfigError, match="no/such"), pool_sockets(
        Config(bind=(f"unix:{directory}/no/such/b",)), None
    ):
        pass


def test_sockets_nobody_asked_for_by_name_go_on(directory: Path) -> None:
    state = left_by_an_image(Config(bind=("127.0.0.1:0",)))
    (one,) = state.sockets
    given = KeptSocket(one.fd, "", one.address, True, "", one.inode)
    unnamed = State(board=0, slots=2, sockets=(given,), handover=(0, 0))
    with pool_sockets(Config(), unnamed) as sockets:
        assert sockets.inherited
        assert [one.address for one in sockets.listeners] == [given.address]
