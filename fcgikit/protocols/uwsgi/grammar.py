"""uwsgi declared in construct, under the names of its documentation.

Never imported while serving: it describes bytes for the inspector and the documentation, and
it is what the tests hold the codec against.
"""

from __future__ import annotations

from typing import Any

from construct import (
    Byte,
    Default,
    FixedSized,
    FocusedSeq,
    GreedyBytes,
    GreedyRange,
    Int16ul,
    PascalString,
    Rebuild,
    Struct,
    Terminated,
    this,
)


def _vars_size(context: Any) -> int:
    return len(Vars.build(context.vars))


Var = Struct(
    "key" / PascalString(Int16ul, "latin-1"),
    "value" / PascalString(Int16ul, "latin-1"),
)

Vars = FocusedSeq("vars", "vars" / GreedyRange(Var), Terminated)

Packet = Struct(
    "modifier1" / Default(Byte, 0),
    "datasize" / Rebuild(Int16ul, _vars_size),
    "modifier2" / Default(Byte, 0),
    "vars" / FixedSized(this.datasize, Vars),
)

Request = Struct(
    "packet" / Packet,
    "body" / GreedyBytes,  # CONTENT_LENGTH bytes; nothing marks their end
)
