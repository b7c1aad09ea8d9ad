"""``fcgikit serve``: applications on listening sockets until a signal stops it."""

from __future__ import annotations

from typing import Any

import click

from ..config import Config
from ..supervisor.image import Image
from .options import ConfigCommand, settings_of, settings_options
from .pool import check, go_on, run_here, run_pool, served_here
from .settings import Settings

EXIT_STATUSES = {
    "0": "Stopped by a signal.",
    "1": "Requests did not end within --graceful-timeout; or an error of fcgikit itself.",
    "2": "The command line makes no sense.",
    "3": "The application could not be imported (gunicorn's status too).",
    "64": "Only serve(app) in a script: nothing told it what to serve.",
    "78": "A setting cannot work, such as an address in use; the message names it.",
    "130": "SIGINT (Ctrl-C) has ended it at once.",
}

SIGNALS = {
    "SIGTERM, SIGQUIT": "Stop: accept no more, finish what runs within --graceful-timeout, exit.",
    "SIGINT": "Stop at once; with --workers 0 at the second Ctrl-C, and as SIGTERM at the first.",
    "SIGHUP": "Reload: new workers with new settings and new code; the old ones finish what they "
    "have. With --workers 0 as SIGTERM.",
    "SIGUSR1": "Open the log files anew; but as SIGTERM where fd 0 is the socket (libfcgi's and "
    "multiwatch's convention).",
    "SIGUSR2": "Reload, and put a new image of the program in the supervisor's place.",
    "SIGTTIN, SIGTTOU": "One worker more, one worker fewer.",
    "SIGWINCH": "Retire all workers; connections wait until SIGHUP or SIGTTIN brings them back.",
}

EPILOG = """\
Examples:
  fcgikit serve shop:app                          on 127.0.0.1:9000
  fcgikit serve shop:app shop:check               an authorizer beside it
  fcgikit serve shop.wsgi -b unix:/run/shop.sock --socket-mode 660 --socket-group www-data
  fcgikit serve 'shop:create_app("production")' -w 4 -b 0.0.0.0:9000 --allow 10.0.0.0/24
  fcgikit serve -c /etc/shop.toml                 application and all in a file
  spawn-fcgi -s /run/shop.sock -n -- /usr/bin/env fcgikit serve shop:app

nginx, with the files it comes with (likewise scgi_pass, uwsgi_pass):
  location / {
      include fastcgi_params;
      fastcgi_pass unix:/run/shop.sock;
  }
"""


def _table(title: str, rows: dict[str, str]) -> str:
    formatter = click.HelpFormatter(width=100)
    with formatter.section(title):
        formatter.write_dl(list(rows.items()))
    return formatter.getvalue()


@click.command(
    cls=ConfigCommand,
    params=settings_options(),
    short_help="Serve an application to nginx or another web server.",
    epilog="\n".join([EPILOG, _table("Signals", SIGNALS), _table("Exit statuses", EXIT_STATUSES)]),
    context_settings={"max_content_width": 100},
)
@click.option(
    "--check-config",
    is_flag=True,
    help="Read the settings and import the application, then exit: with 0 if it could serve.",
)
def serve(check_config: bool, **_: Any) -> int:
    """Serve a WSGI application to a web server over FastCGI, SCGI or uwsgi.

    MODULE:APP names it: the attribute APP of MODULE, imported from the current directory. APP
    may be dotted (site.app) or a call with literal arguments (create_app("production"));
    without APP it is called application or app. Give one more for each other FastCGI role it
    plays: an authorizer, a filter.

    Settings are options, or variables (FCGIKIT_MAX_MEMORY=512M), or lines of a TOML file
    (max_memory = "512M" in --config FILE, or in [tool.fcgikit] of pyproject.toml); what comes
    first here is the strongest. `fcgikit config show` tells what came of them. BYTES may be
    64k, 512M, 1G; SECONDS 30s, 5m, 2h.
    """
    image = Image()
    settings = settings_of(click.get_current_context())
    if image.adopted is not None:
        return go_on(lambda: _read(settings), settings.reread, image, image.adopted)
    config = _read(settings)
    if check_config:
        check(config)
        click.echo(f"{', '.join(config.app)}: settings and application are fine")
        return 0
    if served_here(config):
        return run_here(config)
    return run_pool(config, settings.reread, image)


def _read(settings: Settings) -> Config:
    config = settings.read()
    if not config.app:
        raise click.UsageError(
            "which application? Name it here (fcgikit serve MODULE:APP), in the environment "
            '(FCGIKIT_APP) or in a settings file (app = "MODULE:APP").'
        )
    return config
