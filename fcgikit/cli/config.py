"""``fcgikit config``: the settings that ``fcgikit serve`` would have, and where they come from."""

from __future__ import annotations

import json
from dataclasses import Field
from typing import Any, NamedTuple, TypeAlias

import click

from ..values import BOOLEAN, DURATION, FIELDS, MODE, NUMBER, SEVERAL, SIZE, kind_of, to_text
from .options import sections, settings_of, settings_options

DEFAULT = "default"
"""Where a setting comes from that nobody has made."""


class Line(NamedTuple):
    """A setting, its effective value and where that comes from."""

    field: Field[Any]
    value: Any
    origin: str

    @property
    def is_unset(self) -> bool:
        """Whether it has no value; the reference says what holds then."""
        return self.origin == DEFAULT and self.value in (None, "", ())


Section: TypeAlias = tuple[str, list[Line]]
"""A title and the settings below it."""


class SettingsCommand(click.Command):
    """A command whose help leaves the settings to that of ``fcgikit serve``."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if param.name not in FIELDS]
        records = filter(None, (option.get_help_record(ctx) for option in options))
        with formatter.section("Options"):
            formatter.write_dl(list(records))


@click.group(short_help="Show or check the settings that `fcgikit serve` would have.")
def config() -> None:
    """Show or check the settings that `fcgikit serve` would have.

    The commands take the arguments and options of `fcgikit serve`, and read the same variables
    and files.
    """


@config.command(
    cls=SettingsCommand,
    params=settings_options(),
    short_help="Print the settings and where each comes from.",
)
@click.option(
    "--all/--changed", "everything", default=True, help="All settings, or those that were set."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "toml", "json"]),
    default="text",
    show_default=True,
    help="toml is a settings file: fcgikit config show --format toml > settings.toml",
)
def show(everything: bool, form: str, **_: Any) -> None:
    """Print the effective settings, and where each comes from: the command line, the
    environment, a file or the default.

    Takes every option of `fcgikit serve`, too: see its help.
    """
    shown = [
        (title, [line for line in lines if everything or line.origin != DEFAULT])
        for title, lines in _effective()
    ]
    click.echo(
        {"text": _text, "toml": _toml, "json": _json}[form]([one for one in shown if one[1]])
    )


@config.command(
    cls=SettingsCommand, params=settings_options(), short_help="Say whether the settings can work."
)
def check(**_: Any) -> None:
    """Read the settings and exit with 0, or with 78 and the reason why they cannot work.

    Takes every option of `fcgikit serve`, too: see its help. `fcgikit serve --check-config` also
    imports the application.
    """
    _effective()
    click.echo("the settings can work")


def _effective() -> list[Section]:
    settings = settings_of(click.get_current_context())
    config, found = settings.read(), settings.found()

    def line(field: Field[Any]) -> Line:
        origin = found[field.name].origin if field.name in found else DEFAULT
        return Line(field, getattr(config, field.name), origin)

    return [(title, [line(field) for field in fields]) for title, fields in sections()]


def _text(shown: list[Section]) -> str:
    rows = [(line.field.name, _shown(line)) for _, lines in shown for line in lines]
    names = max((len(name) for name, _ in rows), default=0)
    values = min(max((len(value) for _, value in rows), default=0), 40)
    parts = []
    for title, lines in shown:
        parts.append(f"{title}:")
        for line in lines:
            parts.append(f"  {line.field.name:{names}}  {_shown(line):{values}}  {line.origin}")
        parts.append("")
    return "\n".join(parts).rstrip()


def _shown(line: Line) -> str:
    return "" if line.is_unset else to_text(line.field, line.value) or "''"


def _toml(shown: list[Section]) -> str:
    parts = []
    for title, lines in shown:
        parts.append(f"# -- {title}")
        for line in lines:
            text = f"{line.field.name} = {_toml_value(line)}".rstrip()
            # A default is only a remark: who keeps the file gets those of later versions.
            parts.append(f"# {text}" if line.origin == DEFAULT else f"{text}  # {line.origin}")
        parts.append("")
    return "\n".join(parts).rstrip()


def _toml_value(line: Line) -> str:
    if line.is_unset:
        return ""
    kind, text = kind_of(line.field), to_text(line.field, line.value)
    if kind is SEVERAL:
        values = [_quoted(value) for value in line.value]
        return values[0] if len(values) == 1 else f"[{', '.join(values)}]"
    plain = kind is BOOLEAN or kind is NUMBER or kind is DURATION
    return text if plain or (kind is SIZE and text.isdecimal()) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _json(shown: list[Section]) -> str:
    settings = {
        line.field.name: {
            "value": to_text(line.field, line.value)
            if kind_of(line.field) is MODE and line.value is not None
            else line.value,
            "from": line.origin,
        }
        for _, lines in shown
        for line in lines
    }
    return json.dumps(settings, indent=2)
