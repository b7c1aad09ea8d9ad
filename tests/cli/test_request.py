from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fcgikit.cli import main
from fcgikit.events import Diagnostic, Response, Role
from fcgikit.gateways.interface import Exchange
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.records import encode_record
from tests.client.servers import Scripted, authorizer, end, filter_file, read_to_end, sends, stdout
from tests.server.harness import Server, read_body

HEAD = b"Content-Type: text/plain\r\n\r\n"


def application(exchange: Exchange) -> None:
    """Repeats the request; /stderr writes to the error stream, /404 is not there."""
    params = exchange.request.params
    number = exchange.request.request_id
    if params["PATH_INFO"] == "/stderr":
        exchange.send(Diagnostic(number, b"oops\n"))
    lines = [params["REQUEST_METHOD"], params["REQUEST_URI"], params.get("CONTENT_TYPE", "-")]
    lines += [f"{name}={params[name]}" for name in ("HTTP_X_ONE", "MINE") if name in params]
    body = " ".join(lines).encode() + b"\n" + read_body(exchange)
    status = 404 if params["PATH_INFO"] == "/404" else 200
    headers = [("Content-Type", "text/plain")]
    exchange.send(Response(number, status, "Reason", headers, body, complete=True))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    roles = {Role.AUTHORIZER: authorizer, Role.FILTER: filter_file}
    with Server(application, gateways=roles) as server:
        yield server.address


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["request", *arguments], input=input)


def test_an_answer_goes_to_standard_output(address: str) -> None:
    result = run(address, "/a?b=c")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "GET /a?b=c -\n", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-X", "PURGE"], "PURGE / -\n"),
        (["-d", "a=1", "-d", "b=2"], "POST / application/x-www-form-urlencoded\na=1&b=2"),
        (["-d", "{}", "-H", "Content-Type: x/y"], "POST / x/y\n{}"),
        (["-d", "@two-lines"], "POST / application/x-www-form-urlencoded\nonetwo"),
        (["-d", "@-"], "POST / application/x-www-form-urlencoded\ntyped"),
        (["--data-binary", "@two-lines"], "POST / application/x-www-form-urlencoded\none\ntwo\n"),
        (["-T", "two-lines"], "PUT / -\none\ntwo\n"),
        (["-T", "two-lines", "-X", "POST"], "POST / -\none\ntwo\n"),
        (["-H", "X-One: 1"], "GET / - HTTP_X_ONE=1\n"),
        (["--param", "MINE=a=b"], "GET / - MINE=a=b\n"),
        (["--protocol", "scgi", "-T", "two-lines"], "PUT / -\none\ntwo\n"),
        (["--protocol", "uwsgi"], "GET / -\n"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_what_is_sent(
    address: str,
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two-lines").write_bytes(b"one\ntwo\n")
    result = run(address, "/", *arguments, input=b"typed\n")
    assert (result.exit_code, result.stdout) == (0, expected)


def test_the_head_is_shown_on_demand(address: str) -> None:
    head = b"Status: 200 Reason\r\nContent-Type: text/plain\r\n\r\n"
    assert run("-i", address).stdout_bytes == head + b"GET / -\n"
    assert run("-I", address).stdout_bytes == head


def test_the_error_stream_goes_to_standard_error(address: str) -> None:
    result = run(address, "/stderr")
    assert (result.stdout, result.stderr) == ("GET /stderr -\n", "oops\n")
    assert run("-s", address, "/stderr").stderr == ""


def test_the_error_stream_ends_its_line() -> None:
    pieces = [encode_record(fcgi.FCGI_STDERR, 1, text) for text in (b"oo", b"ps")]
    with Scripted(sends(*pieces, stdout(HEAD), end())) as server:
        lines = run("-v", server.address).stderr.splitlines()
        assert lines.count("< error stream: 2 bytes") == 2
        assert {"oo", "ps"} < set(lines)
    with Scripted(sends(*pieces, stdout(HEAD), end())) as server:
        assert run(server.address).stderr == "oops\n"


def test_verbose_tells_both_directions(address: str) -> None:
    result = run("-v", address, "/?q=\u00fc", "-d", "x", "-H", "X-One: \u00e9\u001b")
    for line in (
        "> request 1, role responder",
        "> REQUEST_METHOD=POST",
        "> HTTP_X_ONE=\u00e9\\x1b",
        "> body: 1 bytes",
        "> end of body",
        "< Status: 200 Reason",
        "< Content-Type: text/plain",
        "< end: appStatus 0, FCGI_REQUEST_COMPLETE",
    ):
        assert line in result.stderr.splitlines()
    assert result.stdout.endswith("x")


def test_the_body_goes_to_a_file(address: str, tmp_path: Path) -> None:
    result = run("-o", str(tmp_path / "body"), address, "/x")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "body").read_bytes() == b"GET /x -\n"


def test_the_other_roles(address: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"<p>")
    os.utime(page, (5, 5))
    assert "Variable-WHO: ann" in run("-i", "--role", "authorizer", address).stdout
    result = run("--role", "filter", "-d", "b", "--data-file", str(page), address)
    assert result.stdout == "b|<p>|3|5"


def test_a_script_in_a_directory(address: str) -> None:
    result = run("-v", "--root", "/srv/www", address, "/a.php/b")
    assert "> SCRIPT_FILENAME=/srv/www/a.php" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["unix:/nonexistent/s"], 7, "unix:/nonexistent/s: cannot connect"),
        (["nonsense"], 78, "nonsense"),
        (["ADDRESS", "path"], 3, "'path'"),
        (["ADDRESS", "-H", "X_Y: hidden"], 3, "X_Y"),
        (["ADDRESS", "-H", "no colon"], 2, "NAME:VALUE"),
        (["ADDRESS", "--param", "novalue"], 2, "NAME=VALUE"),
        (["ADDRESS", "-d", "x", "-T", "y"], 2, "two bodies"),
        (["ADDRESS", "-T", "/nonexistent"], 26, "/nonexistent"),
        (["ADDRESS", "-o", "/nonexistent/x"], 23, "/nonexistent/x"),
        (["ADDRESS", "-f", "/404"], 22, "404 Reason"),
        (["ADDRESS", "--protocol", "uwsgi", "--role", "filter"], 3, "roles"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else str(each),
)
def test_failures(address: str, arguments: list[str], status: int, message: str) -> None:
    arguments = [address if each == "ADDRESS" else each for each in arguments]
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
    if status != 2:
        silent = run("-s", *arguments)
        assert (silent.exit_code, silent.output) == (status, "" if status != 78 else silent.output)


@pytest.mark.parametrize(
    ("records", "arguments", "status"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n",), [], 8),
        ((), [], 52),
        ((stdout(HEAD + b"half"),), [], 18),
        ((end(app=1),), [], 8),
        ((bytes.fromhex("0103000100080000 0000000002000000"),), [], 56),
    ],
)
def test_answers_that_are_none(
    records: tuple[bytes, ...], arguments: list[str], status: int
) -> None:
    with Scripted(sends(*records)) as server:
        assert run(server.address, *arguments).exit_code == status


def test_too_slow() -> None:
    with Scripted(read_to_end) as server:
        result = run("-m", "0.05", server.address)
    assert (result.exit_code, "0.05 seconds" in result.stderr) == (28, True)


def test_help_teaches() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for part in ("Examples:", "--root /srv/www", "Exit statuses:", "-T, --upload-file"):
        assert part in result.stdout
