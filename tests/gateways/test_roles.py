"""Authorizers and filters: what they are given, and what becomes of what they return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

import fcgikit
from fcgikit import Allow, Deny, FilterFile
from fcgikit.config import DEFAULT, Config
from fcgikit.errors import BodyTruncated, ConfigError
from fcgikit.events import Role
from fcgikit.gateways.roles import Application, Authorizer
from fcgikit.gateways.wsgi import make_gateways
from tests.fake_exchange import FakeExchange

APACHE = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/private/a%20page?x=1",
    "SERVER_SOFTWARE": "Apache/2.4",
    "SERVER_NAME": "app.example",
    "FCGI_APACHE_ROLE": "AUTHENTICATOR",
    "REMOTE_USER": "ann",
    "REMOTE_PASSWD": "secret",
}
"""What mod_fcgid sends an authorizer: neither SCRIPT_NAME nor PATH_INFO nor CONTENT_LENGTH."""


def play(app: Application, exchange: FakeExchange, config: Config = DEFAULT) -> FakeExchange:
    gateways = make_gateways([app], config, multithread=True, multiprocess=False)
    gateways[exchange.request.role](exchange)
    return exchange


def asked(**params: str) -> FakeExchange:
    exchange = FakeExchange(role=Role.AUTHORIZER)
    exchange.request.params = {**APACHE, **params}
    return exchange


def answering(verdict: Any) -> Authorizer:
    return fcgikit.authorizer(lambda environ: verdict)


# -- authorizers -----------------------------------------------------------------------------------


def test_an_authorizer_sees_what_the_front_end_says() -> None:
    seen: WSGIEnvironment = {}

    @fcgikit.authorizer
    def check(environ: WSGIEnvironment) -> Allow:
        """Everybody is welcome."""
        seen.update(environ, body=environ["wsgi.input"].read())
        return Allow()

    play(check, asked(), Config(script_name="/elsewhere"))
    assert {name: seen[name] for name in APACHE} == APACHE
    assert not seen.keys() & {"SCRIPT_NAME", "PATH_INFO", "CONTENT_LENGTH"}
    assert (seen["wsgi.url_scheme"], seen["body"]) == ("http", b"")
    assert check.__doc__ == "Everybody is welcome."


def test_the_function_can_still_be_called() -> None:
    assert answering(Deny(401))({"REQUEST_URI": "/"}) == Deny(401)


def test_allow_is_a_200_with_variables_and_nothing_that_would_describe_the_page() -> None:
    verdict = Allow({"MEMBER": "ann", "LEVEL": "3"}, [("X-Seen-By", "us")])
    exchange = play(answering(verdict), asked())
    assert exchange.ended
    assert exchange.head.status == 200
    expected = [("Variable-MEMBER", "ann"), ("Variable-LEVEL", "3"), ("X-Seen-By", "us")]
    assert exchange.head.headers == expected
    assert exchange.body == b""


@pytest.mark.parametrize(
    ("verdict", "status", "headers", "body"),
    [
        (Deny(), 403, {"content-type": "text/plain"}, b"403 Forbidden\n"),
        (Deny(401, [("WWW-Authenticate", "Basic")]), 401,
         {"content-type": "text/plain", "www-authenticate": "Basic"}, b"401 Unauthorized\n"),
        (Deny(302, [("Location", "/login")], b"This way."), 302, {"location": "/login"},
         b"This way."),
        (Deny(499), 499, {"content-type": "text/plain"}, b"499 Denied\n"),
    ],
)  # fmt: skip
def test_deny_is_a_response(
    verdict: Deny, status: int, headers: dict[str, str], body: bytes
) -> None:
    exchange = play(answering(verdict), asked())
    assert (exchange.head.status, exchange.headers, exchange.body) == (status, headers, body)
    assert exchange.ended


@pytest.mark.parametrize("status", [200, 204, 299, 100, 600])
def test_a_refusal_cannot_look_like_access(status: int) -> None:
    with pytest.raises(ValueError, match="a refusal needs a status"):
        Deny(status)


@pytest.mark.parametrize(
    "verdict",
    [
        None,
        True,
        "yes",
        Allow({"A\r\nB": "x"}),
        Allow({"A B": "x"}),
        Allow({"A": "x\r\nY: z"}),
    ],
)
def test_what_is_no_answer_refuses_access(verdict: Any) -> None:
    assert play(answering(verdict), asked()).head.status == 500


def test_an_authorizer_that_fails_refuses_access() -> None:
    @fcgikit.authorizer
    def check(environ: WSGIEnvironment) -> Allow:
        raise RuntimeError("the secret kettle")

    exchange = play(check, asked())
    assert exchange.head.status == 500
    assert b"kettle" not in exchange.body


def test_an_authorizer_answers_nginx_as_a_responder() -> None:
    check = answering(Allow({"MEMBER": "ann"}))
    exchange = play(check.wsgi, FakeExchange())
    assert (exchange.head.status, exchange.headers["variable-member"]) == (200, "ann")
    assert exchange.headers["content-length"] == "0"


# -- filters ---------------------------------------------------------------------------------------


@fcgikit.filter
def shout(
    environ: WSGIEnvironment, start_response: StartResponse, data: FilterFile
) -> Iterable[bytes]:
    """The file in capitals, after whatever the client has sent."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield environ["wsgi.input"].read()
    for line in data:
        yield line.upper()


