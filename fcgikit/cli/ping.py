"""``fcgikit ping``: a health check."""

from __future__ import annotations

import time

import click

from ..client import Client, ClientError
from .request import TeachingCommand, epilog, protocol_option

EXIT_STATUSES = {
    "0": "The server has answered; with --path, with a status below 400.",
    "1": "It has not; the reason is on standard error.",
    "2": "The command line makes no sense.",
    "78": "ADDRESS is none.",
}

EPILOG = """\
Examples:
  fcgikit ping unix:/run/app.sock                       any answer of the protocol (FCGI_GET_VALUES)
  fcgikit ping unix:/run/php/php8.2-fpm.sock --path /ping         php-fpm's ping.path
  fcgikit ping 127.0.0.1:3031 --protocol uwsgi --path /health     a page of the application
"""


@click.command(
    cls=TeachingCommand,
    short_help="Check whether a server answers.",
    epilog=epilog(EPILOG, EXIT_STATUSES),
)
@click.argument("address")
@protocol_option
@click.option(
    "--path",
    metavar="PATH",
    help="Page to ask for. Default: FCGI_GET_VALUES, which asks the server and not the "
    "application; / over SCGI and uwsgi.",
)
@click.option(
    "-m", "--max-time", type=float, default=5.0, show_default=True, metavar="SECONDS",
    help="Time for the answer.",
)  # fmt: skip
def ping(address: str, protocol: str, path: str | None, max_time: float) -> int:
    """Check whether the server at ADDRESS answers, and print how long that takes.

    A page is asked for as nginx asks with its own fastcgi_params, so that php-fpm's ping.path
    and ping.response work, too.
    """
    start = time.monotonic()
    with Client(
        address, protocol=protocol, max_idle=0, connect_timeout=max_time, timeout=max_time
    ) as client:
        try:
            if path is None and protocol == "fastcgi":
                client.values()
            elif not _page(client, path or "/", protocol):
                return 1
        except (ClientError, ValueError) as error:
            click.echo(f"Error: {error}", err=True)
            return 1
    click.echo(f"{address} answers: {(time.monotonic() - start) * 1000:.1f} ms")
    return 0


def _page(client: Client, path: str, protocol: str) -> bool:
    root = "" if protocol == "fastcgi" else None  # SCRIPT_NAME, as php-fpm compares it
    with client.request("GET", path, root=root) as response:
        response.read()
    if response.status >= 400:
        click.echo(f"Error: {path} is answered {response.status} {response.reason}", err=True)
    return response.status < 400
