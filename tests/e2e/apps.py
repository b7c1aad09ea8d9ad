"""The application behind the front ends: one path for each thing to be shown.

All but the ``UNCHECKED`` runs inside :func:`wsgiref.validate.validator`, which would hide the file
and refuse the others before the server can.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from wsgiref.validate import validator

from tests.e2e.gate import pass_gate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    Handler = Callable[[WSGIEnvironment, StartResponse, dict[str, str]], Iterable[bytes]]

TEXT = [("Content-Type", "text/plain")]
BLOCK = bytes(range(256)) * 256


def pattern(size: int) -> Iterator[bytes]:
    """*size* bytes that both sides can compute, in blocks of 64 KiB."""
    for _ in range(size // len(BLOCK)):
        yield BLOCK
    if size % len(BLOCK):
        yield BLOCK[: size % len(BLOCK)]


def show_environ(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """The environ as JSON: text, numbers and flags as they are, other objects left out."""
    plain = {k: v for k, v in environ.items() if isinstance(v, (str, int))}
    body = json.dumps(plain).encode()
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", head)
    return [body]


def digest(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Read the body to its end; with a gate, stop there after the first five bytes."""
    source: Any = environ["wsgi.input"]
    body = b""
    if "gate" in query:
        body = source.read(5)
        pass_gate(query["gate"], body.decode())
    while piece := source.read(65536):
        body += piece
    answer = {
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "declared": environ.get("CONTENT_LENGTH", ""),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def status(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Answer with the status line of the query; no body for 204 and 304."""
    code = query["status"][:3]
    bodiless = code in ("204", "304")
    start_response(query["status"], [] if bodiless else TEXT)
    return [] if bodiless else [b"status\n"]


def stream(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Two pieces with a gate between them, announced as nginx wants it."""
    start_response("200 OK", [*TEXT, ("X-Accel-Buffering", "no")])

    def pieces() -> Iterator[bytes]:
        yield b"first"
        pass_gate(query["gate"])
        yield b"second"

    return pieces()


def wait(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Answer once the test lets us; the message is the query's name."""
    name = query.get("name", "")
    pass_gate(query["gate"], name)
    start_response("200 OK", TEXT)
    return [f"waited {name}".encode()]


def big(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """As many bytes of the pattern as the query says."""
    head = [("Content-Type", "application/octet-stream")]
    if "length" in query:
        head.append(("Content-Length", query["size"]))
    start_response("200 OK", head)
    return pattern(int(query["size"]))


class Endless:
    """A response that only the client can end; says at the gate that it was closed."""

    def __init__(self, gate: str) -> None:
        self._gate = gate

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return BLOCK

    def close(self) -> None:
        pass_gate(self._gate, "closed")


def endless(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return Endless(query["gate"])


def cancelled(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Read a body that will not come; say at the gate what was raised instead."""
    request = environ["fcgikit.request"]
    source: Any = environ["wsgi.input"]
    pass_gate(query["gate"], "begun")
    try:
        while source.read(65536):
            pass
    except OSError as error:
        pass_gate(query["gate"], f"{type(error).__name__}, aborted: {request.aborted}")
        raise
    start_response("200 OK", TEXT)
    return [b"nobody left"]


def finished(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """End the answer, say so at the gate, and again when everything is over."""
    request = environ["fcgikit.request"]
    request.call_after_response(pass_gate, query["gate"], "after the response")
    start_response("200 OK", TEXT)
    yield b"the answer"
    request.finish()
    pass_gate(query["gate"], "finished")
    yield b" and what nobody hears"


def repeated(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    head = [("Set-Cookie", "a=1"), ("X-Many", "one"), ("Set-Cookie", "b=2"), ("X-Many", "two")]
    start_response("200 OK", [*TEXT, *head])
    return [b"repeated\n"]


def early(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Answer without a look at the body."""
    start_response("403 Forbidden", [*TEXT, ("Content-Length", "3")])
    return [b"no\n"]


def errors(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    environ["wsgi.errors"].write("the kettle is empty\n")
    start_response("200 OK", TEXT)
    return [b"logged\n"]


def log(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Write the query's text to the error log."""
    environ["wsgi.errors"].write(query["text"])
    start_response("200 OK", TEXT)
    return [b"logged\n"]


def boom(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    raise RuntimeError("the secret kettle")


def boom_late(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    start_response("200 OK", TEXT)

    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("the late kettle")

    return pieces()


def short(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Promise more than is there."""
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    return [b"0123456789"]


def long(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """More than was promised. Unchecked, as is what follows."""
    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return [b"0123", b"4567"]


def bare(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """Markup without a Content-Type."""
    start_response("200 OK", [])
    return [b"<script>"]


def header(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """A header of the size that the query says, or one with the text that it says."""
    value = query.get("text") or "x" * int(query["size"])
    start_response("200 OK", [*TEXT, ("X-Long", value)])
    return [b"header\n"]


def split(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """A header that would be two. Unchecked, since the server itself must refuse it."""
    start_response("200 OK", [*TEXT, ("X-Name", "value\r\nEvil: 1")])
    return [b"split\n"]


def file(
    environ: WSGIEnvironment, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    """A file from its second byte on, through the server's own wrapper."""
    opened = open(query["path"], "rb")
    size = os.fstat(opened.fileno()).st_size
    opened.seek(1)
    start_response("200 OK", [*TEXT, ("Content-Length", str(size - 1))])
    wrapper: Callable[[object], Iterable[bytes]] = environ["wsgi.file_wrapper"]
    return wrapper(opened)


ROUTES: dict[str, Handler] = {
    "/bare": bare,
    "/big": big,
    "/boom": boom,
    "/boom-late": boom_late,
    "/cancelled": cancelled,
    "/digest": digest,
    "/early": early,
    "/endless": endless,
    "/errors": errors,
    "/file": file,
    "/finished": finished,
    "/header": header,
    "/log": log,
    "/long": long,
    "/repeated": repeated,
    "/short": short,
    "/split": split,
    "/status": status,
    "/stream": stream,
    "/wait": wait,
}


UNCHECKED = ("/bare", "/file", "/header", "/long", "/split")


def route(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    handler = ROUTES.get(environ["PATH_INFO"], show_environ)
    return handler(environ, start_response, query)


checked = validator(route)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    target = route if environ["PATH_INFO"] in UNCHECKED else checked
    return target(environ, start_response)
