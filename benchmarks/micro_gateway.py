"""Nanoseconds that a request costs between the waist and the application.

    python -m benchmarks.micro_gateway

The request is a browser-less GET as nginx sends it with its stock ``fastcgi_params``, its
20 variables decoded already; the answer is one block; nothing is sent anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from timeit import repeat
from wsgiref.types import StartResponse, WSGIEnvironment

from fcgikit.config import DEFAULT
from fcgikit.events import Event, Request
from fcgikit.gateways.environ import content_length, make_environ
from fcgikit.gateways.wsgi import WSGIGateway
from tests.fake_exchange import PARAMS

CALLS = 5_000


class Sink:
    """An Exchange that swallows the answer."""

    __slots__ = ("aborted", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.aborted = False

    def read(self) -> bytes:
        return b""

    def send(self, event: Event) -> None:
        pass

    def send_file(self, fileno: int, offset: int, count: int) -> int:
        return count

    def truncate(self) -> None:
        pass


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world\n"]


def exchange() -> Sink:
    return Sink(Request(1, PARAMS.copy(), complete=True))


def nanoseconds(call: Callable[[], object]) -> float:
    return min(repeat(call, number=CALLS, repeat=60)) / CALLS * 1e9


def main() -> None:
    gateway = WSGIGateway(hello, DEFAULT, multithread=True, multiprocess=False)

    def environ() -> None:
        params = PARAMS.copy()
        content_length(params)
        make_environ(params)

    def served() -> None:
        gateway(exchange())

    results = {
        "environ": nanoseconds(environ) - nanoseconds(PARAMS.copy),
        "hello exchange": nanoseconds(served) - nanoseconds(exchange),
    }
    for name, result in results.items():
        print(f"{name:15} {result:6.0f} ns")


if __name__ == "__main__":
    main()
