"""``fcgikit values``: what a FastCGI server says of itself."""

from __future__ import annotations

import click

from ..client import Client, ClientError
from .request import Failure, TeachingCommand, epilog, status_of

EXIT_STATUSES = {
    "0": "It has answered.",
    "2": "The command line makes no sense.",
    "7": "No connection to ADDRESS.",
    "8": "What came back breaks the protocol.",
    "28": "No answer within --max-time.",
    "52": "The server closed the connection instead.",
    "78": "ADDRESS is none.",
}

EPILOG = """\
Examples:
  fcgikit values unix:/run/app.sock
  fcgikit values 127.0.0.1:9000 FCGI_MPXS_CONNS

Not every server knows them: docs/client.md has a table.
"""


@click.command(
    cls=TeachingCommand,
    short_help="Ask a FastCGI server for its limits.",
    epilog=epilog(EPILOG, EXIT_STATUSES),
)
@click.argument("address")
@click.argument("names", nargs=-1)
@click.option(
    "-m", "--max-time", type=float, default=5.0, show_default=True, metavar="SECONDS",
    help="Time for the answer.",
)  # fmt: skip
def values(address: str, names: tuple[str, ...], max_time: float) -> int:
    """Ask the server at ADDRESS for FCGI_MAX_CONNS, FCGI_MAX_REQS and FCGI_MPXS_CONNS.

    Or for NAMES. One line NAME=VALUE for each that the server knows; FastCGI only.
    """
    with Client(address, connect_timeout=max_time, timeout=max_time) as client:
        try:
            answer = client.values(*names)
        except ClientError as error:
            raise Failure(str(error), status_of(error)) from error
    for name, value in answer.items():
        click.echo(f"{name}={value}")
    return 0
