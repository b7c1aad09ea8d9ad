"""Applications of the other two roles: Authorizer and Filter. FastCGI 1.0 sections 6.3 and 6.4.

A decorator says which role a function plays::

    @fcgikit.authorizer
    def check(environ):
        return fcgikit.Allow({"MEMBER": "ann"}) if known(environ) else fcgikit.Deny(401)

    @fcgikit.filter
    def shout(environ, start_response, data):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (line.upper() for line in data)

Either is served beside a WSGI application; the role of each request says which of them runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ..events import Role
from .heads import REASONS
from .input import FilterFile

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    Check: TypeAlias = Callable[[WSGIEnvironment], "Allow | Deny"]
    Work: TypeAlias = Callable[[WSGIEnvironment, StartResponse, FilterFile], Iterable[bytes]]


@dataclass(frozen=True)
class Allow:
    """The answer of an authorizer that grants access.

    *variables* are added to those of the request that follows; *headers* reach the client
    where the front end passes them on. Text is latin-1 decoded, as everywhere in WSGI.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Deny:
    """The answer of an authorizer that refuses access, or sends the client elsewhere.

    Without a *body* it is a line of text that repeats the status. Raises ``ValueError`` for
    a *status* below 300, which a front end would take for access.
    """

    status: int = 403
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        if not 300 <= self.status <= 599:
            raise ValueError(f"a refusal needs a status from 300 to 599, not {self.status}")


class Authorizer:
    """What :func:`authorizer` makes of a function; calling it calls the function."""

    role = Role.AUTHORIZER

    def __init__(self, check: Check) -> None:
        self._check = check
        functools.update_wrapper(self, check)

    def __call__(self, environ: WSGIEnvironment) -> Allow | Deny:
        return self._check(environ)

    def wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The same as a WSGI application, for front ends that ask a Responder (nginx, Caddy)."""
        verdict: Any = self._check(environ)
        headers: list[tuple[str, str]]
        if isinstance(verdict, Allow):
            headers = [(f"Variable-{name}", value) for name, value in verdict.variables.items()]
            start_response("200 OK", [*headers, *verdict.headers])
            return []
        if not isinstance(verdict, Deny):
            raise TypeError(f"an authorizer returns Allow or Deny, not {type(verdict).__name__}")
        status = f"{verdict.status} {REASONS.get(verdict.status, 'Denied')}"
        headers = list(verdict.headers)
        if verdict.body:
            start_response(status, headers)
            return [verdict.body]
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [f"{status}\n".encode()]


class Filter:
    """What :func:`filter` makes of a function; calling it calls the function."""

    role = Role.FILTER

    def __init__(self, work: Work) -> None:
        self._work = work
        functools.update_wrapper(self, work)

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse, data: FilterFile
    ) -> Iterable[bytes]:
        return self._work(environ, start_response, data)

    def wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The same as a WSGI application, which finds its file in the environ."""
        return self._work(environ, start_response, environ["fcgikit.data"])


def authorizer(check: Check) -> Authorizer:
    """Make *check* an application that says who may have what the front end is asked for.

    It is called with the environ, which has neither a body nor SCRIPT_NAME and PATH_INFO, and
    returns :class:`Allow` or :class:`Deny`. If it raises, access is refused.
    """
    return Authorizer(check)


def filter(work: Work) -> Filter:
    """Make *work* an application that answers with a file of the front end, changed.

    It is called as a WSGI application is, with the file as third argument.
    """
    return Filter(work)


Application: TypeAlias = "WSGIApplication | Authorizer | Filter"
"""What can be served."""
