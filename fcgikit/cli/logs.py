"""Where what fcgikit logs goes: standard error or files, in gunicorn's form.

The logger ``fcgikit`` goes to ``error_log``, and ``fcgikit.slow`` to ``slow_log`` if there is one.
The root logger and all others are the application's.
"""

from __future__ import annotations

import logging
import os
from typing import TextIO

from ..config import Config
from ..errors import ConfigError

STANDARD_ERROR = "-"
AS_IT_IS = -1  # to chown


def configure_logging(config: Config) -> None:
    """Send what fcgikit logs to where *config* says. Raises ``ConfigError``.

    Again after the application's import, because its own ``dictConfig`` disables loggers it
    finds, and with the new settings of a reload: a log stays as it is while its setting does.
    """
    main, slow = logging.getLogger("fcgikit"), logging.getLogger("fcgikit.slow")
    _direct(main, "error_log", config.error_log, config)
    _direct(slow, "slow_log", config.slow_log, config)
    main.setLevel(config.log_level.upper())
    main.propagate = False
    # A log of its own was asked for, so it gets everything, whatever the level of the other.
    slow.setLevel(logging.INFO if config.slow_log else logging.NOTSET)
    slow.propagate = not config.slow_log
    for name in list(logging.root.manager.loggerDict):
        if name == "fcgikit" or name.startswith("fcgikit."):
            logging.getLogger(name).disabled = False


def reopen_logs() -> None:
    """Open log files anew that somebody has moved away (SIGUSR1)."""
    for name in ("fcgikit", "fcgikit.slow"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, LogFile):
                handler.reopen()


class Lines(logging.Formatter):
    """One record is one line; what else belongs to it (a traceback, a stack) is indented."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s [%(process)d] %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S %z"
        )

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\n  ")


class LogFile(logging.StreamHandler[TextIO]):
    """A log file that is opened again as soon as its name stands for no file or another one.

    Where that fails, because we are root no longer or in a chroot, the old file goes on being
    written. (``WatchedFileHandler`` of the standard library raises in the middle of a request.)
    A file that root creates is given to *owner*, user and group.
    """

    def __init__(self, path: str, owner: tuple[int, int]) -> None:
        self._path = os.path.abspath(path)  # the directory may change
        self._owner = owner
        super().__init__(self._open())

    def emit(self, record: logging.LogRecord) -> None:
        self.reopen()
        super().emit(record)

    def reopen(self) -> None:
        """Open the file again if it was moved away or removed."""
        self.acquire()
        try:
            if not self._moved():
                return
            old = self.setStream(self._open())
            if old:
                old.close()
        except OSError:
            pass  # the old one is better than none
        finally:
            self.release()

    def _moved(self) -> bool:
        try:
            there = os.stat(self._path)
        except OSError:
            return True
        return not os.path.samestat(there, os.fstat(self.stream.fileno()))

    def _open(self) -> TextIO:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            # Exclusively, and that does not follow links: else who may write to the directory
            # could have root give him any file.
            fd = os.open(self._path, flags | os.O_EXCL, 0o640)
        except FileExistsError:
            fd = os.open(self._path, flags, 0o640)
        else:
            os.fchown(fd, *self._owner)
        return open(fd, "a", encoding="utf-8", errors="backslashreplace")


def _direct(logger: logging.Logger, setting: str, target: str, config: Config) -> None:
    """Let *target*, a file or ``-``, be where *logger* writes to; nothing for an empty one."""
    ours = [handler for handler in logger.handlers if isinstance(handler.formatter, Lines)]
    foreign = logger.handlers and not ours  # the application wants these records elsewhere
    if foreign or [handler.name for handler in ours] == ([target] if target else []):
        return
    if target:
        handler = _handler(setting, target, config)
        handler.name = target
        handler.setFormatter(Lines())
        logger.addHandler(handler)
    for old in ours:
        logger.removeHandler(old)
        if isinstance(old, LogFile):
            old.stream.close()


def _handler(setting: str, target: str, config: Config) -> logging.Handler:
    if target == STANDARD_ERROR:
        return logging.StreamHandler()
    try:
        return LogFile(target, _owner(config))
    except OSError as error:
        raise ConfigError(f"{setting} {target}: {error.strerror}", setting) from error


def _owner(config: Config) -> tuple[int, int]:
    """Whom root gives a log file to: those who write to it later."""
    if not (config.user or config.group):
        return AS_IT_IS, AS_IT_IS
    from ..supervisor.privileges import privileges

    rights = privileges(config)
    user = rights.user.pw_uid if rights.user else AS_IT_IS
    return user, AS_IT_IS if rights.gid is None else rights.gid
