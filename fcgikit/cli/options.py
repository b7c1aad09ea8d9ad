"""Command line options, derived from the fields of :class:`~fcgikit.config.Config`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ..config import Config

SECTIONS = {
    "bind": "Where to listen",
    "threads": "How to run the application",
    "workers": "The pool of workers",
    "log_level": "Logs",
    "user": "The process",
    "max_params_size": "Limits on what a peer may send",
    "header_timeout": "Time limits",
}
"""The sections of the settings: the first field of each, in Config's order, and its title."""


def octal(text: str) -> int:
    """File permissions, as ``chmod`` takes them."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise click.BadParameter(f"{text!r} is not a mode such as 660 (octal, at most 777)")
    return mode


TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "int | None": int,
    "float": float,
    "str": str,
    "str | None": str,
    "tuple[str, ...]": str,
}
"""The option type for each annotation that Config uses."""


def sections() -> list[tuple[str, list[dataclasses.Field[Any]]]]:
    """The settings that have an option, by section title."""
    result: list[tuple[str, list[dataclasses.Field[Any]]]] = []
    for field in dataclasses.fields(Config):
        if field.name in SECTIONS:
            result.append((SECTIONS[field.name], []))
        if field.metadata["flag"] != "-":
            result[-1][1].append(field)
    return result


def config_options(*names: str) -> list[click.Parameter]:
    """One option per setting, or per setting in *names*; each yields its field's name."""
    return [
        _option(field)
        for _, fields in sections()
        for field in fields
        if not names or field.name in names
    ]


def flag(field: dataclasses.Field[Any]) -> str:
    """The long option of a setting."""
    return field.metadata["flag"] or f"--{field.name.replace('_', '-')}"


def default_text(field: dataclasses.Field[Any]) -> str:
    """The default as one types it; empty where the help text tells it instead."""
    if field.default in (None, "", ()) or field.default is False:
        return ""
    return f"{field.default:o}" if _type(field) is octal else str(field.default)


def _type(field: dataclasses.Field[Any]) -> Any:
    return octal if field.metadata["metavar"] == "MODE" else TYPES[str(field.type)]


def _option(field: dataclasses.Field[Any]) -> click.Option:
    declarations = [flag(field), field.name]
    if field.metadata["short"]:
        declarations.insert(0, field.metadata["short"])
    if field.type == "bool":
        return click.Option(declarations, is_flag=True, help=field.metadata["help"])
    return click.Option(
        declarations,
        type=_type(field),
        multiple=isinstance(field.default, tuple),
        default=default_text(field) or field.default,
        show_default=bool(default_text(field)),
        metavar=field.metadata["metavar"] or None,
        help=field.metadata["help"],
    )


class ConfigCommand(click.Command):
    """A command that lists its settings by section, and its epilog as it is written."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        shown = {option.name: option.get_help_record(ctx) for option in options}
        for title, fields in sections():
            records = [shown.pop(field.name, None) for field in fields]
            _write_section(formatter, title, records)
        _write_section(formatter, "Other options", list(shown.values()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write(f"\n{self.epilog}")


def _write_section(
    formatter: click.HelpFormatter, title: str, records: list[tuple[str, str] | None]
) -> None:
    visible = [record for record in records if record is not None]
    if visible:
        with formatter.section(title):
            formatter.write_dl(visible)
