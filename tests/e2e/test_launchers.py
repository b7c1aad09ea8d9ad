"""Programs that start others on a socket, and the contract each of them keeps with its child."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e import wire
from tests.e2e.front import SOCKET, find, ready, reserved
from tests.e2e.gate import Gate
from tests.e2e.process import PATIENCE, ROOT, Foreign, Process
from tests.e2e.worker import APPLICATION

SYSTEMD = ROOT / "conf" / "systemd"
FCGIKIT = [sys.executable, "-m", "fcgikit"]
SERVE = [*FCGIKIT, "serve", APPLICATION, "--threads", "1"]
PR_SET_CHILD_SUBREAPER = 36

Address = str | tuple[str, int]


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fk"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, directory: Path) -> Iterator[Address]:
    """Where the launcher shall listen."""
    if request.param == "unix":
        yield str(directory / "app.sock")
    else:
        with reserved() as host_and_port:
            yield host_and_port


class Held:
    """A request whose application waits at the gate."""

    def __init__(self, address: Address, gate: Gate) -> None:
        self.connection = connect(address)
        self.connection.sendall(wire.request(f"/wait?{gate.query}"))
        self.visit = gate.wait()
        self.pid: int = self.visit.pid

    def check_answered(self) -> None:
        """Let it go on: it gets the whole answer, and then the end of the connection."""
        self.visit.let_go()
        answer = wire.read_answer(self.connection)
        assert b"Status: 200 OK" in answer.stdout
        assert answer.stdout.endswith(b"waited ")
        assert answer.protocol_status == 0
        assert wire.read_all(self.connection) == b""
        self.connection.close()


def connect(address: Address) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    connection.settimeout(PATIENCE)
    connection.connect(address)
    return connection


def text(address: Address) -> str:
    """An address as systemd writes it."""
    return address if isinstance(address, str) else "{}:{}".format(*address)


# -- spawn-fcgi -----------------------------------------------------------------------------------


@pytest.fixture
def adoption() -> Iterator[None]:
    """Whoever loses its parent becomes our child, so that we learn its exit status."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0)


class Adopted(Foreign):
    """A child that spawn-fcgi has left to us."""

    def status(self) -> int:
        """Its exit status, once it has ended."""
        self.wait()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def spawn_fcgi(address: Address) -> list[str]:
    program = find("spawn-fcgi", "spawn-fcgi")
    if isinstance(address, str):
        return [program, "-s", address]
    host, port = address
    return [program, "-a", host, "-p", str(port)]


@contextlib.contextmanager
def spawned(command: Sequence[str]) -> Iterator[list[Adopted]]:
    """What the spawn-fcgi *command* has started: it leaves at once, its children stay."""
    told = subprocess.check_output([*command, "--", *SERVE], cwd=ROOT, text=True, timeout=PATIENCE)
    children = [Adopted(int(pid)) for pid in re.findall(r"PID: (\d+)", told)]
    try:
        yield children
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                child.signal(signal.SIGKILL)
                child.status()
            child.close()


@pytest.mark.usefixtures("adoption")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=str)
def test_children_of_spawn_fcgi_share_a_socket_and_stop_gracefully(
    address: Address, gate: Gate, number: signal.Signals
) -> None:
    with spawned([*spawn_fcgi(address), "-F", "3"]) as children:
        held = [Held(address, gate) for _ in children]
        assert {each.pid for each in held} == {child.pid for child in children}
        for child in children:
            child.signal(number)
        for each in held:
            each.check_answered()
        assert [child.status() for child in children] == [0, 0, 0]
    if isinstance(address, str):
        assert Path(address).is_socket(), "whoever made it removes it"


@pytest.mark.usefixtures("adoption")
def test_one_of_several_children_stops_and_the_others_serve_on(directory: Path, gate: Gate) -> None:
    address = str(directory / "app.sock")
    with spawned([*spawn_fcgi(address), "-F", "2"]) as children:
        first = Held(address, gate)
        (leaving,) = (child for child in children if child.pid == first.pid)
        leaving.signal(signal.SIGTERM)
        first.check_answered()
        assert leaving.status() == 0
        for _ in range(3):
            later = Held(address, gate)
            assert later.pid != leaving.pid
            later.check_answered()


@pytest.mark.usefixtures("adoption")
def test_spawn_fcgi_gives_up_root(directory: Path, gate: Gate) -> None:
    """Where we are not root, it starts the child as whoever we are."""
    address = str(directory / "app.sock")
    command = spawn_fcgi(address)
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        user, group = 65534, 65534
        # Not about permissions: the child may still open our private files.
        keep = ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override"]
        command = [
            *[find("setpriv", "util-linux"), *keep, "--ambient-caps=+dac_override", "--"],
            *[*command, "-u", str(user), "-g", str(group)],
        ]
    with spawned(command) as (child,):
        held = Held(address, gate)
        assert (held.visit.user, held.visit.group) == (user, group)
        child.signal(signal.SIGTERM)
        held.check_answered()
        assert child.status() == 0


