"""Events in words, a line each, for ``--verbose``."""

from __future__ import annotations

from collections.abc import Iterator

from ..events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfFilterData,
    EndOfResponse,
    Event,
    FilterData,
    GetValues,
    Refused,
    Request,
    Response,
    ResponseBody,
    Values,
)


def describe(event: Event) -> Iterator[str]:
    """The lines that tell of *event*, with nothing in them that a terminal would obey."""
    for raw in _lines(event):
        line = raw.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
        yield "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _lines(event: Event) -> Iterator[str]:
    if isinstance(event, Request):
        kept = ", connection kept" if event.keep_conn else ""
        yield f"request {event.request_id}, role {event.role.name.lower()}{kept}"
        yield from (f"{name}={value}" for name, value in event.params.items())
        yield from _size("body", event.body)
        if event.complete:
            yield "end of body"
    elif isinstance(event, Response):
        yield f"Status: {event.status} {event.reason}"
        yield from (f"{name}: {value}" for name, value in event.headers)
        yield from _size("body", event.body)
    elif isinstance(event, (Body, ResponseBody)):
        yield from _size("body", event.data)
    elif isinstance(event, FilterData):
        yield from _size("filter data", event.data)
    elif isinstance(event, Diagnostic):
        yield from _size("error stream", event.data)
    elif isinstance(event, EndOfResponse):
        yield f"end: appStatus {event.app_status}, FCGI_{event.protocol_status.name}"
    elif isinstance(event, GetValues):
        yield f"FCGI_GET_VALUES: {' '.join(event.names)}"
    elif isinstance(event, Values):
        yield f"values: {' '.join(f'{name}={value}' for name, value in event.values.items())}"
    elif isinstance(event, (Refused, Closed)):
        word = "refused" if isinstance(event, Refused) else "closed"
        yield f"{word}: {event.error}" if event.error else word
    elif type(event) in _WORDS:
        yield _WORDS[type(event)]


_WORDS: dict[type[Event], str] = {
    Abort: "abort",
    EndOfBody: "end of body",
    EndOfFilterData: "end of filter data",
}


def _size(what: str, data: bytes) -> Iterator[str]:
    if data:
        yield f"{what}: {len(data)} bytes"
