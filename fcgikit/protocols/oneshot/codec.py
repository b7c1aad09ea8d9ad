"""What a protocol of one request per connection must know, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from ...errors import RemoteProtocolError, Scope
from .. import cgi

MAX_DIGITS: Final = 18
"""Digits of a length we read: beyond an exabyte it is an attack on int(), not a length."""


class Codec(ABC):
    """How one protocol writes what it shares with the other. It remembers nothing."""

    @abstractmethod
    def block_size(self, data: bytes, limit: int) -> int:
        """The size of the block that *data* begins, its frame included; 0 until that is known.

        Raises :class:`RemoteProtocolError` as early as the bytes allow, whatever pieces they
        come in: of request scope if the peer can read an answer, of connection scope if it
        speaks something else. Variables of more than *limit* bytes are refused unread.
        """

    @abstractmethod
    def decode_params(self, data: bytes, size: int) -> dict[str, str]:
        """The variables in the block of *size* bytes at the start of *data*.

        Raises :class:`RemoteProtocolError`, of request scope.
        """

    @abstractmethod
    def encode_params(self, params: dict[str, str]) -> bytes:
        """The block. Raises ``LocalProtocolError`` for what the protocol cannot carry."""

    @abstractmethod
    def body_size(self, params: dict[str, str]) -> int:
        """Bytes of body behind the block. Raises :class:`RemoteProtocolError`."""

    @abstractmethod
    def encode_head(self, status: int, reason: str, headers: cgi.Headers) -> bytes:
        """The head of an answer."""


def refusal(message: str, *, status: int = 400, limit: str = "") -> RemoteProtocolError:
    """An error that the peer is told, as the answer to its request."""
    return RemoteProtocolError(message, scope=Scope.REQUEST, status=status, limit=limit)


def too_many_variables(limit: int) -> RemoteProtocolError:
    """The refusal of a block that exceeds ``max_params_size``."""
    return refusal(f"more than {limit} bytes of CGI variables", status=431, limit="max_params_size")


def decimal(text: str) -> int | None:
    """A length of digits only, unlike ``int()``; ``None`` for ``+5``, ``1_0``, ``''`` or ``²``."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None
