"""The listening sockets of a pool: opened, or taken over from the image before."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence

from ..config import Config
from ..errors import ConfigError
from ..server.listener import Listener, allowed_networks
from ..server.sockets import listening, open_listener
from ..server.start import announce
from ..supervisor.image import KeptSocket, State

log = logging.getLogger("fcgikit.supervisor")


class Sockets:
    """*listeners*, and for each what ``bind`` calls it; ``""`` where it was not asked for."""

    def __init__(self, listeners: list[Listener], binds: Sequence[str]) -> None:
        self.listeners = listeners
        self.inherited = any(listener.inherited for listener in listeners)
        self._binds = binds

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()

    def kept(self) -> list[KeptSocket]:
        """What the next image has to know."""
        return [
            KeptSocket(
                one.socket.fileno(), bind, one.address, one.inherited, one.path, one.inode
            )
            for one, bind in zip(self.listeners, self._binds, strict=True)
        ]


@contextlib.contextmanager
def pool_sockets(config: Config, state: State | None) -> Iterator[Sockets]:
    """The sockets that ``bind`` says, closed at the end. Raises ``ConfigError``.

    With the *state* of the image before, its sockets go on; only what is new is opened, and
    what is not asked for any more is closed.
    """
    if state is None:
        with listening(config) as listeners:
            yield Sockets(listeners, config.bind or [""] * len(listeners))
        return
    before = [(one.bind, _adopt(one)) for one in state.sockets]
    going_on: list[tuple[str, Listener]] = []
    try:
        for bind in config.bind or [bind for bind, _ in before if not bind]:
            found = next((one for one in before if one[0] == bind), None)
            if found:
                before.remove(found)
                going_on.append(found)
            else:
                _open(bind, config, going_on)
        while before:
            bind, listener = before.pop()
            log.info("listening on %s no longer", listener.address)
            listener.close()
        for _, listener in going_on:
            listener.allow = allowed_networks(listener.socket, listener.address, config)
        yield Sockets([listener for _, listener in going_on], [bind for bind, _ in going_on])
    finally:
        for _, listener in [*going_on, *before]:
            listener.close()


def _adopt(kept: KeptSocket) -> Listener:
    sock = socket.socket(fileno=kept.fd)
    sock.setblocking(False)
    return Listener(sock, kept.address, inherited=kept.inherited, path=kept.path, inode=kept.inode)


def _open(bind: str, config: Config, going_on: list[tuple[str, Listener]]) -> None:
    """Open one more; a service that runs does not end because it cannot have that."""
    try:
        listener = open_listener(bind, config)
    except ConfigError as error:
        log.error("%s", error)
        return
    going_on.append((bind, listener))
    announce([listener], config)
