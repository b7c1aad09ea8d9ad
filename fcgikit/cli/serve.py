"""``fcgikit serve``: applications on listening sockets until a signal stops it."""

from __future__ import annotations

import logging
from typing import Any

import click

from ..config import Config
from ..server.sockets import listening
from ..server.start import run
from .load import load, prepare
from .options import ConfigCommand, config_options

EXIT_STATUSES = {
    "0": "Stopped by a signal.",
    "1": "Requests did not end within --graceful-timeout; or an error of fcgikit itself.",
    "2": "The command line makes no sense.",
    "3": "The application could not be imported (gunicorn's status too).",
    "64": "Only serve(app) in a script: nothing told it what to serve.",
    "78": "A setting cannot work, such as an address in use; the message names it.",
    "130": "Ctrl-C before serving had begun, or a second one.",
}

SIGNALS = {
    "SIGTERM, SIGINT, SIGHUP": "Stop accepting, finish what runs within --graceful-timeout, exit. "
    "A second Ctrl-C ends at once.",
    "SIGUSR1": "The same, when the socket was inherited (libfcgi's and multiwatch's convention).",
}

EPILOG = """\
Examples:
  fcgikit serve shop:app                          on 127.0.0.1:9000
  fcgikit serve shop:app shop:check               an authorizer beside it
  fcgikit serve shop.wsgi -b unix:/run/shop.sock --socket-mode 660 --socket-group www-data
  fcgikit serve 'shop:create_app("production")' --threads 8 -b 0.0.0.0:9000 --allow 10.0.0.0/24
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
    params=config_options(),
    short_help="Serve an application to nginx or another web server.",
    epilog="\n".join([EPILOG, _table("Signals", SIGNALS), _table("Exit statuses", EXIT_STATUSES)]),
)
@click.argument("applications", metavar="MODULE:APP...", nargs=-1, required=True)
def serve(applications: tuple[str, ...], **settings: Any) -> int:
    """Serve a WSGI application to a web server over FastCGI, SCGI or uwsgi.

    MODULE:APP names it: the attribute APP of MODULE, imported from the current directory. APP
    may be dotted (site.app) or a call with literal arguments (create_app("production"));
    without APP it is called application or app. Give one more for each other FastCGI role it
    plays: an authorizer, a filter.
    """
    config = Config(**settings)
    configure_logging(config.log_level)
    prepare(config.chdir, config.pythonpath)
    # First the sockets: requests wait in the backlog while a large application is imported.
    with listening(config) as listeners:
        apps = [load(application) for application in applications]
        configure_logging(config.log_level)
        return run(apps, listeners, config, ", ".join(applications))


def configure_logging(level: str) -> None:
    """Send what fcgikit logs to standard error, one line each, in gunicorn's form.

    Again after the application's import: its own ``dictConfig`` disables loggers it finds.
    """
    logger = logging.getLogger("fcgikit")
    logger.setLevel(level.upper())
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(
            logging.Formatter(
                "%(asctime)s [%(process)d] %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S %z"
            )
        )
        logger.addHandler(handler)
    for name in list(logging.root.manager.loggerDict):
        if name == "fcgikit" or name.startswith("fcgikit."):
            logging.getLogger(name).disabled = False
