"""What may stand in the head of a response, and what may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.gateways.heads import check_headers, statuses

LIMIT = 65536


@pytest.mark.parametrize(
    ("status", "parsed"),
    [
        ("200 OK", (200, "OK")),
        ("404 Gone Fishing", (404, "Gone Fishing")),
        ("200", (200, "OK")),
        ("200 ", (200, "OK")),
        ("299", (299, "Unknown")),
        ("200 Tr\xe8s bien", (200, "Tr\xe8s bien")),
        ("999 No", (999, "No")),
    ],
)
def test_status(status: str, parsed: tuple[int, str]) -> None:
    assert statuses[status] == parsed


@pytest.mark.parametrize(
    "status",
    ["", "OK", "20 OK", "2000 OK", "200OK", " 200 OK", "099 No", "\u0662\u0660\u0660 OK",
     "200 OK\r\nX: y", "200 OK\n", "200 \0", "200 \u20ac", "100 Continue", "101 x", "103 Hints"],
)  # fmt: skip
def test_bad_status(status: str) -> None:
    with pytest.raises(ValueError):
        statuses[status]


@pytest.mark.parametrize("status", [200, b"200 OK", None])
def test_status_of_another_type(status: Any) -> None:
    with pytest.raises(TypeError):
        statuses[status]


def test_good_headers_pass_in_order_and_repeated() -> None:
    headers = [("Set-Cookie", "a=1"), ("X-Empty", ""), ("set-cookie", "b=\xe9\t!"), ("x_Y.z", "v")]
    kept, length = check_headers(headers, LIMIT)
    assert kept == headers
    assert kept is not headers  # an application may change its own list later
    assert length is None


def test_content_length() -> None:
    assert check_headers([("content-length", "12")], LIMIT) == ([("content-length", "12")], 12)


@pytest.mark.parametrize("value", ["", "-1", "+1", "1_0", " 1", "1, 1", "\xb2", "9" * 19])
def test_bad_content_length(value: str) -> None:
    with pytest.raises(ValueError):
        check_headers([("Content-Length", value)], LIMIT)


def test_content_length_twice() -> None:
    with pytest.raises(ValueError):
        check_headers([("Content-Length", "1"), ("Content-length", "1")], LIMIT)


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "TRANSFER-ENCODING", "te", "Trailer", "Upgrade",
     "Proxy-Authenticate", "proxy-connection", "Status"],
)  # fmt: skip
def test_headers_that_are_not_the_applications_are_dropped(name: str) -> None:
    assert check_headers([(name, "x"), ("X", "y")], LIMIT) == ([("X", "y")], None)


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "\xe9", "A\n", "\u20ac", "(x)"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError):
        check_headers([(name, "x")], LIMIT)


@pytest.mark.parametrize(
    "value", ["a\r\nB: c", "\n", "\r", "\0", "\x1b[2J", "\x7f", "\x80"[:0] + "\u20ac", "a\vb"]
)
def test_bad_values(value: str) -> None:
    with pytest.raises(ValueError):
        check_headers([("X", value)], LIMIT)


@pytest.mark.parametrize("header", [(b"X", "y"), ("X", b"y"), ("X", 1), (1, "x"), ("X",), "X"])
def test_headers_of_another_type(header: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        check_headers([header], LIMIT)


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=3))
def test_nothing_that_passes_can_end_a_line(headers: list[tuple[str, str]]) -> None:
    try:
        kept, _ = check_headers(headers, LIMIT)
    except ValueError:
        return
    for name, value in kept:
        line = f"{name}: {value}".encode("latin-1")
        assert not set(line) & set(b"\r\n\0")
        assert ":" not in name


def test_too_many_headers_are_told_with_the_setting() -> None:
    headers = [("X-Long", "x" * 40), ("X-Longer", "y" * 40)]
    check_headers(headers, 102)
    with pytest.raises(ValueError, match=r"102 bytes .*max_head_size"):
        check_headers(headers, 101)


def test_what_was_found_before_is_forgotten_when_it_becomes_too_much() -> None:
    for code in range(200, 1000):
        assert statuses[f"{code} Made Up"] == (code, "Made Up")
        assert len(statuses) <= 512
