"""Options derive from Config: every setting has one, in a section, with its default."""

from __future__ import annotations

import dataclasses

import click
import pytest
from click.testing import CliRunner

from fcgikit.cli.options import SECTIONS, ConfigCommand, config_options, sections
from fcgikit.config import DEFAULT, Config


def parse(*arguments: str) -> Config:
    """The settings that a command line means."""
    seen: list[Config] = []
    command = click.Command(
        "x", params=config_options(), callback=lambda **settings: seen.append(Config(**settings))
    )
    result = CliRunner().invoke(command, arguments)
    if result.exit_code:
        raise click.UsageError(result.output)
    return seen[0]


def test_without_options_the_defaults_hold() -> None:
    assert parse() == DEFAULT


def test_every_setting_is_in_a_section() -> None:
    listed = [field.name for _, fields in sections() for field in fields]
    assert listed == [field.name for field in dataclasses.fields(Config)]
    assert [title for title, _ in sections()] == list(SECTIONS.values())


def test_every_kind_of_value() -> None:
    assert parse(
        *("-b", "unix:/run/a.sock", "--bind", "[::1]:9000", "--socket-mode", "0606"),
        *(
            "--threads",
            "8",
            "--graceful-timeout",
            "2.5",
            "--script-name",
            "",
            "--log-level",
            "debug",
        ),
    ) == Config(
        bind=("unix:/run/a.sock", "[::1]:9000"),
        socket_mode=0o606,
        threads=8,
        graceful_timeout=2.5,
        script_name="",
        log_level="debug",
    )


@pytest.mark.parametrize("mode", ["888", "1777", "rw-", "-1", ""])
def test_a_mode_is_octal(mode: str) -> None:
    with pytest.raises(click.UsageError, match="not a mode such as 660"):
        parse("--socket-mode", mode)


def test_help_is_in_sections() -> None:
    command = ConfigCommand(
        "x",
        params=[click.Option(["--port"]), *config_options("bind", "threads")],
        epilog="two  spaces\n",
    )
    text = CliRunner().invoke(command, ["--help"]).output
    places = [text.index(part) for part in (
        "Where to listen:", "-b, --bind ADDRESS", "How to run the application:", "--threads N",
        "[default: 4]", "Other options:", "--port", "--help", "two  spaces",
    )]  # fmt: skip
    assert places == sorted(places)
    assert "Time limits" not in text
