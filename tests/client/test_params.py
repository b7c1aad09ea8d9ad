from __future__ import annotations

from typing import Any

import pytest

from fcgikit import __version__
from fcgikit.client.params import cgi_params, request_params


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b",
        "raw_path": b"/a/b",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"app.example:8000")],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.2", 51234),
    } | changes


def test_every_variable_of_a_plain_request() -> None:
    assert cgi_params(scope()) == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"fcgikit/{__version__}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "app.example",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.2",
        "REMOTE_PORT": "51234",
        "REQUEST_METHOD": "GET",
        "REQUEST_SCHEME": "http",
        "REQUEST_URI": "/a/b",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "",
        "HTTP_HOST": "app.example:8000",
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Decoded once, to bytes: neither "+" nor a second "%" nor broken UTF-8 is touched.
        (
            {"raw_path": b"/caf%C3%A9%2Fx+y%2541", "query_string": b"q=%2F&r"},
            {
                "PATH_INFO": "/caf\xc3\xa9/x+y%41",
                "REQUEST_URI": "/caf%C3%A9%2Fx+y%2541?q=%2F&r",
                "QUERY_STRING": "q=%2F&r",
            },
        ),
        ({"raw_path": b"/%ff"}, {"PATH_INFO": "/\xff", "REQUEST_URI": "/%ff"}),
        ({"raw_path": None, "path": "/é"}, {"PATH_INFO": "/\xc3\xa9", "REQUEST_URI": "/%C3%A9"}),
        (
            {"raw_path": b"/m/x", "root_path": "/m"},
            {"SCRIPT_NAME": "/m", "PATH_INFO": "/x", "REQUEST_URI": "/m/x"},
        ),
        ({"raw_path": b"/m", "root_path": "/m/"}, {"SCRIPT_NAME": "/m", "PATH_INFO": ""}),
        ({"raw_path": b"/mm", "root_path": "/m"}, {"SCRIPT_NAME": "", "PATH_INFO": "/mm"}),
        (
            {"raw_path": b"http://app.example/x"},
            {"PATH_INFO": "/x", "REQUEST_URI": "/x"},
        ),
        ({"raw_path": b"*", "method": "OPTIONS"}, {"PATH_INFO": "", "REQUEST_URI": "*"}),
        ({"scheme": "https"}, {"HTTPS": "on", "REQUEST_SCHEME": "https"}),
        ({"http_version": "2"}, {"SERVER_PROTOCOL": "HTTP/2.0"}),
        ({"headers": [(b"host", b"[::1]:8000")]}, {"SERVER_NAME": "[::1]"}),
        ({"headers": []}, {"SERVER_NAME": "127.0.0.1"}),
        (
            {"server": ("/run/web.sock", None), "client": None, "headers": []},
            {"SERVER_PORT": "", "REMOTE_ADDR": "", "REMOTE_PORT": ""},
        ),
    ],
)
def test_variables_follow_the_scope(changes: dict[str, Any], expected: dict[str, str]) -> None:
    params = cgi_params(scope(**changes))
    assert {name: params.get(name) for name in expected} == expected


def http_fields(*headers: tuple[bytes, bytes]) -> dict[str, str]:
    params = cgi_params(scope(headers=headers))
    return {name: value for name, value in params.items() if name.startswith(("HTTP_", "CONTENT_"))}


def test_content_headers_become_cgi_variables_only() -> None:
    assert http_fields((b"content-type", b"text/plain"), (b"content-length", b"3")) == {
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "3",
    }


def test_repeated_headers_are_joined() -> None:
    fields = http_fields((b"x-a", b"1"), (b"cookie", b"a=1"), (b"x-a", b"2"), (b"cookie", b"b=2"))
    assert fields == {"HTTP_X_A": "1, 2", "HTTP_COOKIE": "a=1; b=2"}


@pytest.mark.parametrize(
    "name", [b"proxy", b"x_forwarded_for", b"x.a", b"transfer-encoding", b"connection", b"expect"]
)
def test_headers_that_do_not_reach_the_application(name: bytes) -> None:
    assert http_fields((name, b"evil")) == {}


