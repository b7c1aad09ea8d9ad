"""Sockets: what an address means, who may connect, and whose socket file is removed."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcgikit.config import Config
from fcgikit.errors import ConfigError
from fcgikit.server.listener import Listener
from fcgikit.server.sockets import (
    is_listening,
    listening,
    open_listener,
    parse_address,
)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="fk"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def _no_web_server_addrs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FCGI_WEB_SERVER_ADDRS", raising=False)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = open_listener("127.0.0.1:0", Config())
    yield listener
    listener.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/app.sock", "/run/app.sock"),
        ("unix:///run/app.sock", "/run/app.sock"),
        ("unix:app.sock", "app.sock"),
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("tcp://localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        (":9000", ("0.0.0.0", 9000)),
        ("fd://0", 0),
        ("fd://17", 17),
    ],
)
def test_addresses(text: str, address: object) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "unix:", "9000", "localhost", "localhost:", "localhost:http", "host:65536", "::1:9000",
     "[::1]", "fd://", "fd://-1", "fd://x", "fd://٣", "http://localhost:80", "/run/app.sock",
     "unix:/a\0b"],
)  # fmt: skip
def test_what_is_no_address_is_told_the_syntax(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write unix:PATH, HOST:PORT, \[IPV6\]:PORT or fd://N"):
        parse_address(text)


# -- TCP ----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "[::1]:0"])
def test_tcp_loopback(address: str) -> None:
    listener = open_listener(address, Config())
    try:
        sock = listener.socket
        host, port = sock.getsockname()[:2]
        assert listener.address == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        assert not listener.inherited
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        with socket.create_connection((host, port)):
            accepted, peer = sock.accept()
            accepted.close()
            assert listener.admits(peer)
    finally:
        listener.close()


def test_an_address_in_use(listener: Listener) -> None:
    with pytest.raises(ConfigError, match=f"{listener.address}: address in use"):
        open_listener(listener.address, Config())


@pytest.mark.parametrize("address", ["0.0.0.0:0", ":0", "[::]:0"])
def test_other_machines_are_not_let_in_unasked(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--allow .* or FCGI_WEB_SERVER_ADDRS"):
        open_listener(address, Config())


def test_a_host_name_that_cannot_be(listener: Listener) -> None:
    with pytest.raises(ConfigError, match=r"bind a\.\.b:1: "):
        open_listener("a..b:1", Config())


# -- Unix sockets -------------------------------------------------------------------------


def test_a_unix_socket_and_its_permissions(directory: Path) -> None:
    path = directory / "s"
    config = Config(socket_mode=0o640, socket_owner=str(os.getuid()), socket_group=str(os.getgid()))
    listener = open_listener(f"unix:{path}", config)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert listener.address == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        accepted, peer = listener.socket.accept()
        accepted.close()
        assert listener.admits(peer)
    listener.close()
    assert not path.exists()


def test_a_relative_path_is_removed_from_anywhere(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    listener = open_listener("unix:s", Config())
    monkeypatch.chdir("/")
    listener.close()
    assert not (directory / "s").exists()


def test_an_unknown_owner_is_named(directory: Path) -> None:
    for config, setting in (
        (Config(socket_owner="no-such-name"), "socket_owner"),
        (Config(socket_group="no-such-name"), "socket_group"),
    ):
        with pytest.raises(ConfigError, match=f"^{setting}: there is no 'no-such-name'"):
            open_listener(f"unix:{directory}/s", config)
    assert not list(directory.iterdir())


def test_the_kernel_queues_many_connections_by_default(directory: Path) -> None:
    # nginx answers 502 at once when the queue of a Unix socket is full.
    listener = open_listener(f"unix:{directory}/s", Config())
    clients = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    try:
        for client in clients:
            client.setblocking(False)
            assert client.connect_ex(f"{directory}/s") == 0
    finally:
        for client in clients:
            client.close()
        listener.close()


def test_a_stale_socket_file_is_replaced(directory: Path) -> None:
    path = directory / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    listener = open_listener(f"unix:{path}", Config())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


@pytest.mark.parametrize("backlog", [0, 10])
def test_a_living_socket_is_left_alone(directory: Path, backlog: int) -> None:
    path = directory / "s"
    with socket.socket(socket.AF_UNIX) as living, socket.socket(socket.AF_UNIX) as client:
        living.bind(str(path))
        living.listen(backlog)
        client.connect(str(path))  # with backlog 0 this one fills the queue
        with pytest.raises(ConfigError, match="another process answers on unix:"):
            open_listener(f"unix:{path}", Config())
        assert path.is_socket()


def test_other_files_are_left_alone(directory: Path) -> None:
    (directory / "file").write_text("precious")
    (directory / "link").symlink_to(directory / "file")
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match="not a socket"):
            open_listener(f"unix:{directory}/{name}", Config())
    assert (directory / "file").read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/s", "long" * 40])
def test_a_path_that_cannot_be(directory: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"bind unix:{directory}/{name[:7]}"):
        open_listener(f"unix:{directory}/{name}", Config())


# -- sockets that were handed to us -------------------------------------------------------


def test_listening_is_a_fact() -> None:
    pair = socket.socketpair()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    read_end, write_end = os.pipe()
    try:
        assert not is_listening(pair[0].fileno())
        assert not is_listening(read_end)
        assert not is_listening(10_000)
        assert not is_listening(bound.fileno())
        bound.listen()
        assert is_listening(bound.fileno())
        assert bound.getsockname()  # the descriptor is still open
    finally:
        os.close(read_end)
        os.close(write_end)
        bound.close()
        for sock in pair:
            sock.close()


def test_an_inherited_descriptor(directory: Path) -> None:
    path = directory / "s"
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(path))
    given.listen()
    given.set_inheritable(True)
    listener = open_listener(f"fd://{given.detach()}", Config())
    assert listener.inherited
    assert listener.address == f"unix:{path}"
    assert listener.socket.family == socket.AF_UNIX
    assert not listener.socket.get_inheritable()
    assert not listener.socket.getblocking()
    listener.close()
    assert path.is_socket()  # whoever made it removes it


def test_an_inherited_socket_open_to_the_world_needs_allow() -> None:
    # What spawn-fcgi -p does unless it is told an address.
    with socket.socket() as given:
        given.bind(("0.0.0.0", 0))
        given.listen()
        with pytest.raises(ConfigError, match="--allow"):
            open_listener(f"fd://{os.dup(given.fileno())}", Config())


def test_a_descriptor_that_does_not_listen() -> None:
    with socket.socket() as plain, pytest.raises(ConfigError, match="not a listening"):
        open_listener(f"fd://{plain.fileno()}", Config())


def test_a_failure_closes_what_was_opened(listener: Listener, directory: Path) -> None:
    config = Config(bind=(f"unix:{directory}/s", listener.address))
    with pytest.raises(ConfigError), listening(config):
        pass
    assert not list(directory.iterdir())


REPORT = """
import os, socket, subprocess, sys
from fcgikit.config import Config
from fcgikit.server.sockets import listening
with listening(Config(bind=tuple(sys.argv[1:])), default="127.0.0.1:0") as found:
    for listener in found:
        print(listener.address, listener.inherited, listener.socket.fileno() > 2)
