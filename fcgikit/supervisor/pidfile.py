"""The file with our process number: ``kill -HUP $(cat /run/app.pid)``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..errors import ConfigError


@contextlib.contextmanager
def pid_file(path: str) -> Iterator[None]:
    """Our number in the file *path* for as long as the block runs; nothing for an empty path.

    A file that a dead process has left is replaced. Raises ``ConfigError`` when a process that
    lives has its number there, or when the file cannot be written.
    """
    if not path:
        yield
        return
    path, pid = os.path.abspath(path), os.getpid()
    holder = _holder(path)
    if holder != pid:  # it is ours already when this program has replaced itself
        if holder and _lives(holder):
            message = f"pid {path}: process {holder} lives and has its number there"
            raise ConfigError(message, "pid")
        _write(path, pid)
    try:
        yield
    finally:
        if os.getpid() == pid == _holder(path):  # and this is no worker, forked meanwhile
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
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise ConfigError(f"pid {path}: {error.strerror}", "pid") from error
