"""The pool: what is known of it, what is wanted of it, and the difference as commands.

A worker is *fresh* when it shall stay. One that a reload has made outdated, or that has
reported itself worn, goes on serving until a fresh one has become READY in its place.
"""

from __future__ import annotations

import logging
from math import inf
from signal import Signals

from ..config import Config
from ..orders import Order
from . import spares
from .messages import Command, Give, Kill, Log, Notify, Spawn
from .respawn import Respawn
from .roster import Roster, Worker
from .states import ENDING, MAY_FOLLOW, Phase, State, patience


class Pool:
    """At most *slots* workers at a time, one less of them for good.

    What shall be done is collected in :attr:`commands`.
    """

    def __init__(self, config: Config, slots: int) -> None:
        if slots < 2:
            raise ValueError("a worker can only be replaced where there are two slots")
        self.config = config
        self.slots = slots
        self.state = State.STARTING
        self.roster = Roster(slots)
        self.respawn = Respawn()
        self.generation = 1
        self.unproven = True  # no worker of this generation has been READY
        self.most = 1  # fresh workers there may be
        self.wanted = 0  # fresh workers there shall be
        self.now = 0.0
        self.commands: list[Command] = []
        self._told_serving = 0

    # -- how many ---------------------------------------------------------------------------

    def size(self) -> None:
        """Take the number of workers from the settings."""
        asked = self.config.workers or 1
        self.most = min(asked, self.slots - 1)
        if asked > self.most:
            text = f"only {self.most} of {asked} workers: there is no room for more until a restart"
            self.log(logging.WARNING, text)
        serving = 0 if self.config.pm == "static" else len(self.roster.serving())
        self.wanted = min(max(spares.at_first(self.config, self.most), serving), self.most)

    def target(self) -> int:
        """Workers there shall be in this state."""
        return 0 if self.state is State.PAUSED or self.state in ENDING else self.wanted

    def missing(self) -> int:
        """Workers to be started; negative: workers too many."""
        return self.target() - len(self.roster.fresh())

    def load(self) -> spares.Load:
        """What the workers are doing."""
        return self.roster.load(self.config.threads, self.wanted)

    @property
    def next_spawn(self) -> float:
        """When a missing worker may be started; ``inf``: none is missing, or there is no slot."""
        possible = self.missing() > 0 and self.roster.free_slots()
        return self.respawn.not_before if possible else inf

    # -- commands ---------------------------------------------------------------------------

    def exchange(self) -> None:
        """Dismiss who is too much and start who is missing."""
        serving = len(self.roster.serving())
        for worker in self.roster.replaceable()[: max(0, serving - self.target())]:
            self.dismiss(worker, Order.RETIRE)
        for _ in range(-self.missing()):
            self.dismiss(self.roster.superfluous(), Order.RETIRE)
        if self.next_spawn <= self.now:
            for slot in self.roster.free_slots()[: self.missing()]:
                self.roster.add(Worker(slot, self.generation, self.now))
                self.do(Spawn(slot, self.generation))

    def dismiss(self, worker: Worker, order: Order) -> None:
        """Tell a worker to go, and remember when it must have gone."""
        self._told(worker, order)
        self.do(Give(worker.slot, order))

    def abort(self, worker: Worker) -> None:
        """End a worker that is stuck; SIGABRT makes it write the stacks of its threads."""
        self._told(worker, Signals.SIGABRT)
        self.do(Kill(worker.slot, Signals.SIGABRT))

    def kill(self, worker: Worker) -> None:
        """End a worker that has not gone in time."""
        graceful = worker.told in (Order.RETIRE, Order.STOP) and worker.serving_since < inf
        setting = " (setting: graceful_timeout)" if graceful else ""
        text = f"worker {worker.pid} has not left in time, {worker.busy} requests running: SIGKILL"
        self.log(logging.WARNING, text + setting)
        worker.deadline = inf
        self.do(Kill(worker.slot, Signals.SIGKILL))

    def ready_too_late(self, worker: Worker) -> None:
        """It was told to go while it was loading, and may have taken requests on since."""
        if worker.told:
            worker.deadline = inf
            self._told(worker, worker.told)

    def _told(self, worker: Worker, how: Order | Signals) -> None:
        worker.phase = Phase.LEAVING
        worker.told = how
        # While it loads the application it has no requests to finish.
        loading = worker.serving_since == inf
        time = patience(Order.QUIT if loading else how, self.config)
        worker.deadline = min(worker.deadline, self.now + time)

    def enter(self, state: State) -> None:
        """Change the state, as the table allows."""
        assert state in MAY_FOLLOW[self.state], f"{self.state.name} -> {state.name}"
        self.state = state

    def notify(self, state: str) -> None:
        """Tell the service manager how many serve, and a new state unless it is empty."""
        self._told_serving = len(self.roster.serving())
        self.do(Notify(state, count(self._told_serving)))

    def notify_of_change(self) -> None:
        if self.state is State.RUNNING and len(self.roster.serving()) != self._told_serving:
            self.notify("")

    def do(self, command: Command) -> None:
        self.commands.append(command)

    def log(self, level: int, message: str) -> None:
        self.do(Log(level, message))


def count(number: int) -> str:
    """A number of workers in words."""
    return f"{number} worker{'' if number == 1 else 's'}"
