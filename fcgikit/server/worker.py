"""One process that serves: its threads, its signals, its supervisor and its end.

The main thread runs no application. It waits for signals and orders, so that a stop is heard
whatever the applications do, and it alone knows how long a stop may take. It also keeps an eye
on requests that take long, because who runs them cannot.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from types import FrameType
from typing import Any

from ..config import Config
from ..events import Role
from ..gateways.interface import Gateway
from ..orders import Order, Report, Slot, Superior
from .exchange import ServerExchange
from .handover import Handover
from .listener import Listener
from .loop import Loop
from .memory import keep_freed_memory, resident_memory
from .seats import Seats
from .watch import Watch

log = logging.getLogger("fcgikit.server")

BEAT_INTERVAL = 1.0
"""Seconds between signs of life, and between looks at the memory."""

RETIRE_INTERVAL = 0.1
"""Seconds after which a retiring worker tries again to give away what nobody had room for."""

ROOM_TIMEOUT = 5.0
"""Seconds in which the other workers must have made room for what a retiring one gives them."""

# In the place of a signal's number.
_THREAD_ENDED = 0
_ENOUGH_REQUESTS = 255

_GRACEFUL = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_SUPERVISORS = (signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGUSR2)


class Worker:
    """Serves *listeners* in ``config.threads`` threads until a signal, an order or :meth:`stop`.

    *gateways* says who answers which role. With a *superior* this is a worker of a pool: it
    leaves signals but SIGTERM to the supervisor, obeys its orders and reports to it, and the
    socket files are not its own. *slot* is its line on the board, and *handover* the way of
    kept connections from one worker to another. *reopen_logs* is called when somebody has moved
    the log files away.
    """

    def __init__(
        self,
        gateways: dict[Role, Gateway],
        listeners: list[Listener],
        config: Config,
        *,
        superior: Superior | None = None,
        slot: Slot | None = None,
        handover: Handover | None = None,
        reopen_logs: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._superior = superior
        self._slot = slot
        self._reopen_logs = reopen_logs
        self._inherited = any(listener.inherited for listener in listeners)
        if superior is not None:
            for listener in listeners:
                listener.path = ""  # the supervisor unlinks it, when nobody serves any more
        self._status = 0
        self._ended = 0  # threads
        self._interrupts = 0
        self._deadline = inf  # of a stop, once there is one
        self._retiring = False
        self._room_until = inf
        self._reported: set[Report] = set()
        limit = config.max_requests
        if limit:
            import random

            limit += random.randint(0, config.max_requests_jitter)
        self._seats = Seats(
            config.threads,
            slot=slot,
            max_requests=limit,
            enough=lambda: self._tell(_ENOUGH_REQUESTS),
            noting=config.timeout > 0 or config.slow_request > 0,
        )
        self._loop = Loop(gateways, listeners, config, seats=self._seats, handover=handover)
        self._threads = [
            threading.Thread(target=self._run_thread, name=f"fcgikit-{number}", daemon=True)
            for number in range(1, config.threads + 1)
        ]
        self._watch = Watch(self._seats.all, config, self._give_up)
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._news = select.poll()
        self._news.register(self._receiver, select.POLLIN)
        if superior is not None:
            self._news.register(superior.fileno(), select.POLLIN)

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

        In the main thread and without a supervisor, SIGTERM, SIGINT, SIGQUIT and SIGHUP stop
        gracefully, however often they come (mod_fcgid sends SIGTERM twice); a second SIGINT
        ends the process at once. SIGUSR1 reopens the logs, but stops where the socket was
        inherited, as libfcgi's tradition has it.

        Threads that run a request which was given up are left behind.
        """
        handlers = self._install_handlers()
        self._warn_of_limits()
        keep_freed_memory()
        try:
            for thread in self._threads:
                thread.start()
            self._report(Report.READY)
            ended = self._supervise()
            self._sign_of_life(time.monotonic())  # with all that was served
            if ended:
                for thread in self._threads:
                    thread.join()
                self._loop.close()
            return self._status
        finally:
            if handlers:
                signal.set_wakeup_fd(-1)
            if self._superior is None:  # else the process ends: SIGTERM shall not hurry that
                for number, handler in handlers.items():
                    signal.signal(number, handler)
            self._receiver.close()
            self._sender.close()

    def _run_thread(self) -> None:
        try:
            self._loop.run()
        except BaseException:
            log.critical("a thread of the server has failed", exc_info=True)
            self._status = 1
            self._tell(signal.SIGTERM)
        finally:
            self._tell(_THREAD_ENDED)

    def _tell(self, word: int) -> None:
        """Send the main thread a byte: what signal handlers do as well."""
        with suppress(OSError):
            self._sender.send(bytes((word,)))

    # -- the main thread's own loop -----------------------------------------------------------

    def _supervise(self) -> bool:
        """Turn words and time into deeds until the work has ended; whether all threads have."""
        beat_at = look_at = 0.0
        while self._ended < self._config.threads:
            now = time.monotonic()
            if now >= self._deadline:
                self._give_up_rest()
                return False
            if now >= beat_at:
                beat_at = self._beat(now)
            if now >= look_at:
                look_at = min(self._watch.look(now), self._loop.look_in(now))
            if self._retiring:
                self._retire(now)
            if self._only_stuck_threads_are_left():
                return False
            again = now + RETIRE_INTERVAL if self._retiring else inf
            if not self._hear(min(beat_at, look_at, again, self._deadline) - now):
                return False
        return True

    def _hear(self, timeout: float) -> bool:
        """Wait for news and act on them; ``False`` when all is over at once."""
        for fileno, _ in self._news.poll(None if timeout == inf else max(0.0, timeout) * 1000):
            if fileno != self._receiver.fileno():
                if not self._obey():
                    return False
                continue
            for word in self._receiver.recv(256):
                if word == _THREAD_ENDED:
                    self._ended += 1
                elif word == _ENOUGH_REQUESTS:
                    self._wish(Report.MAX_REQUESTS, "max_requests")
                else:
                    self._hear_signal(signal.Signals(word))
        return True

    def _hear_signal(self, number: signal.Signals) -> None:
        if self._superior is not None:
            if number == signal.SIGTERM:
                self._stop("SIGTERM")
            return
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                self._end_at_once()
        if number in _GRACEFUL or (number == signal.SIGUSR1 and self._inherited):
            self._stop(number.name)
        elif number == signal.SIGUSR1 and self._reopen_logs is not None:
            self._reopen_logs()
        elif number == signal.SIGUSR1:
            log.info("SIGUSR1 ignored: there is no log file to reopen")

    def _obey(self) -> bool:
        """Carry out what the supervisor orders; ``False`` when that is to leave at once."""
        assert self._superior is not None
        orders = self._superior.orders()
        if orders is None:
            self._news.unregister(self._superior.fileno())
            self._stop("the supervisor has vanished")
            return True
        for order in orders:
            if order is Order.QUIT:
                self._log_left("are left: the supervisor orders to leave at once")
                return False
            if order is Order.STOP:
                self._stop("the supervisor stops")
            elif order is Order.RETIRE:
                self._stop("replaced", retire=True)
            elif self._reopen_logs is not None:
                self._reopen_logs()
        return True

    def _stop(self, why: str, *, retire: bool = False) -> None:
        """Begin to stop, unless that has been done; to retire does not undo a stop."""
        first = self._deadline == inf
        if first:
            log.info("%s: stopping", why)
            self._deadline = time.monotonic() + self._config.graceful_timeout
        if retire and first:
            self._retiring = True
            self._room_until = time.monotonic() + ROOM_TIMEOUT
            self._loop.retire()
        elif not retire and (first or self._retiring):
            self._retiring = False
            self._loop.stop()

    def _retire(self, now: float) -> None:
        """Give away what is idle by now; close it if nobody takes it."""
        self._loop.retire()
        if now >= self._room_until and self._loop.table.idle:
            log.warning("no other worker takes our connections: closing those that are idle")
            self._stop("no room elsewhere")

    def _only_stuck_threads_are_left(self) -> bool:
        """Nothing more can be done here: every thread has ended or is lost to its request."""
        stuck = self._seats.stuck
        if not stuck or self._ended + stuck < self._config.threads:
            return False
        if self._deadline == inf:
            if self._superior is None:
                log.critical("every thread runs a request that was given up: ending")
                self._status = 1
                self._stop("nothing can be served")
            return False
        self._loop.give_up_waiting()
        return not self._loop.table.idle

    # -- limits -------------------------------------------------------------------------------

    def _beat(self, now: float) -> float:
        """Give a sign of life and look at the memory; when to do so again."""
        limit = self._config.max_memory
        if self._slot is None and not limit:
            return inf
        self._sign_of_life(now)
        if limit and resident_memory() > limit:
            self._wish(Report.MAX_MEMORY, "max_memory")
        return now + BEAT_INTERVAL

    def _sign_of_life(self, now: float) -> None:
        if self._slot is not None:
            self._slot.beat(
                now, self._loop.requests, self._loop.connections, self._watch.slow_requests
            )

    def _give_up(self, exchange: ServerExchange) -> None:
        limit = self._config.timeout
        self._loop.give_up(exchange, 504, f"no answer within {limit:g} s")
        self._report(Report.TIMEOUT)

    def _wish(self, report: Report, setting: str) -> None:
        """A limit is reached: ask to be replaced, or leave if somebody starts another anyway."""
        if report in self._reported:
            return
        if self._superior is not None:
            log.info("to be replaced (setting: %s)", setting)
        elif self._inherited:
            self._stop(f"setting {setting}")
        self._report(report)

    def _report(self, report: Report) -> None:
        """Tell the supervisor something once."""
        if report not in self._reported:
            self._reported.add(report)
            if self._superior is not None:
                self._superior.report(report)

    def _warn_of_limits(self) -> None:
        if self._superior is None and not self._inherited:
            for setting in ("max_requests", "max_memory"):
                if getattr(self._config, setting):
                    log.warning("%s needs a supervisor, which would start another worker", setting)

    # -- the end ------------------------------------------------------------------------------

    def _give_up_rest(self) -> None:
        """Answer what outlasts a stop, so that nobody waits for it or takes it for complete."""
        limit = f"{self._config.graceful_timeout:g} s"
        self._log_left(f"did not end within {limit} and are given up", "graceful_timeout")
        for exchange in self._loop.table.running:
            self._loop.give_up(exchange, 503, "the server stops")

    def _log_left(self, why: str, setting: str = "") -> None:
        """Say how many requests are lost, and let the exit status say so."""
        left = len(self._loop.table.running)
        if left:
            self._status = 1
            hint = f" (setting: {setting})" if setting else ""
            log.error("%d requests %s%s", left, why, hint)

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
        heard = [*_GRACEFUL, signal.SIGUSR1]
        if self._superior is not None:  # it hears them, too: a terminal's Ctrl-C comes to all
            heard += _SUPERVISORS
        return {number: signal.signal(number, _heard) for number in heard}


def _heard(number: int, frame: FrameType | None) -> None:
    """Nothing: the wake-up descriptor has carried the signal's number to the main thread."""
