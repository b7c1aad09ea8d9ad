"""States of the pool, what each signal does in them, and how long a worker may take to obey.

Every decision about a signal lives here, and nothing here carries one out. ``docs/signals.md``
is drawn from these tables.
"""

from __future__ import annotations

import enum
from signal import Signals
from typing import Final

from ..config import Config
from ..orders import Order


class State(enum.Enum):
    """What the pool as a whole is about."""

    STARTING = "the first workers load the application"
    RUNNING = "the wanted number of workers is kept"
    RELOADING = "new workers take the places of the old ones, which serve until then"
    PAUSED = "all workers have been retired; connections wait in the backlog"
    STOPPING = "workers finish what runs and leave"
    TERMINATING = "workers leave at once"


class Phase(enum.Enum):
    """How far one worker has come."""

    STARTING = "loads the application"
    SERVING = "serves"
    LEAVING = "has been told to go"


class Action(enum.Enum):
    """What a signal does."""

    STOP = "end when what runs is finished"
    TERMINATE = "end at once; requests in flight are lost"
    KILL = "SIGKILL to what is left"
    RELOAD = "new workers, with new settings and new code"
    LATER = "reload as soon as the first workers serve"
    RE_EXEC = "a new image of the supervisor, then new workers"
    REOPEN = "open the log files again"
    MORE = "one worker more"
    FEWER = "one worker fewer, but never none"
    PAUSE = "retire all workers"
    RESUME = "bring the workers back"
    NOTHING = "no effect"


_STARTING: Final = State.STARTING
_RUNNING: Final = State.RUNNING
_RELOADING: Final = State.RELOADING
_PAUSED: Final = State.PAUSED
_STOPPING: Final = State.STOPPING
_TERMINATING: Final = State.TERMINATING

MAY_FOLLOW: Final[dict[State, tuple[State, ...]]] = {
    _STARTING: (_RUNNING, _STOPPING, _TERMINATING),
    _RUNNING: (_RELOADING, _PAUSED, _STOPPING, _TERMINATING),
    _RELOADING: (_RELOADING, _RUNNING, _PAUSED, _STOPPING, _TERMINATING),
    _PAUSED: (_RUNNING, _RELOADING, _STOPPING, _TERMINATING),
    _STOPPING: (_TERMINATING,),
    _TERMINATING: (),
}
"""state -> states that may follow. Nothing cancels a termination, and nothing softens it."""

ENDING: Final = frozenset((_STOPPING, _TERMINATING))

# Apache's mod_fcgid sends SIGTERM twice and still means: finish. Only SIGINT hurries.
_GRACEFUL: Final = {
    _STARTING: Action.STOP,
    _RUNNING: Action.STOP,
    _RELOADING: Action.STOP,
    _PAUSED: Action.STOP,
    _STOPPING: Action.NOTHING,
    _TERMINATING: Action.NOTHING,
}

SIGNALS: Final[dict[Signals, dict[State, Action]]] = {
    Signals.SIGTERM: _GRACEFUL,
    Signals.SIGQUIT: _GRACEFUL,
    Signals.SIGINT: {
        _STARTING: Action.TERMINATE,
        _RUNNING: Action.TERMINATE,
        _RELOADING: Action.TERMINATE,
        _PAUSED: Action.TERMINATE,
        _STOPPING: Action.TERMINATE,
        _TERMINATING: Action.KILL,
    },
    Signals.SIGHUP: {
        _STARTING: Action.LATER,
        _RUNNING: Action.RELOAD,
        _RELOADING: Action.RELOAD,
        _PAUSED: Action.RELOAD,
        _STOPPING: Action.NOTHING,
        _TERMINATING: Action.NOTHING,
    },
    Signals.SIGUSR2: {
        _STARTING: Action.NOTHING,
        _RUNNING: Action.RE_EXEC,
        _RELOADING: Action.RE_EXEC,
        _PAUSED: Action.RE_EXEC,
        _STOPPING: Action.NOTHING,
        _TERMINATING: Action.NOTHING,
    },
    Signals.SIGUSR1: dict.fromkeys(State, Action.REOPEN),
    Signals.SIGTTIN: {
        _STARTING: Action.MORE,
        _RUNNING: Action.MORE,
        _RELOADING: Action.MORE,
        _PAUSED: Action.RESUME,
        _STOPPING: Action.NOTHING,
        _TERMINATING: Action.NOTHING,
    },
    Signals.SIGTTOU: {
        _STARTING: Action.FEWER,
        _RUNNING: Action.FEWER,
        _RELOADING: Action.FEWER,
        _PAUSED: Action.NOTHING,
        _STOPPING: Action.NOTHING,
        _TERMINATING: Action.NOTHING,
    },
    Signals.SIGWINCH: {
        _STARTING: Action.NOTHING,
        _RUNNING: Action.PAUSE,
        _RELOADING: Action.PAUSE,
        _PAUSED: Action.NOTHING,
        _STOPPING: Action.NOTHING,
        _TERMINATING: Action.NOTHING,
    },
}
"""signal -> state -> what it does. Signals that are not here are not the supervisor's."""

MARGIN: Final = 2.0
"""Seconds more than a worker gives itself: time to write a log line and to go."""

PATIENCE: Final = {
    Order.RETIRE: (True, MARGIN),
    Order.STOP: (True, MARGIN),
    Order.QUIT: (False, MARGIN),
    Signals.SIGABRT: (False, MARGIN),
}
"""What a worker has been told -> whether it has ``graceful_timeout``, and seconds on top of
that. Then comes SIGKILL."""


def patience(told: Order | Signals, config: Config) -> float:
    """Seconds until a worker that was *told* so is killed."""
    graceful, more = PATIENCE[told]
    return config.graceful_timeout * graceful + more
