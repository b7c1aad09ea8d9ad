"""The status of the pool as one JSON document; php-fpm's names, where it has one.

What the board says is a worker's word: it is shown, and nothing follows from it.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable
from math import isfinite
from typing import Any

from .. import __version__
from .board import Board
from .image import KeptSocket
from .messages import Member, Overview, View

_PAGE = os.sysconf("SC_PAGE_SIZE")

_TCP_INFO = getattr(socket, "TCP_INFO", 11)
_QUEUE = struct.Struct("<24xII")  # of a listening socket: tcpi_unacked, tcpi_sacked


class Status:
    """What outlives a single look: since when the pool is there, and what the gone have done."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._start_time = time.time()
        self._requests = 0
        self._slow_requests = 0

    def gone(self, view: View) -> None:
        """A worker has ended, and this is what the board says last of it."""
        self._requests += view.requests
        self._slow_requests += view.slow_requests

    def document(
        self, overview: Overview, board: Board, sockets: Iterable[KeptSocket]
    ) -> bytes:
        """The whole document. Times are seconds, sizes bytes; what is unknown is null."""
        import json  # late: most pools are never asked

        now = time.monotonic()
        views = [board.view(member.slot, now) for member in overview.workers]
        busy = sum(view.busy > 0 for view in views)
        serving = [member.phase == "SERVING" for member in overview.workers]
        idle = sum(one and not view.busy for one, view in zip(serving, views, strict=True))
        listen = [_listening(one) for one in sockets]
        told = {
            "version": __version__,
            "pid": os.getpid(),
            "state": overview.state.lower(),
            "generation": overview.generation,
            "process_manager": overview.config.pm,
            "start_time": int(self._start_time),
            "start_since": int(now - self._began),
            "requests": self._requests + sum(view.requests for view in views),
            "slow_requests": self._slow_requests + sum(view.slow_requests for view in views),
            "connections": sum(view.connections for view in views),
            "listen_queue": _sum(one["queue"] for one in listen),
            "listen_queue_len": _sum(one["queue_len"] for one in listen),
            "idle_processes": idle,
            "active_processes": busy,
            "total_processes": len(views),
            "max_children": overview.most,
            "max_children_reached": overview.times_full,
            "threads": overview.config.threads,
            "listen": listen,
            "processes": [
                _process(member, view, board, now)
                for member, view in zip(overview.workers, views, strict=True)
            ],
        }
        return json.dumps(told, allow_nan=False).encode() + b"\n"


def _process(member: Member, view: View, board: Board, now: float) -> dict[str, Any]:
    return {
        "slot": member.slot,
        "pid": member.pid,
        "generation": member.generation,
        "phase": member.phase.lower(),
        "start_since": int(now - member.born),
        "busy": view.busy,
        "requests": view.requests,
        "connections": view.connections,
        "slow_requests": view.slow_requests,
        "rss": resident_memory(member.pid),
        "beat_age": _seconds(view.beat_age),
        "running": [
            {"request": line, "request_duration": _seconds(age)}
            for line, age in board.requests(member.slot, now)
        ],
    }


def _seconds(age: float) -> float | None:
    return round(age, 3) if isfinite(age) else None


def _sum(numbers: Iterable[int | None]) -> int | None:
    """The sum of those that are known; ``None`` if none is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _listening(kept: KeptSocket) -> dict[str, Any]:
    """A listening socket's address, how many wait to be accepted there, and how many may.

    Linux tells the numbers of a TCP socket only: see ``tcp_get_info`` in net/ipv4/tcp.c.
    """
    queue = queue_len = None
    sock = socket.socket(fileno=kept.fd)
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _QUEUE.size)
        queue, queue_len = _QUEUE.unpack(info)
    except (OSError, struct.error):
        pass
    finally:
        sock.detach()
    return {"address": kept.address, "queue": queue, "queue_len": queue_len}


def resident_memory(pid: int) -> int | None:
    """Bytes of a process in memory (RSS); ``None`` where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None
