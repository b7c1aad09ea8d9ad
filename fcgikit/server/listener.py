"""A listening socket, and who may connect to it. ``sockets.py`` makes them."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ..config import Config
from ..errors import ConfigError

if TYPE_CHECKING:
    import ipaddress  # late, because a Unix socket does without

WEB_SERVER_ADDRS = "FCGI_WEB_SERVER_ADDRS"
"""Environment variable with the web servers' addresses. FastCGI 1.0 section 3.2."""

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
Networks: TypeAlias = "tuple[Network, ...]"
Accepted: TypeAlias = tuple[socket.SocketType, Any]
"""A connection, and its peer's address as the kernel tells it.

``SocketType`` is what ``socket.socket`` is made of: all that a connection needs, at a third of
the price.
"""


@dataclass(slots=True, eq=False)
class Listener:
    """A listening, non-blocking, close-on-exec stream socket.

    *allow* holds lists of networks; a TCP peer must be in every one of them. *inherited* says
    that somebody else made the socket. *path* and *inode* name the socket file that is ours to
    unlink, if there is one.
    """

    socket: socket.socket
    address: str
    allow: tuple[Networks, ...] = ()
    inherited: bool = False
    path: str = ""
    inode: tuple[int, int] = (0, 0)
    _family: int = field(init=False)

    def __post_init__(self) -> None:
        self._family = int(self.socket.family)

    def accept(self) -> Accepted:
        """A connection and its peer, as ``socket.accept()`` gives them for thrice the time.

        It asks the kernel for family and type each time, which the listener knows.
        """
        fileno, peer = self.socket._accept()  # type: ignore[attr-defined]
        return socket.SocketType(self._family, socket.SOCK_STREAM, 0, fileno), peer

    def admits(self, peer: Any) -> bool:
        """Whether this peer, as ``accept()`` names it, may talk to us."""
        if not self.allow:
            return True
        address = _ip(peer[0])
        return all(any(address in network for network in networks) for networks in self.allow)

    def close(self) -> None:
        """Stop listening; unlink our socket file, unless another process has replaced it."""
        # Before the socket is closed: until then no other file can have our inode number.
        if self.path and inode_of(self.path) == self.inode:
            with contextlib.suppress(OSError):  # a stale file does no harm
                os.unlink(self.path)
        self.path = ""
        self.socket.close()


def printable(sock: socket.socket) -> str:
    """The address of a socket, written as ``bind`` writes it."""
    name = sock.getsockname()
    if sock.family == socket.AF_INET:
        return f"{name[0]}:{name[1]}"
    if sock.family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace").replace("\0", "@")  # Linux's abstract sockets
    return f"unix:{name}"


def inode_of(path: str) -> tuple[int, int]:
    """Device and inode number of a file, which no other file has at the same time."""
    try:
        status = os.lstat(path)
    except OSError:
        return (-1, -1)
    return status.st_dev, status.st_ino


def who_may_connect(listener: Listener) -> str:
    """The users that the permissions of our socket file let in; empty where they do not matter."""
    if not listener.path:
        return ""
    status = os.stat(listener.path)
    if status.st_mode & stat.S_IWOTH:
        return ""
    return " and ".join(
        name
        for bit, name in (
            (stat.S_IWUSR, f"user {_name_of(pwd.getpwuid, status.st_uid)}"),
            (stat.S_IWGRP, f"group {_name_of(grp.getgrgid, status.st_gid)}"),
        )
        if status.st_mode & bit
    )


def _name_of(look_up: Callable[[int], Sequence[Any]], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def allowed_networks(sock: socket.socket, address: str, config: Config) -> tuple[Networks, ...]:
    """The lists of networks a peer of this socket must be in."""
    if sock.family == socket.AF_UNIX:
        return ()
    addresses = [item.strip() for item in os.environ.get(WEB_SERVER_ADDRS, "").split(",")]
    lists = (
        _networks("allow", config.allow),
        _networks(WEB_SERVER_ADDRS, [item for item in addresses if item]),
    )
    given = tuple(networks for networks in lists if networks)
    if not given and not _ip(sock.getsockname()[0]).is_loopback:
        raise ConfigError(
            f"bind {address}: whoever reaches this socket can pretend to be the web server. "
            f"Say with allow (--allow 192.0.2.7 or a network) or {WEB_SERVER_ADDRS} where web "
            "servers connect from, or listen on 127.0.0.1 or a Unix socket"
        )
    return given


def _networks(setting: str, texts: Sequence[str]) -> Networks:
    import ipaddress

    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from None


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as IPv4 wherever it is one: a dual-stack socket names its peers ::ffff:a.b.c.d."""
    import ipaddress

    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
