"""Repeated CGI variables, as nginx before 1.23, lighttpd and HAProxy send them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fcgikit.protocols.params import merge


def test_header_fields_are_joined_and_anything_else_is_overridden() -> None:
    pairs = [
        ("CONTENT_LENGTH", "3"),
        ("HTTP_X", "1"),
        ("HTTP_COOKIE", "a=1"),
        ("HTTP_X", ""),
        ("HTTP_COOKIE", "b=2"),
        ("HTTP_X", "3"),
        ("CONTENT_LENGTH", ""),
    ]
    assert merge(pairs) == {"CONTENT_LENGTH": "", "HTTP_X": "1, , 3", "HTTP_COOKIE": "a=1; b=2"}


@given(pairs=st.dictionaries(st.text(), st.text()))
def test_what_is_not_repeated_stays(pairs: dict[str, str]) -> None:
    assert merge(list(pairs.items())) == pairs


def test_a_block_full_of_one_name_is_merged_at_once() -> None:
    """One by one it would be quadratic: minutes for what a hostile peer can send in a blink."""
    assert len(merge([("HTTP_X", "")] * 1_000_000)["HTTP_X"]) == 2 * 999_999
