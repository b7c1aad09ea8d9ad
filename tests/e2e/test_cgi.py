"""A script that a web server starts as plain CGI: one answer, and an error log to read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.process import PATIENCE, ROOT

APP = """
import logging, logging.config, sys
from fcgikit import serve

def app(environ, start_response):
    print("a line of the application", file=environ["wsgi.errors"])
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/fail":
        raise ZeroDivisionError("on purpose")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d bytes" % len(body)]

exec(sys.argv[1])
serve(app, max_body_size=1000)
"""


def run(script: Path, path: str = "/", *, logging: str = "", **environ: str) -> tuple[str, str]:
    """What the web server gets as answer and for its error log."""
    script.write_text(APP)
    request = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/index.fcgi",
        "PATH_INFO": path,
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.run(
        [sys.executable, str(script), logging],
        env=os.environ | request | environ,
        input=b"x" * 2000,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return process.stdout.decode(), process.stderr.decode()


@pytest.mark.parametrize(
    "logging",
    [
        "",
        "logging.basicConfig()",
        "logging.basicConfig(filename='/dev/null')",
        "logging.basicConfig(level=logging.CRITICAL)",
        "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True,"
        " 'handlers': {'h': {'class': 'logging.StreamHandler'}}, 'root': {'handlers': ['h']}})",
    ],
)
def test_every_line_is_in_the_error_log_once(tmp_path: Path, logging: str) -> None:
    answer, log = run(tmp_path / "index.fcgi", "/fail", logging=logging)
    assert "Status: 500 " in answer
    assert log.count("a line of the application") == 1
    assert log.count("ZeroDivisionError: on purpose") == 1


@pytest.mark.parametrize(
    ("length", "status", "body"),
    [
        ("", "200", "0 bytes"),
        ("1000", "200", "1000 bytes"),
        ("1001", "413", ""),
        ("9" * 5000, "413", ""),
        ("x", "400", ""),
        ("+5", "400", ""),
    ],
)
def test_the_length_of_the_body(tmp_path: Path, length: str, status: str, body: str) -> None:
    answer, log = run(tmp_path / "index.fcgi", CONTENT_LENGTH=length)
    assert f"Status: {status} " in answer
    assert answer.endswith(body)
    assert "Traceback" not in log
