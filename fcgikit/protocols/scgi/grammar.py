"""SCGI declared in construct, as its specification words it.

Never imported while serving: it describes bytes for the inspector and the documentation, and
it is what the tests hold the codec against.
"""

from __future__ import annotations

from typing import Any

from construct import (
    Bytes,
    Const,
    ExprAdapter,
    ExprValidator,
    FixedSized,
    FocusedSeq,
    GreedyRange,
    GreedyString,
    NullTerminated,
    Rebuild,
    Struct,
    Terminated,
    this,
)


def _headers_size(context: Any) -> int:
    return len(Headers.build(context.headers))


def _content_length(context: Any) -> int:
    values = [header.value for header in context.headers if header.name == "CONTENT_LENGTH"]
    return int(values[0]) if values and values[0].isdecimal() else 0


# A netstring is its length in decimal digits, ":", the string, ",".
Digits = ExprValidator(
    NullTerminated(GreedyString("ascii"), term=b":"), lambda text, _: text.isdecimal()
)
Length = ExprAdapter(Digits, lambda text, _: int(text), lambda number, _: str(number))

Header = Struct(
    "name" / NullTerminated(GreedyString("latin-1")),
    "value" / NullTerminated(GreedyString("latin-1")),
)

Headers = FocusedSeq("headers", "headers" / GreedyRange(Header), Terminated)

Request = Struct(
    "length" / Rebuild(Length, _headers_size),
    "headers" / FixedSized(this.length, Headers),
    "comma" / Const(b","),
    "body" / Bytes(_content_length),
)
