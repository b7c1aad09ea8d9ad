"""Signals while a pool starts, and Ctrl-C at a terminal: no signal is lost, none leaves a mess."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e import wire
from tests.e2e.gate import Gate
from tests.e2e.process import PATIENCE, ROOT
from tests.e2e.project import APP, Project, wait_for_end

HELD = f"""
import os
from tests.e2e.gate import pass_gate
pass_gate(os.environ["GATE"], str(os.getpid()))
{APP}
"""


@pytest.fixture
def project() -> Iterator[Project]:
    with Project() as made:
        yield made


@pytest.mark.parametrize("preload", [False, True])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2], ids=str)
def test_what_does_not_end_a_pool_does_not_end_its_start(
    project: Project, gate: Gate, number: signal.Signals, preload: bool
) -> None:
    project.write(HELD)
    options = ["--preload"] if preload else []
    with project.pool(*options, workers=1, environ={"GATE": gate.path}) as pool:
        pool.signal(number)
        gate.wait().let_go()
        pool.wait_for_log(f"{number.name} while STARTING")
        if number is signal.SIGHUP and not preload:
            gate.wait().let_go()
            pool.wait_for_log("reload complete")
        assert pool.ask()[0] == "one"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGQUIT, 0), (signal.SIGINT, 130)], ids=str
)
@pytest.mark.parametrize("preload", [False, True])
def test_what_ends_a_pool_ends_its_start(
    project: Project, gate: Gate, number: signal.Signals, status: int, preload: bool
) -> None:
    project.write(HELD)
    path = project.directory / "pid"
    options = ["--pid", str(path), *(["--preload"] if preload else [])]
    with project.pool(*options, workers=1, environ={"GATE": gate.path}) as pool:
        importing = gate.wait()
        assert path.exists()
        pool.signal(number)
        assert pool.wait() == status
        wait_for_end(importing.pid)
        assert "Traceback" not in pool.log()
    assert not os.path.exists(pool.path)
    assert not path.exists()


def test_ctrl_c_at_a_terminal(project: Project) -> None:
    """The terminal tells the whole process group."""
    master, slave = pty.openpty()
    path = str(project.directory / "s")
    command = ["setsid", "--ctty", sys.executable, "-m", "fcgikit", "serve", "shop:app"]
    command += ["--chdir", str(project.directory), "-w", "2", "-b", f"unix:{path}"]
    with subprocess.Popen(command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        try:
            shown = read_until(master, b"ready: 2 workers")
            workers = [int(pid) for pid in re.findall(rb"worker (\d+) ready", shown)]
            assert len(workers) == 2
            os.write(master, b"\x03")
            shown = read_until(master, b"")
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
            os.close(master)
    assert b"Traceback" not in shown
    assert b"WARNING" not in shown
    assert b"ERROR" not in shown
    assert not os.path.exists(path)
    for worker in workers:
        wait_for_end(worker)


def read_until(terminal: int, text: bytes) -> bytes:
    """What the terminal shows, up to *text* or, without one, to the end."""
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
        while not text or text not in shown:
            shown += os.read(terminal, 4096)
    return shown


def test_requests_wait_while_the_application_is_imported(project: Project, gate: Gate) -> None:
    project.write(HELD)
    with project.pool(workers=1, environ={"GATE": gate.path}) as pool, pool.connect() as waiting:
        importing = gate.wait()
        waiting.sendall(wire.request("/"))
        importing.let_go()
        assert wire.read_answer(waiting).app_status == 0