def test_extra_variables_win() -> None:
    params = cgi_params(scope(), {"SERVER_NAME": "fixed", "DOCUMENT_ROOT": "/srv"})
    assert (params["SERVER_NAME"], params["DOCUMENT_ROOT"]) == ("fixed", "/srv")


# -- from a URL -----------------------------------------------------------------------------------


def test_every_variable_of_a_plain_url() -> None:
    assert request_params("GET", "/a/b?x=1") == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"fcgikit/{__version__}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "REQUEST_SCHEME": "http",
        "REQUEST_URI": "/a/b?x=1",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "x=1",
        "HTTP_HOST": "localhost",
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://shop.example:8443/x",
            {"HTTPS": "on", "SERVER_NAME": "shop.example", "SERVER_PORT": "8443",
             "HTTP_HOST": "shop.example:8443", "PATH_INFO": "/x"},
        ),
        ("https://shop.example", {"SERVER_PORT": "443", "PATH_INFO": "/", "REQUEST_URI": "/"}),
        ("http://[::1]:81/", {"SERVER_NAME": "::1", "HTTP_HOST": "[::1]:81"}),
        ("/caf%C3%A9%2Fx+y%2541", {"PATH_INFO": "/caf\xc3\xa9/x+y%41"}),
        ("/café olé?q=ü", {"REQUEST_URI": "/caf%C3%A9%20ol%C3%A9?q=%C3%BC",
                           "PATH_INFO": "/caf\xc3\xa9 ol\xc3\xa9", "QUERY_STRING": "q=%C3%BC"}),
        ("//a", {"PATH_INFO": "//a"}),
        ("/a;b#c", {"PATH_INFO": "/a;b"}),
    ],
)  # fmt: skip
def test_urls(url: str, expected: dict[str, str]) -> None:
    assert expected.items() <= request_params("GET", url).items()


def test_headers_from_pairs_or_a_mapping() -> None:
    pairs = [("Cookie", "a"), ("cookie", "b"), ("X-Many", "1"), ("x-many", "2"), ("Host", "h")]
    params = request_params("GET", "/", pairs)
    assert (params["HTTP_COOKIE"], params["HTTP_X_MANY"], params["HTTP_HOST"]) == (
        "a; b", "1, 2", "h",
    )  # fmt: skip
    params = request_params("POST", "/", {"Content-Type": "text/plain", "X-Name": "é"})
    assert (params["CONTENT_TYPE"], params["HTTP_X_NAME"]) == ("text/plain", "\xc3\xa9")


def test_the_mount_is_split_off() -> None:
    params = request_params("GET", "/shop/cart", script_name="/shop")
    assert (params["SCRIPT_NAME"], params["PATH_INFO"]) == ("/shop", "/cart")
    with pytest.raises(ValueError, match="below"):
        request_params("GET", "/shopping", script_name="/shop")


@pytest.mark.parametrize(
    ("url", "script", "rest"),
    [
        ("/index.php", "/index.php", None),
        ("/blog/index.php/2024/may?x", "/blog/index.php", "/2024/may"),
        ("/v1.2/run.cgi/x.php", "/v1.2/run.cgi", "/x.php"),
        ("/plain/script", "/plain/script", None),
        ("/", "/", None),
    ],
)
def test_scripts_in_a_directory(url: str, script: str, rest: str | None) -> None:
    params = request_params("GET", url, root="/srv/www/")
    assert params["SCRIPT_NAME"] == script
    assert params["SCRIPT_FILENAME"] == f"/srv/www{script}"
    assert params["DOCUMENT_ROOT"] == "/srv/www"
    assert params.get("PATH_INFO") == rest


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GET ME", "/", {}),
        ("", "/", {}),
        ("GET", "path", {}),
        ("GET", "", {}),
        ("GET", "ftp://h/", {}),
        ("GET", "/", {"X": "a\r\nB: c"}),
        ("GET", "/", {"X": "\0"}),
        ("GET", "/", {"X_Y": "hidden"}),
        ("GET", "/", {"X Y": "bad"}),
    ],
)
def test_what_makes_no_request(method: str, url: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        request_params(method, url, headers)
