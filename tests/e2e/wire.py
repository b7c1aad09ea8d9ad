"""Front ends made by hand: well-formed and hostile bytes of the three protocols.

Independent of fcgikit's own codecs on purpose.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
KEEP_CONN = 1


def record(
    type: int,
    content: bytes = b"",
    request_id: int = 1,
    *,
    version: int = 1,
    padding: int = 0,
) -> bytes:
    """One FastCGI record. FastCGI 1.0 section 3.3."""
    head = struct.pack(">BBHHBx", version, type, request_id, len(content), padding)
    return head + content + bytes(padding)


def begin(request_id: int = 1, *, role: int = 1, keep: bool = False) -> bytes:
    return record(BEGIN, struct.pack(">HB5x", role, KEEP_CONN if keep else 0), request_id)


def pair(name: bytes, value: bytes) -> bytes:
    """A name-value pair with the shortest lengths. FastCGI 1.0 section 3.4."""
    lengths = b"".join(
        bytes([size]) if size < 128 else struct.pack(">I", size | 1 << 31)
        for size in (len(name), len(value))
    )
    return lengths + name + value


def params(target: str, method: str = "GET", **more: str) -> dict[str, str]:
    """The variables nginx would send, as far as they matter here."""
    path, _, query = target.partition("?")
    return {
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": "",
        "SCRIPT_NAME": path,
        "REQUEST_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "80",
        **more,
    }


def pairs(variables: dict[str, str]) -> bytes:
    return b"".join(pair(n.encode("latin-1"), v.encode("latin-1")) for n, v in variables.items())


def head(target: str, request_id: int = 1, *, keep: bool = False, **more: str) -> bytes:
    """BEGIN and all of PARAMS; the body is still to come."""
    variables = pairs(params(target, **more))
    return (
        begin(request_id, keep=keep)
        + record(PARAMS, variables, request_id)
        + record(PARAMS, b"", request_id)
    )


def request(
    target: str, request_id: int = 1, body: bytes = b"", *, keep: bool = False, **more: str
) -> bytes:
    """A whole request."""
    stdin = b"".join(
        record(STDIN, body[at : at + 65535], request_id) for at in range(0, len(body), 65535)
    )
    return head(target, request_id, keep=keep, **more) + stdin + record(STDIN, b"", request_id)


def scgi(target: str, body: bytes = b"", **more: str) -> bytes:
    """An SCGI request."""
    variables = {"CONTENT_LENGTH": str(len(body)), "SCGI": "1"}
    variables |= {n: v for n, v in params(target, **more).items() if n not in variables}
    block = b"".join(f"{name}\0{value}\0".encode("latin-1") for name, value in variables.items())
    return b"%d:%b," % (len(block), block) + body


def uwsgi(target: str, body: bytes = b"", **more: str) -> bytes:
    """A uwsgi request."""
    variables = params(target, **more) | {"CONTENT_LENGTH": str(len(body) or "")}
    block = b"".join(
        struct.pack("<H", len(text)) + text.encode("latin-1")
        for item in variables.items()
        for text in item
    )
    return struct.pack("<BHB", 0, len(block), 0) + block + body


@dataclass
class Answer:
    """The records of one request id, until its END_REQUEST or the end of the connection."""

    stdout: bytes = b""
    stderr: bytes = b""
    app_status: int | None = None
    protocol_status: int | None = None


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """*size* bytes, or fewer at the end of the stream."""
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


def read_record(connection: socket.socket) -> tuple[int, int, bytes] | None:
    """Type, request id and content of the next record; None at the end of the stream."""
    start = read_exactly(connection, 8)
    if len(start) < 8:
        return None
    _, type, request_id, size, padding = struct.unpack(">BBHHBx", start)
    return type, request_id, read_exactly(connection, size + padding)[:size]


def read_answer(connection: socket.socket, request_id: int = 1) -> Answer:
    """The answer to one request, skipping what belongs to others."""
    answer = Answer()
    while (found := read_record(connection)) is not None:
        type, about, content = found
        if about != request_id:
            continue
        if type == STDOUT:
            answer.stdout += content
        elif type == STDERR:
            answer.stderr += content
        elif type == END:
            answer.app_status, answer.protocol_status = struct.unpack(">IB3x", content)
            break
    return answer


def read_all(connection: socket.socket) -> bytes:
    """Everything until the peer closes; a reset counts as the end."""
    data = b""
    try:
        while more := connection.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data
