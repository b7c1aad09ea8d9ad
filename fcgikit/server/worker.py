"""One process that serves: its threads, its signals and its end.

The main thread runs no application. It waits for signals, so that a stop is heard whatever
the applications do, and it alone knows how long a stop may take.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from ..config import Config
from ..events import Role
from ..gateways.interface import Gateway
from .listener import Listener
from .loop import Loop

log = logging.getLogger("fcgikit.server")

_THREAD_ENDED = 0  # in the place of a signal's number
_GRACEFUL = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Worker:
    """Serves *listeners* in ``config.threads`` threads until a signal or :meth:`stop`.

    *gateways* has one for each role that is played here.
    """

    def __init__(
        self, gateways: dict[Role, Gateway], listeners: list[Listener], config: Config
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._failed = False
        self._inherited = any(listener.inherited for listener in listeners)
        self._loop = Loop(gateways, listeners, config)
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    @property
    def requests(self) -> int:
        """Requests handed to the application so far."""
        return self._loop.requests

    def stop(self) -> None:
        """Stop gracefully, as SIGTERM does; from any thread."""
        self._tell(signal.SIGTERM)

    def run(self) -> int:
        """Serve until stopped. Returns the exit status: 0, or 1 if requests had to be left
        or a thread of ours has failed.

        In the main thread, SIGTERM, SIGINT and SIGHUP stop gracefully, however often they
        come (mod_fcgid sends SIGTERM twice); a second SIGINT ends the process at once.
        SIGUSR1 does the same where the socket was inherited, as libfcgi's tradition has it.
        """
        handlers = self._install_handlers()
        threads = [
            threading.Thread(target=self._run_thread, name=f"fcgikit-{number}", daemon=True)
            for number in range(1, self._config.threads + 1)
        ]
        try:
            for thread in threads:
                thread.start()
            if not self._supervise():
                return 1
            for thread in threads:
                thread.join()
            self._loop.close()
            return 1 if self._failed else 0
        finally:
            if handlers:
                signal.set_wakeup_fd(-1)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._receiver.close()
            self._sender.close()

    def _run_thread(self) -> None:
        try:
            self._loop.run()
        except BaseException:
            log.critical("a thread of the server has failed", exc_info=True)
            self._failed = True
            self._tell(signal.SIGTERM)
        finally:
            self._tell(_THREAD_ENDED)

    def _tell(self, number: int) -> None:
        """Send the main thread a byte: what signal handlers do as well."""
        with suppress(OSError):
            self._sender.send(bytes((number,)))

    def _supervise(self) -> bool:
        """Turn signals into stops until all threads have ended; ``False`` if some did not."""
        ended = interrupts = 0
        deadline: float | None = None
        while ended < self._config.threads:
            told = self._next_bytes(deadline)
            if not told:
                self._log_left()
                return False
            for number in told:
                ended += number == _THREAD_ENDED
                interrupts += number == signal.SIGINT
                if interrupts > 1:
                    self._end_at_once()
                if number in _GRACEFUL and deadline is None:
                    if number == signal.SIGUSR1 and not self._inherited:
                        log.info("SIGUSR1 ignored: there is no log file to reopen")
                        continue
                    log.info("%s: stopping", signal.Signals(number).name)
                    deadline = time.monotonic() + self._config.graceful_timeout
                    self._loop.stop()
        return True

    def _next_bytes(self, deadline: float | None) -> bytes:
        """What signal handlers and threads have told; empty when *deadline* has passed."""
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([self._receiver], [], [], timeout)
        return self._receiver.recv(256) if readable else b""

    def _log_left(self) -> None:
        log.error(
            "%d requests did not end within %g s and are left (setting: graceful_timeout)",
            len(self._loop.running), self._config.graceful_timeout,
        )  # fmt: skip

    def _end_at_once(self) -> None:
        log.warning("second SIGINT: ending at once")
        for listener in self._listeners:
            listener.close()
        logging.shutdown()
        os._exit(128 + signal.SIGINT)

    def _install_handlers(self) -> dict[signal.Signals, Any]:
        """Let signals wake the main thread; elsewhere Python does not allow handlers."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        return {number: signal.signal(number, _heard) for number in _GRACEFUL}


def _heard(number: int, frame: FrameType | None) -> None:
    """Nothing: the wake-up descriptor has carried the signal's number to the main thread."""
