"""Every setting, once: name, type, default and the reason for it.

The command line, the reference page (``docs/reference.md``) and the error messages derive
from the fields of :class:`Config`. Sizes are bytes, durations seconds. Where gunicorn or
php-fpm has a name for the same thing, it is used.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError


def option(default: Any, help: str, *, flag: str = "", metavar: str = "", short: str = "") -> Any:
    """A field with its help text; *flag* set to ``"-"`` keeps it off the command line."""
    metadata = {"help": help, "flag": flag, "metavar": metavar, "short": short}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The effective settings of one server. Immutable; use :func:`dataclasses.replace`."""

    # -- where to listen ------------------------------------------------------------------
    bind: tuple[str, ...] = option(
        (),
        "Address to listen on: unix:PATH, HOST:PORT, [IPV6]:PORT or fd://N. Repeatable. "
        "Without it: the sockets that were handed to the process (LISTEN_FDS, or fd 0), "
        "else 127.0.0.1:9000.",
        metavar="ADDRESS",
        short="-b",
    )
    protocol: str = option(
        "auto",
        "fastcgi, scgi, uwsgi, or auto: tell them apart by a connection's first byte.",
        metavar="NAME",
    )
    backlog: int = option(
        2048, "Connections the kernel may queue before we accept them.", metavar="N"
    )
    allow: tuple[str, ...] = option(
        (),
        "Network (CIDR) whose web servers may connect over TCP. Needed for any bind address "
        "that is not loopback: whoever reaches the socket can set every CGI variable. Repeatable.",
        metavar="CIDR",
    )
    socket_mode: int = option(
        0o660,
        "Permissions of a Unix socket, octal, whatever the umask; php-fpm's listen.mode and its "
        "default. Whoever may write may connect, and can set every CGI variable.",
        metavar="MODE",
    )
    socket_owner: str = option(
        "", "User that shall own a Unix socket. Default: who we run as.", metavar="USER"
    )
    socket_group: str = option(
        "",
        "Group that shall own a Unix socket, e.g. www-data: a web server that may not connect "
        "answers 502. Default: the group we run as.",
        metavar="GROUP",
    )

    # -- how to run the application -------------------------------------------------------
    threads: int = option(4, "Threads that run the application.", metavar="N")
    script_name: str | None = option(
        None,
        "URL prefix the application is mounted under; '' for the root. Default: as the front "
        "end says, repaired where its stock configuration is known to be wrong.",
        metavar="PREFIX",
    )
    chdir: str = option("", "Directory to change to before importing.", metavar="DIR")
    pythonpath: str = option(
        "", "Directories to put in front of sys.path, comma-separated.", metavar="DIRS"
    )
    graceful_timeout: float = option(
        30.0, "Time running requests get to finish after a stop signal.", metavar="SECONDS"
    )

    # -- the pool of workers --------------------------------------------------------------
    workers: int | None = option(
        None,
        "Worker processes: exactly so many with --pm static, at most so many otherwise. 0: no "
        "supervisor, this process serves. Default: 1, but 0 when fd 0 is the listening socket, "
        "because whoever gave it (spawn-fcgi, mod_fcgid, lighttpd) manages processes itself.",
        metavar="N",
        short="-w",
    )
    pm: str = option(
        "static",
        "static: a fixed number of workers. dynamic: as many as --min-spare-workers and "
        "--max-spare-workers ask for. ondemand: none until a request comes. php-fpm's pm.",
        metavar="NAME",
    )
    min_spare_workers: int = option(
        1,
        "With --pm dynamic: workers that should have a free thread; with fewer, more are "
        "started. php-fpm's pm.min_spare_servers.",
        metavar="N",
    )
    max_spare_workers: int = option(
        3,
        "With --pm dynamic: with more workers than this that run nothing, one is retired. "
        "php-fpm's pm.max_spare_servers.",
        metavar="N",
    )
    process_idle_timeout: float = option(
        10.0,
        "With --pm ondemand: time without a request after which a worker is retired. php-fpm's "
        "name and default.",
        metavar="SECONDS",
    )
    preload: bool = option(
        False,
        "Import the application before the workers are forked: they share its memory and start "
        "at once. A reload then replaces the supervisor, too.",
    )
    max_requests: int = option(
        0, "Requests after which a worker is replaced; 0: never. gunicorn's name.", metavar="N"
    )
    max_requests_jitter: int = option(
        0,
        "Up to so many requests more, at random, so that workers are not replaced all at once.",
        metavar="N",
    )
    max_memory: int = option(
        0,
        "Resident memory beyond which a worker is replaced, between requests; 0: never.",
        metavar="BYTES",
    )
    timeout: float = option(
        0.0,
        "Time one request may take; then its stack goes to the slow log, the client gets 504 and "
        "the worker is replaced. 0: for ever. php-fpm's request_terminate_timeout.",
        metavar="SECONDS",
    )

    # -- logs -----------------------------------------------------------------------------
    log_level: str = option("info", "debug, info, warning or error.", metavar="LEVEL")
    error_log: str = option(
        "-",
        "File for the log; -: standard error. Opened again when it was moved away, and on SIGUSR1.",
        metavar="FILE",
    )
    slow_request: float = option(
        0.0,
        "Time after which a running request is written to the slow log: request line, duration, "
        "Python stack. 0: never. php-fpm's request_slowlog_timeout.",
        metavar="SECONDS",
    )
    slow_log: str = option(
        "", "File for slow requests. Default: the error log.", metavar="FILE"
    )

    # -- the process ----------------------------------------------------------------------
    user: str = option(
        "",
        "User that workers run as; the sockets are opened before. Needs root.",
        metavar="USER",
        short="-u",
    )
    group: str = option(
        "",
        "Group that workers run as. Default: that of --user.",
        metavar="GROUP",
        short="-g",
    )
    umask: int | None = option(
        None, "Permissions taken from files the application makes, octal.", metavar="MODE"
    )
    chroot: str = option(
        "",
        "Directory workers are locked in. They import the application from there, unless "
        "--preload has done so before.",
        metavar="DIR",
    )
    pid: str = option(
        "", "File for the process number, written when the sockets are open.", metavar="FILE",
        short="-p",
    )

    # -- limits on what a peer may send ---------------------------------------------------
    max_params_size: int = option(
        1 << 20,
        "Bytes of CGI variables of one request; more is answered 431. "
        "nginx sends at most 64 KiB, Apache and Caddy have been seen to send 84 KB.",
        metavar="BYTES",
    )
    max_body_size: int = option(
        1 << 30, "Bytes of one request body; more is answered 413.", metavar="BYTES"
    )
    max_requests_per_connection: int = option(
        128,
        "Requests open at the same time on one multiplexed connection (FCGI_MAX_REQS); "
        "one more is answered FCGI_OVERLOADED.",
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
        "How a request that is too much is turned away: 503, an answer with Retry-After; or "
        "overloaded, only FCGI_OVERLOADED, for front ends that then try another server.",
        metavar="NAME",
    )
    max_connections: int = option(
        10_000,
        "Connections open at the same time (FCGI_MAX_CONNS); further ones wait in the backlog.",
        metavar="N",
    )
    body_window: int = option(
        256 * 1024,
        "Body bytes read ahead of the application before we stop reading.",
        metavar="BYTES",
    )
    spool_size: int = option(
        64 * 1024,
        "On a multiplexed connection: body bytes of one request kept in memory; "
        "the rest goes to a temporary file, so that no request stalls its siblings.",
        metavar="BYTES",
    )
    drain_limit: int = option(
        64 << 20,
        "Body bytes the application left unread that are discarded to keep a connection "
        "usable; beyond it the connection is closed.",
        metavar="BYTES",
    )
    max_diagnostics_size: int = option(
        64 * 1024,
        "Bytes of wsgi.errors that one request may send to the logs; the rest is dropped, "
        "so that no request can flood the front end's error log.",
        metavar="BYTES",
    )

    max_head_size: int = option(
        64 * 1024,
        "Bytes of an application's response headers; more is a 500 with the reason in the log. "
        "Front ends take 4 KiB (nginx, fastcgi_buffer_size) to 32 KiB before they answer 502.",
        metavar="BYTES",
    )

    # -- time limits ----------------------------------------------------------------------
    queue_timeout: float = option(
        0.0,
        "Time a request may wait for a thread before it is turned away as --overload says; "
        "0: for ever.",
        metavar="SECONDS",
    )
    header_timeout: float = option(
        30.0, "Time a request's variables may take to arrive.", metavar="SECONDS"
    )
    body_timeout: float = option(
        60.0, "Silence allowed while the application waits for its body; then 408.",
        metavar="SECONDS",
    )
    write_timeout: float = option(
        60.0, "Time the peer may refuse to take our output.", metavar="SECONDS"
    )
    keepalive_timeout: float = option(
        120.0,
        "Idle time after which a kept connection is closed. Longer than the front end's "
        "(nginx: 60 s), so that it closes first and no request is lost.",
        metavar="SECONDS",
    )
    linger_timeout: float = option(
        2.0, "Silence after which a half-closed connection is given up.", metavar="SECONDS"
    )

    def __post_init__(self) -> None:
        for name in ("threads", "backlog", "max_connections", "max_requests_per_connection"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and value < 0:
                raise ConfigError(f"{field.name} cannot be negative: {value}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                named = f"{', '.join(choices[:-1])} or {choices[-1]}"
                raise ConfigError(f"{name} {getattr(self, name)!r} is unknown: use {named}")
        if self.script_name and not self.script_name.startswith("/"):
            raise ConfigError(f"script_name must begin with '/': {self.script_name!r}")
        if self.script_name and self.script_name.endswith("/"):
            raise ConfigError(f"script_name must not end with '/': {self.script_name!r}")


_CHOICES = {
    "protocol": ("auto", "fastcgi", "scgi", "uwsgi"),
    "pm": ("static", "dynamic", "ondemand"),
    "overload": ("503", "overloaded"),
    "log_level": ("debug", "info", "warning", "error"),
}

DEFAULT = Config()
