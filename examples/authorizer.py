"""Who may enter: fcgikit serve examples.hello:app examples.authorizer:check

Apache and lighttpd ask it before they serve a page; nginx and Caddy ask its WSGI form, which is
called ``examples.authorizer:check.wsgi``.
"""

from __future__ import annotations

import base64
import hmac
from wsgiref.types import WSGIEnvironment

import fcgikit

PASSWORDS = {"ann": "rosebud"}


@fcgikit.authorizer
def check(environ: WSGIEnvironment) -> fcgikit.Allow | fcgikit.Deny:
    """Ask for a name and a password, and tell the application who it is."""
    name, password = credentials(environ)
    if name in PASSWORDS and hmac.compare_digest(PASSWORDS[name].encode(), password.encode()):
        return fcgikit.Allow({"MEMBER": name})
    return fcgikit.Deny(401, [("WWW-Authenticate", 'Basic realm="members"')])


def credentials(environ: WSGIEnvironment) -> tuple[str, str]:
    """Apache has taken the header apart; the others pass it on."""
    if "REMOTE_PASSWD" in environ:
        return environ["REMOTE_USER"], environ["REMOTE_PASSWD"]
    try:
        text = base64.b64decode(environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic "))
    except ValueError:
        text = b""
    name, _, password = text.decode("latin-1").partition(":")
    return name, password
