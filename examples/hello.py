"""The smallest application: fcgikit dev examples.hello:app"""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Greet whoever the path names."""
    # PEP 3333: text in the environ is bytes in disguise; here they are UTF-8.
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    body = f"Hello, {path.strip('/') or 'world'}!\n".encode()
    start_response(
        "200 OK",
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [body]
