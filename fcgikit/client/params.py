"""HTTP request to CGI variables (RFC 3875 section 4.1), from an ASGI scope."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from .. import __version__
from ..protocols.params import merge

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that concern one connection only (RFC 9110 section 7.6.1), in lower case."""

# Settled by the HTTP server (Expect), or poison: a header "Proxy" would become HTTP_PROXY,
# which HTTP clients take for their proxy setting.
_NOT_FORWARDED = HOP_BY_HOP | {"expect", "proxy"}

# Letters, digits and hyphens: any other name, one with "_" above all, could become the same
# variable as a header that the application trusts. nginx and Apache drop them, too.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9-]+")

_CGI_NAMES = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}


def cgi_params(scope: Mapping[str, Any], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for an ASGI ``http`` scope; *extra* ones are added and win.

    SCRIPT_NAME is the scope's ``root_path``, PATH_INFO the rest of the path, decoded once.
    REQUEST_URI is what the client sent. All are latin-1 text of the bytes, as in PEP 3333.
    """
    raw_path = _raw_path(scope)
    path = "" if raw_path == b"*" else unquote_to_bytes(raw_path).decode("latin-1")
    mount = str(scope.get("root_path", "")).rstrip("/").encode().decode("latin-1")
    if path != mount and not path.startswith(mount + "/"):
        mount = ""
    query = scope["query_string"].decode("latin-1")
    uri = raw_path.decode("latin-1")
    params = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"fcgikit/{__version__}",
        "SERVER_PROTOCOL": f"HTTP/{_http_version(scope)}",
        "REQUEST_METHOD": scope["method"],
        "REQUEST_SCHEME": scope.get("scheme", "http"),
        "REQUEST_URI": f"{uri}?{query}" if query else uri,
        "SCRIPT_NAME": mount,
        "PATH_INFO": path[len(mount) :],
        "QUERY_STRING": query,
    }
    if params["REQUEST_SCHEME"] == "https":
        params["HTTPS"] = "on"
    fields = _fields(scope["headers"])
    params.update(_addresses(scope, fields.get("HTTP_HOST", "")))
    params.update(fields)
    params.update(extra or {})
    return params


def _raw_path(scope: Mapping[str, Any]) -> bytes:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    raw = raw.partition(b"?")[0]
    if not raw.startswith(b"/") and b"://" in raw:  # absolute form, RFC 9112 section 3.2.2
        raw = b"/" + raw.split(b"://", 1)[1].partition(b"/")[2]
    return raw


def _http_version(scope: Mapping[str, Any]) -> str:
    version: str = scope.get("http_version", "1.1")
    return version if "." in version else f"{version}.0"


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    pairs = []
    for raw_name, value in headers:
        name = raw_name.lower().decode("latin-1")
        if name in _NOT_FORWARDED or not _PLAIN_NAME.fullmatch(name):
            continue
        http_name = "HTTP_" + name.upper().replace("-", "_")
        pairs.append((_CGI_NAMES.get(name, http_name), value.decode("latin-1")))
    return merge(pairs)


def _addresses(scope: Mapping[str, Any], host: str) -> dict[str, str]:
    """Who speaks to whom. A Unix socket has no port, and nothing to say of the client."""
    server_address, server_port = scope.get("server") or ("", None)
    client_address, client_port = scope.get("client") or ("", None)
    name = re.sub(r":\d*$", "", host)
    return {
        "SERVER_NAME": name or server_address or "localhost",
        "SERVER_ADDR": server_address,
        "SERVER_PORT": "" if server_port is None else str(server_port),
        "REMOTE_ADDR": client_address,
        "REMOTE_PORT": "" if client_port is None else str(client_port),
    }
