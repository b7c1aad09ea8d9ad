"""FastCGI 1.0 declared in construct, in the order and under the names of its specification.

Never imported while serving: it describes bytes for the inspector and the documentation, and
it is what the tests hold the codec against.

A :data:`Record` leaves its content alone, because PARAMS, STDIN and their like are streams
that may be cut anywhere. :data:`CONTENTS` says what a content is, by record type;
:data:`NameValuePairs` is also what a whole PARAMS stream is.
"""

from __future__ import annotations

from typing import Any

from construct import (
    Byte,
    Bytes,
    Construct,
    Default,
    Enum,
    ExprAdapter,
    ExprValidator,
    FixedSized,
    FlagsEnum,
    FocusedSeq,
    GreedyBytes,
    GreedyRange,
    GreedyString,
    Int16ub,
    Int32ub,
    Rebuild,
    Select,
    Struct,
    Terminated,
    len_,
    obj_,
    this,
)

from ...events import ProtocolStatus, Role
from . import constants as fcgi


def reserved(size: int) -> Construct:
    """Bytes the specification keeps for itself: zero when sent, not looked at when received."""
    return Default(Bytes(size), bytes(size))


def text(size: Any) -> Construct:
    """Exactly *size* bytes as native text."""
    return FixedSized(size, GreedyString("latin-1"))


# -- 3.3 Records -----------------------------------------------------------------------------

RecordType = Enum(
    Byte, **{name.removeprefix("FCGI_"): number for number, name in fcgi.RECORD_NAMES.items()}
)

Record = Struct(
    "version" / Default(Byte, fcgi.FCGI_VERSION_1),
    "type" / RecordType,
    "requestId" / Int16ub,
    "contentLength" / Rebuild(Int16ub, len_(this.contentData)),
    "paddingLength" / Rebuild(Byte, len_(this.paddingData)),
    "reserved" / reserved(1),
    "contentData" / Bytes(this.contentLength),
    "paddingData" / Default(Bytes(this.paddingLength), b""),
)

Records = FocusedSeq("records", "records" / GreedyRange(Record), Terminated)

# -- 3.4 Name-Value Pairs --------------------------------------------------------------------

ShortLength = ExprValidator(Byte, obj_ < 0x80)
LongLength = ExprAdapter(
    ExprValidator(Int32ub, obj_ >= 0x80000000), obj_ & 0x7FFFFFFF, obj_ | 0x80000000
)
Length = Select(ShortLength, LongLength)

NameValuePair = Struct(
    "nameLength" / Rebuild(Length, len_(this.nameData)),
    "valueLength" / Rebuild(Length, len_(this.valueData)),
    "nameData" / text(this.nameLength),
    "valueData" / text(this.valueLength),
)

NameValuePairs = FocusedSeq("pairs", "pairs" / GreedyRange(NameValuePair), Terminated)

# -- 4 Management Record Types ---------------------------------------------------------------

GetValues = NameValuePairs  # 4.1: the values are empty
GetValuesResult = NameValuePairs

UnknownTypeBody = Struct(  # 4.2
    "type" / Byte,
    "reserved" / reserved(7),
)

# -- 5 Application Record Types --------------------------------------------------------------

BeginRequestBody = Struct(  # 5.1
    "role" / Enum(Int16ub, Role),
    "flags" / FlagsEnum(Byte, KEEP_CONN=fcgi.FCGI_KEEP_CONN),
    "reserved" / reserved(5),
)

StreamPiece = GreedyBytes  # 5.2, 5.3: PARAMS, STDIN, DATA, STDOUT, STDERR

AbortRequest = GreedyBytes  # 5.4: always empty

EndRequestBody = Struct(  # 5.5
    "appStatus" / Int32ub,
    "protocolStatus" / Enum(Byte, ProtocolStatus),
    "reserved" / reserved(3),
)

# -- 8 Types and Constants -------------------------------------------------------------------

CONTENTS: dict[str, Construct] = {
    "BEGIN_REQUEST": BeginRequestBody,
    "ABORT_REQUEST": AbortRequest,
    "END_REQUEST": EndRequestBody,
    "PARAMS": StreamPiece,
    "STDIN": StreamPiece,
    "STDOUT": StreamPiece,
    "STDERR": StreamPiece,
    "DATA": StreamPiece,
    "GET_VALUES": GetValues,
    "GET_VALUES_RESULT": GetValuesResult,
    "UNKNOWN_TYPE": UnknownTypeBody,
}
"""Name of a record type -> what its contentData is."""
