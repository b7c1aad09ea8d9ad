"""PEP 3333, from the application's side and from the front end's."""

from __future__ import annotations

import gc
import logging
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.validate import validator

import pytest

from fcgikit.config import DEFAULT, Config
from fcgikit.errors import (
    BodyTimeout,
    BodyTooLarge,
    BodyTruncated,
    ClientDisconnected,
)
from fcgikit.events import Diagnostic, EndOfResponse, Response, ResponseBody
from fcgikit.gateways.files import FileWrapper
from fcgikit.gateways.wsgi import WSGIGateway
from tests.fake_exchange import FakeExchange

App = Callable[[WSGIEnvironment, StartResponse], Any]
TEXT = [("Content-Type", "text/plain")]


def run(app: App, exchange: FakeExchange | None = None, config: Config = DEFAULT) -> FakeExchange:
    exchange = exchange or FakeExchange()
    WSGIGateway(app, config, multithread=True, multiprocess=False)(exchange)
    return exchange


def answering(result: Any, status: str = "200 OK", headers: Any = TEXT) -> App:
    """An application that returns *result*, which may be a function making it."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        start_response(status, list(headers))
        return result() if callable(result) else result

    return app


class Blocks:
    """An iterable over *blocks*, exceptions among them raised; it notes when it is closed."""

    def __init__(self, *blocks: Any) -> None:
        self._blocks = iter(blocks)
        self.closed = 0

    def __iter__(self) -> Blocks:
        return self

    def __next__(self) -> Any:
        block = next(self._blocks)
        if isinstance(block, BaseException):
            raise block
        return block

    def close(self) -> None:
        self.closed += 1


class Failure(Exception):
    """What these applications raise; its message is not for clients."""


# -- applications that keep to PEP 3333 ---------------------------------------------------------


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "13")])
    return [b"Hello, world\n"]


def without_length(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", TEXT[:])
    return [b"Hello, world\n"]


def in_pieces(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", TEXT[:])
    return [b"Hello", b"", b", ", b"world\n"]


def late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT[:])  # only when the first block is asked for
    yield b"Hello, "
    yield b"world\n"


def delayed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("500 Not Yet", TEXT[:])
    yield b""
    try:
        raise Failure
    except Failure:
        start_response("200 OK", TEXT[:], sys.exc_info())
    yield b"Hello, world\n"


def writing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", TEXT[:])
    write(b"Hello, ")
    write(b"")
    return [b"world\n"]


def writing_all(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", [*TEXT, ("Content-Length", "13")])
    write(b"Hello, ")
    write(b"world\n")
    return []


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.errors"].write("Hello\n")
    start_response("200 OK", TEXT[:])
    return [environ["wsgi.input"].read(7), environ["wsgi.input"].readline()]


def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    file = tempfile.TemporaryFile()
    file.write(b"no: Hello, world\n")
    file.seek(4)
    start_response("200 OK", TEXT[:])
    result: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 5)
    return result


GOOD = [hello, without_length, in_pieces, late, delayed, writing, writing_all, echo, wrapped]


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("app", GOOD)
def test_good_applications(app: App, validated: bool, caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange("POST", body=b"Hello, world\n", CONTENT_LENGTH="13")
    run(validator(app) if validated else app, exchange)
    assert (exchange.head.status, exchange.head.reason) == (200, "OK")
    assert exchange.body == b"Hello, world\n"
    assert exchange.headers["content-type"] == "text/plain"
    assert exchange.ended
    assert not exchange.truncated
    assert {record.name for record in caplog.records} <= {"fcgikit.application"}


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("app", GOOD)
def test_head_has_no_body(app: App, validated: bool) -> None:
    exchange = run(validator(app) if validated else app, FakeExchange("HEAD"))
    assert exchange.head.status == 200
    assert exchange.body == b""
    assert exchange.ended
    assert not exchange.truncated


# -- the environ ----------------------------------------------------------------------------------


def test_the_environ_is_complete_and_true_to_fact() -> None:
    seen: dict[str, Any] = {}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.update(environ)
        return without_length(environ, start_response)

    exchange = FakeExchange(HTTP_PROXY="http://evil.example")
    exchange.request.params["wsgi.multithread"] = "sent by the front end"
    gateway = WSGIGateway(app, DEFAULT, multithread=False, multiprocess=True, run_once=True)
    gateway(exchange)
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("", "/up/hello")
    assert "HTTP_PROXY" not in seen
    assert seen["wsgi.version"] == (1, 0)
    assert seen["wsgi.url_scheme"] == "http"
    assert seen["wsgi.multithread"] is False
    assert seen["wsgi.multiprocess"] is True
    assert seen["wsgi.run_once"] is True
    assert seen["wsgi.input_terminated"] is True
    assert seen["wsgi.file_wrapper"] is FileWrapper
    assert seen["fcgikit.request"].aborted is False


def test_nothing_of_one_request_is_seen_by_the_next() -> None:
    seen: list[set[str]] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["app.session"] = environ.get("HTTP_SECRET")
        seen.append(set(environ))
        return without_length(environ, start_response)

    gateway = WSGIGateway(app, DEFAULT, multithread=True, multiprocess=False)
    gateway(FakeExchange(HTTP_SECRET="x"))
    gateway(FakeExchange())
    assert seen[0] - seen[1] == {"HTTP_SECRET"}


def test_an_environ_that_is_kept_keeps_nothing_of_the_connection() -> None:
    kept: list[WSGIEnvironment] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ)
        return without_length(environ, start_response)

    exchange = FakeExchange("POST", body=b"a", complete=False)
    alive = weakref.ref(exchange)
    gc.disable()
    try:
        run(app, exchange)
        del exchange
        assert alive() is None  # and no reference cycle either
    finally:
        gc.enable()
    kept[0]["wsgi.errors"].write("late\n")
    with pytest.raises(ValueError):
        kept[0]["wsgi.input"].read()


def test_mounted() -> None:
    exchange = FakeExchange()
    run(hello, exchange, replace(DEFAULT, script_name="/up"))
    assert exchange.head.status == 200
    assert exchange.request.params["SCRIPT_NAME"] == "/up"


# -- what is sent, and when -----------------------------------------------------------------------


@pytest.mark.parametrize("result", [[b"Hello"], (b"Hello",)])
def test_an_answer_known_as_a_whole_is_one_event(result: Any) -> None:
    (event,) = run(answering(result)).events
    headers = [*TEXT, ("Content-Length", "5")]
    assert event == Response(7, 200, "OK", headers, b"Hello", complete=True)


@pytest.mark.parametrize("result", [[], [b""], (), lambda: iter(())])
def test_an_empty_answer_is_one_event(result: Any) -> None:
    (event,) = run(answering(result)).events
    assert event == Response(7, 200, "OK", [*TEXT, ("Content-Length", "0")], b"", complete=True)


def test_a_first_block_of_content_length_bytes_is_the_whole_answer() -> None:
    blocks = Blocks(b"Hello", b"")  # as Flask and Django return it
    exchange = run(answering(blocks, headers=[*TEXT, ("Content-Length", "5")]))
    assert [type(event) for event in exchange.events] == [Response]
    assert exchange.head.complete
    assert blocks.closed == 1


def test_each_block_is_sent_before_the_next_is_asked_for() -> None:
    exchange = FakeExchange()
    seen: list[bytes] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", TEXT[:])
        assert exchange.events == []
        write(b"0")
        for block in (b"1", b"", b"2"):
            seen.append(exchange.body)
            yield block
        seen.append(exchange.body)

    run(app, exchange)
    assert seen == [b"0", b"01", b"01", b"012"]
    assert [type(event) for event in exchange.events] == [
        Response, ResponseBody, ResponseBody, EndOfResponse,
    ]  # fmt: skip
    assert "content-length" not in exchange.headers


def test_content_type_is_never_invented() -> None:
    assert run(answering([b"<script>"], headers=[])).headers == {"content-length": "8"}


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("result", [[b"body"], [], lambda: iter([b"a", b"b"])])
def test_no_body_where_there_cannot_be_one(status: str, result: Any) -> None:
    (event,) = run(answering(result, status, [("X", "y")])).events
    assert event == Response(7, int(status[:3]), status[4:], [("X", "y")], b"", complete=True)


def test_content_length_without_a_body() -> None:
    length = [("Content-Length", "5")]
    assert run(answering([], "204 No Content", length)).head.headers == []
    assert run(answering([], "304 Not Modified", length)).head.headers == length
    head = FakeExchange("HEAD")
    assert run(answering([], headers=length), head).head.headers == length
    head = FakeExchange("HEAD")
    assert run(answering([], headers=[]), head).head.headers == []
    head = FakeExchange("HEAD")
    assert run(answering([b"Hello"], headers=[]), head).head.headers == length


def test_writing_where_there_is_no_body() -> None:
    (event,) = run(writing, FakeExchange("HEAD")).events
    assert isinstance(event, Response)
    assert event.complete


@pytest.mark.parametrize(
    "result", [[b"Hello, world"], lambda: iter([b"Hello", b", ", b"world"]), [b"Hel", b"lo", b"!"]]
)
def test_a_body_longer_than_its_content_length_is_cut(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = run(answering(result, headers=[("Content-Length", "5")]))
    assert exchange.body == b"Hello"
    assert exchange.ended
    assert not exchange.truncated
    (record,) = caplog.records
    assert record.getMessage().startswith("GET /up/hello?a=1: the body is longer")


def test_writing_more_than_content_length_is_cut_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")])
        for data in (b"Hel", b"lo, ", b"wor", b"ld"):
            write(data)
        return []

    exchange = run(app)
    assert exchange.body == b"Hello"
    assert not exchange.truncated
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "result", [[b"Hello"], [], lambda: iter([b"Hel", b"lo"]), lambda: iter([])]
)
def test_a_body_shorter_than_its_content_length_shows(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = run(answering(result, headers=[("Content-Length", "6")]))
    assert exchange.body in (b"Hello", b"")
    assert exchange.truncated
    assert "Content-Length 6" in caplog.text


# -- what applications do wrong -------------------------------------------------------------------


def assert_500(exchange: FakeExchange, log: pytest.LogCaptureFixture, *reasons: str) -> None:
    """An error page that says nothing, and a log and a diagnostic that say why."""
    assert exchange.head.status == 500
    assert exchange.head.complete
    assert exchange.body == b"500 Internal Server Error\n"
    assert exchange.headers == {"content-type": "text/plain", "content-length": "26"}
    (record,) = (record for record in log.records if record.name == "fcgikit.error")
    assert record.levelno == logging.ERROR
    for text in (record.getMessage(), exchange.diagnostics):
        assert text.startswith("GET /up/hello?a=1\nTraceback")
        for reason in reasons:
            assert reason in text


def raising(error: BaseException) -> App:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        password = "hunter2"  # noqa: F841
        start_response("200 OK", [("Set-Cookie", "session=hunter2")])
        raise error

    return app


@pytest.mark.parametrize(
    "error", [Failure("secret \x1b"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_an_exception_is_a_500(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    exchange = run(raising(error))
    assert_500(exchange, caplog, type(error).__name__)
    assert "hunter2" not in repr(exchange.events)
    assert "\x1b" not in exchange.diagnostics + caplog.text


def test_an_exception_in_the_first_block_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    blocks = Blocks(b"", Failure("why"))
    assert_500(run(answering(blocks)), caplog, "why")
    assert blocks.closed == 1


def test_an_exception_after_the_head_shows_as_a_cut(caplog: pytest.LogCaptureFixture) -> None:
    blocks = Blocks(b"Hello", Failure("why"))
    exchange = run(answering(blocks))
    assert exchange.body == b"Hello"
    assert exchange.truncated
    assert "why" in exchange.diagnostics
    assert "why" in caplog.text
    assert blocks.closed == 1


def test_an_exception_after_the_end_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    blocks = Blocks(b"Hello", Failure("why"))
    exchange = run(answering(blocks, headers=[("Content-Length", "5")]))
    assert exchange.head.complete
    assert not exchange.truncated
    assert "why" in caplog.text


def test_an_exception_in_close_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Unclosable(Blocks):
        def close(self) -> None:
            raise Failure("cannot close")

    exchange = run(answering(Unclosable(b"a", b"b")))
    assert exchange.body == b"ab"
    assert not exchange.truncated
    assert "cannot close" in caplog.text


def test_an_error_page_for_head_has_no_body() -> None:
    exchange = run(raising(Failure()), FakeExchange("HEAD"))
    assert exchange.head.status == 500
    assert exchange.body == b""


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (lambda environ, start_response: [b"x"], "has not called start_response"),
        (lambda environ, start_response: [], "has not called start_response"),
        (answering(None), "NoneType"),
        (answering("text"), "must be bytes, not str"),
        (answering(["text"]), "must be bytes, not str"),
        (answering([None]), "must be bytes, not NoneType"),
        (answering(b"bytes"), "must be bytes, not int"),
        (answering([], status="OK"), "status must be"),
        (answering([], status="101 Switching"), "status must be"),
        (answering([], headers=[("X", "a\r\nSet-Cookie: b")]), "header X has a control"),
        (answering([], headers=[("X\r\nY", "a")]), "cannot be a header name"),
        (answering([], headers=[("X", 1)]), "header X must be str"),
        (answering([], headers=[("Content-Length", 5)]), "header Content-Length must be str"),
        (answering([], headers=[("Content-Length", "five")]), "must be one number"),
    ],
)
def test_wrong_answers_are_a_500(app: App, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    assert_500(run(app), caplog, reason)


def test_hop_by_hop_headers_and_status_are_dropped() -> None:
    headers = [*TEXT, ("Transfer-Encoding", "chunked"), ("Status", "500 No"), ("Upgrade", "x")]
    assert run(answering([b"x"], headers=headers)).headers == {
        "content-type": "text/plain",
        "content-length": "1",
    }


def test_start_response_twice(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("201 Created", [])
        return []

    assert_500(run(app), caplog, "without exc_info")


def test_a_refused_start_response_can_be_called_again() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with pytest.raises(ValueError):
            start_response("200 OK", [("X", "\n")])
        start_response("400 Bad Request", [])
        return [b"sorry"]

    assert run(app).head.status == 400


def test_exc_info_before_the_head_replaces_it() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT, ("Content-Length", "100"), ("X", "y")])
        try:
            raise Failure
        except Failure:
            start_response("503 Sorry", TEXT[:], sys.exc_info())
        return [b"sorry"]

    exchange = run(validator(app))
    assert (exchange.head.status, exchange.head.reason, exchange.body) == (503, "Sorry", b"sorry")
    assert "x" not in exchange.headers


def test_exc_info_after_the_head_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", TEXT[:])
        yield b"Hello"
        try:
            raise Failure("the original one")
        except Failure:
            start_response("500 Too Late", TEXT[:], sys.exc_info())
        yield b"never"

    exchange = run(validator(app))
    assert exchange.body == b"Hello"
    assert exchange.truncated
    assert "the original one" in caplog.text


def test_the_log_stays_one_line_per_request_whatever_the_client_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = FakeExchange(REQUEST_URI="/a\n2026 forged\x1b[2J")
    run(raising(BodyTruncated("short")), exchange)
    (record,) = caplog.records
    assert record.getMessage() == "GET /a\\x0a2026 forged\\x1b[2J: short"


# -- what the front end does wrong ----------------------------------------------------------------


def never(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    raise AssertionError("called")


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"SCRIPT_NAME": "/up/a\0b"}, 400),
        ({"CONTENT_LENGTH": "+5"}, 400),
        ({"CONTENT_LENGTH": "9" * 30}, 413),
        ({"CONTENT_LENGTH": "1001"}, 413),
        ({"SCRIPT_NAME": "/elsewhere"}, 404),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_refused_requests(
    method: str, params: dict[str, str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(DEFAULT, script_name="/up", max_body_size=1000)
    exchange = FakeExchange(method)
    exchange.request.params |= params
    run(never, exchange, config)
    assert exchange.head.status == status
    assert exchange.head.complete
    assert exchange.body.startswith(b"" if method == "HEAD" else str(status).encode())
    assert (exchange.body == b"") == (method == "HEAD")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", TEXT[:])
    return [body]


@pytest.mark.parametrize(
    ("error", "status"),
    [(BodyTruncated("short"), 400), (BodyTimeout("slow"), 408), (BodyTooLarge("fat"), 413)],
)
def test_trouble_with_the_body_is_the_clients(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = run(reading, FakeExchange("POST", complete=False, pieces=[b"a", error]))
    assert exchange.head.status == status
    assert exchange.head.complete
    assert exchange.diagnostics == ""
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


def test_a_short_body_is_a_400() -> None:
    exchange = run(reading, FakeExchange("POST", body=b"abc", CONTENT_LENGTH="5"))
    assert exchange.head.status == 400


def test_trouble_with_the_body_after_the_head_is_a_cut() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", TEXT[:])
        yield b"Hello"
        yield environ["wsgi.input"].read()

    exchange = run(app, FakeExchange("POST", complete=False, pieces=[BodyTimeout("slow")]))
    assert exchange.body == b"Hello"
    assert exchange.truncated


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_a_front_end_that_goes_away(patience: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    blocks = Blocks(b"a", b"b", b"c")
    exchange = run(answering(blocks), FakeExchange(patience=patience))
    assert len(exchange.events) == patience
    assert not exchange.truncated
    assert blocks.closed == 1
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


def test_a_front_end_that_goes_away_while_the_body_is_read() -> None:
    exchange = FakeExchange("POST", complete=False, pieces=[ClientDisconnected("aborted")])
    assert run(reading, exchange).events == []


def test_a_front_end_that_goes_away_before_the_error_page() -> None:
    assert run(raising(Failure()), FakeExchange(patience=0)).events == []


# -- wsgi.errors ----------------------------------------------------------------------------------


def test_errors_come_before_the_end_of_the_answer() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.errors"].write("no newline")
        return without_length(environ, start_response)

    exchange = run(app)
    assert [type(event) for event in exchange.events] == [Diagnostic, Response]
    assert exchange.diagnostics == "no newline\n"


def test_errors_come_before_the_traceback() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.errors"].write("careful")
        raise Failure

    assert run(app).diagnostics.startswith("careful\nGET /up/hello?a=1\nTraceback")


def test_errors_in_close_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        blocks = Blocks(b"a")
        blocks.close = lambda: environ["wsgi.errors"].write("closing")  # type: ignore[method-assign]
        return blocks

    assert run(app).ended
    assert [record.getMessage() for record in caplog.records] == ["closing"]


# -- wsgi.file_wrapper ----------------------------------------------------------------------------


def file_app(position: int = 0, headers: Any = ()) -> tuple[App, list[Any]]:
    files: list[Any] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        file = tempfile.TemporaryFile()
        file.write(b"0123456789")
        file.seek(position)
        files.append(file)
        start_response("200 OK", list(headers))
        result: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return result

    return app, files


@pytest.mark.parametrize(
    ("position", "headers", "sent"),
    [(0, [], (0, 10)), (3, [], (3, 7)), (3, [("Content-Length", "4")], (3, 4))],
)
def test_the_kernel_sends_a_file(position: int, headers: Any, sent: tuple[int, int]) -> None:
    app, files = file_app(position, headers)
    exchange = run(app)
    offset, count = sent
    assert exchange.files == [sent]
    assert exchange.body == b"0123456789"[offset : offset + count]
    assert exchange.headers == {"content-length": str(count)}
    assert [type(event) for event in exchange.events] == [Response, EndOfResponse]
    assert files[0].closed


def test_the_kernel_is_not_asked_for_nothing() -> None:
    for app, exchange in [
        (file_app(10)[0], FakeExchange()),
        (file_app()[0], FakeExchange("HEAD")),
        (file_app(headers=[("Content-Length", "0")])[0], FakeExchange()),
    ]:
        run(app, exchange)
        assert exchange.files == []
        assert exchange.head.complete


def test_head_of_a_file_tells_its_size() -> None:
    assert run(file_app(4)[0], FakeExchange("HEAD")).headers == {"content-length": "6"}


def test_a_file_shorter_than_its_content_length_shows() -> None:
    exchange = run(file_app(headers=[("Content-Length", "11")])[0])
    assert exchange.body == b"0123456789"
    assert exchange.truncated


def test_a_file_after_writing_is_read() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start_and_write(status: str, headers: Any) -> None:
            start_response(status, headers)(b"first: ")

        return file_app()[0](environ, start_and_write)  # type: ignore[no-any-return, arg-type]

    exchange = run(app)
    assert exchange.body == b"first: 0123456789"
    assert exchange.files == []


def test_a_file_without_start_response(caplog: pytest.LogCaptureFixture) -> None:
    app = file_app()[0]
    assert_500(
        run(lambda environ, _: app(environ, lambda *args: None)),  # type: ignore[arg-type]
        caplog,
        "has not called start_response",
    )
