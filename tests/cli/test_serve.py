"""``fcgikit serve`` as a process: what it says, how it stops, and its exit statuses."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from grp import getgrgid
from pathlib import Path
from pwd import getpwuid

import pytest

from fcgikit import __version__
from tests.scgi_peer import scgi_request

APP = """
import logging.config
logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""

FORKS = (
    APP
    + """
import os, signal, time
child = os.fork()
if not child:
    while True:
        time.sleep(0.01)
ended = status = 0
while not ended:  # Python forgets a signal that comes while it forks
    os.kill(child, signal.SIGTERM)
    ended, status = os.waitpid(child, os.WNOHANG)
print("child:", status, flush=True)
"""
)

HERE = ["--workers", "0"]
"""No supervisor: the process that was started is the one that serves."""

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \[(\d+)\] (INFO|WARNING|ERROR) (.*)\n")


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where the application is; its path is short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="fk"))
    (path / "hello.py").write_text(APP)
    yield path
    shutil.rmtree(path)


def fcgikit(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "fcgikit", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def next_message(process: subprocess.Popen[str]) -> str:
    """The next line of the log, without time and process id."""
    assert process.stderr
    line = process.stderr.readline()
    match = LINE.fullmatch(line)
    assert match, line
    assert match[1] == str(process.pid)
    return match[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_says_so_and_stops(directory: Path, number: signal.Signals) -> None:
    with fcgikit(
        directory, "serve", "hello:app", *HERE, "-b", "127.0.0.1:0", "--threads", "2"
    ) as process:
        assert next_message(process) == f"fcgikit {__version__}"
        match = re.fullmatch(r"listening on 127.0.0.1:(\d+) \(auto\)", next_message(process))
        assert match
        assert next_message(process) == "application hello:app, threads 2"
        assert scgi_request(("127.0.0.1", int(match[1]))).endswith(b"hello")
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == 0
    assert out == ""
    assert all(LINE.fullmatch(line) for line in err.splitlines(keepends=True)), err
    assert f"INFO {number.name}" in err
    assert "INFO stopped; requests served: 1" in err


@pytest.mark.parametrize(
    ("mode", "users"),
    [
        ([], "user {user} and group {group}"),
        (["--socket-mode", "600"], "user {user}"),
        (["--socket-mode", "666"], ""),
    ],
)
def test_a_unix_socket_says_who_may_connect(directory: Path, mode: list[str], users: str) -> None:
    with fcgikit(directory, "serve", "hello", *HERE, "-b", f"unix:{directory}/s", *mode) as process:
        while not (message := next_message(process)).startswith("listening on"):
            pass
        message = next_message(process)
        if users:
            names = {"user": getpwuid(os.getuid())[0], "group": getgrgid(os.getgid())[0]}
            assert message == (
                f"unix:{directory}/s: only {users.format(**names)} may connect"
                " (settings: socket_mode, socket_owner, socket_group)"
            )
            message = next_message(process)
        assert message.startswith("application")
        assert (directory / "s").stat().st_mode & 0o777 == int(mode[1] if mode else "660", 8)
        assert scgi_request(f"{directory}/s").endswith(b"hello")
        process.terminate()
        process.communicate()
    assert process.returncode == 0
    assert not (directory / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["serve", "hello:app", "-b", "nowhere"], 78, "Error: bind 'nowhere' is no address"),
        (["serve", "hello:app", "-b", "0.0.0.0:0"], 78, "Error: bind 0.0.0.0:"),
        (["serve", "hello:app", "--threads", "0"], 78, "Error: threads must be at least 1"),
        (["serve", "hello:app", "--chdir", "absent"], 78, "Error: chdir absent: No such"),
        (["serve", "absent:app", "-b", "127.0.0.1:0"], 3, "Error: there is no module 'absent'"),
        (["serve", "hello:app", "--wrokers", "2"], 2, "--wrokers"),
        (["serve"], 2, "fcgikit serve MODULE:APP"),
        (["serve"], 2, "FCGIKIT_APP"),
        (["serve"], 2, 'app = "MODULE:APP"'),
        (["sevre"], 2, "sevre"),
    ],
)
def test_what_fails_says_why(
    directory: Path, arguments: list[str], status: int, message: str
) -> None:
    with fcgikit(directory, *arguments) as process:
        out, err = process.communicate()
    assert process.returncode == status
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_a_failed_import_leaves_no_socket(directory: Path) -> None:
    (directory / "broken.py").write_text("import no_such_library\n")
    with fcgikit(directory, "serve", "broken:app", "-b", f"unix:{directory}/s") as process:
        _, err = process.communicate()
    assert process.returncode == 3
    assert 'broken.py", line 1' in err
    assert not (directory / "s").exists()


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
    ],
)
def test_a_signal_while_the_application_is_imported(
    directory: Path, number: signal.Signals, status: int
) -> None:
    (directory / "slow.py").write_text(
        # Not one long sleep: Python hears a signal that comes just before one only after it.
        "import time\nprint('importing', flush=True)\nfor _ in range(6000): time.sleep(0.01)"
    )
    with fcgikit(directory, "serve", "slow", *HERE, "-b", f"unix:{directory}/s") as process:
        assert process.stdout
        assert process.stdout.readline() == "importing\n"
        assert (directory / "s").exists()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (status, "")
    assert not (directory / "s").exists()


def test_a_child_of_the_import_does_not_take_the_socket_along(directory: Path) -> None:
    (directory / "forks.py").write_text(FORKS)
    with fcgikit(directory, "serve", "forks", *HERE, "-b", f"unix:{directory}/s") as process:
        while not next_message(process).startswith("application"):
            pass
        assert scgi_request(f"{directory}/s").endswith(b"hello")
        process.terminate()
        out, _ = process.communicate()
    assert out == f"child: {signal.SIGTERM:d}\n"


def test_the_application_may_be_named_elsewhere(directory: Path) -> None:
    (directory / "pyproject.toml").write_text("[tool.fcgikit]\napp = 'hello:app'\nworkers = 0\n")
    with fcgikit(directory, "serve", "-b", "127.0.0.1:0") as process:
        while not (message := next_message(process)).startswith("application"):
            pass
        process.terminate()
        process.communicate()
    assert message == "application hello:app, threads 4"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["hello:app"], 0, "hello:app: settings and application are fine"),
        (["absent:app"], 3, "there is no module 'absent'"),
        (["hello:app", "--threads", "0"], 78, "threads must be at least 1"),
        (["hello:app", "-b", "nowhere"], 78, "bind 'nowhere' is no address"),
    ],
)
def test_a_trial_binds_nothing(
    directory: Path, arguments: list[str], status: int, message: str
) -> None:
    address = ["-b", f"unix:{directory}/s"] if "-b" not in arguments else []
    with fcgikit(directory, "serve", "--check-config", *address, *arguments) as process:
        out, err = process.communicate()
    assert process.returncode == status
    assert message in (err if status else out)
    assert not (directory / "s").exists()


def test_a_log_file_that_cannot_be_had(directory: Path) -> None:
    with fcgikit(directory, "serve", "hello:app", "--error-log", "absent/log") as process:
        _, err = process.communicate()
    assert process.returncode == 78
    assert "Error: error_log absent/log: No such file or directory" in err
