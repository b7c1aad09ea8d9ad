"""Decides everything about the pool, and does nothing: inputs in, commands out.

The words are those of ``messages.py``; what a signal does is in the tables of ``states.py``.
Most inputs only change what is known or wanted; at the end :meth:`Planner.handle` compares the
two and asks for the difference.

- A first start is given up with status 3 when the application cannot be imported, with
  status 1 when :data:`FAILED_STARTS` rounds of workers have died before one could serve. On a
  reload the same means that the old workers, and the old settings, stay. Once one worker of a
  generation has served, further deaths are accidents: another is started, later and later.
- SIGHUP takes the number of workers from the settings and forgets SIGTTIN and SIGTTOU.
- SIGINT ends with status 130, a graceful stop with 0, or 1 when requests had to be left.
"""

from __future__ import annotations

import logging
from math import inf
from signal import Signals
from typing import Final

from ..config import Config
from ..orders import Order, Report
from . import spares
from .lookout import Lookout
from .messages import (
    Adopted,
    Command,
    Ended,
    Exit,
    Give,
    ImageChecked,
    Input,
    Member,
    Notify,
    Overview,
    ReopenLogs,
    Reported,
    SettingsRead,
    Signalled,
    Spawned,
    Ticked,
    Waiting,
)
from .obituary import cause, obituary
from .pool import Pool, count
from .reload import Reload
from .respawn import YOUNG
from .roster import Worker
from .states import ENDING, SIGNALS, Action, Phase, State

CANNOT_IMPORT: Final = 3
"""Exit status of a worker whose application could not be imported; gunicorn's, too."""

INTERRUPTED: Final = 130
"""Exit status after SIGINT, as shells have it."""

FAILED_STARTS: Final = 3
"""Rounds of early deaths after which a start, or a reload, is given up."""

WORN: Final = {
    Report.MAX_REQUESTS: "it has served enough requests (setting: max_requests)",
    Report.MAX_MEMORY: "it has grown too large (setting: max_memory)",
    Report.TIMEOUT: "a request holds one of its threads for good (setting: timeout)",
}


def slots_for(config: Config) -> int:
    """Room that lets a reload start all new workers at once, and SIGTTIN add some."""
    return 2 * (config.workers or 1) + 8


