from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

import fcgikit
from examples import authorizer, filter, hello, tour

EXAMPLES = Path(hello.__file__).parent


def call(app: WSGIApplication, path: str, **environ: Any) -> tuple[str, dict[str, str], str]:
    """Status, headers and text of one request, with both sides held to PEP 3333."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""} | environ
    setup_testing_defaults(environ)
    answer: list[Any] = []

    def start_response(*given: Any) -> Any:
        answer[:] = given
        return answer.append

    result = validator(app)(environ, start_response)
    try:
        body = b"".join(result).decode()
    finally:
        result.close()  # type: ignore[attr-defined]
    return answer[0], dict(answer[1]), body


def test_hello_greets_in_utf_8() -> None:
    status, headers, body = call(hello.app, "/Ren\xc3\xa9")
    assert (status, body) == ("200 OK", "Hello, René!\n")
    assert headers["Content-Length"] == str(len(body.encode()))


@pytest.mark.parametrize("name", ["authorizer", "filter", "hello"])
def test_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 40


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        ({"REMOTE_USER": "ann", "REMOTE_PASSWD": "rosebud"}, True),
        ({"REMOTE_USER": "ann", "REMOTE_PASSWD": ""}, False),
        ({"HTTP_AUTHORIZATION": "Basic YW5uOnJvc2VidWQ="}, True),
        ({"HTTP_AUTHORIZATION": "Basic YW5uOm9yY2hpZA=="}, False),
        ({"HTTP_AUTHORIZATION": "Basic YW5"}, False),
        ({"HTTP_AUTHORIZATION": "Basic caf\xe9"}, False),
        ({}, False),
    ],
)
def test_the_authorizer_knows_ann(environ: dict[str, str], allowed: bool) -> None:
    verdict = authorizer.check(environ)
    assert isinstance(verdict, fcgikit.Allow if allowed else fcgikit.Deny)


def test_the_filter_is_one() -> None:
    assert filter.number.role.name == "FILTER"


@pytest.mark.parametrize("path", ["", "/", "/environ", "/upload"])
def test_every_stop_of_the_tour(path: str) -> None:
    status, _, body = call(tour.app, path)
    assert status == "200 OK"
    assert body.endswith("</html>\n")


def test_the_tour_can_be_mounted_and_ends_where_it_ends() -> None:
    status, _, body = call(tour.app, "/nowhere", SCRIPT_NAME="/mnt")
    assert status == "404 Not Found"
    assert 'href="/mnt/stream"' in body


def test_the_environ_is_escaped() -> None:
    _, _, body = call(tour.app, "/environ", HTTP_X="<b>\xc3\xa9\xff")
    assert "<td>&lt;b&gt;é\\xff</td>" in body


def upload(body: bytes, content_type: str) -> tuple[str, dict[str, str], str]:
    return call(
        tour.app,
        "/upload",
        REQUEST_METHOD="POST",
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": io.BytesIO(body)},
    )


def test_an_upload_is_hashed_as_it_arrives() -> None:
    content = bytes(range(256)) * 1024
    part = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="<a>.bin"\r\n\r\n'
    status, _, page = upload(
        part + content + b"\r\n--xx--\r\n", "multipart/form-data; boundary=xx"
    )
    assert status == "200 OK"
    assert "&lt;a&gt;.bin" in page
    assert "262,144 bytes" in page
    assert hashlib.sha256(content).hexdigest() in page


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=xx", "text/plain"])
def test_an_upload_that_is_none(content_type: str) -> None:
    status, _, page = upload(b"not a form", content_type)
    assert status == "400 Bad Request"
    assert page.endswith("</html>\n")


def test_the_stream_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    status, _, body = call(tour.app, "/stream")
    assert status == "200 OK"
    assert body.count("--at: ") == len(pauses) == tour.PIECES


def test_index_fcgi_runs_as_a_cgi_script() -> None:
    environ = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/index.fcgi",
        "PATH_INFO": "/cgi",
        "QUERY_STRING": "",
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PYTHONPATH": str(EXAMPLES.parent),
    }
    script = EXAMPLES / "index.fcgi"
    assert os.access(script, os.X_OK)
    answer = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert answer.stdout.endswith(b"\r\n\r\nHello, cgi!\n")
    assert b"Status: 200 OK\r\n" in answer.stdout
