"""HTTP request to CGI variables (RFC 3875 section 4.1), from an ASGI scope or from a URL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, unquote_to_bytes, urlsplit

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

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

# Where a script ends and its PATH_INFO begins: /blog/index.php, then /2024/may.
_SCRIPT = re.compile(r"(.+?\.(?:php\d?|f?cgi|pl|py|rb|sh))(/.*)?", re.DOTALL)


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


def request_params(
    method: str,
    url: str,
    headers: Headers = (),
    *,
    script_name: str = "",
    root: str | None = None,
) -> dict[str, str]:
    """The variables for *method* and *url*: ``/path?query``, or that behind ``http://host:port``.

    By default SCRIPT_NAME is *script_name* and PATH_INFO the rest of the path, as applications
    want it. With *root*, the DOCUMENT_ROOT of programs that look for a script in the file system
    (php-fpm, fcgiwrap), the script is the path up to the first name that ends in .php, .cgi,
    .fcgi, .pl, .py, .rb or .sh (all of it, if none does), and SCRIPT_FILENAME is where it lies.

    Text that is not ASCII is sent as UTF-8. Raises ``ValueError`` for a URL or a header that
    cannot be sent.
    """
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", method):
        raise ValueError(f"{method!r} is no method")
    parts = urlsplit(url if url.startswith(("http://", "https://")) else f"http://localhost{url}")
    if not (url.startswith(("/", "http://", "https://")) or url == "*") or not parts.hostname:
        raise ValueError(f"{url!r} is neither a path, which begins with '/', nor an http URL")
    # What the caller has encoded stays; of the rest, what a request line cannot hold is.
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]|{}^\"")
    path = unquote_to_bytes(target).decode("latin-1")
    fields = _fields(
        [(name.encode("ascii"), _field_value(name, value)) for name, value in _pairs(headers)]
    )
    params = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"fcgikit/{__version__}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": method,
        "REQUEST_SCHEME": parts.scheme,
        "REQUEST_URI": f"{target}?{query}" if query else target,
        "QUERY_STRING": query,
        "HTTP_HOST": parts.netloc.rpartition("@")[2],
    }
    if parts.scheme == "https":
        params["HTTPS"] = "on"
    if root is None:
        params |= _mounted(path, text_of(script_name.rstrip("/")))
    else:
        params |= _script(path, text_of(root.rstrip("/")))
    return params | fields


def text_of(value: str) -> str:
    """*value* as the waist writes it: its UTF-8 bytes, decoded as latin-1."""
    return value.encode().decode("latin-1")


def _mounted(path: str, mount: str) -> dict[str, str]:
    if path != mount and not path.startswith(mount + "/"):
        raise ValueError(f"the path {path!r} is not below script_name {mount!r}")
    return {"SCRIPT_NAME": mount, "PATH_INFO": path[len(mount) :]}


def _script(path: str, root: str) -> dict[str, str]:
    found = _SCRIPT.fullmatch(path)
    script, rest = (found[1], found[2] or "") if found else (path, "")
    params = {
        "SCRIPT_NAME": script,
        "SCRIPT_FILENAME": root + script,
        "DOCUMENT_ROOT": root,
        "DOCUMENT_URI": path,
        "REDIRECT_STATUS": "200",  # php-cgi runs nothing without it
    }
    if rest:
        params["PATH_INFO"] = rest
    return params


def _pairs(headers: Headers) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _field_value(name: str, value: str) -> bytes:
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"a header {name!r} would not reach the application")
    if not value.isprintable() and set(value) & set("\r\n\0"):
        raise ValueError(f"the header {name} has a line break or a NUL in its value")
    return value.encode()


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
