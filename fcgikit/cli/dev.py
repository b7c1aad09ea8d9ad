"""``fcgikit dev``: an application in the browser, with no web server to set up.

A worker as ``fcgikit serve`` runs it, on a private socket, and before it an HTTP server
(uvicorn) that speaks FastCGI to it: the whole journey of a request, on one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import click
import uvicorn

from ..client import AsyncClient, FastCGIApp
from ..config import Config
from ..errors import ClientError, ConfigError
from .options import config_options, flag

GRACE = 2.0
"""Seconds that running requests get when the command is stopped: somebody is waiting."""

_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(message)s"},
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": "%(asctime)s %(status_code)s  %(request_line)s",
            "datefmt": "%H:%M:%S",
        },
    },
    "handlers": {
        "plain": {"class": "logging.StreamHandler", "formatter": "plain"},
        "access": {"class": "logging.StreamHandler", "formatter": "access"},
    },
    "loggers": {
        "uvicorn.error": {"handlers": ["plain"], "level": "WARNING", "propagate": False},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        "fcgikit.client": {"handlers": ["plain"], "level": "WARNING", "propagate": False},
        # The worker has written it to the same terminal already.
        "fcgikit.client.stderr": {"level": "CRITICAL"},
    },
}


@click.command(
    params=config_options("threads", "script_name", "chdir", "pythonpath"),
    short_help="Try an application in the browser, no web server needed.",
)
@click.argument("application", metavar="MODULE:APP")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on for browsers.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="PORT",
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--log-level",
    default="warning",
    show_default=True,
    metavar="LEVEL",
    help="What the worker logs: debug, info, warning or error.",
)
def dev(application: str, host: str, port: int, log_level: str, **settings: Any) -> int:
    """Try a WSGI application in the browser: HTTP in front, FastCGI behind.

    MODULE:APP is named as for `fcgikit serve`: shop:app is the attribute app of the module shop
    in the current directory. Ctrl-C stops it. For development only; changed code is not reloaded:
    stop it and start it again.
    """
    arguments = ["--workers", "0", "--log-level", log_level, "--graceful-timeout", f"{GRACE:g}"]
    for field in dataclasses.fields(Config):
        if settings.get(field.name, field.default) != field.default:
            arguments += [flag(field), str(settings[field.name])]
    with (
        _listening(host, port) as listener,
        tempfile.TemporaryDirectory(prefix="fcgikit-") as private,
    ):
        address = f"unix:{private}/worker.sock"
        command = [sys.executable, "-m", "fcgikit", "serve", application, "--bind", address]
        return asyncio.run(_develop(listener, address, [*command, *arguments], application))


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {_url(host, port)}: {error.strerror}. "
            "Choose another --port (0 picks a free one) or --host."
        ) from error
    with listener:
        yield listener


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Front(uvicorn.Server):
    """uvicorn with nothing to say about signals: they concern the worker, too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _develop(
    listener: socket.socket, address: str, command: list[str], application: str
) -> int:
    """Run worker and front until a signal, or until the worker ends; the exit status.

    A second signal means: do not wait for anything that runs.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def hear() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, hear)
    worker = await asyncio.create_subprocess_exec(*command)
    ended = asyncio.create_task(worker.wait())
    stopped = asyncio.create_task(stop.wait())
    hurried = asyncio.create_task(hurry.wait())
    ready = asyncio.create_task(_ready(address))
    served = False
    try:
        await asyncio.wait((ready, ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        served = ready.done() and not stop.is_set()
        if served:
            await ready
            click.echo(f"{application} on {_url(*listener.getsockname()[:2])} (Ctrl-C stops it)")
            await _serve(listener, address, worker, ended, stopped, hurried)
    finally:
        await _end(worker, ended, hurried)
        for task in (ready, stopped, hurried):
            task.cancel()
    if stop.is_set():
        return 0
    if served:
        click.echo(f"The worker has ended ({_cause(ended.result())}): stopping.", err=True)
    return ended.result() if ended.result() > 0 else 1


async def _ready(address: str) -> None:
    """Return when the worker answers on *address*: it has imported the application by then."""
    async with AsyncClient(address) as client:
        while True:
            try:
                await client.values()
                return
            except ClientError:  # the socket is not there yet, or no longer
                await asyncio.sleep(0.02)


async def _serve(
    listener: socket.socket,
    address: str,
    worker: asyncio.subprocess.Process,
    ended: asyncio.Task[int],
    stopped: asyncio.Task[Any],
    hurried: asyncio.Task[Any],
) -> None:
    app = FastCGIApp(address, read_timeout=None, explain=True)  # a debugger takes its time
    server = _Front(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=_LOGGING,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=64 * 1024,
            timeout_graceful_shutdown=int(GRACE) + 1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait((serving, ended, stopped), return_when=asyncio.FIRST_COMPLETED)
    # What breaks off from here on was asked for, and is no news.
    for name in ("uvicorn.error", "fcgikit.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not ended.done():
        worker.terminate()
    server.should_exit = True
    await asyncio.wait((serving, hurried), return_when=asyncio.FIRST_COMPLETED)
    if hurried.done():
        server.force_exit = True
        if not ended.done():
            worker.kill()  # what still runs then breaks off, and its connections close
    await serving
    await app.aclose()


async def _end(
    worker: asyncio.subprocess.Process, ended: asyncio.Task[int], hurried: asyncio.Task[Any]
) -> None:
    """Leave no worker behind, nor wait for one that does not obey."""
    if not ended.done():
        worker.terminate()
        await asyncio.wait(
            (ended, hurried), timeout=GRACE + 1, return_when=asyncio.FIRST_COMPLETED
        )
    if not ended.done():
        worker.kill()
        await ended


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
