"""Signals that come while a supervisor starts, or when all is over."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
OTHERS = (
    signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH
)  # fmt: skip


class EndedEarly(BaseException):
    """A signal has ended the start; *number* says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


@contextlib.contextmanager
def starting(*, first: bool) -> Iterator[None]:
    """Let no signal be lost, and none kill us, while the block makes ready to hear them.

    Signals wait until somebody unblocks them. At a *first* start, which may import an application
    for long, those that end us do so at once and cleanly: :class:`EndedEarly` is raised.

    After the block each signal has a handler that does nothing, so that none disturbs the end;
    after ``EndedEarly`` all are ignored. Any other exception leaves signals as they were.
    """
    came: list[int] = []

    def end(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise EndedEarly(number)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, OTHERS if first else (*ENDING, *OTHERS))
    before = {number: signal.getsignal(number) for number in (*ENDING, *OTHERS)}
    try:
        if first:
            for number in ENDING:
                signal.signal(number, end)
        yield
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if came:  # and somebody has swallowed the exception
            raise EndedEarly(came[0])
    except EndedEarly:
        ignore_signals()
        raise
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    for number in before:
        signal.signal(number, _nothing)


def ignore_signals() -> None:
    """Let nothing disturb the rest of the end: Python itself would take handlers away."""
    for number in (*ENDING, *OTHERS):
        signal.signal(number, signal.SIG_IGN)


def _nothing(number: int, frame: FrameType | None) -> None:
    pass
