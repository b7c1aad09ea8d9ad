"""The service manager: systemd's notification protocol, sd_notify(3).

Everything is best effort. Whoever is not run by a service manager sends nothing.
"""

from __future__ import annotations

import os
import socket
import time
from math import inf

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""The environment variables by which a service manager says what it wants to hear."""

_STATES = {"ready": "READY=1", "reloading": "RELOADING=1", "stopping": "STOPPING=1"}


class Notifier:
    """Sends states to ``NOTIFY_SOCKET``, and signs of life if it wants them.

    The variables are taken out of the environment: they are not meant for workers or for what
    an application starts.
    """

    def __init__(self) -> None:
        self._address, limit, pid = (os.environ.pop(name, "") for name in VARIABLES)
        if self._address.startswith("@"):
            self._address = f"\0{self._address[1:]}"
        self.wake_at = self._interval = inf
        if self._address and limit.isdecimal() and pid in ("", str(os.getpid())):
            self._interval = int(limit) / 2e6  # half of it, as sd_watchdog_enabled(3) recommends
            self.wake_at = 0.0

    def send(self, state: str, status: str = "") -> None:
        """Tell *state*: ``ready``, ``reloading``, ``stopping`` or ``""``; and a text for people."""
        lines = [_STATES[state]] if state in _STATES else []
        if state == "reloading":
            lines.append(f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if status:
            lines.append(f"STATUS={' '.join(status.split())}")
        self._send(lines)

    def beat(self, now: float) -> None:
        """A sign of life, when one is due; :attr:`wake_at` says when the next one is."""
        if now >= self.wake_at:
            self._send(["WATCHDOG=1"])
            self.wake_at = now + self._interval

    def _send(self, lines: list[str]) -> None:
        if not self._address or not lines:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass  # a service manager that does not listen must not stop us
