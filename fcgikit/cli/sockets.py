"""The listening sockets of a pool: opened, or taken over from the image before."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence

from ..addresses import socket_address
from ..config import Config
from ..errors import ConfigError
from ..server.listener import Listener, Networks, allowed_networks
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
        """What the next image has to know; nothing when they are closed."""
        named = zip(self.listeners, self._binds, strict=True)
        return [kept(one, bind) for one, bind in named if one.socket.fileno() >= 0]


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
    before = [(one.bind, adopt(one)) for one in state.sockets]
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
            listener.allow = _allowed(listener, config, state.config)
        yield Sockets([listener for _, listener in going_on], [bind for bind, _ in going_on])
    finally:
        for _, listener in [*going_on, *before]:
            listener.close()


@contextlib.contextmanager
def status_socket(config: Config, state: State | None) -> Iterator[Listener | None]:
    """The socket for the setting ``status``, if it is set. Raises ``ConfigError`` at a first
    start; for *state* see :func:`pool_sockets`."""
    before = state.status if state else None
    listener = adopt(before) if before else None
    if listener and before and before.bind != config.status:
        listener.close()
        listener = None
    try:
        if config.status and listener is None:
            listener = _open_status(config)
    except ConfigError as error:
        if state is None:
            raise
        log.error("%s", error)
    try:
        yield listener
    finally:
        if listener:
            listener.close()


def check_status(address: str) -> None:
    """Raises ``ConfigError`` for an address where others could ask, too."""
    target = socket_address(address, "status")
    if not isinstance(target, str) and not _is_loopback(target[0]):
        raise ConfigError(
            f"status {address}: it tells URLs; offer it on a Unix socket or on 127.0.0.1", "status"
        )


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _open_status(config: Config) -> Listener:
    check_status(config.status)
    try:
        listener = open_listener(config.status, config)
    except ConfigError as error:
        raise ConfigError(f"status: {error}", "status") from error
    log.info("status on %s", listener.address)
    return listener


def kept(one: Listener, bind: str) -> KeptSocket:
    """A listener, called *bind* in the settings, as the next image has to know it."""
    fd = one.socket.fileno()
    return KeptSocket(fd, bind, one.address, one.inherited, one.path, one.inode)


def adopt(kept: KeptSocket) -> Listener:
    """A listener of the image before."""
    sock = socket.socket(fileno=kept.fd)
    sock.setblocking(False)
    return Listener(sock, kept.address, inherited=kept.inherited, path=kept.path, inode=kept.inode)


def _allowed(listener: Listener, config: Config, before: Config) -> tuple[Networks, ...]:
    """Who may connect; as *before* if the settings do not say that properly."""
    try:
        return allowed_networks(listener.socket, listener.address, config)
    except ConfigError as error:
        log.error("%s; the same may connect as before", error)
        return allowed_networks(listener.socket, listener.address, before)


def _open(bind: str, config: Config, going_on: list[tuple[str, Listener]]) -> None:
    """Open one more; a service that runs does not end because it cannot have that."""
    try:
        listener = open_listener(bind, config)
    except ConfigError as error:
        log.error("%s", error)
        return
    going_on.append((bind, listener))
    announce([listener], config)
