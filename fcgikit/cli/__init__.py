"""The command line. Each command is a module of this package, imported when it is needed."""

from __future__ import annotations

import gc
import importlib
import os
import signal
from typing import Any

import click

from .. import __version__
from ..errors import ConfigError

COMMANDS = {
    "serve": "",
    "dev": "uvicorn",
    "config": "",
    "request": "",
    "ping": "",
    "values": "",
    "status": "",
}
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
        gc.freeze()
        gc.enable()  # see __main__
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


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Say which fcgikit this is, whether its hot modules are compiled, and in which Python."""
    if not wanted:
        return
    import platform

    from .. import events

    build = "pure Python" if str(events.__file__).endswith(".py") else "compiled"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    click.echo(f"fcgikit {__version__} ({build}, {python})")
    ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Serve Python web applications over FastCGI, SCGI and uwsgi.

    \b
    fcgikit dev MODULE:APP      try an application in the browser, no web server needed
    fcgikit serve MODULE:APP    serve it behind nginx, Apache, lighttpd, Caddy or HAProxy
    fcgikit config show         the settings it would have, and where each comes from
    fcgikit request ADDRESS     ask a FastCGI, SCGI or uwsgi server as a web server would
    fcgikit ping ADDRESS        check whether one answers
    fcgikit status ADDRESS      see what a pool of workers is doing
    """
