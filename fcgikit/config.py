"""Every setting, once: name, type, default and the reason for it.

The command line, the environment, settings files, the reference page (``docs/reference.md``) and
the error messages derive from the fields of :class:`Config`. Sizes are bytes, durations seconds;
:mod:`fcgikit.values` reads them as people write them. Where gunicorn or php-fpm has a name for
the same thing, it is used.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError


def option(
    default: Any,
    help: str,
    why: str = "",
    *,
    metavar: str = "",
    short: str = "",
    choices: tuple[str, ...] = (),
    reload: bool = True,
    script: bool = True,
) -> Any:
    """A field: *help* is what ``--help`` says of it, *why* the rest, for the reference page.

    *choices* are the only values it may have. Without *reload* a change waits for a restart;
    without *script* the setting belongs to the command line and not to ``serve(app)``.
    """
    metadata: dict[str, Any] = {"help": help, "why": why, "metavar": metavar, "short": short}
    metadata |= {"choices": choices, "reload": reload, "script": script}
    return dataclasses.field(default=default, metadata=metadata)


_fixed = functools.partial(option, reload=False)
_command = functools.partial(option, script=False)
_process = functools.partial(option, reload=False, script=False)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The effective settings of one server. Immutable; use :func:`dataclasses.replace`."""

    # -- where to listen ------------------------------------------------------------------
    bind: tuple[str, ...] = _fixed(
        (),
        "Address to listen on: unix:PATH, HOST:PORT, [IPV6]:PORT or fd://N. Repeatable. "
        "Default: the sockets this process was given (LISTEN_FDS, or fd 0), else 127.0.0.1:9000.",
        metavar="ADDRESS",
        short="-b",
    )
    protocol: str = _fixed(
        "auto",
        "fastcgi, scgi, uwsgi, or auto: tell them apart by a connection's first byte.",
        metavar="NAME",
        choices=("auto", "fastcgi", "scgi", "uwsgi"),
    )
    backlog: int = _fixed(
        2048, "Connections the kernel may queue before we accept them.", metavar="N"
    )
    allow: tuple[str, ...] = _fixed(
        (),
        "Network (CIDR) whose web servers may connect over TCP. Repeatable. Needed for any bind "
        "address that is not loopback.",
        "Whoever reaches the socket can set every CGI variable.",
        metavar="CIDR",
    )
    socket_mode: int = _fixed(
        0o660,
        "Permissions of a Unix socket, octal, whatever the umask.",
        "php-fpm's listen.mode and its default. Whoever may write may connect, and can set every "
        "CGI variable.",
        metavar="MODE",
    )
    socket_owner: str = _fixed(
        "", "User that shall own a Unix socket. Default: who we run as.", metavar="USER"
    )
    socket_group: str = _fixed(
        "",
        "Group that shall own a Unix socket, e.g. www-data. Default: the group we run as.",
        "A web server that may not connect answers 502.",
        metavar="GROUP",
    )

    # -- how to run the application -------------------------------------------------------
    app: tuple[str, ...] = _command(
        (), "The application, MODULE:APP; the argument of the command line.", metavar="MODULE:APP"
    )
    threads: int = option(4, "Threads that run the application.", metavar="N")
    script_name: str | None = option(
        None,
        "URL prefix the application is mounted under; '' for the root. Default: as the front end "
        "says.",
        "What the front end says is repaired where its stock configuration is known to be wrong.",
        metavar="PREFIX",
    )
    chdir: str = _command("", "Directory to change to before importing.", metavar="DIR")
    pythonpath: str = _command(
        "", "Directories to put in front of sys.path, comma-separated.", metavar="DIRS"
    )
    graceful_timeout: float = option(
        30.0, "Time running requests get to finish after a stop signal.", metavar="SECONDS"
    )

    # -- the pool of workers --------------------------------------------------------------
    workers: int | None = _command(
        None,
        "Worker processes: exactly so many with --pm static, at most so many otherwise. 0: none, "
        "this process serves. Default: 1, but 0 when fd 0 is the listening socket.",
        "Whoever gives a listening socket as fd 0 (spawn-fcgi, mod_fcgid, lighttpd) manages "
        "processes itself.",
        metavar="N",
        short="-w",
    )
    pm: str = _command(
        "static",
        "static: a fixed number of workers. dynamic: as many as the spare workers ask for. "
        "ondemand: none until a request comes.",
        "php-fpm's pm.",
        metavar="NAME",
        choices=("static", "dynamic", "ondemand"),
    )
    min_spare_workers: int = _command(
        1,
        "With --pm dynamic: workers that should have a free thread; with fewer, more are started.",
        "php-fpm's pm.min_spare_servers.",
        metavar="N",
    )
    max_spare_workers: int = _command(
        3,
        "With --pm dynamic: with more workers than this that run nothing, one is retired.",
        "php-fpm's pm.max_spare_servers.",
        metavar="N",
    )
    process_idle_timeout: float = _command(
        10.0,
        "With --pm ondemand: time without a request after which a worker is retired.",
        "php-fpm's name and default.",
        metavar="SECONDS",
    )
    preload: bool = _process(
        False,
        "Import the application before the workers are forked: they share its memory.",
        "They also start at once. A reload then replaces the supervisor, too.",
    )
    max_requests: int = _command(
        0, "Requests after which a worker is replaced; 0: never.", "gunicorn's name.", metavar="N"
    )
    max_requests_jitter: int = _command(
        0,
        "Up to so many requests more, at random, so that workers are not replaced all at once.",
        metavar="N",
    )
    max_memory: int = _command(
        0,
        "Resident memory beyond which a worker is replaced, between requests; 0: never.",
        metavar="BYTES",
    )
    timeout: float = option(
        0.0,
        "Time one request may take; then the client gets 504 and the worker is replaced. "
        "0: for ever.",
        "The request's Python stack goes to the slow log. php-fpm's request_terminate_timeout.",
        metavar="SECONDS",
    )

    # -- logs -----------------------------------------------------------------------------
    log_level: str = _command(
        "info",
        "debug, info, warning or error.",
        metavar="LEVEL",
        choices=("debug", "info", "warning", "error"),
    )
    error_log: str = _command(
        "-",
        "File for the log; -: standard error.",
        "Opened again when it was moved away, and on SIGUSR1.",
        metavar="FILE",
    )
    slow_request: float = option(
        0.0,
        "Time after which a running request is written to the slow log. 0: never.",
        "It gets request line, duration and Python stack. php-fpm's request_slowlog_timeout.",
        metavar="SECONDS",
    )
    slow_log: str = _command("", "File for slow requests. Default: the error log.", metavar="FILE")

    # -- the process ----------------------------------------------------------------------
    user: str = _process(
        "",
        "User that workers run as; the sockets are opened before. Needs root.",
        metavar="USER",
        short="-u",
    )
    group: str = _process(
        "", "Group that workers run as. Default: that of --user.", metavar="GROUP", short="-g"
    )
    umask: int | None = _process(
        None, "Permissions taken from files the application makes, octal.", metavar="MODE"
    )
    chroot: str = _process(
        "",
        "Directory workers are locked in.",
        "They import the application from there, unless --preload has done so before.",
        metavar="DIR",
    )
    status: str = _process(
        "",
        "Address where the supervisor tells the state of the pool: unix:PATH, or a loopback "
        "HOST:PORT.",
        "It answers while every worker is busy; `fcgikit status` asks it. It tells URLs.",
        metavar="ADDRESS",
    )
    pid: str = _process(
        "",
        "File for the process number, written when the sockets are open.",
        metavar="FILE",
        short="-p",
    )

    # -- limits on what a peer may send ---------------------------------------------------
    max_params_size: int = option(
        1 << 20,
        "CGI variables of one request; more is answered 431.",
        "nginx sends at most 64 KiB, Apache and Caddy have been seen to send 84 KB.",
        metavar="BYTES",
    )
    max_body_size: int = option(1 << 30, "One request body; more is answered 413.", metavar="BYTES")
    max_requests_per_connection: int = option(
        128,
        "Requests open at the same time on one multiplexed connection (FCGI_MAX_REQS).",
        "One more is answered FCGI_OVERLOADED.",
        metavar="N",
    )
    max_requests_in_flight: int = option(
        0,
        "Requests one worker runs and queues at the same time; one more is turned away as "
        "--overload says. 0: as many as come.",
        metavar="N",
    )
    overload: str = option(
        "503",
        "How a request too many is turned away: 503, with Retry-After; or overloaded: "
        "FCGI_OVERLOADED alone.",
        "The latter is for front ends that then try another server.",
        metavar="NAME",
        choices=("503", "overloaded"),
    )
    max_connections: int = option(
        10_000,
        "Connections open at the same time (FCGI_MAX_CONNS); more wait in the backlog.",
        metavar="N",
    )
    body_window: int = option(
        256 * 1024, "Body read ahead of the application before we stop reading.", metavar="BYTES"
    )
    spool_size: int = option(
        64 * 1024,
        "Body of one request on a multiplexed connection kept in memory; the rest goes to a file.",
        "The file is temporary; this way no request stalls its siblings.",
        metavar="BYTES",
    )
    drain_limit: int = option(
        64 << 20,
        "Body the application left unread that is discarded to keep a connection usable.",
        "Beyond it the connection is closed.",
        metavar="BYTES",
    )
    max_diagnostics_size: int = option(
        64 * 1024,
        "wsgi.errors that one request may send to the logs; the rest is dropped.",
        "So no request can flood the front end's error log.",
        metavar="BYTES",
    )
    max_head_size: int = option(
        64 * 1024,
        "An application's response headers; more is a 500 with the reason in the log.",
        "Front ends take 4 KiB (nginx, fastcgi_buffer_size) to 32 KiB before they answer 502.",
        metavar="BYTES",
    )

    # -- time limits ----------------------------------------------------------------------
    queue_timeout: float = option(
        0.0,
        "Time a request may wait for a thread before it is turned away as --overload says. "
        "0: for ever.",
        metavar="SECONDS",
    )
    header_timeout: float = option(
        30.0, "Time a request's variables may take to arrive.", metavar="SECONDS"
    )
    body_timeout: float = option(
        60.0,
        "Silence allowed while the application waits for its body; then 408.",
        metavar="SECONDS",
    )
    write_timeout: float = option(
        60.0, "Time the peer may refuse to take our output.", metavar="SECONDS"
    )
    keepalive_timeout: float = option(
        120.0,
        "Idle time after which a kept connection is closed.",
        "Longer than the front end's (nginx: 60 s), so that it closes first and no request is "
        "lost.",
        metavar="SECONDS",
    )
    linger_timeout: float = option(
        2.0, "Silence after which a half-closed connection is given up.", metavar="SECONDS"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_value(field, getattr(self, field.name))
        if self.script_name and not self.script_name.startswith("/"):
            _fail(f"script_name must begin with '/': {self.script_name!r}", "script_name")
        if self.script_name and self.script_name.endswith("/"):
            _fail(f"script_name must not end with '/': {self.script_name!r}", "script_name")
        self._check_pool()

    def _check_pool(self) -> None:
        most = 1 if self.workers is None else self.workers
        if self.pm != "static" and not most:
            _fail(f"pm {self.pm} needs workers: set workers to the most there may be, or pm to "
                  "static", "pm", "workers")  # fmt: skip
        if self.pm == "dynamic":
            if self.min_spare_workers > self.max_spare_workers:
                _fail(
                    f"min_spare_workers {self.min_spare_workers} must not be more than "
                    f"max_spare_workers {self.max_spare_workers}",
                    "min_spare_workers",
                    "max_spare_workers",
                )
            if self.min_spare_workers > most:
                _fail(
                    f"min_spare_workers {self.min_spare_workers} must not be more than "
                    f"workers {most}: there would never be enough",
                    "min_spare_workers",
                    "workers",
                )
        if self.max_requests_jitter and not self.max_requests:
            _fail("max_requests_jitter adds to max_requests: set that, too", "max_requests_jitter")


def _check_value(field: dataclasses.Field[Any], value: Any) -> None:
    """What can be said of one setting alone."""
    name, choices = field.name, field.metadata["choices"]
    if isinstance(value, (int, float)):
        if value < 0:
            _fail(f"{name} cannot be negative: {value}", name)
        if not value < float("inf"):
            _fail(f"{name} must be a number, not {value}", name)
        if name in _AT_LEAST_ONE and value < 1:
            _fail(f"{name} must be at least 1, not {value}", name)
        if field.metadata["metavar"] == "MODE" and value > 0o777:
            _fail(f"{name} must be a mode such as 660 (octal, at most 777), not 0o{value:o}", name)
    elif choices and value not in choices:
        named = f"{', '.join(choices[:-1])} or {choices[-1]}"
        _fail(f"{name} {value!r} is unknown: use {named}", name)
    elif any("\0" in item for item in value or ()):  # a string's characters, or strings
        _fail(f"{name} must not contain a NUL", name)


def _fail(message: str, *settings: str) -> None:
    raise ConfigError(message, *settings)


_AT_LEAST_ONE = ("threads", "backlog", "max_connections", "max_requests_per_connection")

DEFAULT = Config()