class Planner:
    """Keeps a pool of workers, at most *slots* at a time, one less of them for good.

    Call :meth:`handle` with whatever happens, and with :class:`Ticked` at :attr:`wake_at`.
    *now* is ``time.monotonic()``.

    *adopted* are the workers of the image before (``ReExec.workers``), ``None`` at a first start;
    *before* are its settings, to return to. The workers are replaced, unless without *renew* they
    go on, because new ones could not start. *inherited* says that the socket came on fd 0: then
    SIGUSR1 stops, as in libfcgi's tradition.
    """

    def __init__(
        self,
        config: Config,
        slots: int,
        adopted: tuple[Adopted, ...] | None = None,
        *,
        before: Config | None = None,
        renew: bool = True,
        inherited: bool = False,
    ) -> None:
        self._pool = Pool(config, slots)
        self._reload = Reload(self._pool, before or config)
        self._lookout = Lookout(self._pool)
        self._adopted = adopted
        self._renew = renew
        self._inherited = inherited
        self._begun = False
        self._exited = False
        self._status = 0  # to exit with

    @property
    def state(self) -> State:
        """What the pool is about."""
        return self._pool.state

    @property
    def wake_at(self) -> float:
        """When :class:`Ticked` is wanted next, as ``time.monotonic()``: 0, which is at once, in
        the beginning; ``inf`` while there is nothing to wait for but other inputs."""
        if self._exited:
            return inf
        if not self._begun:
            return 0.0
        deadlines = [worker.deadline for worker in self._pool.roster]
        return min(self._lookout.wake_at, self._pool.next_spawn, *deadlines)

    def overview(self) -> Overview:
        """What is known of the pool."""
        pool = self._pool
        return Overview(
            pool.state.name,
            pool.generation,
            pool.config,
            pool.most,
            self._lookout.times_full,
            tuple(Member(w.slot, w.pid, w.generation, w.phase.name, w.born) for w in pool.roster),
        )

    def handle(self, input: Input, now: float) -> list[Command]:
        """What shall be done, in this order, now that *input* has happened."""
        if self._exited:
            return []
        pool = self._pool
        pool.now = now
        pool.commands = []
        if not self._begun:
            self._begin()
        self._hear(input)
        if pool.state in ENDING:
            self._exited = not pool.roster
            if self._exited:
                pool.do(Exit(self._status))
        else:
            pool.exchange()
            self._reload.arrive()
            self._lookout.watch()
            pool.notify_of_change()
        return pool.commands

    def _begin(self) -> None:
        self._begun = True
        if self._adopted is None:
            self._pool.size()
            self._pool.log(logging.INFO, f"starting {count(self._pool.wanted)}")
        else:
            self._reload.adopt(self._adopted, renew=self._renew)

    def _hear(self, input: Input) -> None:
        roster = self._pool.roster
        match input:
            case Signalled(number):
                self._signalled(number)
            case Spawned(slot, pid):
                if worker := roster.get(slot):
                    worker.pid = pid
            case Reported(slot, report):
                if worker := roster.get(slot):
                    self._reported(worker, report)
            case Ended(slot, status, running):
                if worker := roster.remove(slot):
                    self._ended(worker, status, running)
            case Waiting(views):
                self._lookout.waiting(views)
            case Ticked(views):
                self._lookout.look(views)
                for worker in roster:
                    if worker.deadline <= self._pool.now:
                        self._pool.kill(worker)
            case SettingsRead(config):
                self._reload.settings_read(config)
            case ImageChecked(status):
                self._reload.image_checked(status)

    # -- signals ----------------------------------------------------------------------------

    def _signalled(self, number: Signals) -> None:
        pool = self._pool
        name = number.name
        if number is Signals.SIGUSR1 and self._inherited:
            number = Signals.SIGTERM
        elif number is Signals.SIGHUP and pool.config.preload:
            number = Signals.SIGUSR2
        action = SIGNALS[number][pool.state] if number in SIGNALS else Action.NOTHING
        pool.log(logging.INFO, f"{name} while {pool.state.name}: {action.value}")
        match action:
            case Action.STOP:
                self._stop(State.STOPPING, Order.STOP)
            case Action.TERMINATE:
                self._status = INTERRUPTED
                self._stop(State.TERMINATING, Order.QUIT)
            case Action.KILL:
                for worker in pool.roster:
                    pool.kill(worker)
            case Action.RELOAD:
                self._reload.begin()
            case Action.LATER:
                self._reload.begin_later()
            case Action.RE_EXEC:
                self._reload.re_exec()
            case Action.REOPEN:
                pool.do(ReopenLogs())
                for worker in pool.roster:
                    pool.do(Give(worker.slot, Order.REOPEN_LOGS))
            case Action.MORE:
                self._change_most(+1)
            case Action.FEWER:
                self._change_most(-1)
            case Action.PAUSE:
                pool.do(Notify("ready" if pool.state is State.RELOADING else "", "paused"))
                pool.enter(State.PAUSED)
                self._reload.forget()
            case Action.RESUME:
                pool.wanted = spares.at_first(pool.config, pool.most)
                pool.enter(State.RUNNING)

    def _stop(self, state: State, order: Order) -> None:
        self._pool.enter(state)
        self._pool.do(Notify("stopping"))
        for worker in self._pool.roster:
            self._pool.dismiss(worker, order)

    def _change_most(self, by: int) -> None:
        pool = self._pool
        most = max(1, pool.most + by)
        if most >= pool.slots:
            text = f"there is no room for more than {count(pool.most)} until a restart"
            pool.log(logging.WARNING, text)
            return
        pool.most = most
        pool.wanted = most if pool.config.pm == "static" else min(pool.wanted, most)
        upto = "" if pool.config.pm == "static" else "at most "
        pool.log(logging.INFO, f"{upto}{count(most)} from now on")

    # -- what workers do --------------------------------------------------------------------

    def _reported(self, worker: Worker, report: Report) -> None:
        if report is Report.READY:
            self._ready(worker)
        elif worker.worn is None and worker.phase is not Phase.LEAVING:
            worker.worn = report
            self._pool.log(logging.INFO, f"replacing worker {worker.pid}: {WORN[report]}")

    def _ready(self, worker: Worker) -> None:
        pool = self._pool
        worker.serving_since = worker.idle_since = pool.now
        if worker.phase is Phase.STARTING:
            worker.phase = Phase.SERVING
            pool.unproven = pool.unproven and worker.outdated
            self._lookout.look_soon()
        else:
            pool.ready_too_late(worker)

    def _ended(self, worker: Worker, status: int, running: tuple[str, ...]) -> None:
        if worker.phase is Phase.LEAVING:
            self._left(worker, status, running)
            return
        pool = self._pool
        if pool.now - worker.serving_since < YOUNG:  # or it has never served
            pool.respawn.failed(worker.born, pool.now)
        if pool.config.pm == "ondemand":
            pool.wanted = min(pool.wanted, len(pool.roster.fresh()))
        hopeless = self._hopeless(worker, status)
        delay = max(0.0, pool.respawn.not_before - pool.now)
        replaced = not hopeless and pool.missing() > 0
        level = logging.ERROR if status else logging.WARNING
        pool.log(level, obituary(worker, status, running, delay if replaced else None))
        if hopeless:
            self._give_up(hopeless, CANNOT_IMPORT if status == CANNOT_IMPORT else 1)

    def _hopeless(self, worker: Worker, status: int) -> str:
        """Why the start, or the reload, is to be given up after this death; else empty."""
        if self._pool.unproven and not worker.outdated:
            if status == CANNOT_IMPORT:
                return "the application cannot be imported"
            if self._pool.respawn.failures >= FAILED_STARTS:
                return "workers die before they can serve"
        return ""

    def _left(self, worker: Worker, status: int, running: tuple[str, ...]) -> None:
        served = worker.serving_since < inf
        level = logging.WARNING if running or (status and served) else logging.DEBUG
        lost = f"; it was running {', '.join(running)}" if running else ""
        self._pool.log(level, f"worker {worker.pid} {cause(status)}{lost}")
        if status and served and self._pool.state is State.STOPPING:
            self._status = 1

    def _give_up(self, why: str, status: int) -> None:
        if self._pool.state is State.RELOADING:
            self._reload.abandon(why)
        else:
            self._pool.log(logging.CRITICAL, f"{why}: giving up")
            self._status = status
            self._stop(State.TERMINATING, Order.QUIT)
