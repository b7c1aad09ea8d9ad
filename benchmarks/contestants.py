"""Who takes turns in a case: a server that runs, under some load; and what one turn measures."""

from __future__ import annotations

import contextlib
import platform
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from typing import NamedTuple

from benchmarks.builds import INTERPRETED
from benchmarks.fronts import front
from benchmarks.http_load import Asking
from benchmarks.servers import Server
from benchmarks.usage import cpu_seconds
from tests.e2e.nginx import Nginx
from tests.e2e.process import Process

TOLERATED = 0.01
"""Share of its answers that a peer may fail, which is told; fcgikit may fail none. (uWSGI 2.0.31
breaks off an upload now and then.)"""


class Turn(NamedTuple):
    """*figure*: what is compared. *busy*: how much of one core the server took."""

    figure: float
    requests_per_second: float = 0.0
    busy: float = 0.0


class Contestant(ABC):
    """One row of a case: *server* under some load, which *note* may tell from its others."""

    def __init__(self, server: Server, note: str = "") -> None:
        self.server = server
        self.note = note or server.note

    @abstractmethod
    def start(self, stack: contextlib.ExitStack) -> None:
        """Start what is needed; it ends with *stack*."""

    def warm_up(self) -> None:
        """Before the first turn."""
        self.turn(1)

    @abstractmethod
    def turn(self, seconds: int) -> Turn:
        """Measure once, for about so long."""


class Loaded(Contestant):
    """A server under load from another process: microseconds of its CPU time per request."""

    process: Process
    path: str

    def start(self, stack: contextlib.ExitStack) -> None:
        self.path = f"{stack.enter_context(tempfile.TemporaryDirectory(prefix='fk'))}/s"
        self.process = self.server.start(stack, self.path)

    @abstractmethod
    def load(self, seconds: int) -> int:
        """Keep the server busy; how many requests it answered."""

    def turn(self, seconds: int) -> Turn:
        before, began = cpu_seconds(self.process.pid), time.monotonic()
        answered = self.load(seconds)
        spent, took = cpu_seconds(self.process.pid) - before, time.monotonic() - began
        return Turn(spent / answered * 1e6, answered / took, spent / took)


class BehindNginx(Loaded):
    """Behind a nginx of its own that keeps its connections to the server, or does not."""

    def __init__(self, server: Server, *, kept: bool, asking: Asking, size: int) -> None:
        super().__init__(server)
        self._site = front(server.protocol, kept)
        self._asking = asking
        self._size = size

    def start(self, stack: contextlib.ExitStack) -> None:
        super().start(stack)
        nginx = stack.enter_context(Nginx(self._site, f"unix:{self.path}"))
        self._address = nginx.address
        answer = self._asking.once(self._address)
        if (answer.status, len(answer.body)) != (200, self._size):
            raise SystemExit(f"{self.server.name} answered {answer}\n{self.process.tail()}")

    def load(self, seconds: int) -> int:
        done = self._asking.run(self._address, seconds)
        if done.failures:
            if self.server.build or done.failures > done.requests * TOLERATED:
                raise SystemExit(f"{self.server.name}: {done}\n{self.process.tail()}")
            print(f"{self.server.name}: {done}", file=sys.stderr)
        return done.requests


class Direct(Loaded):
    """FastCGI with nothing in between; *in_flight* requests multiplexed on each connection."""

    def __init__(
        self, server: Server, note: str = "", *, connections: int = 16, in_flight: int = 1
    ) -> None:
        super().__init__(server, note)
        self._connections = connections
        self._in_flight = in_flight

    def load(self, seconds: int) -> int:
        arguments = [self.path, str(seconds), str(self._connections), str(self._in_flight)]
        return int(INTERPRETED.run("benchmarks.fastcgi_load", *arguments))


class Throughput(Direct):
    """Compared by requests per second, counted while there is load: its start takes time, too."""

    def load(self, seconds: int) -> int:
        self._answered = super().load(seconds)
        return self._answered + self._connections  # each has asked once before

    def turn(self, seconds: int) -> Turn:
        spent_on_each = super().turn(seconds).figure / 1e6
        rate = self._answered / seconds
        return Turn(rate, rate, rate * spent_on_each)


class Burning(Contestant):
    """So many processes that do what the application of a :class:`Throughput` does, unasked."""

    def __init__(self, processes: int) -> None:
        note = "1 process" if processes == 1 else f"{processes} processes"
        super().__init__(Server("bare loop", platform.python_version(), "", "", list), note)
        self._processes = processes

    def start(self, stack: contextlib.ExitStack) -> None:
        pass

    def turn(self, seconds: int) -> Turn:
        rate = float(INTERPRETED.run("benchmarks.burning", str(self._processes), str(seconds)))
        return Turn(rate, rate)


class Calls(Contestant):
    """An application called in a bare loop, in a process of its own: microseconds per call."""

    def __init__(self, application: str, version: str) -> None:
        super().__init__(Server("bare loop", version, "", "", list))
        self._application = application

    def start(self, stack: contextlib.ExitStack) -> None:
        pass

    def turn(self, seconds: int) -> Turn:
        return Turn(float(INTERPRETED.run("benchmarks.bare", self._application, str(seconds))))
