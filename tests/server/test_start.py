"""serve(app) in a script: one script, every way to be started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scgi_peer import scgi_request

SCRIPT = """
import sys
from fcgikit import serve

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    how = [environ["PATH_INFO"], body, environ["wsgi.run_once"], environ["wsgi.multiprocess"]]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(how).encode()]

serve(app, **eval(sys.argv[1]))
print("after serve", flush=True)
"""

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "index.fcgi"
    path.write_text(SCRIPT)
    return str(path)


@pytest.fixture
def given() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def start(
    script: str, settings: str = "{}", stdin: int = subprocess.DEVNULL, **environ: str
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, script, settings],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_listening_fd_0(script: str, given: socket.socket, number: signal.Signals) -> None:
    # GATEWAY_INTERFACE may be inherited from anywhere: what fd 0 is counts for more.
    with start(script, stdin=given.fileno(), GATEWAY_INTERFACE="CGI/1.1") as process:
        answer = scgi_request(given.getsockname(), "/fd0", b"body")
        process.send_signal(number)
        out, err = process.communicate()
    assert answer.endswith(b"['/fd0', b'body', False, True]")
    assert (process.returncode, out, err) == (0, b"after serve\n", b"")


def test_a_bind_keyword(script: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
        settings = f"{{'bind': '127.0.0.1:{address[1]}', 'max_body_size': '64M'}}"
        with start(script, settings) as process:
            _, err = process.communicate()
        assert process.returncode == 78
        assert f"index.fcgi: bind 127.0.0.1:{address[1]}: address in use".encode() in err
        assert b"Traceback" not in err


def test_cgi(script: str) -> None:
    process = start(
        script,
        stdin=subprocess.PIPE,
        GATEWAY_INTERFACE="CGI/1.1",
        REQUEST_METHOD="POST",
        SCRIPT_NAME="/index.fcgi",
        PATH_INFO="/cgi",
        SERVER_NAME="localhost",
        SERVER_PORT="80",
        SERVER_PROTOCOL="HTTP/1.1",
        CONTENT_LENGTH="4",
    )
    with process:
        out, err = process.communicate(b"body and more")
    head, _, body = out.partition(b"\r\n\r\n")
    assert head.endswith(b"Status: 200 OK")
    assert body == b"['/cgi', b'body', True, True]"
    assert process.returncode == 0
    assert err == b"after serve\n"  # standard output has been the web server's


def test_started_by_hand_it_says_what_it_is(script: str) -> None:
    with start(script) as process:
        out, err = process.communicate()
    assert process.returncode == 64
    assert out == b""
    for hint in (b"index.fcgi: this is", b"spawn-fcgi -n", b"fastcgi_pass unix:", b"fcgikit serve",
                 b"fcgikit dev", b'serve(app, bind="unix:'):  # fmt: skip
        assert hint in err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{'threads': 0}", b"threads must be at least 1"),
        ("{'bind': ['nowhere']}", b"write unix:PATH"),
        ("{'log_level': 'debug'}", b"log_level belongs to the command line"),
        ("{'workers': 4}", b"workers belongs to the command line"),
        ("{'thread': 4}", b"thread: there is no such setting: did you mean threads?"),
        ("{'threads': '4'}", b"threads: write a whole number, not '4'"),
        ("{'max_body_size': 'much'}", b"max_body_size: write bytes, such as"),
    ],
)
def test_a_wrong_setting_is_one_line(script: str, settings: str, message: bytes) -> None:
    with start(script, settings) as process:
        _, err = process.communicate()
    assert process.returncode == 78
    assert message in err
    assert err.count(b"\n") == 1
