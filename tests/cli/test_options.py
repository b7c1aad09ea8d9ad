"""Options derive from Config: every setting has one, in a section, with its default."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fcgikit.cli.options import (
    SECTIONS,
    ConfigCommand,
    config_options,
    sections,
    settings_of,
    settings_options,
)
from fcgikit.cli.settings import Settings
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
    assert {param.name for param in settings_options()} == {*listed, "config"}
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
    with pytest.raises(click.UsageError, match="write a mode such as 660"):
        parse("--socket-mode", mode)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["shop:app"], {"app": ("shop:app",)}),
        (["--threads", "4"], {"threads": 4}),  # the default, and yet somebody's word
        (["--no-preload"], {"preload": False}),
        (["-b", ":1", "-b", ":2"], {"bind": (":1", ":2")}),
        (["--max-memory", "1G"], {"max_memory": 1 << 30}),
    ],
)
def test_only_what_was_said_counts(arguments: list[str], expected: dict[str, Any]) -> None:
    seen: list[Settings] = []

    def callback(**_: Any) -> None:
        seen.append(settings_of(click.get_current_context()))

    command = click.Command("x", params=settings_options(), callback=callback)
    assert CliRunner().invoke(command, [*arguments, "-c", "s.toml"]).exit_code == 0
    assert (seen[0].given, seen[0].file) == (expected, "s.toml")


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
