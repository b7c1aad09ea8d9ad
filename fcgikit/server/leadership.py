"""Which of a worker's threads waits for arrivals: the leader. The others follow.

The leader runs the requests it finds itself. To hand the lead over for each of them would cost
more than a fast application: a second thread woken, and then two that want the interpreter.
To keep it would let a slow application block everybody. So the leader

* hands the lead over before an application that has been slow lately,
* hands it over when it knows that it is going to wait, for a body or for a slow peer,
* else keeps it, and loses it to the standby, one follower that looks every few milliseconds,
  when the application takes longer than that.

Nothing depends on there being one leader only: two would share the arrivals between them.
That is why the flags here need no lock, and a race costs some time at worst.
"""

from __future__ import annotations

import threading
import time
from math import inf

PATIENCE = 0.005
"""Seconds an application may take before the standby takes the lead: CPython's own switch
interval, after which another thread would get to run anyway."""

SLOW = 0.001
"""Seconds an application may take and still be fast: to hand over costs a hundredth of it."""

_MEMORY = 16  # requests over which the time an application takes is averaged, more or less
_FALL_ASLEEP = 20  # looks without a sight of work, after which the standby stops looking


class Leadership:
    """The lead, and the threads that wait for it. Threads are named by their identifier."""

    def __init__(self) -> None:
        self._lead = threading.Lock()
        self._standby = threading.Lock()
        self.leader = 0
        self._busy_since = inf  # the leader runs an application since then
        self._usual = 0.0  # seconds the application has taken lately
        self._asleep = False  # the standby does not look: it must be handed the lead

    def take(self, me: int) -> None:
        """Become the :attr:`leader`, which may take its time."""
        with self._standby:
            self._follow()
        self.leader = me
        self._busy_since = inf

    def begin(self, me: int) -> float:
        """Before an application: hand the lead over if that is wise. Returns the time."""
        now = time.monotonic()
        self._busy_since = now
        if self._asleep or self._usual > SLOW:
            self.hand_over(me)
        return now

    def end(self, me: int, began: float) -> float:
        """After an application that began at *began*. Returns how long it took."""
        if self.leader == me:
            self._busy_since = inf
        took = time.monotonic() - began
        self._usual += (took - self._usual) / _MEMORY
        return took

    def hand_over(self, me: int) -> None:
        """Let the standby lead, if *me* is the leader: *me* will be busy or wait."""
        if self.leader == me:
            self.leader = 0
            self._busy_since = inf
            try:
                self._lead.release()
            except RuntimeError:  # the standby took it in this very moment, and was faster
                pass

    def _follow(self) -> None:
        """As the standby: wait until the lead is handed over, or its holder is late."""
        idle = 0
        while not self._lead.acquire(timeout=PATIENCE):
            if time.monotonic() - self._busy_since > PATIENCE:
                return
            idle = idle + 1 if self._busy_since == inf else 0
            if self._asleep:
                # A whole interval has passed since we said so: no leader has missed it.
                if idle:
                    self._lead.acquire()
                    self._asleep = False
                    return
                self._asleep = False
            elif idle > _FALL_ASLEEP:
                self._asleep = True
        self._asleep = False
