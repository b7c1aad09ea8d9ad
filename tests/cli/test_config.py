"""``fcgikit config``: what is shown can be read again, and what cannot work is told."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import tomllib
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner, Result
from hypothesis import given

from fcgikit.cli import main
from fcgikit.cli.options import ARGUMENT, flag
from fcgikit.cli.settings import Settings
from fcgikit.config import Config
from fcgikit.values import BOOLEAN, FIELDS, SEVERAL, kind_of, to_text
from tests.strategies import settings


def run(*arguments: str, **environ: str) -> Result:
    """``fcgikit config`` in an empty directory."""
    runner = CliRunner()
    outside: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("FCGIKIT_")
    }
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        Path("settings.toml").write_text('max-memory = "512M"\nscript_name = ""\n')
        return runner.invoke(main, ["config", *arguments], env={**outside, **environ})


def test_it_shows_where_each_setting_comes_from() -> None:
    result = run(
        *("show", "--changed", "shop:app", "-c", "settings.toml", "-b", ":1", "-b", ":2"),
        FCGIKIT_TIMEOUT="90s",
    )
    assert result.exit_code == 0
    lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
    table = {line[0]: (line[1], line[2].strip()) for line in lines if len(line) > 2}
    assert table["bind"] == (":1,:2", "command line")
    assert table["app"] == ("shop:app", "command line")
    assert table["timeout"] == ("90", "environment FCGIKIT_TIMEOUT")
    assert table["max_memory"][0] == "512M"
    assert table["max_memory"][1].endswith("/settings.toml")
    assert table["script_name"][0] == "''"
    assert "backlog" not in result.output


def test_without_any_setting_only_defaults_are_shown() -> None:
    result = run("show")
    assert result.exit_code == 0
    for name in FIELDS:
        (line,) = [each for each in result.output.splitlines() if f" {name} " in f" {each} "]
        assert line.endswith(" default")
    assert run("show", "--changed").output.strip() == ""
    assert tomllib.loads(run("show", "--format", "toml").output) == {}


def test_json_is_for_programs() -> None:
    result = run("show", "-w", "2", "--format", "json")
    shown = json.loads(result.output)
    assert shown["workers"] == {"value": 2, "from": "command line"}
    assert shown["socket_mode"] == {"value": "660", "from": "default"}
    assert shown["bind"] == {"value": [], "from": "default"}
    assert set(shown) == set(FIELDS)


def on_the_command_line(config: Config) -> list[str]:
    """The arguments that mean *config*."""
    arguments = []
    for name, field in FIELDS.items():
        value = getattr(config, name)
        if name == ARGUMENT or value == field.default:
            continue
        if kind_of(field) is BOOLEAN:
            arguments.append(flag(field))
        elif kind_of(field) is SEVERAL:
            arguments += [f"{flag(field)}={each}" for each in value]
        else:
            arguments.append(f"{flag(field)}={to_text(field, value)}")
    return [*arguments, "--", *config.app]


@given(settings())
def test_settings_survive_command_line_file_and_environment(config: Config) -> None:
    result = run("show", "--format", "toml", *on_the_command_line(config))
    assert result.exit_code == 0, result.output
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "s.toml").write_text(result.output, encoding="utf-8")
        again = Settings({}, "s.toml", directory).read()
    assert again == config
    environ = {
        f"FCGIKIT_{name.upper()}": to_text(field, getattr(config, name))
        for name, field in FIELDS.items()
        if getattr(config, name) is not None
    }
    with mock.patch.dict(os.environ, environ):
        assert Settings({}, directory=os.devnull).read() == config


def test_the_command_line_can_also_say_no() -> None:
    result = run("show", "--changed", "--no-preload", FCGIKIT_PRELOAD="1")
    assert "preload  false  command line" in result.output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["check"], 0, "the settings can work"),
        (["check", "shop:app", "-w", "4", "--pm", "dynamic"], 0, "can work"),
        (["check", "-c", "absent.toml"], 78, "absent.toml: No such file"),
        (["check", "--threads", "0"], 78, "threads must be at least 1"),
        (["show", "--threads", "0"], 78, "threads must be at least 1"),
        (["check", "--threads", "x"], 2, "whole number"),
    ],
)
def test_a_check_says_by_its_status_whether_settings_work(
    arguments: list[str], status: int, message: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == status
    assert message in result.output


def test_the_help_leaves_the_settings_to_serve() -> None:
    text = run("show", "--help").output
    assert "--format" in text
    assert "fcgikit serve" in text
    assert "--bind" not in text
