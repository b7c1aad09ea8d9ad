"""What the planner hears and what it asks for: the two vocabularies of the supervisor.

The planner (``plan.py``) turns inputs into commands and touches nothing else; the performer
(``posix.py``) carries commands out and brings inputs. A worker is named by the number of its
slot on the board; a slot is used again when its worker is gone.

As with events, nobody changes a message after handing it on; frozen ones would take twice the
time to import.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TypeAlias

from ..config import Config
from ..orders import Order, Report

# -- in: what has happened ------------------------------------------------------------------


@dataclass(slots=True)
class Signalled:
    """A signal has come to the supervisor."""

    number: signal.Signals


@dataclass(slots=True)
class Spawned:
    """A worker's process is there; it has still to load the application."""

    slot: int
    pid: int


@dataclass(slots=True)
class Reported:
    """A worker says something of itself."""

    slot: int
    report: Report


@dataclass(slots=True)
class Ended:
    """A worker is gone, or could not be forked. *status* as ``os.waitstatus_to_exitcode``
    gives it: negative for a signal. *running* names the requests it was working on, as the
    board knows them."""

    slot: int
    status: int
    running: tuple[str, ...] = ()


@dataclass(slots=True)
class View:
    """What the board says of one worker."""

    slot: int
    busy: int  # threads that run a request
    requests: int  # served so far
    connections: int  # open, at the last beat
    beat_age: float  # seconds since its last sign of life
    slow_requests: int = 0  # so far


@dataclass(slots=True)
class Waiting:
    """A connection waits to be accepted. Told only while :class:`Watch` asks for it."""

    views: tuple[View, ...]  # of all workers


@dataclass(slots=True)
class Ticked:
    """Time has passed: :attr:`Planner.wake_at <fcgikit.supervisor.plan.Planner>` is reached."""

    views: tuple[View, ...]  # of all workers


@dataclass(slots=True)
class SettingsRead:
    """The answer to :class:`ReadSettings`: the new settings, ``None`` if they cannot work."""

    config: Config | None


@dataclass(slots=True)
class ImageChecked:
    """The answer to :class:`CheckImage`: the exit status of the trial."""

    status: int


Input: TypeAlias = (
    Signalled
    | Spawned
    | Reported
    | Ended
    | Waiting
    | Ticked
    | SettingsRead
    | ImageChecked
)

# -- out: what shall be done ----------------------------------------------------------------


@dataclass(slots=True)
class Spawn:
    """Fork a worker for a free slot."""

    slot: int
    generation: int


@dataclass(slots=True)
class Give:
    """Give a worker an order."""

    slot: int
    order: Order


@dataclass(slots=True)
class Kill:
    """Send a worker a signal that it cannot overhear: it has not obeyed an order in time."""

    slot: int
    number: signal.Signals


@dataclass(slots=True)
class Watch:
    """Tell, or do not tell any more, when a connection waits to be accepted."""

    wanted: bool


@dataclass(slots=True)
class ReadSettings:
    """Read the settings again, for a reload."""


@dataclass(slots=True)
class UseSettings:
    """Return to these settings: a reload has been given up."""

    config: Config


@dataclass(slots=True)
class ReopenLogs:
    """Open the supervisor's own log files again."""


@dataclass(slots=True)
class CheckImage:
    """Start this program anew beside us, only to see whether it would start."""


@dataclass(slots=True)
class Adopted:
    """A worker that the image before has left to the next one."""

    slot: int
    pid: int
    generation: int
    phase: str  # name of a states.Phase


@dataclass(slots=True)
class ReExec:
    """Replace this process by a new image of itself, which adopts sockets and these workers."""

    workers: tuple[Adopted, ...]


@dataclass(slots=True)
class Notify:
    """Tell the service manager: ``ready``, ``reloading``, ``stopping``, or with an empty
    *state* only a status text."""

    state: str
    status: str = ""


@dataclass(slots=True)
class Log:
    """A line for the log; *level* as in :mod:`logging`."""

    level: int
    message: str


@dataclass(slots=True)
class Exit:
    """All is done; leave with this status."""

    status: int


Command: TypeAlias = (
    Spawn
    | Give
    | Kill
    | Watch
    | ReadSettings
    | UseSettings
    | ReopenLogs
    | CheckImage
    | ReExec
    | Notify
    | Log
    | Exit
)


# -- what is known --------------------------------------------------------------------------


@dataclass(slots=True)
class Member:
    """A worker, as the planner knows it."""

    slot: int
    pid: int
    generation: int
    phase: str  # name of a states.Phase
    born: float  # time.monotonic(); when it was adopted, if it was


@dataclass(slots=True)
class Overview:
    """The pool, as the planner knows it."""

    state: str  # name of a states.State
    generation: int
    config: Config
    most: int  # workers there may be
    times_full: int  # more were needed than that
    workers: tuple[Member, ...]
