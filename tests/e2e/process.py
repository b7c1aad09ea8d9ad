"""A program under test: started without a shell, its log followed, stopped by its own id."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 10.0
"""Seconds after which a wait has failed. Generous: nothing here measures time."""

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A child process whose output is its log.

    *fds* stay open in the child under the same numbers. Leaving the ``with`` block stops it
    with SIGTERM; a child that does not obey is killed and the test fails.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        fds: Sequence[int] = (),
    ) -> None:
        self._popen = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=fds,
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def _follow(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as log:
            for line in log:
                with self._news:
                    self._lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def mark(self) -> int:
        """Where the log ends now: what :meth:`wait_for_log` shall not look back beyond."""
        with self._news:
            return len(self._lines)

    def log(self, since: int = 0) -> str:
        """What the program has written so far."""
        with self._news:
            return "\n".join(self._lines[since:])

    def tail(self) -> str:
        """The end of the log, for a message."""
        return self.log(max(0, self.mark - 40))

    def wait_for_log(self, pattern: str, since: int = 0) -> str:
        """The first line from *since* on that matches the regular expression *pattern*."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while True:
                while since < len(self._lines):
                    line = self._lines[since]
                    if wanted.search(line):
                        return line
                    since += 1
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._news.wait(left)
        raise AssertionError(f"no log line matches {pattern!r}; it ends:\n{self.tail()}")

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self) -> int:
        """The exit status, negative for a signal, once the process has ended."""
        try:
            status = self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            self._reader.join()
            raise AssertionError(f"it did not stop; its log ends:\n{self.tail()}") from None
        self._reader.join()
        return status

    def stop(self) -> int:
        """SIGTERM, if it still runs; its exit status."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class Foreign:
    """A process that somebody else has started, and that no later one can be mistaken for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def signal(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._pidfd, number)

    def wait(self) -> None:
        """Until it has ended."""
        ended, _, _ = select.select([self._pidfd], [], [], PATIENCE)
        assert ended, f"process {self.pid} has not ended"

    def close(self) -> None:
        os.close(self._pidfd)
