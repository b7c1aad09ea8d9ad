"""The command line of the settings, derived from the fields of :class:`~fcgikit.config.Config`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field
from typing import Any

import click
from click.core import ParameterSource

from ..values import BOOLEAN, FIELDS, SEVERAL, from_text, kind_of, to_text
from .settings import Settings

SECTIONS = {
    "bind": "Where to listen",
    "app": "How to run the application",
    "workers": "The pool of workers",
    "log_level": "Logs",
    "user": "The process",
    "max_params_size": "Limits on what a peer may send",
    "queue_timeout": "Time limits",
}
"""The sections of the settings: the first field of each, in Config's order, and its title."""

ARGUMENT = "app"
"""The setting that has no option: commands take it as their argument."""


def sections() -> list[tuple[str, list[Field[Any]]]]:
    """All settings, by section title."""
    result: list[tuple[str, list[Field[Any]]]] = []
    for field in FIELDS.values():
        if field.name in SECTIONS:
            result.append((SECTIONS[field.name], []))
        result[-1][1].append(field)
    return result


def config_options(*names: str) -> list[click.Parameter]:
    """One option per setting, or per setting in *names*; each yields its field's name."""
    return [
        _option(field)
        for field in FIELDS.values()
        if field.name != ARGUMENT and (not names or field.name in names)
    ]


def settings_options() -> list[click.Parameter]:
    """What a command takes that works with the settings of a server; see :func:`settings_of`."""
    return [
        click.Argument([ARGUMENT], nargs=-1, metavar="[MODULE:APP]"),
        *config_options(),
        click.Option(
            ["-c", "--config"],
            metavar="FILE",
            help="TOML file with settings: workers = 4. Weaker than options and FCGIKIT_WORKERS=4.",
        ),
    ]


def settings_of(ctx: click.Context) -> Settings:
    """The sources of settings of a command that has :func:`settings_options`."""
    given = {
        name: value
        for name, value in ctx.params.items()
        if name in FIELDS
        and value != ()
        and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    return Settings(given, ctx.params["config"] or "")


def flag(field: Field[Any]) -> str:
    """The long option of a setting."""
    return f"--{field.name.replace('_', '-')}"


def default_text(field: Field[Any]) -> str:
    """The default as one types it; empty where the help text tells it instead."""
    if field.default in (None, "", ()) or field.default is False:
        return ""
    return to_text(field, field.default)


def _option(field: Field[Any]) -> click.Option:
    declarations = [flag(field), field.name]
    if field.metadata["short"]:
        declarations.insert(0, field.metadata["short"])
    if kind_of(field) is BOOLEAN:
        declarations[-2] += f"/--no-{flag(field)[2:]}"
        return click.Option(declarations, default=field.default, help=field.metadata["help"])
    several = kind_of(field) is SEVERAL
    return click.Option(
        declarations,
        type=click.STRING if several else _reader(field),
        multiple=several,
        default=default_text(field) or field.default,
        show_default=bool(default_text(field)),
        metavar=field.metadata["metavar"] or None,
        help=field.metadata["help"],
    )


def _reader(field: Field[Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return from_text(field, text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return read


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
