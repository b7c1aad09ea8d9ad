"""What ``environ["fcgikit.request"]`` offers an application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from fcgikit.config import DEFAULT
from fcgikit.gateways.context import RequestContext
from fcgikit.gateways.wsgi import WSGIGateway
from tests.fake_exchange import FakeExchange

Work = Callable[[RequestContext, StartResponse, Any], Iterable[bytes]]


def run(work: Work, exchange: FakeExchange | None = None) -> FakeExchange:
    exchange = exchange or FakeExchange()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return work(environ["fcgikit.request"], start_response, environ["wsgi.input"])

    WSGIGateway(app, DEFAULT, multithread=True, multiprocess=False)(exchange)
    return exchange


@pytest.mark.parametrize("first", [b"", b"some"])
def test_finish_ends_the_answer_and_the_rest_is_ignored(first: bytes) -> None:
    gone_on = []

    def work(request: RequestContext, start: StartResponse, body: Any) -> Iterator[bytes]:
        write = start("200 OK", [])
        yield first
        request.finish()
        request.finish()
        write(b"nobody hears")
        yield b"nobody hears"
        gone_on.append(body.read())

    exchange = run(work, FakeExchange("POST", body=b"body"))
    assert (exchange.body, exchange.ended, exchange.truncated) == (first, True, False)
    assert exchange.released
    assert gone_on == [b"body"]


def test_finish_before_start_response(caplog: pytest.LogCaptureFixture) -> None:
    def work(request: RequestContext, start: StartResponse, body: Any) -> Iterable[bytes]:
        request.finish()
        return []

    assert run(work).head.status == 500
    assert "has not called start_response" in caplog.text


def test_an_exception_after_the_end_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    def work(request: RequestContext, start: StartResponse, body: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"some"
        request.finish()
        raise RuntimeError("the late kettle")

    exchange = run(work)
    assert (exchange.body, exchange.truncated, exchange.diagnostics) == (b"some", False, "")
    assert "the late kettle" in caplog.text


def test_what_is_called_after_the_response(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange()
    called: list[tuple[str, bool, bool]] = []

    def later(name: str) -> None:
        called.append((name, exchange.ended, exchange.released))
        if name == "fails":
            raise SystemExit("the last kettle")

    def work(request: RequestContext, start: StartResponse, body: Any) -> Iterable[bytes]:
        request.call_after_response(later, "fails")
        request.call_after_response(later, "second")
        start("200 OK", [])
        return [b"answer"]

    run(work, exchange)
    assert exchange.body == b"answer"
    assert called == [("fails", True, True), ("second", True, True)]
    assert "the last kettle" in caplog.text


def test_it_is_called_when_the_application_has_failed() -> None:
    called: list[int] = []

    def work(request: RequestContext, start: StartResponse, body: Any) -> Iterable[bytes]:
        request.call_after_response(called.append, request.id)
        raise RuntimeError("no answer")

    assert run(work).head.status == 500
    assert called == [7]


def test_what_is_known_of_the_request() -> None:
    def work(request: RequestContext, start: StartResponse, body: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return [repr((request.id, request.aborted)).encode()]

    assert run(work).body == b"(7, False)"
