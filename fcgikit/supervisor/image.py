"""The program this process runs: tried out beside it, and replaced in place (SIGUSR2).

The new image has our process number, so the workers stay our children. What it needs to go on
stays open across the exec, and a note in JSON says what is what: :class:`State`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self

from ..config import DEFAULT, Config
from .board import LAYOUT
from .messages import Adopted
from .notify import VARIABLES

if TYPE_CHECKING:
    import subprocess

ADOPT = "FCGIKIT_ADOPT"
"""Environment variable with the descriptor of the note for a new image."""

_CONSUMED = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")  # such sockets are in the note


@dataclass(slots=True)
class KeptSocket:
    """A listening socket: the address it was asked for by, and what the server knows of it."""

    fd: int
    bind: str
    address: str
    inherited: bool
    path: str
    inode: tuple[int, int]


@dataclass(slots=True)
class State:
    """All that a new image of this process takes over. Descriptors are numbers.

    *config* are the settings that have worked so far; names in them are absolute. *status* is
    the socket that tells the status.
    """

    board: int
    slots: int
    sockets: tuple[KeptSocket, ...]
    handover: tuple[int, int]
    config: Config = DEFAULT
    status: KeptSocket | None = None
    workers: tuple[Adopted, ...] = ()
    channels: tuple[int, ...] = ()  # our end of each worker's, in the same order
    signals: tuple[int, ...] = ()  # heard, and not yet acted upon
    pid: int = field(default_factory=os.getpid)
    layout: str = LAYOUT

    def descriptors(self) -> Iterable[int]:
        yield self.board
        yield from self.handover
        yield from (one.fd for one in self.sockets)
        if self.status:
            yield self.status.fd
        yield from self.channels

    def to_json(self) -> str:
        import json

        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        import json

        told = json.loads(text)
        return cls(
            board=told["board"],
            slots=told["slots"],
            sockets=tuple(map(_socket, told["sockets"])),
            handover=(told["handover"][0], told["handover"][1]),
            config=_config(told.get("config", {})),
            status=_socket(told["status"]) if told.get("status") else None,
            workers=tuple(Adopted(**one) for one in told["workers"]),
            channels=tuple(told["channels"]),
            signals=tuple(told["signals"]),
            pid=told["pid"],
            layout=told["layout"],
        )


def _socket(told: dict[str, Any]) -> KeptSocket:
    return KeptSocket(**{**told, "inode": tuple(told["inode"])})


def _config(told: dict[str, Any]) -> Config:
    """The settings of the image before, as far as this version knows them."""
    known = {field.name for field in dataclasses.fields(Config)}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in told.items()
        if name in known
    }
    return Config(**values)


class Image:
    """This program as it was started. To be made first thing: directories change later."""

    def __init__(self) -> None:
        self.adopted = _adopted()
        """What the image before this one has left; ``None`` when there was none."""
        self._argv = [sys.executable, *sys.orig_argv[1:]]
        self._directory = _directory()
        self._environ = {name: os.environ[name] for name in os.environ if name not in _CONSUMED}

    def return_to_start(self) -> None:
        """Change to where we were started, by its name: a deployment may have moved a link."""
        try:
            os.chdir(self._directory)
        except OSError:
            pass  # it is gone, and we are still there

    def trial(self) -> subprocess.Popen[bytes]:
        """Start it beside us with ``--check-config``: it says whether it would start."""
        import subprocess  # late: a start shall be fast, and workers small

        environ = {name: text for name, text in self._environ.items() if name not in VARIABLES}
        return subprocess.Popen(
            [*self._argv, "--check-config"],
            cwd=self._directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            process_group=0,  # a terminal's Ctrl-C is not for it: we end it, with all it started
        )

    def replace(self, state: State) -> NoReturn:
        """Become the program anew. Raises ``OSError``, and then nothing has changed."""
        here = os.getcwd()
        note = os.memfd_create("fcgikit-state", 0)
        fds = [note, *state.descriptors()]
        try:
            os.write(note, state.to_json().encode())
            os.chdir(self._directory)
            for fd in fds:
                os.set_inheritable(fd, True)
            os.execve(self._argv[0], self._argv, {**self._environ, ADOPT: str(note)})
        except OSError:
            for fd in fds:
                os.set_inheritable(fd, False)
            os.close(note)
            os.chdir(here)
            raise


def _adopted() -> State | None:
    number = os.environ.pop(ADOPT, "")
    if not number:
        return None
    with open(int(number), encoding="utf-8") as note:
        note.seek(0)
        state = State.from_json(note.read())
    if state.pid != os.getpid():  # the variable has got to where it does not belong
        return None
    for fd in state.descriptors():
        os.set_inheritable(fd, False)
    return state


def _directory() -> str:
    """Where we were started, by the name the shell knows: a link may lead elsewhere meanwhile."""
    here, name = os.getcwd(), os.environ.get("PWD", "")
    try:
        return name if name and os.path.samefile(name, here) else here
    except OSError:
        return here
