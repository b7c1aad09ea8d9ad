"""Ordinary requests through nginx, with every file of conf/nginx and its stock params."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.checks import Answers, Variables
from tests.e2e.client import fetch
from tests.e2e.gate import Gate
from tests.e2e.nginx import CONF, Front, Nginx
from tests.e2e.worker import Worker


class TestVariables(Variables):
    """With the params files of nginx itself and of the distribution."""

    @pytest.fixture
    def web_server(self, stock_nginx: Nginx) -> Nginx:
        return stock_nginx

    def test_the_environ_is_what_the_file_says(self, web_server: Nginx, stock_front: Front) -> None:
        host, port = web_server.address
        environ = json.loads(fetch(web_server.address, "/hello").body)
        assert environ["SERVER_NAME"] == "app.example"
        assert environ["wsgi.multithread"] is True
        if stock_front.params == "upstream":
            assert environ["HTTP_HOST"] == f"{host}:{port}"


class TestAnswers(Answers):
    @pytest.fixture
    def web_server(self, nginx: Nginx) -> Nginx:
        return nginx


def test_a_chunked_upload_is_read_while_it_arrives(worker: Worker, gate: Gate) -> None:
    front = Front("fastcgi-streaming.conf", "unix")
    with Nginx(front, worker.address("unix")) as nginx:
        visits = []

        def pieces() -> Iterator[bytes]:
            yield b"start"
            visits.append(gate.wait())
            visits[0].let_go()
            yield b" and end"

        answer = json.loads(fetch(nginx.address, f"/digest?{gate.query}", "POST", pieces()).body)
    assert visits[0].message == "start", "the application had it before the rest was sent"
    assert answer["length"] == len("start and end")
    assert answer["declared"] == "", "the length came only with the end of the stream"


def test_every_ready_file_is_started_here() -> None:
    from tests.e2e.conftest import FRONTS

    assert {front.file for front in FRONTS} == {path.name for path in CONF.glob("*.conf")}
