"""The steps of the hot path, each by itself, with what nginx sends as their input.

Each is made once and then called again and again; ``per`` says how many of its unit one call is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.apps import BODY, HEAD, hello, stream, upload
from benchmarks.fastcgi_load import PARAMS, encode_get
from benchmarks.http_load import BROWSER
from benchmarks.micro.whole import whole
from benchmarks.sink import Sink
from fcgikit.config import DEFAULT
from fcgikit.events import Request, Response, Side
from fcgikit.gateways.environ import content_length, make_environ
from fcgikit.gateways.wsgi import WSGIGateway
from fcgikit.protocols import PROTOCOLS
from fcgikit.protocols.cgi import encode_head
from fcgikit.protocols.fastcgi.pairs import decode_params, encode_pairs
from fcgikit.protocols.fastcgi.records import RecordReader, encode_answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HTTP = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in BROWSER.items()}
BROWSER_PARAMS = {
    name: value for name, value in {**PARAMS, **HTTP}.items() if name != "REMOTE_USER"
}
"""The 24 variables of a browser's request."""

GET = encode_get(1)
"""FCGI_BEGIN_REQUEST, FCGI_PARAMS twice and FCGI_STDIN: four records."""

HALF = bytes(128 * 1024)
"""Of what a connection takes at once: nobody has to wait for room, or for more."""


class Operation(NamedTuple):
    """*run* does what *name* says so many times, and says how many."""

    name: str
    run: Callable[[int], int]


def repeated(call: Callable[[], object], per: int = 1) -> Callable[[int], int]:
    """The ``run`` of what one *call* does *per* times."""

    def run(times: int) -> int:
        done = 0
        while done < times:
            call()
            done += per
        return done

    return run


def operations() -> list[Operation]:
    """All of them, from the bytes that arrive to those that leave."""
    assert len(BROWSER_PARAMS) == 24
    return [
        Operation("split a record", repeated(split_records(), per=4)),
        Operation("decode 24 pairs", repeated(decode_pairs())),
        Operation("copy an environ's dict", repeated(BROWSER_PARAMS.copy)),
        Operation("environ of 24 variables, with its copy", repeated(environ)),
        Operation("hello through the gateway", repeated(through_gateway())),
        Operation("encode an answer", repeated(encode)),
        Operation("request and answer, FastCGI", repeated(through_chapter("fastcgi"))),
        Operation("request and answer, SCGI", repeated(through_chapter("scgi"))),
        Operation("request and answer, uwsgi", repeated(through_chapter("uwsgi"))),
        Operation("whole, FastCGI, kept", whole("fastcgi", kept=True)),
        Operation("whole, FastCGI, kept, 4 threads", whole("fastcgi", kept=True, threads=4)),
        Operation("whole, FastCGI, one-shot", whole("fastcgi")),
        Operation("whole, SCGI", whole("scgi")),
        Operation("whole, uwsgi", whole("uwsgi")),
        Operation("whole, upload of 128 KiB", whole("fastcgi", kept=True, app=upload, body=HALF)),
        Operation("whole, file of 128 KiB", whole("fastcgi", kept=True, app=file_of(HALF))),
        Operation("whole, 64 blocks of 1 KiB", whole("fastcgi", kept=True, app=stream)),
    ]


def file_of(content: bytes) -> WSGIApplication:
    """An application that hands over a file."""
    held = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the application is there
    os.pwrite(held.fileno(), content, 0)

    def file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HEAD[:1])
        opened = open(os.dup(held.fileno()), "rb")  # noqa: SIM115 - the server closes it
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened)
        return wrapped

    return file


def split_records() -> Callable[[], object]:
    reader = RecordReader()
    return lambda: reader.feed(GET)


def decode_pairs() -> Callable[[], object]:
    block = encode_pairs(BROWSER_PARAMS.items())
    return lambda: decode_params(block)


def environ() -> None:
    params = BROWSER_PARAMS.copy()
    content_length(params)
    make_environ(params)


def through_gateway() -> Callable[[], object]:
    """The request is decoded already and its answer goes nowhere."""
    gateway = WSGIGateway(hello, DEFAULT, multithread=False, multiprocess=False)
    return lambda: gateway(Sink(Request(1, BROWSER_PARAMS.copy(), complete=True)))


def encode() -> bytes:
    return encode_answer(1, encode_head(200, "OK", HEAD), BODY)


def through_chapter(protocol: str) -> Callable[[], object]:
    """The bytes of a request to its event, and an answer to its bytes; no gateway in between.

    A connection that carries one request only is a new one each time.
    """
    chapter = PROTOCOLS[protocol]
    params = {**BROWSER_PARAMS, "CONTENT_LENGTH": "0"}
    web = chapter(Side.WEB, DEFAULT)
    request = Request(1, params, keep_conn=True, complete=True)
    data = b"".join(web.send(request))
    answer = Response(1, 200, "OK", HEAD, BODY, complete=True)
    kept = chapter(Side.APP, DEFAULT)

    def exchange() -> None:
        connection = kept if protocol == "fastcgi" else chapter(Side.APP, DEFAULT)
        (event,) = connection.receive_data(data)
        assert type(event) is Request
        assert event.complete
        connection.send(answer)

    return exchange