subprocess.run(["sh", "-c", "echo stdin $(readlink /proc/self/fd/0); env | grep ^LISTEN_ || :"])
"""


ACTIVATE = """
import os, sys
fds, pid = sys.argv[1].split(","), sys.argv[2]
for target, fd in enumerate(fds, 3):
    os.dup2(int(fd), target)
os.environ.update(LISTEN_PID=pid or str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES="x")
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


def report(*addresses: str, stdin: socket.socket | None = None) -> list[str]:
    """What a process finds to serve that is started with this fd 0 and these arguments."""
    return run("-c", REPORT, *addresses, stdin=stdin)


def report_activated(*sockets: socket.socket, pid: str = "") -> list[str]:
    """The same of a process that systemd has started with these sockets."""
    fds = ",".join(str(sock.fileno()) for sock in sockets)
    return run("-c", ACTIVATE, fds, pid, "-c", REPORT, sockets=sockets)


def run(
    *arguments: str,
    stdin: socket.socket | None = None,
    sockets: tuple[socket.socket, ...] = (),
) -> list[str]:
    result = subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL if stdin is None else stdin.fileno(),
        pass_fds=[sock.fileno() for sock in sockets],
        capture_output=True,
        text=True,
        check=True,
    )
    return (result.stdout + result.stderr).splitlines()


@pytest.fixture
def given() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def name(sock: socket.socket) -> str:
    return f"127.0.0.1:{sock.getsockname()[1]}"


def test_a_listening_fd_0_is_served_and_hidden_from_children(given: socket.socket) -> None:
    lines = report(stdin=given)
    assert lines == [f"{name(given)} True True", "stdin /dev/null"]


PRINT = """
import sys
from fcgikit.config import Config
from fcgikit.server.sockets import listening
with listening(Config(), default="") as found:
    print("an application prints", flush=True)
    print("or complains", file=sys.stderr, flush=True)
    sys.exit(len(found))
"""


def test_an_application_can_print_where_all_standard_files_are_the_socket(
    given: socket.socket,
) -> None:
    """As systemd starts a service with ``StandardInput=socket``."""
    fd = given.fileno()
    result = subprocess.run(
        [sys.executable, "-c", PRINT], stdin=fd, stdout=fd, stderr=fd, check=False
    )
    assert result.returncode == 1


def test_without_anything_the_default_is_bound() -> None:
    (line, _) = report()
    assert line.startswith("127.0.0.1:")
    assert line.endswith(" False True")


def test_socket_activation(given: socket.socket) -> None:
    with given.dup() as other:
        lines = report_activated(given, other)
    assert lines == [f"{name(given)} True True"] * 2 + ["stdin /dev/null"]


def test_activation_of_another_process_is_none_of_our_business(given: socket.socket) -> None:
    served, *rest = report_activated(given, pid="1")
    assert name(given) not in served
    assert rest == ["stdin /dev/null"]


def test_an_explicit_address_comes_first_and_says_so(given: socket.socket) -> None:
    served, _, warning = report("127.0.0.1:0", stdin=given)
    assert name(given) not in served
    assert warning.startswith("fd://0 is a listening socket that nobody serves")
