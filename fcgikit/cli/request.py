"""``fcgikit request``: one request to a FastCGI, SCGI or uwsgi server, in curl's words."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import click

from ..client import (
    Client,
    ClientError,
    ClientTimeout,
    ConnectFailed,
    Rejected,
    Response,
    Truncated,
)
from ..client.outgoing import Arguments, Content
from ..errors import LocalProtocolError
from ..events import Diagnostic, Event
from .wire import describe

EXIT_STATUSES = {
    "0": "An answer has come, whatever its HTTP status.",
    "2": "The command line makes no sense.",
    "3": "PATH, a header or a body makes no request, or none that the protocol can carry.",
    "7": "No connection to ADDRESS.",
    "8": "What came back breaks the protocol.",
    "18": "The answer broke off.",
    "22": "With --fail: the HTTP status is 400 or more.",
    "23": "The output cannot be written.",
    "26": "A file to be sent cannot be read.",
    "28": "--max-time or --connect-timeout is over.",
    "52": "The server closed the connection without an answer.",
    "56": "The server refused the request: FCGI_OVERLOADED, FCGI_UNKNOWN_ROLE, FCGI_CANT_MPX_CONN.",
    "78": "ADDRESS is none.",
}
"""curl's numbers, where curl has one."""

EPILOG = """\
Examples:
  An application of fcgikit, uWSGI or flup:
    fcgikit request unix:/run/app.sock '/search?q=x'
  A script of php-fpm:
    fcgikit request --root /srv/www unix:/run/php/php8.2-fpm.sock /index.php
  A form, with the head of the answer; a file; all that goes over the wire:
    fcgikit request -i -d name=Ann -d city=Oslo 127.0.0.1:9000 /form
    fcgikit request -T photo.jpg -H 'Content-Type: image/jpeg' unix:/run/app.sock /photos/1
    fcgikit request -v --role authorizer --param REMOTE_USER=ann unix:/run/auth.sock /private
  A filter and the file it works on:
    fcgikit request --role filter --data-file page.html unix:/run/filter.sock /page.html
  In a script:
    fcgikit request --protocol uwsgi -f -s -o /dev/null 127.0.0.1:3031 /health && echo healthy
"""


class Failure(click.ClickException):
    """What went wrong, and the exit status that says so."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_code = status  # type: ignore[misc] # of a class, click thinks


def status_of(error: ClientError, *, answered: bool = False) -> int:
    """The exit status for a request that failed; *answered*: after its head."""
    if isinstance(error, ConnectFailed):
        return 7
    if isinstance(error, ClientTimeout):
        return 28
    if isinstance(error, Rejected):
        return 56
    if isinstance(error, Truncated):
        return 18 if answered else 52
    return 8


def protocol_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that all commands of the client have."""
    return click.option(
        "--protocol",
        type=click.Choice(["fastcgi", "scgi", "uwsgi"]),
        default="fastcgi",
        show_default=True,
        help="What the server speaks.",
    )(command)


