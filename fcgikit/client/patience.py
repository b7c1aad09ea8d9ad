"""How long one request may take. Reads no clock: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """*silence*: seconds in which no event may move either way; *deadline*: the end of it all.

    ``None`` is for ever.
    """

    silence: float | None = None
    total: float | None = None
    deadline: float | None = None

    @classmethod
    def starting(cls, now: float, silence: float | None, total: float | None) -> Patience:
        """The limits of a request that begins *now* and may take *total* seconds."""
        return cls(silence, total, None if total is None else now + total)

    def left(self, now: float, since: float) -> float | None:
        """Seconds one may still wait, after the last movement at *since*."""
        limits = []
        if self.silence is not None:
            limits.append(since + self.silence - now)
        if self.deadline is not None:
            limits.append(self.deadline - now)
        return max(0.0, min(limits)) if limits else None

    def exhausted(self, now: float, since: float) -> tuple[str, str] | None:
        """The phase and the words of a ``ClientTimeout``, if it is time for one."""
        if self.deadline is not None and now >= self.deadline:
            return "total", f"not finished within {self.total:g} seconds"
        if self.silence is not None and now >= since + self.silence:
            return "read", f"silence for {self.silence:g} seconds"
        return None
