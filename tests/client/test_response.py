from __future__ import annotations

from fcgikit.client.exchange import Exchange
from fcgikit.client.response import Answer
from fcgikit.events import Diagnostic, EndOfResponse, ProtocolStatus, Response


def test_what_is_known_grows() -> None:
    exchange = Exchange(1, "unix:/s", bodiless=False, notify=lambda: None)
    exchange.receive(Response(1, 201, "Made", [("A", "1"), ("a", "2")]))
    answer = Answer(exchange)
    assert (answer.status, answer.reason, answer.app_status) == (201, "Made", 0)
    assert answer.headers.get_all("A") == ["1", "2"]
    assert answer.headers["b"] is None
    exchange.receive(Diagnostic(1, b"oops"))
    exchange.receive(EndOfResponse(1, 4))
    assert (answer.stderr, answer.app_status) == (b"oops", 4)
    assert answer.protocol_status is ProtocolStatus.REQUEST_COMPLETE
    assert repr(answer) == "<Answer 201 Made>"
