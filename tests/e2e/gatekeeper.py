"""An authorizer that answers each of the three questions of Apache's mod_fcgid in its own way."""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

import fcgikit

Verdict = fcgikit.Allow | fcgikit.Deny


def authenticate(environ: WSGIEnvironment) -> Verdict:
    """Whether it is the password."""
    if environ["REMOTE_PASSWD"] == "rosebud":
        return fcgikit.Allow({"MEMBER": environ["REMOTE_USER"]})
    return fcgikit.Deny(401)


def authorize(environ: WSGIEnvironment) -> Verdict:
    """Whether somebody whose password was right may enter."""
    if environ["REMOTE_USER"] == "ann":
        return fcgikit.Allow({"DUTY": f"to keep {environ['MEMBER']}'s page"})
    return fcgikit.Deny(403)


def check_access(environ: WSGIEnvironment) -> Verdict:
    """Whether somebody who has no name may enter."""
    if environ.get("HTTP_X_TOKEN") == "sesame":
        return fcgikit.Allow({"MEMBER": "bearer"})
    return fcgikit.Deny(403)


QUESTIONS = {
    "AUTHENTICATOR": authenticate,
    "AUTHORIZER": authorize,
    "ACCESS_CHECKER": check_access,
}


@fcgikit.authorizer
def check(environ: WSGIEnvironment) -> Verdict:
    return QUESTIONS[environ["FCGI_APACHE_ROLE"]](environ)
