"""A pool in this process: loops that share their sockets and hand connections over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

from fcgikit.config import Config
from fcgikit.events import Role
from fcgikit.gateways.interface import Gateway
from fcgikit.server.handover import Handover
from fcgikit.server.listener import Listener
from fcgikit.server.loop import Loop
from fcgikit.server.poller import EpollPoller, Poller
from tests.e2e.process import PATIENCE
from tests.server.harness import Place, echo


class Member:
    """One worker's loop, with descriptors of its own as if it were a process of its own."""

    def __init__(
        self, gateway: Gateway, place: Place, handover: Handover, config: Config, poller: Poller
    ) -> None:
        listeners = [
            Listener(one.socket.dup(), one.address, inherited=one.inherited)
            for one in place.listeners
        ]
        self.loop = Loop({Role.RESPONDER: gateway}, listeners, config, poller, handover=handover)
        self._handover = handover
        self._threads = [
            threading.Thread(target=self.loop.run, daemon=True) for _ in range(config.threads)
        ]
        for thread in self._threads:
            thread.start()

    def retire(self) -> None:
        """Give everything away, and wait for the end."""
        self._end(self.loop.retire)

    def stop(self) -> None:
        self._end(self.loop.stop)

    def _end(self, order: Callable[[], None]) -> None:
        for _ in range(int(PATIENCE * 100)):
            order()
            for thread in self._threads:
                thread.join(0.01 / len(self._threads))
            if not any(thread.is_alive() for thread in self._threads):
                break
        else:
            pytest.fail("the loop did not stop")
        self.loop.close()
        self._handover.end()


class Pool:
    """Members that share listening sockets and the pair to hand over by."""

    def __init__(
        self,
        gateway: Gateway = echo,
        make_poller: Callable[[], Poller] = EpollPoller,
        **settings: Any,
    ) -> None:
        self._gateway = gateway
        self._config = Config(**settings)
        self._make_poller = make_poller
        self._place = Place(self._config)
        self.connect = self._place.connect
        self.pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def start(self, receiver: socket.socket | None = None) -> Member:
        """A new member. *receiver*: it takes connections from there, not from the others."""
        handover = Handover(receiver or self.pair[0].dup(), self.pair[1].dup())
        return Member(self._gateway, self._place, handover, self._config, self._make_poller())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for end in self.pair:
            end.close()
        self._place.close()
