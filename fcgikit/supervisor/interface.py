"""What the performer needs from others, and what it gives to a new worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..config import Config
from .board import Line
from .channel import WorkerEnd
from .image import KeptSocket, State
from .messages import Command, Input, Overview


class Plan(Protocol):
    """The planner: see ``plan.py``."""

    @property
    def wake_at(self) -> float:
        """When it wants to be told that time has passed."""

    def handle(self, input: Input, now: float) -> Iterable[Command]:
        """What to do about it."""

    def overview(self) -> Overview:
        """What it knows of the pool."""


class Host(Protocol):
    """What the supervisor does not know itself: settings, sockets and logs."""

    def sockets(self) -> list[KeptSocket]:
        """The listening sockets; none when they are closed."""

    def stop_listening(self) -> None:
        """Close the listening sockets: the whole service stops."""

    def state(self) -> State:
        """What a new image of this program has to know of all that, for the time being."""

    def read_settings(self) -> Config | None:
        """Read the settings anew, and use them from now on; ``None`` if they cannot work."""

    def use_settings(self, config: Config) -> None:
        """Use settings that have been in use before."""

    def reopen_logs(self) -> None:
        """Open our own log files anew."""


@dataclass(slots=True)
class Place:
    """Where a new worker finds itself: its slot, and how it reaches its supervisor."""

    slot: int
    generation: int
    superior: WorkerEnd
    line: Line
