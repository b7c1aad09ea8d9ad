"""``fcgikit dev`` as a user runs it: a process, a browser, Ctrl-C."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 30.0  # seconds after which something hangs


class Dev:
    """The command, in a process group of its own as a shell would start it."""

    def __init__(self, *arguments: str) -> None:
        self.temporary = tempfile.mkdtemp(prefix="fk")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fcgikit", "dev", *arguments],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": self.temporary},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.browsers: list[http.client.HTTPConnection] = []

    @property
    def stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def connect(self) -> http.client.HTTPConnection:
        """A browser at the address that the command prints."""
        if not self.browsers:
            address = self.stdout.readline().partition("http://")[2].split()[0]
            self.port = int(address.rpartition(":")[2])
        self.browsers.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT))
        return self.browsers[-1]

    def interrupt(self) -> None:
        """Ctrl-C: the terminal signals the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Exit status and standard error; asserts that nothing is left behind."""
        _, errors = self.process.communicate(timeout=LIMIT)
        assert os.listdir(self.temporary) == []
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        return self.process.returncode, errors

    def close(self) -> None:
        for browser in self.browsers:
            browser.close()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.communicate()
        shutil.rmtree(self.temporary)


@pytest.fixture
def dev() -> Iterator[Dev]:
    running = Dev("tests.cli.dev_app:app", "--port", "0")
    yield running
    running.close()


def get(browser: http.client.HTTPConnection, path: str) -> str:
    browser.request("GET", path)
    return browser.getresponse().read().decode()


def refuses_connections(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def test_it_serves_until_ctrl_c(dev: Dev) -> None:
    browser = dev.connect()
    assert get(browser, "/a%20b").startswith("/a b  ")
    browser.request("POST", "/echo", body=b"x" * 300_000)
    assert browser.getresponse().read() == b"x" * 300_000
    dev.interrupt()
    status, errors = dev.end()
    assert status == 0
    assert [line.split("  ")[1] for line in errors.splitlines()] == [
        "GET /a%20b HTTP/1.1",
        "POST /echo HTTP/1.1",
    ]
    assert refuses_connections(dev.port)


def test_an_answer_streams_and_a_chunked_upload_arrives(dev: Dev) -> None:
    streaming, other = dev.connect(), dev.connect()
    streaming.request("GET", "/wait")
    response = streaming.getresponse()
    assert response.read(5) == b"first"
    other.request("POST", "/release", body=iter([b"one ", b"two"]))
    assert other.getresponse().read() == b"one two"
    assert response.read() == b" second"


def test_sigterm_ends_a_request_that_does_not(dev: Dev) -> None:
    browser = dev.connect()
    browser.request("GET", "/wait")
    assert browser.getresponse().read(5) == b"first"
    dev.process.terminate()
    status, errors = dev.end()
    assert status == 0, errors
    assert "Traceback" not in errors


def test_a_second_signal_waits_for_nothing(dev: Dev) -> None:
    """Sent to the command alone, so that it is the one to end the worker."""
    browser = dev.connect()
    browser.request("GET", "/wait")
    assert browser.getresponse().read(5) == b"first"
    dev.process.send_signal(signal.SIGINT)
    while not refuses_connections(dev.port):
        pass
    dev.process.send_signal(signal.SIGINT)
    status, errors = dev.end()
    assert status == 0
    assert "graceful_timeout" not in errors  # what a worker says that has waited
    assert "Traceback" not in errors


def test_a_worker_that_dies_is_told(dev: Dev) -> None:
    browser = dev.connect()
    browser.request("GET", "/die")
    response = browser.getresponse()
    assert (response.status, b"the server closed" in response.read()) == (502, True)
    status, errors = dev.end()
    assert status == 7
    assert "The worker has ended (exit status 7)" in errors


def test_options_reach_the_worker() -> None:
    dev = Dev("dev_app:app", "--port", "0", "--chdir", "tests/cli", "--script-name", "/shop")
    try:
        assert get(dev.connect(), "/shop/x").startswith("/x /shop ")
    finally:
        dev.close()


def test_an_import_error_is_shown() -> None:
    dev = Dev("tests.cli.broken_app", "--port", "0")
    try:
        status, errors = dev.end()
        assert status == 3
        assert "ZeroDivisionError" in errors
        assert "broken_app.py" in errors
    finally:
        dev.close()


def test_a_taken_port_names_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dev = Dev("tests.cli.dev_app:app", "--port", str(taken.getsockname()[1]))
        try:
            status, errors = dev.end()
        finally:
            dev.close()
    assert status == os.EX_CONFIG
    assert "--port" in errors
    assert "Traceback" not in errors
