"""``fcgikit status``: what a pool is doing."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import click

from ..addresses import socket_address
from .request import Failure, TeachingCommand, epilog

EXIT_STATUSES = {
    "0": "It has answered.",
    "2": "The command line makes no sense.",
    "7": "No connection to ADDRESS.",
    "8": "What came back is no status.",
    "28": "No answer within --max-time.",
    "78": "ADDRESS is none.",
}

EPILOG = """\
Examples:
  fcgikit serve shop:app --workers 4 --status unix:/run/shop-status.sock
  fcgikit status unix:/run/shop-status.sock
  fcgikit status unix:/run/shop-status.sock --json | jq .active_processes
"""

INTERVAL = 1.0
"""Seconds between two looks with ``--watch``."""

LARGEST = 64 << 20
"""Bytes of a document; a pool of hundreds of workers, all busy, needs a tenth of that."""

_HEADINGS = ("SLOT", "PID", "GEN", "PHASE", "BUSY", "REQUESTS", "CONNECTIONS", "MEMORY", "UP")
_TEXTS = ("PHASE",)


@click.command(
    cls=TeachingCommand,
    short_help="Show what a pool of workers is doing.",
    epilog=epilog(EPILOG, EXIT_STATUSES),
)
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print the document as it is, for programs.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.option(
    "-m", "--max-time", type=float, default=5.0, show_default=True, metavar="SECONDS",
    help="Time for the answer.",
)  # fmt: skip
def status(address: str, as_json: bool, watch: bool, max_time: float) -> int:
    """Show the state of a pool that was started with --status ADDRESS.

    The supervisor answers, even while every worker is busy or stuck.
    """
    while True:
        told = _ask(address, max_time)
        if as_json:
            text = json.dumps(told, indent=None if watch else 2)
        else:
            try:
                text = table(told)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise Failure(f"{address} tells no status of a pool", 8) from error
        if watch and not as_json:
            click.clear()
        click.echo(text)
        if not watch:
            return 0
        time.sleep(INTERVAL)


def _ask(address: str, timeout: float) -> Any:
    """The document that *address* tells. Raises ``ConfigError`` and ``Failure``."""
    target = socket_address(address, "ADDRESS")
    family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
    if not isinstance(target, str) and ":" in target[0]:
        family = socket.AF_INET6
    deadline = time.monotonic() + timeout
    data = bytearray()
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(target)
        except OSError as error:
            raise Failure(f"no connection to {address}: {error.strerror or error}", 7) from error
        try:
            while piece := connection.recv(1 << 16):
                data += piece
                if len(data) > LARGEST:
                    raise Failure(f"{address} does not stop telling", 8)
                connection.settimeout(max(0.001, deadline - time.monotonic()))
        except TimeoutError as error:
            raise Failure(f"{address} has not answered within {timeout:g} s", 28) from error
        except OSError as error:
            raise Failure(f"{address}: {error.strerror}", 8) from error
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{address} tells no status of a pool", 8) from error


def table(told: dict[str, Any]) -> str:
    """The document for people. Whoever tells it, and what URLs he tells: only text is printed."""
    queue, most = told["listen_queue"], told["listen_queue_len"]
    lines = [
        f"fcgikit {told['version']}, supervisor {told['pid']}: {told['state']}, "
        f"generation {told['generation']}, {told['process_manager']}, "
        f"up {_duration(told['start_since'])}",
        f"{told['total_processes']} processes of at most {told['max_children']}: "
        f"{told['active_processes']} active, {told['idle_processes']} idle"
        + (f"; too few {_times(reached)}" if (reached := told["max_children_reached"]) else ""),
        f"{told['requests']} requests, {told['slow_requests']} of them slow; "
        f"{told['connections']} connections"
        + (f"; {queue} of at most {most} wait to be accepted" if queue is not None else ""),
        "",
    ]
    rows = [_cells(one, told["threads"]) for one in told["processes"]]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines.append(_row(_HEADINGS, widths))
    for one, cells in zip(told["processes"], rows, strict=True):
        lines.append(_row(cells, widths))
        for request in one["running"]:
            age = request["request_duration"]
            lines.append(f"      {_age(age)}  {request['request']}")
    return "\n".join(map(_plain, lines))


def _cells(one: dict[str, Any], threads: int) -> tuple[str, ...]:
    rss = one["rss"]
    return (
        str(one["slot"]),
        str(one["pid"]),
        str(one["generation"]),
        str(one["phase"]),
        f"{one['busy']}/{threads}",
        str(one["requests"]),
        str(one["connections"]),
        "-" if rss is None else f"{rss / (1 << 20):.1f}M",
        _duration(one["start_since"]),
    )


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(
        cell.ljust(width) if heading in _TEXTS else cell.rjust(width)
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    )


def _duration(seconds: int) -> str:
    hours, rest = divmod(int(seconds), 3600)
    days, hours = divmod(hours, 24)
    return f"{days}d " * bool(days) + f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _age(seconds: float | None) -> str:
    return "       -" if seconds is None else f"{seconds:6.1f} s"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _plain(line: str) -> str:
    """*line* with everything escaped that a terminal might obey."""
    return "".join(
        char if " " <= char <= "~" else char.encode("unicode_escape").decode() for char in line
    )
