"""New workers for old: a reload, and the exchange of the supervisor itself."""

from __future__ import annotations

import logging

from ..config import Config
from ..orders import Order
from .messages import Adopted, CheckImage, Notify, ReadSettings, ReExec, UseSettings
from .pool import Pool, count
from .states import ENDING, Phase, State, patience


class Reload:
    """Begins and ends a generation of workers; the exchange itself is the pool's.

    SIGHUP during a reload makes everything outdated once more: a reload that gets nowhere is
    in nobody's way.
    """

    def __init__(self, pool: Pool, before: Config) -> None:
        self._pool = pool
        self._before = before  # what to return to when the reload fails
        self._reading = False
        self._again = False  # a signal has come too early
        self._checking = False

    def begin(self) -> None:
        """Ask for the settings; :meth:`settings_read` has the answer."""
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._pool.do(Notify("reloading"))
        self._pool.do(ReadSettings())

    def begin_later(self) -> None:
        """Begin when the pool is complete."""
        self._again = True

    def forget(self) -> None:
        """Whatever has been asked for is not wanted any more, and nobody waits for its end."""
        self._reading = self._again = self._checking = False
        self._pool.unproven = False

    def settings_read(self, config: Config | None) -> None:
        pool = self._pool
        if not self._reading or pool.state in ENDING:
            return
        self._reading = False
        if self._again:
            self._again = False
            self.begin()
        elif config is None:
            pool.log(logging.ERROR, "reload given up: nothing has changed")
            pool.notify("ready")
        else:
            if not (pool.state is State.RELOADING and pool.unproven):
                self._before = pool.config
            pool.config = config
            pool.size()
            self.replace_all()

    def replace_all(self) -> None:
        """All workers there are shall be replaced."""
        pool = self._pool
        pool.enter(State.RELOADING)
        pool.generation += 1
        pool.unproven = True
        pool.respawn.reset()
        for worker in pool.roster:
            worker.outdated = True
        for worker in pool.roster.starting():
            pool.dismiss(worker, Order.RETIRE)

    def abandon(self, why: str) -> None:
        """The new generation cannot serve: who serves stays, and so do the settings."""
        pool = self._pool
        pool.enter(State.RUNNING)
        pool.unproven = False
        if pool.config is not self._before:
            pool.config = self._before
            pool.do(UseSettings(self._before))
        for worker in pool.roster.starting():
            pool.dismiss(worker, Order.RETIRE)
        for worker in pool.roster:
            worker.outdated = False
        pool.size()
        left = count(len(pool.roster.serving()))
        pool.log(logging.ERROR, f"{why}: reload given up, {left} of before serve on")
        pool.notify("ready")

    def arrive(self) -> None:
        """End the start or the reload, if the wanted number serves and nobody is outdated."""
        pool = self._pool
        serving = sum(worker.phase is Phase.SERVING for worker in pool.roster.fresh())
        if serving < pool.wanted or pool.roster.outdated():
            return
        if pool.state in (State.STARTING, State.RELOADING):
            done = "ready" if pool.state is State.STARTING else "reload complete"
            pool.enter(State.RUNNING)
            pool.log(logging.INFO, f"{done}: {count(serving)}")
            pool.notify("ready")
            if self._again:
                self._again = False
                self.begin()

    # -- the supervisor itself --------------------------------------------------------------

    def re_exec(self) -> None:
        """Ask for a trial of the new image; :meth:`image_checked` has the answer."""
        if self._checking:
            self._pool.log(logging.WARNING, "ignored: a new image is still being tried out")
            return
        self._checking = True
        self._pool.do(CheckImage())

    def image_checked(self, status: int) -> None:
        pool = self._pool
        if not self._checking or pool.state in ENDING:
            return
        self._checking = False
        if status:
            text = f"the new image would not start (status {status}): nothing has changed"
            pool.log(logging.ERROR, text)
        else:
            pool.log(logging.INFO, "starting the new image")
            pool.do(ReExec(pool.roster.adoptable()))

    def adopt(self, workers: tuple[Adopted, ...], *, renew: bool) -> None:
        """Take over the workers of the image before; with *renew*, to replace them all."""
        pool = self._pool
        for adopted in workers:
            worker = pool.roster.adopt(adopted, pool.now)
            pool.generation = max(pool.generation, adopted.generation)
            if worker.phase is Phase.LEAVING:
                worker.told = Order.RETIRE
                worker.deadline = pool.now + patience(Order.RETIRE, pool.config)
        pool.size()
        pool.enter(State.RUNNING)
        pool.do(Notify("reloading"))
        self.replace_all()
        if not renew:
            self.abandon("the new image cannot start workers")