# -- multiwatch -----------------------------------------------------------------------------------


def test_multiwatch_replaces_a_killed_child_and_stops_gracefully(
    directory: Path, gate: Gate
) -> None:
    address = str(directory / "app.sock")
    multiwatch = [find("multiwatch", "multiwatch"), "-f", "2", "--", *SERVE]
    with Process([*spawn_fcgi(address), "-n", "--", *multiwatch]) as process:
        process.wait_for_log("listening on unix:")
        one, two = Held(address, gate), Held(address, gate)
        os.kill(two.pid, signal.SIGKILL)
        assert wire.read_all(two.connection) == b""
        two.connection.close()
        three = Held(address, gate)
        assert three.pid not in (one.pid, two.pid)

        seen = process.mark
        process.signal(signal.SIGTERM)
        process.wait_for_log("SIGUSR1", seen)
        one.check_answered()
        three.check_answered()
        assert process.wait() == 0
        assert len(re.findall("SIGUSR1", process.log(seen))) == 2


# -- systemd --------------------------------------------------------------------------------------


def activate(*options: str) -> list[str]:
    return [find("systemd-socket-activate", "systemd"), *options]


def test_systemd_passes_its_sockets(directory: Path, gate: Gate) -> None:
    path = str(directory / "app.sock")
    with reserved() as host_and_port:
        options = [option for at in (path, host_and_port) for option in ("-l", text(at))]
        names = ["--fdname=web:web"]
        with Process([*activate(*options, *names), *SERVE, "--threads", "2"]) as process:
            process.wait_for_log("Listening on .* as 4")
            held = [Held(path, gate), Held(host_and_port, gate)]
            seen = process.mark
            process.signal(signal.SIGTERM)
            process.wait_for_log("SIGTERM", seen)
            for each in held:
                each.check_answered()
            assert process.wait() == 0
    assert Path(path).is_socket(), "whoever made it removes it"


def test_systemd_passes_a_socket_as_standard_input(directory: Path, gate: Gate) -> None:
    """``StandardInput=socket``: no variables, only fd 0."""
    path = str(directory / "app.sock")
    with Process([*activate("--inetd", "-l", path), *SERVE]) as process:
        process.wait_for_log("Listening on")
        held = Held(path, gate)
        assert held.pid == process.pid, "nobody but systemd manages processes"
        process.signal(signal.SIGTERM)
        held.check_answered()
        assert process.wait() == 0


def unit_lines(file: str, name: str, placeholders: dict[str, str]) -> list[str]:
    """The values of one setting in a ready unit."""
    return re.findall(f"^{name}=(.*)$", ready(SYSTEMD / file, placeholders), re.MULTILINE)


def test_the_ready_units_work_together(directory: Path, gate: Gate) -> None:
    """The command of the service, on the socket of the socket unit; ``Type=notify``."""
    path, notify = str(directory / "app.sock"), str(directory / "notify")
    (listen,) = unit_lines("fcgikit.socket", "ListenStream", {SOCKET: path})
    names = {"/srv/app/.venv/bin/fcgikit": shlex.join(FCGIKIT), "module:app": APPLICATION}
    (command,) = unit_lines("fcgikit.service", "ExecStart", names)
    options = ["-l", listen, "-E", f"NOTIFY_SOCKET={notify}"]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        Process([*activate(*options), *shlex.split(command)]) as process,
    ):
        systemd.bind(notify)
        systemd.settimeout(PATIENCE)
        process.wait_for_log("Listening on")
        held = Held(path, gate)
        assert b"READY=1" in systemd.recv(4096)
        process.signal(signal.SIGTERM)
        assert b"STOPPING=1" in systemd.recv(4096)
        held.check_answered()
        assert process.wait() == 0


def test_systemd_understands_the_ready_units(directory: Path) -> None:
    units = [directory / "fcgikit.service", directory / "fcgikit.socket"]
    executable = {"/srv/app/.venv/bin/fcgikit": sys.executable}
    for unit, placeholders in zip(units, (executable, {}), strict=True):
        unit.write_text(ready(SYSTEMD / unit.name, placeholders))
    verify = [find("systemd-analyze", "systemd"), "verify", "--man=no", *map(str, units)]
    told = subprocess.check_output(verify, stderr=subprocess.STDOUT, timeout=PATIENCE)
    assert told == b""
