"""How soon a worker is started again after others have died young."""

from __future__ import annotations

from typing import Final

YOUNG: Final = 0.5
"""Seconds of serving after which a death says nothing about the start."""

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0

FORGOTTEN: Final = 10.0
"""Seconds without such a death, beyond the delay, after which it was an accident."""


class Respawn:
    """Counts early deaths in a row: at once after the first, then later and later."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Something has changed: what has failed may work now."""
        self.failures = 0
        self.not_before = 0.0
        """When the next worker may be started."""
        self._last = float("-inf")

    @property
    def delay(self) -> float:
        """Seconds that the last failure costs."""
        if self.failures < 2:
            return 0.0
        return min(FIRST_DELAY * 2.0 ** (self.failures - 2), LONGEST_DELAY)

    def failed(self, born: float, now: float) -> None:
        """A worker started at *born* died early. Those that start together and die together
        have one reason and count once."""
        if born < self._last:
            return
        if born - self._last > self.delay + FORGOTTEN:
            self.failures = 0
        self.failures += 1
        self._last = now
        self.not_before = now + self.delay
