"""How ``fcgikit serve`` serves: by a pool of workers, or in this process.

Who opens, imports and gives up what, and when: the supervisor opens the sockets, so that workers
may come and go without losing a request, and forks. Only a worker imports the application, after
it has given up root; with ``--preload`` the supervisor does it, once for all.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import logging
import os
import socket
from collections.abc import Callable

from .. import __version__
from ..config import Config
from ..errors import ConfigError
from ..gateways.roles import Application
from ..gateways.wsgi import make_gateways
from ..server.handover import Handover
from ..server.sockets import is_listening, listening, parse_address
from ..server.start import announce, run
from ..server.worker import Worker
from ..supervisor.board import LAYOUT, Board
from ..supervisor.image import Image, KeptSocket
from ..supervisor.notify import Notifier
from ..supervisor.pidfile import pid_file
from ..supervisor.plan import Planner, slots_for
from ..supervisor.posix import Place, Supervisor
from ..supervisor.privileges import privileges
from .load import load, prepare
from .logs import configure_logging, reopen_logs
from .sockets import Sockets, pool_sockets

log = logging.getLogger("fcgikit.supervisor")

ROOM = 256
"""Workers the board has room for, at least: it takes memory only where it is written."""


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
    notifier = Notifier()
    first = image.adopted is None
    inherited = first and on_fd_0(config)
    with pool_sockets(config, image.adopted) as sockets, pid_file(config.pid):
        pool = Pool(config, reread, image, sockets)
        log.info("%s", _title(config))
        if first:
            announce(sockets.listeners, config)
        if config.preload:
            pool.preload()
        gc.collect()
        gc.freeze()  # a worker's collections would write to each object, and so copy its page
        workers = None if image.adopted is None else image.adopted.workers
        planner = Planner(config, pool.board.slots, workers, inherited=inherited)
        outcome = Supervisor(planner, pool.board, pool, image, notifier).run()
        if isinstance(outcome, Place):
            return pool.work(outcome)
        log.info("stopped")
        return outcome


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
    ) -> None:
        self._config = config
        self._reread = reread
        self._image = image
        self._sockets = sockets
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

    def preload(self) -> None:
        """Import the application for all workers. Raises ``LoadError``."""
        self._apps = [load(name) for name in self._config.app]
        configure_logging(self._config)

    # -- for the supervisor -------------------------------------------------------------------

    def sockets(self) -> list[KeptSocket]:
        return self._sockets.kept()

    def stop_listening(self) -> None:
        self._sockets.close()

    def handover(self) -> tuple[int, int]:
        receiver, sender = self._handover
        return receiver.fileno(), sender.fileno()

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

    def reopen_logs(self) -> None:
        reopen_logs()

    # -- in a worker --------------------------------------------------------------------------

    def work(self, place: Place) -> int:
        """Be the worker at *place* until told to leave; the exit status."""
        for listener in self._sockets.listeners:
            listener.path = ""  # the file is the supervisor's to remove
        faulthandler.enable()
        config = self._config
        if self._apps is None:
            self._image.return_to_start()
            _prepare(config)
            importlib.invalidate_caches()
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
        log.debug("worker stopped; requests served: %d", worker.requests)
        return status
