"""How serving begins: from a script (:func:`serve`) or from the command line (:func:`run`)."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .. import __version__
from ..config import Config
from ..errors import ConfigError
from ..events import Role
from ..gateways.roles import Application
from ..gateways.wsgi import make_gateways
from ..values import from_native, setting
from . import cgi
from .listener import Listener, who_may_connect
from .sockets import listening
from .worker import Worker

log = logging.getLogger("fcgikit.server")

_USAGE = """\
{script}: this is a web application that speaks FastCGI, SCGI and uwsgi, and no web server
has started it: fd 0 is not a listening socket, and this is not a CGI request.

  Give it a socket:       spawn-fcgi -n -s /run/app.sock -- {script}
  and point nginx at it:  location / {{ include fastcgi_params; fastcgi_pass unix:/run/app.sock; }}
  Serve without a script: fcgikit serve MODULE:APP --bind unix:/run/app.sock
  Try it in a browser:    fcgikit dev MODULE:APP

Or name an address in the script: serve(app, bind="unix:/run/app.sock")
"""


def serve(*apps: Application, **settings: Any) -> None:
    """Serve *apps* in the way this process was started; the last line of an ``index.fcgi``.

    In this order: on the addresses of the setting ``bind``; on the sockets a service manager
    has passed (``LISTEN_FDS``); on the listening socket at fd 0 (mod_fcgid, lighttpd,
    spawn-fcgi, FastCGI 1.0 section 2.2); as a CGI script, for one request. With none of these,
    a text on standard error says how to run the script.

    *apps* are a WSGI application and, if need be, one for each other role: see
    :mod:`fcgikit.gateways.roles`. *settings* are fields of :class:`~fcgikit.config.Config`;
    ``bind`` and ``allow`` may be one string or several. Returns when a signal has stopped the
    server and every request is answered. Raises ``SystemExit`` otherwise: 64 when started in no
    way described, 78 when a setting cannot work, 130 when interrupted. Logs to the logger
    ``fcgikit`` and leaves its configuration to the script.
    """
    script = sys.argv[0]
    try:
        config = _script_config(settings)
        with listening(config, default="") as listeners:
            if listeners:
                status = run(apps, listeners, config, script)
            elif cgi.started_as_cgi():
                status = run_once(apps, config)
            else:
                print(_USAGE.format(script=script), end="", file=sys.stderr)
                status = os.EX_USAGE
    except ConfigError as error:
        print(f"{script}: {error}", file=sys.stderr)
        status = os.EX_CONFIG
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    if status:
        sys.exit(status)


def run(
    apps: Sequence[Application],
    listeners: list[Listener],
    config: Config,
    name: str,
    reopen_logs: Callable[[], None] | None = None,
) -> int:
    """Serve *apps*, called *name* in the log, until a signal stops us; the exit status."""
    log.info("fcgikit %s", __version__)
    announce(listeners, config)
    log.info("application %s, threads %d", name, config.threads)
    gateways = make_gateways(
        apps,
        config,
        multithread=config.threads > 1,
        # Whoever made the socket may have given it to other processes as well.
        multiprocess=any(listener.inherited for listener in listeners),
    )
    worker = Worker(gateways, listeners, config, reopen_logs=reopen_logs)
    status = worker.run()
    log.info("stopped; requests served: %d", worker.requests)
    return status


def announce(listeners: Sequence[Listener], config: Config) -> None:
    """Log where we listen, and who may connect."""
    for listener in listeners:
        inherited = ", inherited" if listener.inherited else ""
        log.info("listening on %s (%s%s)", listener.address, config.protocol, inherited)
        if users := who_may_connect(listener):
            log.info(
                "%s: only %s may connect (settings: socket_mode, socket_owner, socket_group)",
                listener.address, users,
            )  # fmt: skip


def run_once(apps: Sequence[Application], config: Config) -> int:
    """Answer the one request this CGI process was started for; the exit status."""
    gateways = make_gateways(apps, config, multithread=False, multiprocess=True, run_once=True)
    if Role.RESPONDER not in gateways:
        raise ConfigError("a CGI script is asked for an answer, and has no application for that")
    cgi.answer(gateways[Role.RESPONDER], config)
    return 0


def _script_config(given: dict[str, Any]) -> Config:
    settings = {}
    for name, value in given.items():
        try:
            field = setting(name)
            settings[field.name] = from_native(field, value)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from None
        if not field.metadata["script"]:
            raise ConfigError(f"{name} belongs to the command line: it is not for scripts")
    return Config(**settings)
