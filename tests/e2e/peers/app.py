"""The common application, as WSGI for uWSGI and flup.

It answers with the method, the length of the body and its checksum, then ``size`` bytes. With
``error`` in the query it writes to the error stream; ``header`` asks for a header of that size.
"""

from __future__ import annotations

import zlib
from typing import Any
from urllib.parse import parse_qsl


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    if "error" in query:
        environ["wsgi.errors"].write("trouble\n")
        environ["wsgi.errors"].flush()
    headers = [("Content-Type", "text/plain")]
    if "header" in query:
        headers.append(("X-Long", "h" * int(query["header"])))
    start_response("200 OK", headers)
    line = f"{environ['REQUEST_METHOD']} {len(body)} {zlib.adler32(body):08x}\n"
    return [line.encode(), b"x" * int(query.get("size", 0))]
