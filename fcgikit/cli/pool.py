"""How ``fcgikit serve`` serves: by a pool of workers, or in this process.

Who opens, imports and gives up what, and when: the supervisor opens the sockets, so that workers
may come and go without losing a request, and forks. Only a worker imports the application, after
it has given up root; with ``--preload`` the supervisor does it, once for all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable

import click

from .. import __version__
from ..config import Config
from ..errors import ConfigError
from ..gateways.roles import Application
from ..gateways.wsgi import make_gateways
from ..server.handover import Handover
from ..server.listener import Listener
from ..server.sockets import is_listening, listening, parse_address
from ..server.start import announce, run
from ..server.watch import dump_on_crash
from ..server.worker import Worker
from ..supervisor.board import LAYOUT, Board
from ..supervisor.image import Image, KeptSocket, State
from ..supervisor.interface import Place
from ..supervisor.notify import Notifier
from ..supervisor.pidfile import pid_file
from ..supervisor.plan import INTERRUPTED, Planner, slots_for
from ..supervisor.posix import Supervisor
from ..supervisor.privileges import privileges
from .early import EndedEarly, ignore_signals, starting
from .load import LoadError, load, prepare
from .logs import configure_logging, reopen_logs
from .sockets import Sockets, check_status, kept, pool_sockets, status_socket

log = logging.getLogger("fcgikit.supervisor")

ROOM = 256
"""Workers the board has room for, at least: it takes memory only where it is written."""

LATE = ("ipaddress", "random", "tempfile", "urllib.parse")
"""What serving imports where it is needed, so that a start is fast."""


def served_here(config: Config) -> bool:
    """Whether this process itself shall serve: see the setting ``workers``."""
    return on_fd_0(config) if config.workers is None else config.workers == 0


def on_fd_0(config: Config) -> bool:
    """Whether we serve the socket that whoever started us has made fd 0."""
    return is_listening(0) and (not config.bind or "fd://0" in config.bind)


def check(config: Config) -> None:
    """See whether *config* could serve, as far as that shows without sockets.

    Raises ``ConfigError`` and ``LoadError``.
    """
    _prepare(config)
    for address in config.bind:
        parse_address(address)
    if config.status:
        check_status(config.status)
    make_gateways(_load(config), config, multithread=config.threads > 1, multiprocess=True)


def run_here(config: Config) -> int:
    """Serve in this process until a signal ends it; the exit status.

    Raises ``ConfigError`` and ``LoadError``.
    """
    _prepare(config)
    notifier = Notifier()
    # First the sockets: requests wait in the backlog while a large application is imported.
    with listening(config) as listeners, pid_file(config.pid):
        apps = _load(config)
        notifier.send("ready")
        return run(apps, listeners, config, ", ".join(config.app), reopen_logs)


def run_pool(config: Config, reread: Callable[[Config], Config], image: Image) -> int:
    """Serve with a pool of workers until a signal ends it.

    *reread* reads the settings anew for a reload, given those that hold. Returns the exit status,
    in the supervisor as in every worker. Raises ``ConfigError`` and ``LoadError``.
    """
    _prepare(config)
    try:
        return _run(config, reread, image)
    except EndedEarly as end:
        log.info("%s before the start was complete: stopped", end.number.name)
        return INTERRUPTED if end.number == signal.SIGINT else 0


def go_on(
    read: Callable[[], Config], reread: Callable[[Config], Config], image: Image, state: State
) -> int:
    """As :func:`run_pool`, in the place of the image before, whose state that is.

    A service that runs does not end: if the new settings of *read* cannot work after all, the
    workers of before serve on with theirs.
    """
    try:
        config = read()
        if served_here(config):
            raise ConfigError("workers: to do without a supervisor needs a restart", "workers")
        _prepare(config)
    except Exception as error:
        image.return_to_start()
        with contextlib.suppress(Exception):
            _prepare(state.config)
        _tell(error)
        return _run(state.config, reread, image, renew=False)
    return _run(config, reread, image)


def _run(
    config: Config,
    reread: Callable[[Config], Config],
    image: Image,
    *,
    renew: bool = True,
) -> int:
    state = image.adopted
    before = state.config if state else None
    notifier = Notifier()
    inherited = state is None and on_fd_0(config)
    with contextlib.ExitStack() as stack:
        with starting(first=state is None):
            sockets = stack.enter_context(pool_sockets(config, state))
            status = stack.enter_context(status_socket(config, state))
            pid_path = stack.enter_context(pid_file(config.pid, before.pid if before else None))
            pool = Pool(config, reread, image, sockets, status, pid_path)
            log.info("%s", _title(config))
            if state is None:
                announce(sockets.listeners, config)
            if config.preload and renew:
                renew = pool.preload(needed=state is None)
            gc.collect()
            gc.freeze()  # a worker's collections would write to each object, and so copy its page
        planner = Planner(
            config,
            pool.board.slots,
            state.workers if state else None,
            before=before,
            renew=renew,
            inherited=inherited,
        )
        listener = status.socket if status else None
        outcome = Supervisor(planner, pool.board, pool, image, notifier, listener).run()
        if isinstance(outcome, Place):
            return pool.work(outcome)
        ignore_signals()
        log.info("stopped")
        return outcome


def _tell(error: Exception) -> None:
    """Log why the new image cannot do what it was started for."""
    if isinstance(error, LoadError):
        error.show()
    elif isinstance(error, (ConfigError, click.ClickException)):
        log.error("%s", error)
    else:
        log.error("the new image has failed", exc_info=error)


def _title(config: Config) -> str:
    workers = config.workers or 1
    return (
        f"fcgikit {__version__}, supervisor {os.getpid()}, "
        f"{workers} worker{'' if workers == 1 else 's'} x "
        f"{config.threads} thread{'' if config.threads == 1 else 's'}, "
        f"application {', '.join(config.app)}"
    )


def _prepare(config: Config) -> None:
    """What comes before the sockets: names in settings are relative to ``chdir``, which itself
    is one inside a ``chroot``."""
    privileges(config)  # what cannot be shall fail now, rather than in each worker
    if config.preload or not config.chroot:
        prepare(config.chdir, config.pythonpath)
    if config.chroot:
        for name in LATE:  # they may be out of reach later
            importlib.import_module(name)
    configure_logging(config)


def _load(config: Config) -> list[Application]:
    """The applications; root is given up before or, with ``preload``, after their import."""
    rights = privileges(config)
    if not config.preload:
        rights.drop()
        if config.chroot:
            prepare(config.chdir, config.pythonpath)
    apps = [load(name) for name in config.app]
    configure_logging(config)
    if config.preload:
        rights.drop()
    return apps


class Pool:
    """What the supervisor and its workers share; to the supervisor, its ``Host``."""

    def __init__(
        self,
        config: Config,
        reread: Callable[[Config], Config],
        image: Image,
        sockets: Sockets,
        status: Listener | None,
        pid_path: str,
    ) -> None:
        self._config = config
        self._reread = reread
        self._image = image
        self._sockets = sockets
        self._status = status
        self._pid_path = pid_path
        self._apps: list[Application] | None = None
        state = image.adopted
        if state is None:
            self._handover = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.board = Board(max(ROOM, slots_for(config)))
        else:
            receiver, sender = state.handover
            self._handover = socket.socket(fileno=receiver), socket.socket(fileno=sender)
            readable = state.layout == LAYOUT
            self.board = Board(state.slots, state.board if readable else None)

    def preload(self, *, needed: bool) -> bool:
        """Import the application for all workers; whether that is done. Raises ``LoadError``
        where it is *needed*: there is nobody yet who could serve without."""
        try:
            apps = [load(name) for name in self._config.app]
            configure_logging(self._config)
        except Exception as error:
            if needed:
                raise
            _tell(error)
            return False
        self._apps = apps
        return True

    # -- for the supervisor -------------------------------------------------------------------

    def sockets(self) -> list[KeptSocket]:
        return self._sockets.kept()

    def stop_listening(self) -> None:
        self._sockets.close()

    def state(self) -> State:
        receiver, sender = self._handover
        return State(
            board=self.board.fd,
            slots=self.board.slots,
            sockets=tuple(self._sockets.kept()),
            handover=(receiver.fileno(), sender.fileno()),
            config=dataclasses.replace(self._config, pid=self._pid_path),
            status=kept(self._status, self._config.status) if self._status else None,
        )

    def read_settings(self) -> Config | None:
        try:
            config = self._reread(self._config)
            privileges(config)
            configure_logging(config)
        except ConfigError as error:
            log.error("%s", error)
            return None
        self._config = config
        return config

    def use_settings(self, config: Config) -> None:
        self._config = config
        with contextlib.suppress(ConfigError):  # it has worked before
            configure_logging(config)

    def reopen_logs(self) -> None:
        reopen_logs()

    # -- in a worker --------------------------------------------------------------------------

    def work(self, place: Place) -> int:
        """Be the worker at *place* until told to leave; the exit status."""
        for listener in (*self._sockets.listeners, *([self._status] if self._status else ())):
            listener.path = ""  # the file is the supervisor's to remove
        dump_on_crash(sys.stderr.fileno())
        config = self._config
        if self._apps is None:
            self._image.return_to_start()
            _prepare(config)
            # importlib.invalidate_caches() would import a megabyte first (importlib.metadata).
            sys.path_importer_cache.clear()
            apps = _load(config)
        else:
            apps = self._apps
            privileges(config).drop()
        gateways = make_gateways(apps, config, multithread=config.threads > 1, multiprocess=True)
        worker = Worker(
            gateways,
            self._sockets.listeners,
            config,
            superior=place.superior,
            slot=place.line,
            handover=Handover(*self._handover, inherited=self._sockets.inherited),
            reopen_logs=reopen_logs,
        )
        status = worker.run()
        ignore_signals()
        log.debug("worker stopped; requests served: %d", worker.requests)
        return status
