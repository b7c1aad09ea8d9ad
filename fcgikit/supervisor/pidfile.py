"""The file with our process number: ``kill -HUP $(cat /run/app.pid)``."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from ..errors import ConfigError

log = logging.getLogger("fcgikit.supervisor")


@contextlib.contextmanager
def pid_file(path: str, before: str | None = None) -> Iterator[str]:
    """Our number in the file *path* for as long as the block runs; nothing for an empty path.
    The block gets the absolute path.

    A file that a dead process has left is replaced. Raises ``ConfigError`` when a process that
    lives has its number there, or when the file cannot be written.

    *before* is the file of the image before this one, empty if it had none. It is removed when
    *path* is another one; but if *path* cannot be had, the service goes on with it.
    """
    pid = os.getpid()
    path = os.path.abspath(path) if path else ""
    try:
        try:
            _take(path, pid)
        except ConfigError as error:
            if before is None:
                raise
            log.error("%s", error)
            path = before
        if before and before != path:
            _remove(before, pid)
        yield path
    finally:
        if os.getpid() == pid:  # and this is no worker, forked meanwhile
            _remove(path, pid)


def _take(path: str, pid: int) -> None:
    holder = _holder(path) if path else pid
    if holder != pid:  # it is ours already when this program has replaced itself
        if holder and _lives(holder):
            message = f"pid {path}: process {holder} lives and has its number there"
            raise ConfigError(message, "pid")
        _write(path, pid)


def _remove(path: str, pid: int) -> None:
    if path and _holder(path) == pid:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _holder(path: str) -> int:
    """The number in the file; 0 if there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return max(0, int(file.read(32)))
    except (OSError, ValueError):
        return 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # of another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _write(path: str, pid: int) -> None:
    """Put the whole file there at once, so that nobody reads half a number."""
    fresh = f"{path}.{pid}"
    try:
        with open(fresh, "x", encoding="ascii") as file:
            file.write(f"{pid}\n")
        os.rename(fresh, path)
    except OSError as error:
        raise ConfigError(f"pid {path}: {error.strerror}", "pid") from error
    finally:  # also when a signal ends us here
        with contextlib.suppress(OSError):
            os.unlink(fresh)
