"""How repeated CGI variables become one value each; shared by all chapters."""

from __future__ import annotations


def merge(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """One value per name, for variables that a front end may have sent more than once.

    A repeated ``HTTP_*`` name is a repeated header field and is joined with ``", "``
    (RFC 9110 section 5.3), ``HTTP_COOKIE`` with ``"; "`` (RFC 6265 section 5.4). Of any other
    name the last value counts: a ``fastcgi_param`` after nginx's stock include overrides it.
    """
    params: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}  # joined once: joining one by one would be quadratic
    for name, value in pairs:
        if name in params and name.startswith("HTTP_"):
            repeated.setdefault(name, [params[name]]).append(value)
        else:
            params[name] = value
    for name, values in repeated.items():
        params[name] = ("; " if name == "HTTP_COOKIE" else ", ").join(values)
    return params