class TeachingCommand(click.Command):
    """A command whose epilog, with its examples, is shown as it is written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\n{self.epilog}")


def epilog(examples: str, statuses: dict[str, str]) -> str:
    """Examples, and a table of exit statuses."""
    formatter = click.HelpFormatter(width=100)
    with formatter.section("Exit statuses"):
        formatter.write_dl(list(statuses.items()))
    return f"{examples}\n{formatter.getvalue()}"


@click.command(
    cls=TeachingCommand,
    short_help="Send one request to a server, with curl's options.",
    epilog=epilog(EPILOG, EXIT_STATUSES),
)
@click.argument("address")
@click.argument("path", default="/")
@click.option(
    "-X",
    "--request",
    "method",
    metavar="METHOD",
    help="Method. Default: GET, or as -d, -T, -I say.",
)
@click.option(
    "-d",
    "--data",
    multiple=True,
    metavar="DATA",
    help="Body of a POST; @FILE: a file without its line breaks, @-: standard input. "
    "Repeated ones are joined with &.",
)
@click.option(
    "--data-binary", multiple=True, metavar="DATA", help="As -d; a file is sent as it is."
)
@click.option("-T", "--upload-file", metavar="FILE", help="Body of a PUT; -: standard input.")
@click.option("-H", "--header", multiple=True, metavar="LINE", help="A header, 'Name: value'.")
@click.option(
    "--param", multiple=True, metavar="NAME=VALUE", help="A further CGI variable; it wins."
)
@click.option(
    "--role",
    type=click.Choice(["responder", "authorizer", "filter"]),
    default="responder",
    show_default=True,
    help="The FastCGI role.",
)
@click.option("--data-file", metavar="FILE", help="The file that a filter works on.")
@protocol_option
@click.option(
    "--root",
    metavar="DIR",
    help="Directory of the scripts, for php-fpm and fcgiwrap: PATH names one (SCRIPT_FILENAME).",
)
@click.option(
    "--script-name", default="", metavar="PREFIX", help="The part of PATH that is SCRIPT_NAME."
)
@click.option("-i", "--include", is_flag=True, help="Show the head of the answer, too.")
@click.option("-I", "--head", is_flag=True, help="HEAD: show the head alone.")
@click.option("-v", "--verbose", is_flag=True, help="Tell what is sent (>) and received (<).")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where the body goes.")
@click.option("-s", "--silent", is_flag=True, help="No errors, neither ours nor the application's.")
@click.option(
    "-f", "--fail", is_flag=True, help="Exit with 22 for a status of 400 or more; no body."
)
@click.option("-m", "--max-time", type=float, metavar="SECONDS", help="Time for all of it.")
@click.option(
    "--connect-timeout", type=float, default=5.0, show_default=True, metavar="SECONDS",
    help="Time to connect.",
)  # fmt: skip
def request(address: str, path: str, silent: bool, **options: Any) -> int:
    """Send one request to the server at ADDRESS and show the answer.

    ADDRESS is unix:PATH, HOST:PORT or [IPV6]:PORT. PATH is the path and query of a URL, or a URL.
    What the application writes to its error stream goes to standard error.
    """
    try:
        return _perform(address, path, silent, options)
    except Failure as failure:
        if silent:
            return failure.exit_code
        raise


def _perform(address: str, path: str, silent: bool, options: dict[str, Any]) -> int:
    client = Client(
        address,
        protocol=options["protocol"],
        max_idle=0,
        connect_timeout=options["connect_timeout"],
        read_timeout=None,
        timeout=options["max_time"],
        trace=_teller(verbose=options["verbose"], silent=silent),
    )
    answered = False
    with client, contextlib.ExitStack() as files:
        method, arguments = _arguments(options, files)
        try:
            with client.request(method, path, **arguments) as response:
                answered = True
                if options["fail"] and response.status >= 400:
                    raise Failure(f"HTTP status {response.status} {response.reason}", 22)
                _show(response, options)
        except ClientError as error:
            raise Failure(str(error), status_of(error, answered=answered)) from error
        except (ValueError, LocalProtocolError) as error:
            raise Failure(str(error), 3) from error
    return 0


def _arguments(options: dict[str, Any], files: contextlib.ExitStack) -> tuple[str, Arguments]:
    """The method, and what else makes the request."""
    headers = [_split(line, ":", "-H") for line in options["header"]]
    body: Content | None = None
    method = "GET"
    if options["data"] or options["data_binary"]:
        if options["upload_file"]:
            raise click.UsageError("-d and -T are two bodies; a request has one")
        pieces = [_data(text, files, strip=True) for text in options["data"]]
        pieces += [_data(text, files, strip=False) for text in options["data_binary"]]
        method, body = "POST", b"&".join(pieces)
        if "content-type" not in {name.lower() for name, _ in headers}:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    elif options["upload_file"]:
        method, body = "PUT", _opened(options["upload_file"], files)
    arguments: Arguments = {
        "headers": headers,
        "body": body,
        "params": dict(_split(text, "=", "--param") for text in options["param"]),
        "role": options["role"],
        "root": options["root"],
        "script_name": options["script_name"],
    }
    if options["data_file"]:
        file = _opened(options["data_file"], files)
        arguments["data"] = file
        arguments["data_modified"] = int(os.fstat(file.fileno()).st_mtime)
    return options["method"] or ("HEAD" if options["head"] else method), arguments


def _split(text: str, mark: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found or not name:
        raise click.UsageError(f"{option} {text!r}: write NAME{mark}VALUE")
    return name.strip(), value.strip() if mark == ":" else value


def _data(text: str, files: contextlib.ExitStack, *, strip: bool) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    data = _opened(text[1:], files).read()
    return data.translate(None, b"\r\n\0") if strip else data


def _opened(name: str, files: contextlib.ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return files.enter_context(open(name, "rb"))
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}", 26) from error


def _show(response: Response, options: dict[str, Any]) -> None:
    with _writing(options["output"]) as output:
        if options["include"] or options["head"]:
            lines = [f"Status: {response.status} {response.reason}"]
            lines += [f"{name}: {value}" for name, value in response.headers.items()]
            output.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for piece in response:
            output.write(piece)
            output.flush()


@contextlib.contextmanager
def _writing(name: str) -> Iterator[BinaryIO]:
    try:
        if name == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with open(name, "wb") as file:
                yield file
    except OSError as error:
        if isinstance(error, TimeoutError):  # the client's
            raise
        raise Failure(f"{name}: {error.strerror}", 23) from error


def _teller(*, verbose: bool, silent: bool) -> Callable[[str, Event], None]:
    within_line = False  # php-fpm's messages have no line break

    def tell(direction: str, event: Event) -> None:
        nonlocal within_line
        if within_line and (verbose or not isinstance(event, Diagnostic)):
            click.echo(err=True)
            within_line = False
        if verbose:
            for line in describe(event):
                click.echo(f"{direction} {line}", err=True)
        if isinstance(event, Diagnostic) and not silent:
            click.echo(event.data, nl=False, err=True)
            within_line = not event.data.endswith(b"\n")

    return tell
