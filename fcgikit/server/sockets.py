"""How listening sockets come about: bound, inherited or handed over.

An address is written as gunicorn writes it: ``unix:PATH``, ``HOST:PORT``, ``[IPV6]:PORT``,
``:PORT`` for every IPv4 interface, ``fd://N`` for a listening socket this process was given.
Whatever cannot work raises :class:`~fcgikit.errors.ConfigError` with the address in front.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import logging
import os
import pwd
import re
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..addresses import SocketAddress, socket_address
from ..config import Config
from ..errors import ConfigError
from .listener import Listener, allowed_networks, inode_of, printable

log = logging.getLogger("fcgikit.server")

DEFAULT_ADDRESS = "127.0.0.1:9000"
"""Where the command line listens unasked: the address in nginx's and php-fpm's own examples.

Not a socket file: a predictable name in /tmp could be taken by any local user before us.
"""

FIRST_ACTIVATED = 3
"""The first file descriptor of systemd's socket activation (SD_LISTEN_FDS_START)."""

Address: TypeAlias = SocketAddress | int
"""The path of a Unix socket, host and port, or a file descriptor."""


@contextlib.contextmanager
def listening(config: Config, default: str = DEFAULT_ADDRESS) -> Iterator[list[Listener]]:
    """The sockets to serve, closed at the end. Raises ``ConfigError``.

    They are those of ``config.bind``, else those handed to this process (``LISTEN_FDS``, or a
    listening fd 0), else *default*; with an empty *default*, none.
    """
    handed = _activated() or (["fd://0"] if is_listening(0) else [])
    addresses: Sequence[str] = config.bind or handed or ([default] if default else [])
    for address in handed:
        if address not in addresses:
            log.warning("%s is a listening socket that nobody serves: bind names others", address)
    opened: list[Listener] = []
    try:
        with _closed_by_signals(opened):
            for address in addresses:
                opened.append(open_listener(address, config))
            yield opened
    finally:
        for listener in opened:
            listener.close()


@contextlib.contextmanager
def _closed_by_signals(opened: list[Listener]) -> Iterator[None]:
    """Leave no socket file when a signal ends us while the application is still imported.

    A worker that runs has handlers of its own.
    """
    pid = os.getpid()

    def end(number: int, frame: object) -> None:
        if os.getpid() == pid:  # not in a child that the application has forked
            for listener in opened:
                listener.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    handled: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        fatal = (signal.SIGTERM, signal.SIGHUP)
        handled = [number for number in fatal if signal.getsignal(number) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in handled:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)


def open_listener(address: str, config: Config) -> Listener:
    """Listen on *address*. Raises ``ConfigError``."""
    target = parse_address(address)
    try:
        if isinstance(target, int):
            return _inherit(target, config)
        if isinstance(target, str):
            return _bind_unix(target, config)
        return _bind_tcp(target, config)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = f"address in use: another process answers on {address}"
        elif error.errno == errno.ENOENT:
            reason = "the directory does not exist: make it first"
        raise ConfigError(f"bind {address}: {reason}") from error
    except UnicodeError as error:  # what getaddrinfo says of some malformed names
        raise ConfigError(f"bind {address}: {error}") from error


def parse_address(text: str) -> Address:
    """Path, ``(host, port)`` or file descriptor of an address as the module describes it."""
    if match := re.fullmatch(r"fd://([0-9]{1,9})", text):
        return int(match[1])
    if text.startswith(":"):
        text = f"0.0.0.0{text}"
    return socket_address(text, "bind", also="fd://N")


def is_listening(fd: int) -> bool:
    """Whether *fd* is a listening stream socket: how FastCGI 1.0 section 2.2 is recognised.

    Environment variables say nothing about it; a socket that listens is never connected.
    """
    try:
        probe = socket.socket(fileno=fd)
    except OSError:
        return False
    try:
        listens = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(listens) and probe.type == socket.SOCK_STREAM
    except OSError:
        return False
    finally:
        probe.detach()


def _activated() -> list[str]:
    """The descriptors systemd has passed, as addresses; takes its variables away.

    They are meant for the process LISTEN_PID names, and never for our children.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [f"fd://{FIRST_ACTIVATED + index}" for index in range(int(count))]


def _inherit(fd: int, config: Config) -> Listener:
    if not is_listening(fd):
        raise ConfigError(f"bind fd://{fd}: this descriptor is not a listening stream socket")
    if fd == 0:
        fd = os.dup(0)
        _release_standard_files()
    sock = socket.socket(fileno=fd)
    listener = Listener(sock, printable(sock), inherited=True)
    try:
        sock.set_inheritable(False)
        sock.setblocking(False)
        listener.allow = allowed_networks(sock, listener.address, config)
    except BaseException:
        listener.close()
        raise
    return listener


def _release_standard_files() -> None:
    """Let 0, 1 and 2 be no listening socket: the application prints, and its child processes
    inherit them. systemd's ``StandardInput=socket`` makes all three the socket."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        if is_listening(fd):
            os.dup2(null, fd)
    os.close(null)


def _bind_tcp(address: tuple[str, int], config: Config) -> Listener:
    host, port = address
    # As gunicorn: a name stands for its IPv4 address. An IPv6 one is written as such.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sock = socket.socket(family, socket.SOCK_STREAM)
    listener = Listener(sock, "")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(found[0][4])
        listener.address = printable(sock)
        listener.allow = allowed_networks(sock, listener.address, config)
        sock.listen(config.backlog)
        sock.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_unix(path: str, config: Config) -> Listener:
    path = os.path.abspath(path)  # the application may change the directory
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener = Listener(sock, f"unix:{path}")
    try:
        with _locked(os.path.dirname(path)):
            _remove_stale(path)
            sock.bind(path)
            listener.path, listener.inode = path, inode_of(path)
            # Nobody can connect before listen(), so there is no moment with other permissions.
            _set_permissions(path, config)
            sock.listen(config.backlog)
        sock.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Let nobody else who starts now replace a socket file in *directory*.

    A socket that is bound and does not listen yet looks to others as if its process were dead.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # it may not be ours to read, or cannot be locked
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, fd)
            for _ in range(100):  # for a second: other programs may hold such a lock for ever
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.01)
        yield


def _remove_stale(path: str) -> None:
    """Remove a socket file that a dead process has left; leave anything else alone."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            f"bind unix:{path}: this file is not a socket; remove it or choose another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog must not make us wait
        result = probe.connect_ex(path)
    if result == errno.ECONNREFUSED:
        os.unlink(path)
    elif result == errno.EACCES:
        raise OSError(result, "a socket we may not connect to is there already")
    elif result != errno.ENOENT:
        raise OSError(errno.EADDRINUSE, "")


def _set_permissions(path: str, config: Config) -> None:
    if config.socket_owner or config.socket_group:
        owner = _id_of("socket_owner", config.socket_owner)
        group = _id_of("socket_group", config.socket_group)
        try:
            os.chown(path, owner, group, follow_symlinks=False)
        except PermissionError:
            raise ConfigError(
                f"socket_owner, socket_group: only root may give unix:{path} to another user; "
                "a group must be one of our own"
            ) from None
    os.chmod(path, config.socket_mode)


def _id_of(setting: str, name: str) -> int:
    """The number of a user or group given by name or number; -1 (as it is) for none."""
    if not name:
        return -1
    try:
        if setting == "socket_owner":
            return pwd.getpwnam(name).pw_uid
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isdecimal():
            return int(name)
        raise ConfigError(f"{setting}: there is no {name!r} on this machine") from None
