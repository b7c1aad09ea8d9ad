"""Values of settings as people write them: text in a shell, values of TOML or of a script.

A size is bytes, or as nginx and php-fpm write it: ``512M``, ``64k``, ``1G`` (powers of 1024). A
duration is seconds, or ``30s``, ``5m``, ``2h``, ``1d``. A mode is octal, as for ``chmod``. What
cannot be understood raises ``ValueError`` that says what to write; the caller knows where the
value came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from typing import Any, NamedTuple

from .config import Config

FIELDS = {field.name: field for field in fields(Config)}
"""Every setting by its name."""

SIZES = {"g": 1 << 30, "m": 1 << 20, "k": 1 << 10}
DURATIONS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


class Kind(NamedTuple):
    """One sort of value: how it is asked for, and read from and written as text."""

    example: str
    types: tuple[type, ...]  # of TOML and Python; text as well, where it is more than digits
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


def setting(key: str) -> Field[Any]:
    """The setting that *key* names; ``-`` and ``_`` are the same in it."""
    name = key.replace("-", "_")
    if name not in FIELDS:
        raise unknown(name, FIELDS)
    return FIELDS[name]


def unknown(name: str, known: Iterable[str]) -> ValueError:
    """The error to raise for a *name* that is not among the *known* ones."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    return ValueError(f"there is no such setting{hint}")


def kind_of(field: Field[Any]) -> Kind:
    """What sort of value a setting has."""
    return _BY_METAVAR.get(field.metadata["metavar"]) or _BY_TYPE[str(field.type)]


def from_text(field: Field[Any], text: str) -> Any:
    """The value that *text* means for a setting; several are separated by commas."""
    kind = kind_of(field)
    try:
        return kind.read(text)
    except (ValueError, KeyError):
        raise ValueError(f"write {kind.example}, not {text!r}") from None


def from_native(field: Field[Any], value: Any) -> Any:
    """The value that one of TOML, or of Python, means for a setting."""
    kind = kind_of(field)
    if value is None and field.default is None:
        return None
    if isinstance(value, str) and kind in (SIZE, DURATION, MODE):
        return from_text(field, value)
    if kind is SEVERAL:
        several = [value] if isinstance(value, str) else value
        if isinstance(several, (list, tuple)) and all(isinstance(one, str) for one in several):
            return tuple(several)
    elif isinstance(value, kind.types) and isinstance(value, bool) == (kind is BOOLEAN):
        return value
    raise ValueError(f"write {kind.example}, not {value!r}")


def to_text(field: Field[Any], value: Any) -> str:
    """What :func:`from_text` reads as *value*, in its shortest form."""
    return kind_of(field).write(value)


def _number(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise ValueError
    return int(text)


def _size(text: str) -> int:
    unit = SIZES.get(text[-1:].lower(), 0)
    return _number(text[:-1]) * unit if unit else _number(text)


def _write_size(size: int) -> str:
    for letter, unit in SIZES.items():
        if size and size % unit == 0:
            return f"{size // unit}{letter if letter == 'k' else letter.upper()}"
    return str(size)


def _duration(text: str) -> float:
    unit = DURATIONS.get(text[-1:], 0)
    return float(text[:-1]) * unit if unit else float(text)


def _write_duration(seconds: float) -> str:
    return repr(seconds).removesuffix(".0")


def _mode(text: str) -> int:
    if not re.fullmatch("(0o?)?[0-7]{1,3}", text):
        raise ValueError
    return int(text, 8)


def _several(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


BOOLEAN = Kind(
    "true or false", (bool,), lambda text: BOOLEANS[text.lower()], lambda value: str(value).lower()
)
NUMBER = Kind("a whole number", (int,), _number)
SIZE = Kind("bytes, such as 65536, 64k, 512M or 1G", (int,), _size, _write_size)
DURATION = Kind("seconds, such as 30, 0.5, 30s or 5m", (int, float), _duration, _write_duration)
MODE = Kind("a mode such as 660 (octal, at most 777)", (int,), _mode, "{:o}".format)
TEXT = Kind("a string", (str,), str)
SEVERAL = Kind("a string or several", (list, tuple), _several, ",".join)

_BY_METAVAR = {"BYTES": SIZE, "SECONDS": DURATION, "MODE": MODE}
_BY_TYPE = {
    "bool": BOOLEAN,
    "int": NUMBER,
    "int | None": NUMBER,
    "str": TEXT,
    "str | None": TEXT,
    "tuple[str, ...]": SEVERAL,
}
