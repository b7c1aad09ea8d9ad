"""All hypothesis strategies: valid values first, then what spoils or cuts them."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import Field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fcgikit.config import Config
from fcgikit.events import Request, Response
from fcgikit.protocols.cgi import Headers
from fcgikit.values import (
    BOOLEAN,
    DURATION,
    FIELDS,
    MODE,
    NUMBER,
    SEVERAL,
    SIZE,
    TEXT,
    kind_of,
)

# -- valid values -----------------------------------------------------------------------------

_LOOKS_LIKE_RECORDS = bytes.fromhex("0101000100080000 0001000000000000 0105000100000000")


def bodies(max_size: int = 2000) -> SearchStrategy[bytes]:
    """Message bodies, among them some that read like FastCGI records or CGI heads."""
    return st.one_of(
        st.binary(max_size=max_size),
        st.sampled_from([_LOOKS_LIKE_RECORDS, b"Status: 500 No\r\n\r\n", b"\n\n", b"0:,"]),
    )


def names() -> SearchStrategy[str]:
    """Names of CGI variables; some need a FastCGI length of four bytes."""
    shorter = st.text(string.ascii_uppercase + string.digits + "_.", min_size=1, max_size=20)
    return st.one_of(shorter, shorter, shorter.map(lambda name: name + "X" * 127))


def values() -> SearchStrategy[str]:
    """Values of CGI variables: any byte but NUL, which SCGI cannot carry."""
    characters = st.characters(min_codepoint=1, max_codepoint=255)
    shorter = st.text(characters, max_size=40)
    return st.one_of(shorter, shorter, st.sampled_from([126, 127, 128, 300]).map("v".__mul__))


@st.composite
def requests(draw: DrawFn) -> Request:
    """A complete request that any chapter can carry; its variables fit its body."""
    body = draw(bodies())
    params = {
        "CONTENT_LENGTH": str(len(body)),
        "SCGI": "1",
        "REQUEST_METHOD": draw(st.sampled_from(["GET", "POST", "HEAD"])),
    }
    for name, value in draw(st.dictionaries(names(), values(), max_size=8)).items():
        params.setdefault(name, value)
    return Request(1, params, body=body, complete=True)


def headers() -> SearchStrategy[Headers]:
    """Response header fields that the front ends would take; never a length or a status."""
    name = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=15)
    word = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=10)
    value = st.lists(word, max_size=4).map(" ".join).map(lambda text: text.strip(" "))
    taken = ("status", "content-length", "location")
    pair = st.tuples(name.filter(lambda text: text.lower() not in taken), value)
    return st.lists(pair, max_size=5)


@st.composite
def responses(draw: DrawFn) -> Response:
    """A complete response, sometimes with its Content-Length."""
    status = draw(st.sampled_from([200, 201, 302, 404, 500, 599]))
    fields = draw(headers())
    body = draw(bodies())
    if draw(st.booleans()):
        fields.append(("Content-Length", str(len(body))))
    reason = draw(st.sampled_from(["OK", "Not Found", "Tr\xe8s bien"]))
    return Response(1, status, reason, fields, body=body, complete=True)


def _setting_values(field: Field[Any]) -> SearchStrategy[Any]:
    if field.metadata["choices"]:
        return st.sampled_from(field.metadata["choices"])
    texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
    words = texts.map(lambda text: text.replace(",", "").strip()).filter(bool)
    sizes = st.builds(int.__mul__, st.integers(1, 2000), st.sampled_from([1, 1 << 10, 1 << 30]))
    of_kind = {
        BOOLEAN: st.booleans(),
        NUMBER: st.integers(1, 10**6),
        SIZE: sizes,
        DURATION: st.one_of(st.floats(0, 1e20), st.integers(0, 9999).map(float)),
        MODE: st.integers(0, 0o777),
        TEXT: texts,
        SEVERAL: st.lists(words, min_size=1, max_size=3).map(tuple),
    }
    return of_kind[kind_of(field)]


@st.composite
def settings(draw: DrawFn) -> Config:
    """Settings that can work, some of them not the default."""
    chosen = draw(st.lists(st.sampled_from(list(FIELDS.values())), max_size=12))
    made = {field.name: draw(_setting_values(field)) for field in chosen}
    if "script_name" in made:
        made["script_name"] = draw(st.sampled_from(["", "/a", "/\xe9/b,c"]))
    if "max_requests_jitter" in made:
        made["max_requests"] = 1
    if made.get("pm") == "dynamic":
        made |= {"workers": 9, "min_spare_workers": 2, "max_spare_workers": 5}
    return Config(**made)


# -- what spoils or cuts them -----------------------------------------------------------------


@st.composite
def mutations(draw: DrawFn, valid: SearchStrategy[bytes]) -> bytes:
    """Valid bytes with a few of them cut out, repeated, replaced or inserted."""
    data = draw(valid)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 20, len(data))))
        change = draw(st.sampled_from(["cut", "repeat", "replace", "insert"]))
        inside = {
            "cut": b"",
            "repeat": data[start:end] * 2,
            "replace": draw(st.binary(min_size=end - start, max_size=end - start)),
            "insert": draw(st.binary(max_size=8)) + data[start:end],
        }[change]
        data = data[:start] + inside + data[end:]
    return data


def chunks() -> SearchStrategy[Callable[[bytes], list[bytes]]]:
    """Ways to cut bytes into the pieces that a socket might deliver."""
    sizes = st.lists(st.one_of(st.integers(1, 8), st.integers(1, 3000)), min_size=1, max_size=12)
    return sizes.map(_cutter)


def _cutter(sizes: list[int]) -> Callable[[bytes], list[bytes]]:
    def cut(data: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        position = 0
        while position < len(data):
            size = sizes[len(pieces) % len(sizes)]
            pieces.append(data[position : position + size])
            position += size
        return pieces

    cut.__qualname__ = f"cut by {sizes}"
    return cut
