"""Where the application is mounted, and what lies below it: SCRIPT_NAME and PATH_INFO.

RFC 3875 sections 4.1.5 and 4.1.13 say what the two are; front ends disagree about it
under their stock configuration. :func:`locate` repairs what is known to be wrong, so that
SCRIPT_NAME + PATH_INFO is the path of the URL, percent-decoded exactly once.

Text here is bytes in latin-1 clothing: no case folding, no Unicode, equal lengths.
"""

from __future__ import annotations

from ..errors import RequestRefused


def locate(params: dict[str, str], mount: str | None = None) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO for these CGI variables.

    *mount* is the prefix the application is known to live under (``""``: the root);
    ``None`` believes the front end. Raises ``RequestRefused`` (404) for a path outside it.
    """
    script_name, path_info = _as_sent(params)
    if script_name:
        if script_name[-1] == "/":  # a mount point has no slash at its end: it is PATH_INFO's
            mount_point = script_name.rstrip("/")
            if path_info[:1] != "/":
                path_info = script_name[len(mount_point) :] + path_info
            script_name = mount_point
        if script_name and script_name[0] != "/":
            script_name = "/" + script_name
    if path_info and path_info[0] != "/":
        path_info = "/" + path_info
    if mount is None:
        return script_name, path_info

    # A front end may hide the mount point (Caddy's handle_path) or the script (RewriteRule):
    # then only REQUEST_URI shows how PATH_INFO, as sent, hangs together with the URL.
    sent = params.get("PATH_INFO")
    if sent is not None and sent[:1] in ("", "/") and mount + sent == request_path(params):
        return mount, sent
    path = script_name + path_info
    if path == mount or path.startswith(mount + "/"):
        return mount, path[len(mount) :]
    raise RequestRefused(f"the path is outside the mount point {mount!r}", status=404)


def request_path(params: dict[str, str]) -> str:
    """The percent-decoded path of REQUEST_URI, in origin form or absolute form."""
    target = params.get("REQUEST_URI", "").partition("?")[0]
    if target[:1] != "/":
        _, absolute, rest = target.partition("://")
        if absolute:
            target = "/" + rest.partition("/")[2]
    return _decoded(target)


def _as_sent(params: dict[str, str]) -> tuple[str, str]:
    """The front end's own split, repaired where its stock configuration is known to be wrong."""
    script_name = params.get("SCRIPT_NAME", "")
    path_info = params.get("PATH_INFO")
    filename = params.get("SCRIPT_FILENAME", "")

    if path_info is not None:
        if filename.startswith("proxy:"):
            # Apache's proxy-fcgi-pathinfo=1: the whole path in SCRIPT_NAME, and PATH_INFO still
            # encoded. With "unescape" both are right, which shows by their making up the URL.
            path = _backend_path(filename)
            if _ends_with(script_name, path) and script_name + path_info != request_path(params):
                return script_name.removesuffix(path), path
        elif script_name == path_info:
            if path_info and path_info == request_path(params):
                return "", path_info  # IIS: the whole path in both
        elif not path_info and not filename and script_name == request_path(params):
            return "", script_name  # nginx: $fastcgi_path_info where nothing splits the path
        return script_name, path_info

    if filename and script_name:
        proxied = filename.startswith("proxy:")
        software = params.get("SERVER_SOFTWARE", "")
        if proxied or software.startswith("Apache"):
            path = _backend_path(filename)
            if _ends_with(script_name, path):
                return script_name.removesuffix(path), path
            return ("", script_name) if proxied else (script_name, "")  # mod_fcgid: a file
        if software.startswith("lighttpd/"):
            return script_name, ""
    # nginx, HAProxy, unknown: the whole path is in SCRIPT_NAME, or only in a URI.
    return "", script_name or params.get("DOCUMENT_URI") or request_path(params)


def _backend_path(filename: str) -> str:
    """The decoded path that Apache asked its back end for; ``proxy:fcgi://host:port/path``."""
    if filename.startswith("proxy:"):
        _, slash, path = filename.partition("://")[2].partition("/")
        filename = (slash + path).partition("?")[0]
    return _decoded(filename)


def _decoded(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote  # late, for a fast start

    return unquote(path, "latin-1")


def _ends_with(script_name: str, path: str) -> bool:
    return path[:1] == "/" and script_name.endswith(path)
