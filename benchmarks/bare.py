"""What an application costs by itself: ``python -m benchmarks.bare MODULE:APP SECONDS``.

It is called in a loop with the environ that fcgikit makes of a request, and its answer is read.
Copying the environ, without which a call would find what the last one left there, is measured
apart and not counted. Prints microseconds of CPU time per call.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from benchmarks.apps import BODY, hello
from benchmarks.fastcgi_load import PARAMS
from benchmarks.sink import Sink
from fcgikit.cli.load import load
from fcgikit.config import DEFAULT
from fcgikit.events import Request
from fcgikit.gateways.wsgi import WSGIGateway

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Environ = dict[str, Any]

CALLS = 500
"""Between two looks at the clock."""


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
    return None


def call(app: WSGIApplication, environ: Environ) -> bytes:
    """One request, as briefly as PEP 3333 allows."""
    blocks = app(environ, start_response)
    body = b"".join(blocks)
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
    return body


def captured() -> Environ:
    """The environ that an application is given for the request of the load generators."""
    environs: list[Environ] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environs.append(environ.copy())
        return hello(environ, start_response)

    gateway = WSGIGateway(app, DEFAULT, multithread=False, multiprocess=False)
    gateway(Sink(Request(1, dict(PARAMS), complete=True)))
    return environs[0]


def cpu_time(run: Callable[[Environ], object], environ: Environ, seconds: float) -> float:
    """Seconds of CPU time per run with a copy of *environ*."""
    done = 0
    end = (began := time.process_time()) + seconds
    while (now := time.process_time()) < end:
        for _ in range(CALLS):
            run(environ.copy())
        done += CALLS
    return (now - began) / done


def main(name: str, seconds: float) -> None:
    app = cast("WSGIApplication", load(name))
    environ = captured()
    assert call(app, environ.copy()) == BODY
    calling = cpu_time(lambda environ: call(app, environ), environ, seconds)
    print((calling - cpu_time(lambda environ: None, environ, 0.2)) * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
