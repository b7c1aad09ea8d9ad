"""An exchange that swallows the answer."""

from __future__ import annotations

from fcgikit.events import Event, Request


class Sink:
    """What a gateway is given where there is no server."""

    __slots__ = ("aborted", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.aborted = False

    def read(self) -> bytes:
        return b""

    def send(self, event: Event) -> None:
        pass

    def send_file(self, fileno: int, offset: int, count: int) -> int:
        return count

    def truncate(self) -> None:
        pass

    def release(self) -> None:
        pass
