from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from fcgikit.client import FastCGIApp
from fcgikit.events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfResponse,
    Event,
    ProtocolStatus,
    Request,
    Response,
    ResponseBody,
)
from tests.client.peer import Browser, Message, Peer, Script, Worker, ok, scope

LIMIT = 20.0  # seconds after which a test that waits for ever fails instead


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, LIMIT))


async def answer_all(peer: Peer) -> None:
    """Echoes method, path and body of every request."""
    while not isinstance(event := await peer.receive(), Closed):
        if isinstance(event, Request):
            request = event
        if isinstance(event, Body):
            request.body += event.data
        if isinstance(event, Request) and not event.complete:
            continue
        text = f"{request.params['REQUEST_METHOD']} {request.params['REQUEST_URI']} "
        await peer.send(*ok(text.encode() + request.body))


def single(*events: Event) -> Script:
    """A worker that answers one request with *events* and waits for the connection's end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*events)
        await peer.until_closed()

    return script


def exchange(
    script: Script, method: str = "GET", body: bytes = b"", **options: Any
) -> tuple[int, dict[bytes, bytes], bytes, bool]:
    """What the browser gets from one request to a worker that plays *script*."""

    async def main() -> tuple[int, dict[bytes, bytes], bytes, bool]:
        async with Worker(script) as worker:
            app = FastCGIApp(worker.address, **options)
            browser = Browser(body)
            await app(scope(method), browser.receive, browser.send)
            await app.aclose()
        return browser.answer()

    return asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_requests_share_a_kept_connection() -> None:
    async def main() -> None:
        async with Worker(answer_all) as worker:
            app = FastCGIApp(worker.address)
            for target in (b"/one", b"/two?x=1", b"/three"):
                browser = Browser(b"")
                await app(scope("GET", target), browser.receive, browser.send)
                status, headers, body, complete = browser.answer()
                assert (status, body, complete) == (200, b"GET " + target + b" ", True)
                assert headers[b"content-type"] == b"text/plain"
            assert worker.connections == 1
            await app.aclose()

    run(main())


def test_concurrent_requests_use_a_connection_each() -> None:
    async def main() -> None:
        both = asyncio.Barrier(2)

        async def script(peer: Peer) -> None:
            await peer.request()
            await both.wait()
            await peer.send(*ok())
            await peer.until_closed()

        async with Worker(script, script) as worker:
            app = FastCGIApp(worker.address)
            browsers = [Browser(b""), Browser(b"")]
            await asyncio.gather(*(app(scope(), b.receive, b.send) for b in browsers))
            assert [b.answer()[2] for b in browsers] == [b"hello", b"hello"]
            await app.aclose()

    run(main())


def test_bodies_stream_both_ways_at_once() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            request = await peer.receive()
            assert isinstance(request, Request)
            assert (request.body, request.complete) == (b"one", False)
            await peer.send(Response(1, 200, "OK", [], b"got one"))
            assert await peer.receive() == Body(1, b"two")
            await peer.send(ResponseBody(1, b"got two"))
            await peer.receive()
            await peer.send(EndOfResponse(1))
            await peer.until_closed()

        async with Worker(script) as worker:
            app = FastCGIApp(worker.address)
            browser = Browser()
            browser.upload(b"one", more=True)
            served = asyncio.create_task(app(scope("POST"), browser.receive, browser.send))
            assert (await browser.sent.get())["type"] == "http.response.start"
            assert (await browser.sent.get())["body"] == b"got one"
            browser.upload(b"two", more=True)
            assert (await browser.sent.get())["body"] == b"got two"
            browser.upload(b"", more=False)
            assert (await browser.sent.get())["more_body"] is False
            await served
            await app.aclose()

    run(main())


def test_an_answer_may_end_before_the_upload() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.receive()
            await peer.send(*ok(b"no thanks"))
            await peer.until_closed()

        async with Worker(script, answer_all) as worker:
            app = FastCGIApp(worker.address)
            browser = Browser()
            browser.upload(b"x", more=True)
            await app(scope("POST"), browser.receive, browser.send)
            assert browser.answer()[2:] == (b"no thanks", True)
            # The worker still expects the rest of that body on the first connection.
            browser = Browser(b"")
            await app(scope(), browser.receive, browser.send)
            assert browser.answer()[2] == b"GET / "
            await app.aclose()

    run(main())


@pytest.mark.parametrize("uploading", [False, True])
def test_the_worker_learns_that_the_browser_left(uploading: bool) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.receive()
            asked.set()
            assert Abort(1) in await peer.until_closed()

        async with Worker(script) as worker:
            app = FastCGIApp(worker.address)
            browser = Browser()
            browser.upload(b"x", more=uploading)
            served = asyncio.create_task(app(scope("POST"), browser.receive, browser.send))
            await asked.wait()
            browser.leave()
            await served
            assert browser.sent.empty()

    run(main())


def test_a_browser_gone_before_its_body_costs_the_worker_nothing() -> None:
    async def main() -> None:
        async with Worker() as worker:
            browser = Browser()
            browser.leave()
            await FastCGIApp(worker.address)(scope("POST"), browser.receive, browser.send)
            assert (worker.connections, browser.sent.empty()) == (0, True)

    run(main())


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 502)])
def test_a_stale_kept_connection_is_replaced_where_repeating_is_safe(
    method: str, status: int
) -> None:
    async def main() -> None:
        async def closes_at_the_third_request(peer: Peer) -> None:
            for _ in range(2):
                await peer.request()
                await peer.send(*ok())
            await peer.request()

        async with Worker(closes_at_the_third_request, answer_all) as worker:
            app = FastCGIApp(worker.address)
            for each, expected in (("GET", 200), ("GET", 200), (method, status)):
                browser = Browser(b"")
                await app(scope(each), browser.receive, browser.send)
                assert browser.answer()[0] == expected
            await app.aclose()

    run(main())


def test_a_connection_closed_while_idle_is_replaced_for_any_method() -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def closes_when_idle(peer: Peer) -> None:
            await peer.request()
            await peer.send(*ok())
            peer.writer.close()
            await peer.writer.wait_closed()
            closed.set()

        async with Worker(closes_when_idle, answer_all) as worker:
            app = FastCGIApp(worker.address)
            for _ in range(2):
                browser = Browser(b"x")
                await app(scope("POST"), browser.receive, browser.send)
                assert browser.answer()[0] == 200
                await closed.wait()
                await asyncio.sleep(0)  # one turn of the loop tells our side
            await app.aclose()

    run(main())


async def close_at_once(peer: Peer) -> None:
    await peer.request()


async def speak_http(peer: Peer) -> None:
    await peer.receive()
    peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await peer.writer.drain()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (close_at_once, 502),
        (speak_http, 502),
        (single(EndOfResponse(1)), 502),
        (single(EndOfResponse(1, 0, ProtocolStatus.OVERLOADED)), 503),
    ],
)
def test_no_proper_answer_gives_an_error_page(script: Script, status: int) -> None:
    got, headers, body, complete = exchange(script)
    assert (got, complete) == (status, True)
    assert headers[b"content-length"] == str(len(body)).encode()


def test_a_silent_worker_is_given_up() -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.until_closed()

    assert exchange(silent, read_timeout=0.05)[0] == 504


@pytest.mark.parametrize("explain", [False, True])
def test_an_absent_worker_is_explained_to_developers_only(explain: bool) -> None:
    async def main() -> None:
        browser = Browser(b"")
        app = FastCGIApp("unix:/nonexistent/<app>.sock", explain=explain)
        await app(scope(), browser.receive, browser.send)
        status, _, body, _ = browser.answer()
        assert status == 502
        assert (b"unix:/nonexistent/&lt;app&gt;.sock" in body) is explain

    run(main())


def test_a_broken_off_answer_stays_incomplete(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_off(peer: Peer) -> None:
        await peer.request()
        await peer.send(Response(1, 200, "OK", [], b"half"))

    status, _, body, complete = exchange(breaks_off)
    assert (status, body, complete) == (200, b"half", False)
    assert "the server closed the connection before its answer was complete" in caplog.text


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [("HEAD", 200, b""), ("GET", 204, b""), ("GET", 304, b""), ("GET", 404, b"text")],
)
def test_bodies_where_http_has_none_are_dropped(method: str, status: int, body: bytes) -> None:
    got = exchange(single(Response(1, status, "", [], b"text"), EndOfResponse(1)), method)
    assert (got[0], got[2], got[3]) == (status, body, True)


def test_hop_by_hop_headers_end_here() -> None:
    headers = [("Transfer-Encoding", "chunked"), ("Connection", "close"), ("Set-Cookie", "a=\xe9")]
    answer = exchange(single(Response(1, 200, "OK", headers), EndOfResponse(1)))
    assert answer[1] == {b"set-cookie": b"a=\xe9"}


def test_stderr_is_logged_escaped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "fcgikit.client.stderr")
    exchange(single(Diagnostic(1, b"one\ntwo \x1b[31m\xff"), *ok()))
    assert caplog.messages == ["one", "two \\x1b[31m\\xff"]


def test_a_nul_in_the_path_never_reaches_the_worker() -> None:
    async def main() -> None:
        browser = Browser(b"")
        app = FastCGIApp("unix:/nonexistent")
        await app(scope("GET", b"/a%00b"), browser.receive, browser.send)
        assert browser.answer()[0] == 400

    run(main())


def test_lifespan_closes_the_kept_connections() -> None:
    async def main() -> None:
        async with Worker(answer_all) as worker:
            app = FastCGIApp(worker.address)
            browser = Browser(b"")
            await app(scope(), browser.receive, browser.send)
            phases = asyncio.Queue[Message]()
            replies = asyncio.Queue[Message]()
            for phase in ("startup", "shutdown"):
                phases.put_nowait({"type": f"lifespan.{phase}"})
            await app({"type": "lifespan"}, phases.get, replies.put)
            # Leaving the worker waits until its end of the connection has seen the close.
        assert [(await replies.get())["type"] for _ in range(2)] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]

    run(main())


def test_a_websocket_is_refused() -> None:
    async def main() -> None:
        browser = Browser()
        await FastCGIApp("unix:/nonexistent")({"type": "websocket"}, browser.receive, browser.send)
        assert browser.sent.get_nowait() == {"type": "websocket.close"}

    run(main())
