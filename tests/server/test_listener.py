"""A listening socket: whom it lets in, what it accepts, and whose socket file it removes."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fcgikit.config import Config
from fcgikit.errors import ConfigError
from fcgikit.server.listener import who_may_connect
from fcgikit.server.sockets import open_listener


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="fk"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def _no_web_server_addrs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FCGI_WEB_SERVER_ADDRS", raising=False)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix:"])
def test_what_is_accepted_is_what_the_standard_library_would_make(
    address: str, directory: Path
) -> None:
    listener = open_listener(f"unix:{directory}/s" if address == "unix:" else address, Config())
    with socket.socket(listener.socket.family) as first, socket.socket(first.family) as second:
        for client in (first, second):
            client.connect(listener.socket.getsockname())
        ours, peer = listener.accept()
        theirs, _ = listener.socket.accept()
        with closing(ours), theirs:
            assert (ours.family, ours.type) == (theirs.family, theirs.type)
            assert (ours.proto, ours.gettimeout()) == (theirs.proto, theirs.gettimeout())
            assert os.get_inheritable(ours.fileno()) is False
            assert peer == first.getsockname()
            first.sendall(b"hello")
            assert ours.recv(5) == b"hello"
        with pytest.raises(BlockingIOError):
            listener.accept()
    listener.close()


def test_the_permissions_of_a_socket_file_in_words(directory: Path) -> None:
    for mode, words in ((0o600, ["user "]), (0o660, ["user ", " and group "]), (0o666, [])):
        listener = open_listener(f"unix:{directory}/s", Config(socket_mode=mode))
        told = who_may_connect(listener)
        assert all(word in told for word in words)
        assert bool(told) == bool(words)
        listener.close()


def test_the_socket_of_a_successor_is_left_alone(directory: Path) -> None:
    path = directory / "s"
    first = open_listener(f"unix:{path}", Config())
    path.unlink()
    second = open_listener(f"unix:{path}", Config())
    first.close()
    assert path.is_socket()
    second.close()
    assert not path.exists()


def test_allowed_networks() -> None:
    listener = open_listener("[::]:0", Config(allow=("10.1.0.0/16", "2001:db8::/32")))
    try:
        assert listener.admits(("10.1.2.3", 1))
        assert listener.admits(("::ffff:10.1.2.3", 1, 0, 0))
        assert listener.admits(("2001:db8::7", 1, 0, 0))
        assert not listener.admits(("10.2.0.1", 1))
        assert not listener.admits(("::ffff:10.2.0.1", 1, 0, 0))
        assert not listener.admits(("::1", 1, 0, 0))
        assert not listener.admits(("fe80::1%lo", 1, 0, 1))
    finally:
        listener.close()


def test_web_server_addrs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCGI_WEB_SERVER_ADDRS", "10.1.2.3, 192.0.2.7")
    for config, admitted in (
        (Config(), {"10.1.2.3", "192.0.2.7"}),
        (Config(allow=("10.1.0.0/16",)), {"10.1.2.3"}),
    ):
        listener = open_listener("0.0.0.0:0", config)
        peers = ("10.1.2.3", "10.1.2.4", "192.0.2.7", "127.0.0.1")
        assert {peer for peer in peers if listener.admits((peer, 1))} == admitted
        listener.close()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "localhost", ""])
def test_a_wrong_network_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^allow: "):
        open_listener("127.0.0.1:0", Config(allow=(text,)))
    monkeypatch.setenv("FCGI_WEB_SERVER_ADDRS", f"127.0.0.1,{text}x")
    with pytest.raises(ConfigError, match=r"^FCGI_WEB_SERVER_ADDRS: "):
        open_listener("127.0.0.1:0", Config())
