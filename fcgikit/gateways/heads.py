"""What an application may say in the head of its response, checked when it says it.

Names and values reach the client through a front end that trusts us, so whatever could end
a line or begin another response is refused while the application can still be told.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

_log = logging.getLogger("fcgikit.error")

REASONS = {status.value: status.phrase for status in HTTPStatus}

_STATUS = re.compile(r"([2-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")

# The first seven concern the front end's connection to the client (rule R8); Status is
# written exactly once, by the chapter (rule R6).
_DROPPED = ("connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding",
            "upgrade", "status")  # fmt: skip


# Applications have a few statuses and header names, but some make them up.
_MOST_REMEMBERED = 512


class _Memory(dict[Any, Any]):
    """What *find* says of a key, as an item: ``functools.lru_cache`` with no call for a hit.

    When there are too many, all are forgotten.
    """

    def __init__(self, find: Callable[[Any], object]) -> None:
        self._find = find

    def __missing__(self, key: Any) -> Any:
        found = self._find(key)
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[key] = found
        return found


def _parse_status(status: Any) -> tuple[int, str]:
    """``"404 Not Found"`` as ``(404, "Not Found")``; a missing reason is the standard one.

    Raises ``ValueError`` or ``TypeError``. A 1xx status is refused: nearly every front end
    would take it for the final response (rule R9).
    """
    if not isinstance(status, str):
        raise TypeError(f"status must be str, not {type(status).__name__}")
    match = _STATUS.fullmatch(status)
    if match is None:
        raise ValueError(f"status must be like '200 OK', not {status!r}")
    code = int(match[1])
    return code, match[2] or REASONS.get(code, "Unknown")


statuses: Final = _Memory(_parse_status)
"""What :func:`_parse_status` says of a status: ``statuses["404"]``."""


def _special(name: Any) -> str:
    """The lower-case name of a header that does not simply pass, else ``""``."""
    if not isinstance(name, str):
        raise TypeError(f"header name must be str, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a header name")
    lower = name.lower()
    if lower == "content-length" or lower in _DROPPED or lower.startswith("proxy-"):
        return lower
    return ""


_specials: Final = _Memory(_special)


def check_headers(
    headers: Iterable[Any], limit: int
) -> tuple[list[tuple[str, str]], int | None]:
    """The headers to send, as a new list, and the Content-Length among them.

    Raises ``ValueError`` or ``TypeError``, naming the header, for what HTTP does not allow, and
    for more than *limit* bytes of them.
    """
    kept = []
    values = []
    size = 0
    length: Any = None
    for name, value in headers:
        special = _specials[name]
        if special:
            if special != "content-length":
                _log.debug("header %s of the application is dropped", name)
                continue
            if length is not None:
                raise ValueError(f"{name} must be given once")
            length = value
        kept.append((name, value))
        values.append(value)
        size += len(name)
    try:
        text = "".join(values)  # what must be true of each is asked of all at once
    except TypeError:
        _check_values(kept)
        raise
    if not (text.isascii() and text.isprintable()):
        _check_values(kept)
    size += len(text) + 4 * len(kept)
    if size > limit:
        raise ValueError(f"response headers of {size} bytes (setting: max_head_size)")
    if length is None:
        return kept, None
    if not length.isdecimal() or len(length) > 18:
        raise ValueError("Content-Length must be one number")
    return kept, int(length)


def _check_values(headers: list[tuple[str, Any]]) -> None:
    """Raise for a value that is not to be sent, and say whose it is."""
    for name, value in headers:
        if not isinstance(value, str):
            raise TypeError(f"value of header {name} must be str, not {type(value).__name__}")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"value of header {name} has a control or non-latin-1 character")
