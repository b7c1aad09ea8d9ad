"""Transcripts for the planner: what happens, ``>>``, and what it asks for, ``<<``.

    >> 0 READY                      worker in slot 0 reports READY; likewise MAX_REQUESTS ...
    >> 0 ends 1 GET /slow           it is gone, with this status; it ran this request
    >> 0 busy 2 requests 7 connections 1 beat 3       what the board says from now on
    >> SIGHUP                       any signal
    >> settings workers=3 pm=dynamic, or: settings bad
    >> image 0                      the new image's trial has this exit status
    >> waiting                      a connection waits
    >> 2.5 s                        time passes; the planner is woken whenever it wants
    << spawn 0 1                    slot and generation; >> spawned follows by itself, pid 100 + n
    << give 0 RETIRE
    << kill 0 SIGKILL
    << watch on
    << read settings, reopen logs, check image
    << use settings workers=2       those from before the reload
    << re-exec 0:101:1:SERVING ...
    << notify ready 2 workers
    << log ERROR *SIGSEGV*          a pattern; log lines and mere status texts may be left out
    << exit 0

Lines without an arrow, and what stands after ``#``, are prose.
"""

from __future__ import annotations

import fnmatch
import logging
import shlex
from collections.abc import Iterator
from signal import Signals
from typing import Any

from fcgikit.config import Config
from fcgikit.orders import Report
from fcgikit.supervisor.messages import (
    Adopted,
    CheckImage,
    Command,
    Ended,
    Exit,
    Give,
    ImageChecked,
    Input,
    Kill,
    Log,
    Notify,
    ReadSettings,
    ReExec,
    ReopenLogs,
    Reported,
    SettingsRead,
    Signalled,
    Spawn,
    Spawned,
    Ticked,
    UseSettings,
    View,
    Waiting,
    Watch,
)
from fcgikit.supervisor.plan import Planner

START = 1000.0
OFTEN = 1000
"""Wake-ups during one passage of time, after which the planner is said to spin."""


class Playbook:
    """One planner, its clock, and its board. Settings as for ``Config``."""

    def __init__(
        self,
        *,
        slots: int = 8,
        adopted: tuple[Adopted, ...] | None = None,
        before: Config | None = None,
        renew: bool = True,
        inherited: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = settings
        self.planner = Planner(
            Config(**settings), slots, adopted, before=before, renew=renew, inherited=inherited
        )
        self.now = START
        self.views = {worker.slot: View(worker.slot, 0, 0, 0, 0.0) for worker in adopted or ()}
        self._seen: dict[int, float] = {}
        self.pids = 100
        self.said: list[str] = []

    def check(self, script: str) -> Playbook:
        """Check that it goes as written; further calls go on from there."""
        for line in script.splitlines():
            arrow, _, words = line.partition("#")[0].strip().partition(" ")
            if arrow == ">>":
                self._expect_no_more(words)
                self._input(words.strip())
            elif arrow == "<<":
                self._expect(words.strip())
        self._expect_no_more("the end")
        return self

    def hear(self, input: Input) -> list[Command]:
        """Hand one input over, and answer what a performer answers by itself."""
        commands = self.planner.handle(input, self.now)
        self.said += [say(command) for command in commands]
        for command in commands:
            if isinstance(command, Spawn):
                self.pids += 1
                self.views[command.slot] = View(command.slot, 0, 0, 0, 0.0)
                commands = commands + self.hear(Spawned(command.slot, self.pids))
        return commands

    def passes(self, seconds: float) -> list[Command]:
        """Let time pass; wake the planner as often as it wants."""
        commands: list[Command] = []
        until = self.now + seconds
        for _ in range(OFTEN):
            if self.planner.wake_at > until:
                self.now = until
                return commands
            self.now = max(self.now, self.planner.wake_at)
            commands += self.hear(Ticked(tuple(self.views.values())))
        raise AssertionError("the planner spins")

    # -- one line ---------------------------------------------------------------------------

    def _input(self, words: str) -> None:
        first, *rest = shlex.split(words)
        if rest == ["s"]:
            self.passes(float(first))
        elif first.isdigit():
            self._of_worker(int(first), rest)
        elif first == "settings":
            self.hear(SettingsRead(self._config(rest)))
        elif first == "image":
            self.hear(ImageChecked(int(rest[0])))
        elif first == "waiting":
            self.hear(Waiting(tuple(self.views.values())))
        else:
            self.hear(Signalled(Signals[first]))

    def _of_worker(self, slot: int, words: list[str]) -> None:
        if words[0] == "ends":
            del self.views[slot]
            running = (" ".join(words[2:]),) if words[2:] else ()
            self.hear(Ended(slot, int(words[1]), running))
        elif words[0] in Report.__members__:
            self.hear(Reported(slot, Report[words[0]]))
        else:
            said = dict(zip(words[::2], map(float, words[1::2]), strict=True))
            old = self.views[slot]
            self.views[slot] = View(
                slot,
                int(said.get("busy", old.busy)),
                int(said.get("requests", old.requests)),
                int(said.get("connections", old.connections)),
                said.get("beat", old.beat_age),
            )

    def _config(self, words: list[str]) -> Config | None:
        if words == ["bad"]:
            return None
        for word in words:
            name, _, value = word.partition("=")
            self.settings[name] = int(value) if value.isdigit() else value
        return Config(**self.settings)

    def _expect(self, words: str) -> None:
        while self.said:
            said = self.said.pop(0)
            if fnmatch.fnmatchcase(said, words):
                return
            assert optional(said), f"said {said!r}, not {words!r}"
        raise AssertionError(f"nothing more is said, not {words!r}")

    def _expect_no_more(self, before: str) -> None:
        more = [said for said in self.said if not optional(said)]
        assert not more, f"said before {before!r}: {more}"
        self.said.clear()


def optional(said: str) -> bool:
    return said.startswith(("log ", "notify - "))


def say(command: Command) -> str:
    """A command as a line of a transcript."""
    match command:
        case Spawn(slot, generation):
            return f"spawn {slot} {generation}"
        case Give(slot, order):
            return f"give {slot} {order.name}"
        case Kill(slot, number):
            return f"kill {slot} {number.name}"
        case Watch(wanted):
            return f"watch {'on' if wanted else 'off'}"
        case ReadSettings():
            return "read settings"
        case UseSettings(config):
            return f"use settings workers={config.workers}"
        case ReopenLogs():
            return "reopen logs"
        case CheckImage():
            return "check image"
        case ReExec(workers):
            return f"re-exec {' '.join(_adopted(workers))}".strip()
        case Notify(state, status):
            return f"notify {state or '-'} {status}".strip()
        case Log(level, message):
            return f"log {logging.getLevelName(level)} {message}"
        case Exit(status):
            return f"exit {status}"


def _adopted(workers: tuple[Adopted, ...]) -> Iterator[str]:
    for worker in workers:
        yield f"{worker.slot}:{worker.pid}:{worker.generation}:{worker.phase}"


def running(**settings: Any) -> Playbook:
    """A playbook whose first workers serve."""
    book = Playbook(**settings)
    book.passes(0)
    for slot in list(book.views):
        book.hear(Reported(slot, Report.READY))
    book.said.clear()
    return book
