"""The CGI variables of front ends as a PEP 3333 environ."""

from __future__ import annotations

import pytest

from fcgikit.errors import RequestRefused
from fcgikit.gateways.environ import content_length, make_environ
from tests.fake_exchange import PARAMS


def environ_of(**params: str) -> dict[str, str]:
    return make_environ({**PARAMS, **params})


def test_stock_nginx() -> None:
    environ = environ_of()
    expected = dict(PARAMS)
    expected |= {"SCRIPT_NAME": "", "PATH_INFO": "/up/hello", "wsgi.url_scheme": "http"}
    assert environ == expected


def test_the_dict_is_taken_over() -> None:
    params = dict(PARAMS)
    assert make_environ(params) is params


def test_what_a_front_end_may_leave_out() -> None:
    assert make_environ({}) == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "wsgi.url_scheme": "http",
    }


def test_httpoxy_and_repeated_entity_headers_do_not_pass() -> None:
    environ = environ_of(HTTP_PROXY="http://evil.example", HTTP_CONTENT_LENGTH="5",
                         HTTP_CONTENT_TYPE="text/html", HTTP_X_PROXY="kept")  # fmt: skip
    assert not {"HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"} & set(environ)
    assert environ["HTTP_X_PROXY"] == "kept"


@pytest.mark.parametrize(
    ("params", "scheme", "port"),
    [
        ({"HTTPS": "on"}, "https", "8080"),
        ({"HTTPS": "1", "SERVER_PORT": ""}, "https", "443"),
        ({"HTTPS": "ON", "REQUEST_SCHEME": "http"}, "https", "8080"),
        ({"REQUEST_SCHEME": "https", "SERVER_PORT": ""}, "https", "443"),
        ({"HTTPS": "", "SERVER_PORT": ""}, "http", "80"),
        ({"HTTPS": "off"}, "http", "8080"),
        ({"HTTPS": "0"}, "http", "8080"),
    ],
)
def test_scheme_and_port(params: dict[str, str], scheme: str, port: str) -> None:
    environ = environ_of(**params)
    assert (environ["wsgi.url_scheme"], environ["SERVER_PORT"]) == (scheme, port)


@pytest.mark.parametrize(
    ("server_name", "host", "expected"),
    [
        ("app.example", "other.example", "app.example"),
        ("app.example:18085", "app.example:18085", "app.example"),  # HAProxy
        ("127.0.0.1:80", "x", "127.0.0.1"),
        ("[::1]:8080", "x", "[::1]"),
        ("[::1]", "x", "[::1]"),
        ("::1", "x", "::1"),
        ("", "app.example:81", "app.example"),
        ("_", "app.example", "app.example"),
        ("~^(?<sub>.+)\\.example$", "a.example", "a.example"),  # nginx: as configured
        ("~^(?:a|b)$", "a.example", "a.example"),
        ("*.example", "a.example", "a.example"),
        ("_", "", "localhost"),
        ("", "_", "localhost"),
        ("", ":80", "localhost"),
        (":80", "", "localhost"),
        ("[::1", "", "localhost"),
        ("", "[", "localhost"),
    ],
)
def test_server_name(server_name: str, host: str, expected: str) -> None:
    assert environ_of(SERVER_NAME=server_name, HTTP_HOST=host)["SERVER_NAME"] == expected


@pytest.mark.parametrize(
    "name",
    ["SCRIPT_NAME", "PATH_INFO", "REQUEST_URI", "DOCUMENT_URI", "SCRIPT_FILENAME",
     "PATH_TRANSLATED"],
)  # fmt: skip
def test_nul_in_a_path_is_refused(name: str) -> None:
    with pytest.raises(RequestRefused) as refusal:
        environ_of(**{name: "/a\0b"})
    assert refusal.value.status == 400


def test_nul_is_refused_where_it_appears_by_decoding() -> None:
    with pytest.raises(RequestRefused) as refusal:
        make_environ({"REQUEST_URI": "/a%00b"})
    assert refusal.value.status == 400


def test_other_control_characters_are_part_of_a_path() -> None:
    assert environ_of(SCRIPT_NAME="/a\nb\r")["PATH_INFO"] == "/a\nb\r"


def test_variables_of_other_programs_change_nothing() -> None:
    odd = {"PHP_VALUE": "x", "UWSGI_FILE": "/etc/passwd", "PATH": "/bin", "HTTP_X.DOT": "1"}
    assert environ_of(**odd) == environ_of() | odd


# -- CONTENT_LENGTH -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [("0", 0), ("7", 7), ("007", 7), ("999999999999999999", 999999999999999999)],
)
def test_content_length_is_digits(text: str, length: int) -> None:
    params = {"CONTENT_LENGTH": text}
    assert content_length(params) == length
    assert params == {"CONTENT_LENGTH": text}


@pytest.mark.parametrize("params", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "-1"}])
def test_unknown_content_length_is_absent(params: dict[str, str]) -> None:
    assert content_length(params) is None
    assert "CONTENT_LENGTH" not in params


@pytest.mark.parametrize(
    "text",
    ["+5", "1_0", "0x5", " 5", "5 ", "5\n", "-2", "--1", "5.0", "5,5", "\u0663", "\xb2",
     "\u0663".encode().decode("latin-1"), "a"],
)  # fmt: skip
def test_content_length_that_is_no_number(text: str) -> None:
    with pytest.raises(RequestRefused) as refusal:
        content_length({"CONTENT_LENGTH": text})
    assert refusal.value.status == 400


def test_content_length_without_measure() -> None:
    with pytest.raises(RequestRefused) as refusal:
        content_length({"CONTENT_LENGTH": "9" * 5000})
    assert refusal.value.status == 413
