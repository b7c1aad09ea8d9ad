"""The command line. Each command is a module of this package, imported when it is needed."""

from __future__ import annotations

import importlib
import os
import platform
import signal
from typing import Any

import click

from .. import __version__, events
from ..errors import ConfigError

COMMANDS = {"serve": "", "dev": "uvicorn"}
"""Each command and the optional package it cannot do without; the extra has its name."""


class ConfigFailure(click.ClickException):
    """A ``ConfigError`` on its way to the user."""

    exit_code = os.EX_CONFIG


class Commands(click.Group):
    """The commands of this package, and what becomes of their failures."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f".{cmd_name}", __name__)
        except ModuleNotFoundError as error:
            if not COMMANDS[cmd_name] or error.name != COMMANDS[cmd_name]:
                raise
            return _unavailable(cmd_name, error.name)
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it returns is the exit status."""
        try:
            status = super().invoke(ctx)
        except ConfigError as error:
            raise ConfigFailure(str(error)) from error
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        ctx.exit(status or 0)


def _unavailable(name: str, package: str) -> click.Command:
    message = f"{name} needs {package}: pip install 'fcgikit[{name}]'"

    def fail(**_: Any) -> None:
        raise click.ClickException(message)

    return click.Command(
        name,
        help=f"Not installed: {message}.",
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        callback=fail,
    )


def _build() -> str:
    """Whether the hot modules run as the source they are, or compiled."""
    return "pure Python" if str(events.__file__).endswith(".py") else "compiled"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__,
    message=f"fcgikit %(version)s ({_build()}, "
    f"{platform.python_implementation()} {platform.python_version()})",
)
def main() -> None:
    """Serve Python web applications over FastCGI, SCGI and uwsgi.

    \b
    fcgikit dev MODULE:APP      try an application in the browser, no web server needed
    fcgikit serve MODULE:APP    serve it behind nginx, Apache, lighttpd, Caddy or HAProxy
    """
