"""A request on its way out: its variables, and its bodies as a series of events. No I/O.

The bodies may be bytes, binary files or iterables of bytes; for an asyncio client
asynchronous iterables, too.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias, TypedDict, Unpack

from ..events import Body, EndOfBody, EndOfFilterData, Event, FilterData, Request, Role
from .params import Headers, request_params, text_of

PIECE = 64 * 1024
"""Bytes that are read and sent at a time."""

Content: TypeAlias = bytes | BinaryIO | Iterable[bytes]
AsyncContent: TypeAlias = Content | AsyncIterable[bytes]

# RFC 9110 section 9.2.2: doing these twice is the same as doing them once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@dataclass(slots=True)
class Outgoing:
    """One request: its variables, its body and, for a filter, its file."""

    params: dict[str, str]
    role: Role
    body: AsyncContent
    data: AsyncContent

    @property
    def repeatable(self) -> bool:
        """It may be sent twice: that does no harm, and its body is still there."""
        return (
            self.params["REQUEST_METHOD"] in _IDEMPOTENT
            and isinstance(self.body, bytes)
            and isinstance(self.data, bytes)
        )

    def first(self) -> Request:
        """The event that begins it, with the whole body if that is small."""
        small = isinstance(self.body, bytes) and len(self.body) <= PIECE
        body = self.body if small and self.role is not Role.AUTHORIZER else b""
        assert isinstance(body, bytes)
        return Request(0, self.params, self.role, body=body, complete=small)

    def rest(self, request_id: int) -> Iterator[Event]:
        """What follows :meth:`first`, for bodies that need no event loop."""
        if self.role is Role.AUTHORIZER:
            return
        if not self.first().complete:
            for piece in _pieces(self.body):
                yield Body(request_id, piece)
            yield EndOfBody(request_id)
        if self.role is Role.FILTER:
            for piece in _pieces(self.data):
                yield FilterData(request_id, piece)
            yield EndOfFilterData(request_id)

    async def rest_async(self, request_id: int) -> AsyncIterator[Event]:
        """What follows :meth:`first`, whatever the bodies are."""
        if self.role is Role.AUTHORIZER:
            return
        if not self.first().complete:
            async for piece in _pieces_async(self.body):
                yield Body(request_id, piece)
            yield EndOfBody(request_id)
        if self.role is Role.FILTER:
            async for piece in _pieces_async(self.data):
                yield FilterData(request_id, piece)
            yield EndOfFilterData(request_id)


class Arguments(TypedDict, total=False):
    """What ``request()`` takes beside method and URL; all of it is optional.

    *headers* is a mapping or pairs. *body* is bytes, a binary file or an iterable of bytes (for
    ``AsyncClient`` an asynchronous one, too), and is sent as the server takes it; the answer may
    begin, and be read, before all of it is sent. *params* are further CGI variables, which win.

    *script_name* is the part of the path that leads to the application. *root* is the directory
    of scripts, for php-fpm and the like; see :func:`~fcgikit.client.params.request_params`.

    *role* is ``responder``, ``authorizer`` (which is sent no body) or ``filter``. *data* is a
    filter's file, *data_modified* its time of modification in seconds since 1970 (FastCGI 1.0
    section 6.4).
    """

    headers: Headers
    body: AsyncContent | None
    params: Mapping[str, str]
    role: Role | str
    data: AsyncContent | None
    data_modified: int | None
    script_name: str
    root: str | None


def prepare(protocol: str, method: str, url: str, **arguments: Unpack[Arguments]) -> Outgoing:
    """The request that these arguments describe.

    Raises ``ValueError`` for what cannot be sent, such as a body of unknown length over SCGI.
    """
    role = arguments.get("role", Role.RESPONDER)
    body, data = arguments.get("body"), arguments.get("data")
    if isinstance(role, str):
        if role.upper() not in Role.__members__:
            raise ValueError(f"role {role!r} is unknown: use responder, authorizer or filter")
        role = Role[role.upper()]
    if role is not Role.RESPONDER and protocol != "fastcgi":
        raise ValueError(f"{protocol} knows no roles")
    variables = request_params(
        method,
        url,
        arguments.get("headers", ()),
        script_name=arguments.get("script_name", ""),
        root=arguments.get("root"),
    )
    if "CONTENT_LENGTH" not in variables:
        size = 0 if body is None else _size(body)
        if size is None and protocol != "fastcgi":
            raise ValueError(f"{protocol} needs to know a body's length: give a Content-Length")
        if size or (size == 0 and (body is not None or protocol != "fastcgi")):
            variables["CONTENT_LENGTH"] = str(size)
    if role is Role.FILTER:  # FastCGI 1.0 section 6.4
        size = _size(b"" if data is None else data)
        if size is not None:
            variables["FCGI_DATA_LENGTH"] = str(size)
        modified = arguments.get("data_modified")
        if modified is not None:
            variables["FCGI_DATA_LAST_MOD"] = str(modified)
    elif data is not None:
        raise ValueError("only a filter gets data beside the body")
    for name, value in arguments.get("params", {}).items():
        variables[text_of(name)] = text_of(value)
    return Outgoing(variables, role, _plain(body), _plain(data))


def _plain(content: AsyncContent | None) -> AsyncContent:
    if isinstance(content, str):
        raise TypeError("a body is bytes, not str: encode it")
    return b"" if content is None else content


def _size(content: AsyncContent) -> int | None:
    """Bytes to come, if that can be known beforehand."""
    if isinstance(content, bytes):
        return len(content)
    file: Any = content
    if not hasattr(file, "read") or not hasattr(file, "seekable") or not file.seekable():
        return None
    position: int = file.tell()
    end: int = file.seek(0, io.SEEK_END)
    file.seek(position)
    return end - position


def _pieces(content: AsyncContent) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]
    elif hasattr(content, "read"):
        while piece := content.read(PIECE):
            yield piece
    elif isinstance(content, AsyncIterable):
        raise TypeError("an asynchronous body needs AsyncClient")
    else:
        yield from content


async def _pieces_async(content: AsyncContent) -> AsyncIterator[bytes]:
    if isinstance(content, AsyncIterable):
        async for piece in content:
            yield piece
    else:
        for piece in _pieces(content):
            yield piece
