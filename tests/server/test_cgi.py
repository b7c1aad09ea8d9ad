"""CGI: one request between environment, standard input and standard output."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcgikit.config import Config
from fcgikit.errors import BodyTooLarge, BodyTruncated, ClientDisconnected, LocalProtocolError
from fcgikit.events import Body, Diagnostic, EndOfResponse, Response, ResponseBody
from fcgikit.server.cgi import Exchange


class Pipes:
    """Standard input and output of a CGI process, as its web server holds them."""

    def __init__(self) -> None:
        self.stdin, self.to_stdin = os.pipe()
        self.from_stdout, self.stdout = os.pipe()

    def exchange(self, config: Config | None = None, **params: str) -> Exchange:
        return Exchange(config or Config(), params, self.stdin, self.stdout)

    def input(self, data: bytes) -> None:
        os.write(self.to_stdin, data)

    def end_of_input(self) -> None:
        os.close(self.to_stdin)
        self.to_stdin = -1

    def output(self) -> bytes:
        return os.read(self.from_stdout, 65536)

    def stop_reading(self) -> None:
        os.close(self.from_stdout)
        self.from_stdout = -1

    def close(self) -> None:
        for fd in (self.stdin, self.to_stdin, self.from_stdout, self.stdout):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    pipes = Pipes()
    yield pipes
    pipes.close()


def test_the_body_ends_at_its_length_though_the_pipe_stays_open(pipes: Pipes) -> None:
    exchange = pipes.exchange(CONTENT_LENGTH="5")
    assert not exchange.request.complete
    pipes.input(b"hello, next request")
    assert exchange.read() == b"hello"
    assert exchange.read() == b""


@pytest.mark.parametrize("length", ["", "0", "-1", "+5", "1_0", "x", "\xb2"])
def test_without_a_length_there_is_no_body(pipes: Pipes, length: str) -> None:
    exchange = pipes.exchange(CONTENT_LENGTH=length)
    assert exchange.request.complete
    assert exchange.read() == b""


def test_a_body_that_ends_early(pipes: Pipes) -> None:
    exchange = pipes.exchange(CONTENT_LENGTH="5")
    pipes.input(b"hel")
    pipes.end_of_input()
    assert exchange.read() == b"hel"
    with pytest.raises(BodyTruncated, match="2 bytes early"):
        exchange.read()


def test_a_body_that_is_too_large(pipes: Pipes) -> None:
    exchange = pipes.exchange(Config(max_body_size=4), CONTENT_LENGTH="5")
    with pytest.raises(BodyTooLarge, match="max_body_size"):
        exchange.read()


def test_an_answer(pipes: Pipes, capfd: pytest.CaptureFixture[str]) -> None:
    exchange = pipes.exchange()
    exchange.send(Response(1, 201, "Created", [("Location", "/é")], b"one "))
    exchange.send(ResponseBody(1, b"two"))
    exchange.send(Diagnostic(1, b"for the log\n"))
    exchange.send(EndOfResponse(1))
    assert pipes.output() == b"Location: /\xe9\r\nStatus: 201 Created\r\n\r\none two"
    assert capfd.readouterr().err == "for the log\n"
    with pytest.raises(LocalProtocolError):
        exchange.send(Body(1, b"?"))


def test_an_answer_from_a_file(pipes: Pipes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        exchange = pipes.exchange()
        assert exchange.send_file(file.fileno(), 2, 3) == 3
        assert exchange.send_file(file.fileno(), 8, 5) == 2
    assert pipes.output() == b"23489"


def test_the_web_server_sees_the_end_while_the_application_goes_on(pipes: Pipes) -> None:
    exchange = pipes.exchange()
    exchange.send(Response(1, 200, "OK", [], b"answer", complete=True))
    exchange.release()
    assert pipes.output().endswith(b"answer")
    assert pipes.output() == b""


def test_a_web_server_that_no_longer_reads(pipes: Pipes) -> None:
    exchange = pipes.exchange()
    pipes.stop_reading()
    with pytest.raises(ClientDisconnected):
        exchange.send(ResponseBody(1, b"data"))
    assert exchange.aborted


SCRIPT = """
import os, subprocess
from fcgikit.config import Config
from fcgikit.events import Response
from fcgikit.server.cgi import answer, started_as_cgi
def gateway(exchange):
    print("a stray print")
    subprocess.run(["echo", "a stray child"])
    params = exchange.request.params
    seen = [params["PATH_INFO"], "HTTP_PROXY" in params, "HTTP_PROXY" in os.environ]
    exchange.send(Response(1, 200, "OK", [], repr(seen).encode() + exchange.read()))
if started_as_cgi():
    answer(gateway, Config())
"""


def test_a_cgi_process() -> None:
    environ = {
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"REQUEST_METHOD": b"POST",
        b"PATH_INFO": "/café".encode(),
        b"CONTENT_LENGTH": b"4",
        b"HTTP_PROXY": b"http://attacker.example",
    }
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=b"body",
        env={**os.environb, **environ},
        capture_output=True,
        check=True,
    )
    assert result.stdout == b"Status: 200 OK\r\n\r\n['/caf\xc3\x83\xc2\xa9', False, False]body"
    assert sorted(result.stderr.splitlines()) == [b"a stray child", b"a stray print"]
