"""Our client and other people's servers, and the table of ``docs/client.md`` that tells of it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from fcgikit.cli import main
from fcgikit.client import Client, ClientTimeout, Response, Truncated, UnknownRole
from fcgikit.errors import LocalProtocolError
from tests.e2e.peers import HERE, PEERS, Running
from tests.e2e.process import PATIENCE, ROOT

MIB = bytes(range(256)) * 4096
SILENCE = 0.4
"""Seconds we listen to a server that, says the table, will not answer."""


class Subject:
    """A running server, asked as it wants to be asked."""

    def __init__(self, running: Running) -> None:
        self.peer = running.peer
        self.address = running.address
        self.path = self.peer.script or "/"
        self.root = str(HERE) if self.peer.script else None
        self.patience = PATIENCE

    def find_out(self, row: str, expected: str) -> str:
        find = ROWS[row]
        silent = expected in ("no answer", "with --path") or (find is shared and expected == "no")
        self.patience = SILENCE if silent else PATIENCE
        return find(self)

    def client(self, **settings: Any) -> Client:
        settings["read_timeout"] = self.patience
        return Client(self.address, protocol=self.peer.protocol, **settings)

    def ask(self, client: Client, method: str = "GET", query: str = "", **more: Any) -> Response:
        return client.request(method, self.path + query, root=self.root, **more)


def line(method: str, body: bytes = b"") -> bytes:
    """What the common application answers."""
    return f"{method} {len(body)} {zlib.adler32(body):08x}\n".encode()


# -- the rows of the table: each finds out what becomes of one thing ---------------------------


def methods(subject: Subject) -> str:
    with subject.client() as client:
        assert subject.ask(client).read() == line("GET")
        assert subject.ask(client, "POST", body=b"abc").read() == line("POST", b"abc")
        assert subject.ask(client, "HEAD").read() == b""
    return "yes"


def large_bodies(subject: Subject) -> str:
    with subject.client() as client:
        answer = subject.ask(client, "POST", "?size=1048576", body=MIB).read()
    assert answer == line("POST", MIB) + b"x" * 1048576
    return "yes"


def error_stream(subject: Subject) -> str:
    with subject.client() as client:
        try:
            response = subject.ask(client, query="?error")
        except ClientTimeout:
            return "no answer"
        assert response.read() == line("GET")
    return "yes" if b"trouble" in response.stderr else "no"


def long_header(subject: Subject) -> str:
    with subject.client() as client:
        response = subject.ask(client, query="?header=60000")
        assert response.read() == line("GET")
    return "yes" if response.headers["X-Long"] == "h" * 60000 else "lost"


def many_variables(subject: Subject) -> str:
    with subject.client() as client:
        try:
            assert subject.ask(client, headers={"X-Long": "x" * 100_000}).read() == line("GET")
        except LocalProtocolError:
            return "cannot be"
        except Truncated:
            return "hangs up"
        except ClientTimeout:
            return "no answer"
    return "yes"


def unknown_length(subject: Subject) -> str:
    with subject.client() as client:
        try:
            answer = subject.ask(client, "POST", body=iter([b"ab", b"c"])).read()
        except ValueError:
            return "cannot be"
    assert answer in (line("POST", b"abc"), line("POST"))
    return "yes" if answer == line("POST", b"abc") else "taken for none"


def kept(subject: Subject) -> str:
    begun = []
    with subject.client(trace=lambda way, event: begun.append(event)) as client:
        first = subject.ask(client)
        first.read()
        subject.ask(client).read()
        return "yes" if first._connection.reusable else "no"


def shared(subject: Subject) -> str:
    if subject.peer.protocol != "fastcgi":
        return "cannot be"
    with subject.client(multiplex=True) as client:
        return "yes" if client._find_limit() > 1 else "no"


def values(subject: Subject) -> str:
    if subject.peer.protocol != "fastcgi":
        return "cannot be"
    with subject.client() as client:
        try:
            found = client.values()
        except ClientTimeout:
            return "no answer"
    told = [f"{name.removeprefix('FCGI_')}={value}" for name, value in sorted(found.items())]
    return " ".join(told) or "none known"


def role(name: str) -> Callable[[Subject], str]:
    def find(subject: Subject) -> str:
        with subject.client() as client:
            try:
                return "runs" if subject.ask(client, role=name).read() == line("GET") else "?"
            except UnknownRole:
                return "UNKNOWN_ROLE"
            except ValueError:
                return "cannot be"

    return find


def ping(subject: Subject) -> str:
    arguments = ["ping", subject.address, "--protocol", subject.peer.protocol, "-m"]
    if CliRunner().invoke(main, [*arguments, str(subject.patience)]).exit_code == 0:
        return "yes"
    path = ["--path", str(HERE) + subject.peer.script if subject.peer.script else "/"]
    assert CliRunner().invoke(main, [*arguments, str(PATIENCE), *path]).exit_code == 0
    return "with --path"


ROWS: dict[str, Callable[[Subject], str]] = {
    "GET, HEAD, POST": methods,
    "1 MiB up and 1 MiB down": large_bodies,
    "error stream apart": error_stream,
    "answer's header of 60 KB": long_header,
    "request's header of 100 KB": many_variables,
    "body of unknown length": unknown_length,
    "connection kept": kept,
    "requests share a connection": shared,
    "FCGI_GET_VALUES": values,
    "authorizer": role("authorizer"),
    "filter": role("filter"),
    "`fcgikit ping`": ping,
}


def table() -> dict[str, list[str]]:
    """The table of the page: the servers under ``""``, then each row's cells."""
    rows = re.findall(r"^\| (.*) \|$", (ROOT / "docs" / "client.md").read_text(), re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    start = next(at for at, row in enumerate(cells) if row[1:] == [peer.name for peer in PEERS])
    return {row[0]: row[1:] for row in cells[start : start + len(ROWS) + 2]}


@pytest.fixture(params=PEERS, ids=lambda peer: peer.name)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with Running(request.param) as started:
        yield started


def test_the_table_says_what_is_so(running: Running) -> None:
    subject = Subject(running)
    column = PEERS.index(running.peer)
    expected = {name: table()[name][column] for name in ROWS}
    assert {row: subject.find_out(row, cell) for row, cell in expected.items()} == expected


def test_the_ping_of_php_fpm() -> None:
    with Running(next(peer for peer in PEERS if peer.name == "php-fpm")) as running:
        asked = CliRunner().invoke(main, ["request", "--root", "", running.address, "/ping"])
        assert (asked.exit_code, asked.stdout) == (0, "pong")
        assert CliRunner().invoke(main, ["ping", running.address, "--path", "/ping"]).exit_code == 0
        missing = CliRunner().invoke(main, ["ping", running.address, "--path", "/missing"])
        assert (missing.exit_code, "404 Not Found" in missing.stderr) == (1, True)
