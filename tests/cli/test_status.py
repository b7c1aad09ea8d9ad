"""``fcgikit status``. What the document says is tested in tests/supervisor/test_status.py."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fcgikit.cli import main
from fcgikit.cli.status import table

PROCESS = {
    "slot": 0, "pid": 17, "generation": 2, "phase": "serving", "start_since": 3723, "busy": 1,
    "requests": 10, "connections": 3, "slow_requests": 0, "rss": 20 << 20, "beat_age": 0.5,
    "running": [{"request": "GET /report", "request_duration": 12.25}],
}  # fmt: skip
DOCUMENT = {
    "version": "1", "pid": 16, "state": "running", "generation": 2, "process_manager": "static",
    "start_time": 0, "start_since": 90061, "requests": 10, "slow_requests": 1, "connections": 3,
    "listen_queue": 4, "listen_queue_len": 2048, "idle_processes": 0, "active_processes": 1,
    "total_processes": 1, "max_children": 1, "max_children_reached": 2, "threads": 4,
    "listen": [], "processes": [PROCESS],
}  # fmt: skip


@contextmanager
def telling(*pieces: bytes, stay: bool = False) -> Iterator[str]:
    """Somebody who tells that to the one who asks; then he closes unless he shall *stay*."""
    done = threading.Event()

    def tell() -> None:
        connection, _ = listener.accept()
        with connection:
            for piece in pieces:
                connection.sendall(piece)
            if stay:
                done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=tell)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments])


def test_a_table_for_people() -> None:
    with telling(json.dumps(DOCUMENT).encode()) as address:
        result = run(address)
    assert result.exit_code == 0
    assert result.stdout == """\
fcgikit 1, supervisor 16: running, generation 2, static, up 1d 1:01:01
1 processes of at most 1: 1 active, 0 idle; too few 2 times
10 requests, 1 of them slow; 3 connections; 4 of at most 2048 wait to be accepted

SLOT  PID  GEN  PHASE    BUSY  REQUESTS  CONNECTIONS  MEMORY       UP
   0   17    2  serving   1/4        10            3   20.0M  1:02:03
        12.2 s  GET /report
"""


def test_what_is_unknown_is_left_out() -> None:
    worker = {**PROCESS, "rss": None, "running": [{"request": "GET /", "request_duration": None}]}
    text = table({**DOCUMENT, "listen_queue": None, "processes": [worker]})
    assert "wait to be accepted" not in text
    assert text.endswith("       -  GET /")


def test_the_document_for_programs() -> None:
    with telling(json.dumps(DOCUMENT).encode()) as address:
        assert json.loads(run(address, "--json").stdout) == DOCUMENT


def test_a_terminal_obeys_nothing_of_it() -> None:
    evil = "GET /\x1b[2J\x07\n\x9b\u202e"
    running = [{"request": evil, "request_duration": 1.0}]
    told: dict[str, Any] = {**DOCUMENT, "processes": [{**PROCESS, "running": running}]}
    with telling(json.dumps(told).encode()) as address:
        shown = run(address).stdout
    assert r"GET /\x1b[2J\x07\n\x9b\u202e" in shown
    with telling(json.dumps(told, ensure_ascii=False).encode()) as address:
        shown += run(address, "--json").stdout
    assert shown.isascii()
    assert "\x1b" not in shown


@pytest.mark.parametrize("told", [b"", b"HTTP/1.1 400", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_who_tells_something_else(told: bytes) -> None:
    with telling(told) as address:
        result = run(address)
    assert (result.exit_code, "no status" in result.stderr) == (8, True)


def test_who_does_not_answer() -> None:
    assert run("unix:/nonexistent/s").exit_code == 7
    assert run("nowhere").exit_code == 78
    with telling(b"{", stay=True) as address:
        assert run(address, "--max-time", "0.1").exit_code == 28