def given(*pieces: bytes | Exception, body: bytes = b"", **params: Any) -> FakeExchange:
    """A filter request: *pieces* are the rest of its body, ``b""``, and its file."""
    return FakeExchange(role=Role.FILTER, body=body, complete=False, pieces=[*pieces], **params)


def test_a_filter_reads_the_body_and_then_the_file() -> None:
    exchange = play(shout, given(b"dy|", b"", b"one\nt", b"wo", body=b"bo"))
    assert exchange.blocks == [b"body|", b"ONE\n", b"TWO"]
    assert exchange.ended


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": "2"}, {"CONTENT_LENGTH": "4"}])
def test_a_body_that_nobody_reads_is_dropped(length: dict[str, str]) -> None:
    @fcgikit.filter
    def work(
        environ: WSGIEnvironment, start_response: StartResponse, data: FilterFile
    ) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [data.read()]

    assert play(work, given(b"dy", b"", b"file", b"", body=b"bo", **length)).body == b"file"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, (None, None)),
        ({"FCGI_DATA_LENGTH": "", "FCGI_DATA_LAST_MOD": ""}, (None, None)),
        ({"FCGI_DATA_LENGTH": "4", "FCGI_DATA_LAST_MOD": "86400"},
         (4, datetime(1970, 1, 2, tzinfo=UTC))),
    ],
)  # fmt: skip
def test_a_file_says_what_is_known_of_it(params: dict[str, Any], expected: Any) -> None:
    seen = []

    @fcgikit.filter
    def work(
        environ: WSGIEnvironment, start_response: StartResponse, data: FilterFile
    ) -> Iterable[bytes]:
        seen.append((data.length, data.last_modified))
        start_response("200 OK", [])
        return [data.read()]

    assert play(work, given(b"", b"file", **params)).body == b"file"
    assert seen == [expected]


def test_a_file_longer_than_announced_is_cut() -> None:
    assert play(shout, given(b"", b"file and more", FCGI_DATA_LENGTH="4")).body == b"FILE"


@pytest.mark.parametrize("pieces", [(b"", b"fi"), (b"",), (b"", b"fi", BodyTruncated("gone"))])
def test_a_file_that_ends_short_raises(pieces: tuple[Any, ...]) -> None:
    raised = []

    @fcgikit.filter
    def work(
        environ: WSGIEnvironment, start_response: StartResponse, data: FilterFile
    ) -> Iterable[bytes]:
        try:
            data.read()
        except OSError as error:
            raised.append(error)
        start_response("200 OK", [])
        return []

    play(work, given(*pieces, FCGI_DATA_LENGTH="4"))
    assert isinstance(raised[0], BodyTruncated)


@pytest.mark.parametrize(
    "params", [{"FCGI_DATA_LENGTH": "-4"}, {"FCGI_DATA_LAST_MOD": "now"},
               {"FCGI_DATA_LAST_MOD": "9" * 30}]
)  # fmt: skip
def test_nonsense_about_a_file_is_a_400(params: dict[str, Any]) -> None:
    assert play(shout, given(b"", b"file", **params)).head.status == 400


def test_a_file_is_closed_with_its_request() -> None:
    kept: list[FilterFile] = []

    @fcgikit.filter
    def work(
        environ: WSGIEnvironment, start_response: StartResponse, data: FilterFile
    ) -> Iterator[bytes]:
        kept.append(data)
        start_response("200 OK", [])
        yield data.read(1)

    assert play(work, given(b"", b"file")).body == b"f"
    with pytest.raises(ValueError):
        kept[0].read()


# -- together --------------------------------------------------------------------------------------


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def test_each_role_has_one_application() -> None:
    check = answering(Allow())
    gateways = make_gateways([check, hello, shout], DEFAULT, multithread=True, multiprocess=False)
    assert gateways.keys() == {Role.RESPONDER, Role.AUTHORIZER, Role.FILTER}
    exchange = FakeExchange()
    gateways[Role.RESPONDER](exchange)
    assert exchange.body == b"hello"


@pytest.mark.parametrize(
    ("apps", "message"),
    [
        ([hello, hello], "two applications are given for the role responder"),
        ([shout, hello, shout], "two applications are given for the role filter"),
        ([], "no application is given"),
    ],
)
def test_what_cannot_be_served(apps: list[Application], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_gateways(apps, DEFAULT, multithread=True, multiprocess=False)
