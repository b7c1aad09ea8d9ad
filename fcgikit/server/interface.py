"""What a connection asks of the loop it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .connection import ServerConnection
    from .exchange import ServerExchange


class Owner(Protocol):
    """The loop, as its connections see it; any thread may ask."""

    @property
    def received(self) -> Callable[[int], None] | None:
        """To be told the descriptor, when everything that had arrived has been received."""

    @property
    def retiring(self) -> bool:
        """Connections shall go to another worker at the next boundary between requests."""

    def enqueue(self, exchanges: list[ServerExchange]) -> None:
        """Run these requests as soon as a thread is free."""

    def answered(self, exchange: ServerExchange) -> None:
        """A request is over for its connection, which may now be closed or used for the next."""

    def report(self, connection: ServerConnection) -> None:
        """Something may be left to receive, and nobody is about to."""

    def about_to_wait(self) -> None:
        """The calling thread is going to wait for a peer."""

    def watch(self, fileno: int) -> None:
        """Report arrivals on this socket from now on."""

    def forget(self, connection: ServerConnection, *, given_away: bool = False) -> None:
        """The connection is about to be closed here; *given_away*: another process has it."""
