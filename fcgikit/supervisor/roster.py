"""The workers as the planner knows them, by the numbers of their slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from signal import Signals

from ..orders import Order, Report
from .messages import Adopted, View
from .spares import Load
from .states import Phase


@dataclass(slots=True)
class Worker:
    """One worker, from the order to spawn it until its process has ended."""

    slot: int
    generation: int
    born: float
    phase: Phase = Phase.STARTING
    pid: int = 0
    serving_since: float = inf
    outdated: bool = False  # runs code or settings that a reload replaces
    worn: Report | None = None  # why it wants to be replaced
    told: Order | Signals | None = None  # how it was told to go
    deadline: float = inf  # when it is killed if it has not obeyed
    idle_since: float = 0.0
    busy: int = 0
    requests: int = 0
    connections: int = 0

    @property
    def fresh(self) -> bool:
        """Whether it shall stay: nobody has to take its place."""
        return not (self.outdated or self.worn or self.phase is Phase.LEAVING)


class Roster:
    """All workers of a pool that has room for *slots* of them."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._workers: dict[int, Worker] = {}

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[Worker]:
        """Every worker, the longest there first; safe while some are taken out."""
        return iter(tuple(self._workers.values()))

    def get(self, slot: int) -> Worker | None:
        return self._workers.get(slot)

    def add(self, worker: Worker) -> None:
        self._workers[worker.slot] = worker

    def remove(self, slot: int) -> Worker | None:
        return self._workers.pop(slot, None)

    def adopt(self, adopted: Adopted, now: float) -> Worker:
        """Take over a worker of the image before: it serves until another takes its place.

        Whatever its phase was, it may have requests: what it reported last may have got lost.
        """
        worker = Worker(adopted.slot, adopted.generation, now, Phase[adopted.phase], adopted.pid)
        worker.serving_since = -inf
        worker.idle_since = now
        worker.outdated = True
        self.add(worker)
        return worker

    def adoptable(self) -> tuple[Adopted, ...]:
        """What the next image has to know."""
        return tuple(Adopted(w.slot, w.pid, w.generation, w.phase.name) for w in self)

    def see(self, view: View, now: float) -> None:
        """Note what the board says of a worker."""
        worker = self._workers.get(view.slot)
        if worker is None:
            return
        if view.busy or view.requests != worker.requests:
            worker.idle_since = now
        worker.busy, worker.requests = view.busy, view.requests
        worker.connections = view.connections

    # -- who is what ------------------------------------------------------------------------

    def free_slots(self) -> list[int]:
        return [slot for slot in range(self._slots) if slot not in self._workers]

    def serving(self) -> list[Worker]:
        return [worker for worker in self if worker.phase is Phase.SERVING]

    def starting(self) -> list[Worker]:
        return [worker for worker in self if worker.phase is Phase.STARTING]

    def fresh(self) -> list[Worker]:
        """Those that count when the wanted number is kept."""
        return [worker for worker in self if worker.fresh]

    def replaceable(self) -> list[Worker]:
        """Serving only until others do; those whose thread is stuck first, then the oldest."""
        stale = [worker for worker in self.serving() if not worker.fresh]
        return sorted(stale, key=lambda worker: worker.worn is not Report.TIMEOUT)

    def outdated(self) -> bool:
        """Whether a reload has still something to replace."""
        return any(worker.outdated and worker.phase is not Phase.LEAVING for worker in self)

    def idle(self) -> list[Worker]:
        """Fresh ones that run nothing, the longest idle first."""
        idle = [w for w in self.fresh() if w.phase is Phase.SERVING and not w.busy]
        return sorted(idle, key=lambda worker: worker.idle_since)

    def superfluous(self) -> Worker:
        """Whom to miss least among the fresh ones: the newest that does not serve yet, else the
        longest idle, else the oldest."""
        fresh = self.fresh()
        starting = [worker for worker in fresh if worker.phase is Phase.STARTING]
        if starting:
            return starting[-1]
        return (self.idle() or fresh)[0]

    def load(self, threads: int, wanted: int) -> Load:
        """What the fresh ones are doing; those of the *wanted* that are missing count as free,
        because they are about to be started."""
        fresh = self.fresh()
        busy = sum(worker.busy >= threads for worker in fresh)
        total = max(wanted, len(fresh))
        return Load(total=total, free=total - busy, idle=len(self.idle()))
