"""Addresses as gunicorn writes them: ``unix:PATH``, ``HOST:PORT``, ``[IPV6]:PORT``."""

from __future__ import annotations

import re
from typing import TypeAlias

from .errors import ConfigError

SocketAddress: TypeAlias = str | tuple[str, int]
"""The path of a Unix socket, or host and port."""

_UNIX = re.compile(r"unix:(?://)?([^\0]+)")
_TCP = re.compile(r"(?:tcp://)?(?:\[([^]\s]+)\]|([^][:/\s]+)):([0-9]{1,5})")


def socket_address(text: str, setting: str, *, also: str = "") -> SocketAddress:
    """What *text* names.

    Raises ``ConfigError`` that begins with *setting* and tells the syntax, together with the
    further form that the caller understands *also*.
    """
    if match := _UNIX.fullmatch(text):
        return match[1]
    match = _TCP.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        syntax = f"HOST:PORT, [IPV6]:PORT or {also}" if also else "HOST:PORT or [IPV6]:PORT"
        raise ConfigError(f"{setting} {text!r} is no address: write unix:PATH, {syntax}")
    return match[1] or match[2], int(match[3])
