from __future__ import annotations

import pytest

from fcgikit.cli.wire import describe
from fcgikit.errors import RemoteProtocolError
from fcgikit.events import (
    Abort,
    Closed,
    Diagnostic,
    EndOfFilterData,
    EndOfResponse,
    Event,
    FilterData,
    GetValues,
    ProtocolStatus,
    Refused,
    Request,
    Response,
    Role,
    UnknownType,
    Values,
)


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (
            Request(3, {"A": "1"}, Role.FILTER, keep_conn=True, body=b"xy", complete=True),
            ["request 3, role filter, connection kept", "A=1", "body: 2 bytes", "end of body"],
        ),
        (Response(1, 200, "OK", [("B", "2")]), ["Status: 200 OK", "B: 2"]),
        (FilterData(1, b"abc"), ["filter data: 3 bytes"]),
        (EndOfFilterData(1), ["end of filter data"]),
        (Diagnostic(1, b"oops"), ["error stream: 4 bytes"]),
        (
            EndOfResponse(1, 2, ProtocolStatus.OVERLOADED),
            ["end: appStatus 2, FCGI_OVERLOADED"],
        ),
        (Abort(1), ["abort"]),
        (GetValues(("A", "B")), ["FCGI_GET_VALUES: A B"]),
        (Values({"A": "1"}), ["values: A=1"]),
        (Refused(1, RemoteProtocolError("bad")), ["refused: bad"]),
        (Closed(), ["closed"]),
        (UnknownType(9), []),
    ],
)
def test_events_in_words(event: Event, lines: list[str]) -> None:
    assert list(describe(event)) == lines


def test_nothing_a_terminal_would_obey() -> None:
    event = Response(1, 200, "\x1b[2J", [("A", "caf\xc3\xa9 \xff")])
    assert list(describe(event)) == ["Status: 200 \\x1b[2J", "A: café \\xff"]
