"""The look at the board, once a second: who is stuck, who is idle, who is needed."""

from __future__ import annotations

import logging
from math import inf
from typing import Final

from ..orders import Order
from . import spares
from .messages import View, Watch
from .pool import Pool, count
from .roster import Worker
from .states import ENDING, Phase, State

LOOK_EVERY: Final = 1.0
"""Seconds between two looks; php-fpm's interval."""

SOON: Final = 0.05
"""Seconds in which a new worker has taken on what was waiting. Then looks get rarer again."""

SILENCE: Final = 5.0
"""Seconds beyond ``timeout`` after which a worker without a sign of life is stuck."""


class Lookout:
    """Adapts the number of workers to what they do, and finds those that do nothing any more."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._next = 0.0
        self._pause = LOOK_EVERY
        self._rate = 1  # workers that may be started this time
        self._watching = False
        self._full = False
        self.times_full = 0
        """How often more workers were needed than there may be."""

    @property
    def wake_at(self) -> float:
        """When the next look is due; ``inf`` while there is nothing to look for."""
        pool = self._pool
        if pool.state in ENDING or pool.state is State.PAUSED:
            return inf
        regularly = pool.config.pm == "dynamic"
        for_some = pool.config.pm == "ondemand" or pool.config.timeout > 0
        return self._next if regularly or (for_some and pool.roster.serving()) else inf

    def look(self, views: tuple[View, ...]) -> None:
        """Take in what the board says; and judge, if it is time."""
        pool = self._pool
        self._see(views)
        if pool.now < self.wake_at:
            return
        self._next = pool.now + self._pause
        self._pause = min(2 * self._pause, LOOK_EVERY)
        for view in views:
            self._check_beat(view)
        self._tell_full()
        if pool.config.pm == "dynamic":
            self._keep_spares()
        elif pool.config.pm == "ondemand":
            self._retire_rested()

    def _see(self, views: tuple[View, ...]) -> None:
        for view in views:
            self._pool.roster.see(view, self._pool.now)

    def _check_beat(self, view: View) -> None:
        pool = self._pool
        worker = pool.roster.get(view.slot)
        if not pool.config.timeout or worker is None or worker.phase is not Phase.SERVING:
            return
        silent = min(view.beat_age, pool.now - worker.serving_since)
        if silent > pool.config.timeout + SILENCE:
            text = f"worker {worker.pid} has given no sign of life for {silent:.0f} s"
            pool.log(logging.ERROR, f"{text}, {view.busy} requests running: SIGABRT")
            pool.abort(worker)

    def _tell_full(self) -> None:
        pool = self._pool
        load = pool.load()
        full = spares.full(pool.config, load, pool.most)
        if full and not self._full:
            self.times_full += 1
            text = f"{count(pool.most)} are the most there may be, and too few are free"
            pool.log(logging.WARNING, f"{text} (setting: workers)")
        self._full = full or (self._full and load.total >= pool.most)

    def _keep_spares(self) -> None:
        pool = self._pool
        load = pool.load()
        change = spares.change(pool.config, load, pool.most, self._rate)
        self._rate = spares.next_rate(self._rate, change)
        if change > 0:
            pool.wanted = load.total + change
        elif change < 0:
            self._retire(pool.roster.idle()[0])

    def _retire_rested(self) -> None:
        pool = self._pool
        for worker in pool.roster.idle()[:1]:
            # Nobody could take over the connections of the last one.
            last = len(pool.roster.serving()) == 1
            rested = pool.now - worker.idle_since >= pool.config.process_idle_timeout
            if rested and not (last and worker.connections):
                self._retire(worker)

    def _retire(self, worker: Worker) -> None:
        self._pool.wanted -= 1
        self._pool.log(logging.DEBUG, f"worker {worker.pid} is idle and not needed")
        self._pool.dismiss(worker, Order.RETIRE)

    # -- connections that nobody accepts ----------------------------------------------------

    def waiting(self, views: tuple[View, ...]) -> None:
        """A connection waits: for a worker that does not exist, unless one has just got free."""
        if not self._watching:
            return
        self._see(views)
        if self._pool.load().free == 0:
            self._pool.wanted += 1
        else:
            self.look_soon()

    def look_soon(self) -> None:
        """With ``pm`` ondemand, whether one more is needed shows when a new one has begun."""
        if self._pool.config.pm == "ondemand":
            self._pause = SOON
            self._next = min(self._next, self._pool.now + SOON)

    def watch(self) -> None:
        """With ``pm`` ondemand: ask to hear of connections while nobody is free for them."""
        pool = self._pool
        wanted = (
            pool.config.pm == "ondemand"
            and pool.state in (State.RUNNING, State.RELOADING)
            and pool.wanted < pool.most
            and pool.load().free == 0
        )
        if wanted is not self._watching:
            self._watching = wanted
            pool.do(Watch(wanted))
