"""Carries out what the planner says: forks, signals, waits. It decides nothing.

One thread, one wait: signals, workers' words and time all end in ``selector.select``. A signal
handler does nothing; the wake-up descriptor brings the signal's number here, where it is one
input among others. So nothing is ever interrupted halfway.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from types import FrameType
from typing import TYPE_CHECKING

from ..orders import Order, Report
from .board import Board
from .channel import SupervisorEnd, channel
from .desk import Desk
from .image import Image, State
from .interface import Host, Place, Plan
from .messages import (
    Adopted,
    CheckImage,
    Command,
    Ended,
    Exit,
    Give,
    ImageChecked,
    Input,
    Kill,
    Log,
    Notify,
    ReadSettings,
    ReExec,
    ReopenLogs,
    Reported,
    SettingsRead,
    Signalled,
    Spawn,
    Spawned,
    Ticked,
    UseSettings,
    View,
    Waiting,
    Watch,
)
from .notify import Notifier
from .status import Status

if TYPE_CHECKING:
    import subprocess

log = logging.getLogger("fcgikit.supervisor")

_SIGNALS = (
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGWINCH,
    signal.SIGCHLD,
)

_DEFAULT_IN_WORKERS = (signal.SIGTERM, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH,
                       signal.SIGCHLD)  # fmt: skip
"""A worker that still imports its application dies of SIGTERM. The others stay without effect:
they are sent to whole process groups and meant for the supervisor."""


@dataclass(slots=True)
class _Child:
    pid: int
    channel: SupervisorEnd
    born: float
    ready: bool = False


class Supervisor:
    """Performs for *planner* until it says ``Exit``; *listener* is where the status is asked for.

    What the selector has to say of a socket is said to the function it has as ``data``.
    """

    def __init__(
        self,
        planner: Plan,
        board: Board,
        host: Host,
        image: Image,
        notifier: Notifier,
        listener: socket.socket | None = None,
    ) -> None:
        self._planner = planner
        self._board = board
        self._host = host
        self._image = image
        self._notifier = notifier
        self._inputs: deque[Input] = deque()
        self._children: dict[int, _Child] = {}
        self._trial: subprocess.Popen[bytes] | None = None
        self._selector = selectors.DefaultSelector()
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._selector.register(self._receiver, selectors.EVENT_READ, self._hear)
        self._watched: list[int] = []
        self._status = Status()
        self._desk = Desk(listener, self._selector, self._document) if listener else None
        if image.adopted:
            self._adopt(image.adopted)

    def _adopt(self, state: State) -> None:
        for worker, fd in zip(state.workers, state.channels, strict=True):
            ready = worker.phase != "STARTING"
            child = _Child(worker.pid, SupervisorEnd.of_fd(fd), time.monotonic(), ready)
            self._keep(worker.slot, child)
        self._inputs.extend(Signalled(signal.Signals(number)) for number in state.signals)

    def run(self) -> int | Place:
        """The exit status; in each worker's process, once more, the worker's place.

        Two returns as of ``fork`` itself, so that a worker ends as any program ends.
        """
        before = {number: signal.signal(number, _heard) for number in _SIGNALS}
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._reap()  # of whom a SIGCHLD may have told the image before this one
        while (outcome := self._act()) is None:
            self._look()
        if isinstance(outcome, Place):
            return outcome
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        self._end_trial()
        self._close()
        return outcome

    # -- out: commands ------------------------------------------------------------------------

    def _act(self) -> int | Place | None:
        """Hand the planner all inputs and do what it wants, until nothing is left to do.

        The exit status when that was the end; a place when this is a new worker by now.
        """
        while self._inputs:
            for command in self._planner.handle(self._inputs.popleft(), time.monotonic()):
                outcome = self._perform(command)
                if outcome is not None:
                    return outcome
        return None

    def _perform(self, command: Command) -> int | Place | None:
        match command:
            case Spawn(slot, generation):
                return self._spawn(slot, generation)
            case Give(slot, order):
                self._give(slot, order)
            case Kill(slot, number):
                self._kill(slot, number)
            case Watch(wanted):
                self._watch(wanted)
            case ReadSettings():
                self._inputs.append(SettingsRead(self._host.read_settings()))
            case UseSettings(config):
                self._host.use_settings(config)
            case ReopenLogs():
                self._host.reopen_logs()
            case CheckImage():
                self._start_trial()
            case ReExec(workers):
                self._become_new(workers)
            case Notify(state, status):
                self._notifier.send(state, status)
                if state == "stopping":  # who connects now shall learn of it now
                    self._watch(False)
                    self._host.stop_listening()
            case Log(level, message):
                log.log(level, "%s", message)
            case Exit(status):
                return status
        return None

    def _spawn(self, slot: int, generation: int) -> Place | None:
        try:
            ours, theirs = channel()
        except OSError as error:
            self._not_spawned(slot, error)
            return None
        self._board.clear(slot)
        # Until the child has handlers of its own, its signals would be taken for ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            ours.close()
            theirs.close()
            self._not_spawned(slot, error)
            return None
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in _DEFAULT_IN_WORKERS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            ours.close()
            self._close()
            return Place(slot, generation, theirs, self._board.line(slot, generation))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        self._keep(slot, _Child(pid, ours, time.monotonic()))
        self._inputs.append(Spawned(slot, pid))
        return None

    def _not_spawned(self, slot: int, error: OSError) -> None:
        """The system is full: to the planner, a worker that has died early."""
        log.error("cannot start a worker: %s", error.strerror)
        self._inputs.append(Ended(slot, os.EX_OSERR))

    def _give(self, slot: int, order: Order) -> None:
        child = self._children.get(slot)
        if child:
            child.channel.give(order)
            if not child.ready and order in (Order.STOP, Order.QUIT):
                self._kill(slot, signal.SIGTERM)  # it is busy importing and hears no orders

    def _kill(self, slot: int, number: int) -> None:
        if slot in self._children:
            with suppress(ProcessLookupError):
                os.kill(self._children[slot].pid, number)

    def _keep(self, slot: int, child: _Child) -> None:
        self._children[slot] = child
        heard = partial(self._listen, slot)
        self._selector.register(child.channel, selectors.EVENT_READ, heard)

    def _close(self) -> None:
        """Let go of all that only the supervisor needs."""
        if self._desk:
            self._desk.close()
        self._selector.close()
        self._receiver.close()
        self._sender.close()
        for child in self._children.values():
            child.channel.close()

    def _watch(self, wanted: bool) -> None:
        for fd in self._watched:
            self._selector.unregister(fd)
        self._watched = [one.fd for one in self._host.sockets()] if wanted else []
        for fd in self._watched:
            self._selector.register(fd, selectors.EVENT_READ, self._told_of_connection)

    # -- in: what happens ---------------------------------------------------------------------

    def _look(self) -> None:
        """Wait until something happens, and turn it into inputs."""
        self._look_at_trial()
        if self._inputs:
            return
        now = time.monotonic()
        wake_at = min(self._planner.wake_at, self._notifier.wake_at)
        timeout = None if wake_at == inf else max(0.0, wake_at - now)
        for key, _ in self._selector.select(timeout):
            key.data()
        now = time.monotonic()
        self._notifier.beat(now)
        if now >= self._planner.wake_at:
            self._inputs.append(Ticked(self._views()))

    def _views(self) -> tuple[View, ...]:
        return tuple(map(self._board.view, sorted(self._children)))

    def _document(self) -> bytes:
        overview = self._planner.overview()
        return self._status.document(overview, self._board, self._host.sockets())

    def _told_of_connection(self) -> None:
        self._inputs.append(Waiting(self._views()))

    def _hear(self) -> None:
        """Signals."""
        if signal.SIGCHLD in self._take_signals():
            self._reap()

    def _take_signals(self) -> bytes:
        """Make inputs of the signals that have come, but for SIGCHLD; all their numbers."""
        try:
            numbers = self._receiver.recv(4096)
        except BlockingIOError:
            return b""
        self._inputs.extend(
            Signalled(signal.Signals(number)) for number in numbers if number != signal.SIGCHLD
        )
        return numbers

    def _listen(self, slot: int) -> None:
        """A worker's words."""
        child = self._children.get(slot)
        reports = child.channel.reports() if child else []
        if reports is None and child:  # it ends; SIGCHLD says how
            with suppress(KeyError):
                self._selector.unregister(child.channel)
        for report in reports or ():
            if report is Report.READY and child and not child.ready:
                child.ready = True
                age = time.monotonic() - child.born
                log.info("worker %d ready after %.2f s", child.pid, age)
            self._inputs.append(Reported(slot, report))

    def _reap(self) -> None:
        for slot, child in list(self._children.items()):
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, 0
            if pid:
                self._listen(slot)  # its last words
                with suppress(KeyError):
                    self._selector.unregister(child.channel)
                child.channel.close()
                del self._children[slot]
                self._status.gone(self._board.view(slot))
                code = os.waitstatus_to_exitcode(status)
                self._inputs.append(Ended(slot, code, self._board.running(slot)))

    # -- a new image of ourselves -------------------------------------------------------------

    def _start_trial(self) -> None:
        self._end_trial()  # an earlier one, of which nobody wants to know any more
        try:
            self._trial = self._image.trial()
        except OSError as error:
            log.error("cannot start this program anew: %s", error)
            self._inputs.append(ImageChecked(os.EX_OSERR))
        else:
            log.info("process %d tries whether a new image would start", self._trial.pid)

    def _end_trial(self) -> None:
        if self._trial:
            with suppress(ProcessLookupError):
                os.killpg(self._trial.pid, signal.SIGKILL)
            self._trial.wait()
            self._trial = None

    def _look_at_trial(self) -> None:
        status = self._trial.poll() if self._trial else None
        if status is not None:
            self._trial = None
            self._inputs.append(ImageChecked(status))

    def _become_new(self, workers: tuple[Adopted, ...]) -> None:
        # From here on signals wait for the new image; those that were heard go into the note.
        # Who has ended it learns by itself.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._take_signals()
        workers = tuple(one for one in workers if one.slot in self._children)
        state = replace(
            self._host.state(),
            workers=workers,
            channels=tuple(self._children[one.slot].channel.fileno() for one in workers),
            signals=tuple(int(one.number) for one in self._inputs if isinstance(one, Signalled)),
        )
        try:
            self._image.replace(state)
        except OSError as error:
            log.error("cannot become a new image of this program: %s", error)
            self._reap()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _heard(number: int, frame: FrameType | None) -> None:
    """Nothing: the wake-up descriptor has carried the signal's number to the loop."""
