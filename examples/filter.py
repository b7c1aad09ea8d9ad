"""A file of the web server, numbered: fcgikit serve examples.hello:app examples.filter:number

FastCGI has filters, but no web server uses them today; a client does, that sends FCGI_DATA.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import format_datetime
from wsgiref.types import StartResponse, WSGIEnvironment

import fcgikit


@fcgikit.filter
def number(
    environ: WSGIEnvironment, start_response: StartResponse, data: fcgikit.FilterFile
) -> Iterable[bytes]:
    """Put a number in front of each line, while the file is still arriving."""
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    if data.last_modified is not None:
        headers.append(("Last-Modified", format_datetime(data.last_modified, usegmt=True)))
    start_response("200 OK", headers)
    for count, line in enumerate(data, 1):
        yield b"%6d  " % count + line
