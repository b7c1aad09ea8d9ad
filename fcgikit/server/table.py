"""The connections that are open in a worker."""

from __future__ import annotations

from .connection import ServerConnection
from .exchange import ServerExchange


class Table(dict[int, ServerConnection]):
    """Connections by descriptor; any thread may look, while others come and go."""

    @property
    def idle(self) -> int:
        """Those without a request, which other workers could serve as well."""
        return sum([one.idle and not one.exchanges for one in list(self.values())])

    @property
    def running(self) -> list[ServerExchange]:
        """The requests that are open now: applications work on them, or they wait."""
        return [
            exchange for one in list(self.values()) for exchange in list(one.exchanges.values())
        ]

    def overdue(self, now: float) -> list[ServerConnection]:
        """Those whose deadline has passed, which counts while no request is open."""
        return [
            one
            for one in list(self.values())
            if one.deadline <= now and (one.lingering or not one.exchanges)
        ]
