"""CGI variables as front ends send them, made into a PEP 3333 environ. A pure function.

What front ends fill differently, or not at all, is settled here, so that an application
sees the same environ behind each of them. RFC 3875 section 4.1 has the meanings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ..errors import RequestRefused
from ..events import AUTHORIZER, RESPONDER, Role
from .paths import locate

# Their number is kept from mypyc, which would copy a tuple of known length at every use.
_PATHS: Final[tuple[str, ...]] = (
    "REQUEST_URI", "DOCUMENT_URI", "SCRIPT_FILENAME", "PATH_TRANSLATED",
)  # fmt: skip


def make_environ(
    params: dict[str, str], mount: str | None = None, role: Role = RESPONDER
) -> dict[str, str]:
    """Make *params* the environ of a WSGI call, in place; the ``wsgi.*`` objects are not in it yet.

    *mount*: see :func:`~fcgikit.gateways.paths.locate`. Raises ``RequestRefused``: 400 for a
    NUL in a path, 404 for a path outside *mount*. An Authorizer gets neither SCRIPT_NAME nor
    PATH_INFO: what it judges is no path of its own (FastCGI 1.0 section 6.3).
    """
    if "HTTP_PROXY" in params:  # a client's header would pass for a CGI program's proxy (httpoxy)
        del params["HTTP_PROXY"]
    # These two repeat what has a variable of its own, RFC 3875 section 4.1.18.
    if "HTTP_CONTENT_LENGTH" in params:
        del params["HTTP_CONTENT_LENGTH"]
    if "HTTP_CONTENT_TYPE" in params:
        del params["HTTP_CONTENT_TYPE"]

    if role is not AUTHORIZER:
        script_name, path_info = locate(params, mount)
        params["SCRIPT_NAME"] = script_name
        params["PATH_INFO"] = path_info
        if "\0" in path_info or "\0" in script_name:
            raise RequestRefused("NUL in the path")
    for name in _PATHS:
        if name in params and "\0" in params[name]:
            raise RequestRefused(f"NUL in {name}")

    if params.get("REQUEST_SCHEME") == "https" or (
        "HTTPS" in params and params["HTTPS"].lower() in ("on", "1")
    ):
        params["wsgi.url_scheme"] = "https"
    else:
        params["wsgi.url_scheme"] = "http"
    server_name = params.get("SERVER_NAME")
    if not server_name or server_name[0] in "_~*" or ":" in server_name:
        params["SERVER_NAME"] = _server_name(server_name or "", params.get("HTTP_HOST", ""))
    if not params.get("SERVER_PORT"):
        params["SERVER_PORT"] = "443" if params["wsgi.url_scheme"] == "https" else "80"

    if not params.get("REQUEST_METHOD"):
        params["REQUEST_METHOD"] = "GET"
    if not params.get("SERVER_PROTOCOL"):
        params["SERVER_PROTOCOL"] = "HTTP/1.0"
    if "QUERY_STRING" not in params:
        params["QUERY_STRING"] = ""
    return params


def content_length(params: dict[str, str], name: str = "CONTENT_LENGTH") -> int | None:
    """CONTENT_LENGTH as a number of bytes; ``None``: the body ends where its stream ends.

    ``""`` (nginx) and ``-1`` (Caddy before 2.9) say "unknown" and are removed, because
    applications read absence as that. Raises ``RequestRefused`` for all but digits.
    """
    text = params.get(name)
    if text is None:
        return None
    if not text or text == "-1":
        del params[name]
        return None
    if not (text.isascii() and text.isdigit()):
        raise RequestRefused(f"{name} is not a number")
    if len(text) > 18:  # no number of bytes has so many digits
        raise RequestRefused(f"{name} is beyond all measure", status=413)
    return int(text)


def last_modified(params: dict[str, str]) -> datetime | None:
    """FCGI_DATA_LAST_MOD, seconds since 1970, as a time. Raises ``RequestRefused``."""
    text = params.get("FCGI_DATA_LAST_MOD")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise RequestRefused("FCGI_DATA_LAST_MOD is no time") from None


def _server_name(server_name: str, http_host: str) -> str:
    """SERVER_NAME without a port, and a name of the Host header for what is none.

    nginx sends its ``server_name`` as configured: ``_``, ``~^regex$`` or nothing.
    """
    for name in (server_name, http_host):
        if not name:
            continue
        if name[0] == "[":
            name = name[: name.find("]") + 1]
        elif ":" in name and name.count(":") == 1:  # more: an IPv6 address without brackets
            name = name.partition(":")[0]
        if name and name[0] not in "_~*":
            return name
    return "localhost"
