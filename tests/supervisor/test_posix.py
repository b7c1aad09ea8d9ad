"""The performer with a planner that says what the test wants: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from math import inf

import pytest

from fcgikit.config import Config
from fcgikit.orders import Order, Report
from fcgikit.supervisor.board import Board
from fcgikit.supervisor.image import Image, KeptSocket, State
from fcgikit.supervisor.interface import Place
from fcgikit.supervisor.messages import (
    Adopted,
    CheckImage,
    Command,
    Ended,
    Exit,
    Give,
    Input,
    Kill,
    Notify,
    Overview,
    ReadSettings,
    ReExec,
    Reported,
    SettingsRead,
    Signalled,
    Spawn,
    Spawned,
    Ticked,
    UseSettings,
    Waiting,
    Watch,
)
from fcgikit.supervisor.notify import Notifier
from fcgikit.supervisor.posix import Supervisor

Answer = Callable[[Input], Iterable[Command]]


class Script:
    """A planner that begins with some commands and then answers inputs as it is told."""

    def __init__(self, first: Iterable[Command], answer: Answer) -> None:
        self._first = list(first)
        self._answer = answer
        self.wake_at = 0.0
        self.heard: list[Input] = []

    def handle(self, input: Input, now: float) -> Iterable[Command]:
        self.wake_at = inf
        self.heard.append(input)
        if isinstance(input, Ticked):
            return self._first
        return self._answer(input)

    def overview(self) -> Overview:
        return Overview("RUNNING", 1, Config(), 1, 0, ())


class Surroundings:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listening = True
        self.used: Config | None = None

    def sockets(self) -> list[KeptSocket]:
        fd = self.listener.fileno()
        return [KeptSocket(fd, "", "", False, "", (0, 0))]

    def stop_listening(self) -> None:
        self.listening = False

    def state(self) -> State:
        fd = self.listener.fileno()
        return State(board=fd, slots=4, sockets=(), handover=(fd, fd))

    def read_settings(self) -> Config | None:
        return None

    def use_settings(self, config: Config) -> None:
        self.used = config

    def reopen_logs(self) -> None:
        return None


@pytest.fixture
def host() -> Iterator[Surroundings]:
    made = Surroundings()
    yield made
    made.listener.close()


Work = Callable[[Place], int]


def perform(
    host: Surroundings, work: Work, first: Iterable[Command], answer: Answer
) -> tuple[int, list[Input]]:
    """Let a supervisor run; each worker does *work*. The exit status, and what it heard."""
    board = Board(4)
    script = Script(first, answer)
    outcome = Supervisor(script, board, host, Image(), Notifier()).run()
    if isinstance(outcome, Place):
        status = 99
        try:
            status = work(outcome)
        finally:
            os._exit(status)
    board.close()
    return outcome, script.heard[1:]


def until_the_end(input: Input) -> Iterable[Command]:
    return [Exit(5)] if isinstance(input, Ended) else []


def wait_for_order(place: Place) -> list[Order]:
    while True:
        orders = place.superior.orders()
        if orders or orders is None:
            return orders or []
        os.sched_yield()


def test_a_worker_is_born_reports_and_dies(host: Surroundings) -> None:
    def work(place: Place) -> int:
        place.superior.report(Report.READY)
        place.line.begin(0, "GET", "/last", 0.0)
        return 40 + place.slot + place.generation

    status, heard = perform(host, work, [Spawn(1, 2)], until_the_end)
    assert status == 5
    spawned, reported, ended = heard
    assert isinstance(spawned, Spawned)
    assert reported == Reported(1, Report.READY)
    assert isinstance(ended, Ended)
    assert (ended.slot, ended.status) == (1, 43)
    assert ended.running[0].startswith("GET /last for ")
    with pytest.raises(ProcessLookupError):
        os.kill(spawned.pid, 0)


def test_orders_reach_the_worker_they_are_for(host: Surroundings) -> None:
    def work(place: Place) -> int:
        place.superior.report(Report.READY)
        return 10 * place.slot + wait_for_order(place)[0]

    ready: set[int] = set()
    statuses: dict[int, int] = {}

    def answer(input: Input) -> Iterable[Command]:
        if isinstance(input, Reported):
            ready.add(input.slot)
            if len(ready) == 2:
                return [Give(0, Order.RETIRE), Give(1, Order.STOP), Give(3, Order.QUIT)]
        if isinstance(input, Ended):
            statuses[input.slot] = input.status
            if len(statuses) == 2:
                return [Exit(0)]
        return []

    assert perform(host, work, [Spawn(0, 1), Spawn(1, 1)], answer)[0] == 0
    assert statuses == {0: Order.RETIRE, 1: 10 + Order.STOP}


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (Kill(0, signal.SIGKILL), -signal.SIGKILL),
        (Give(0, Order.QUIT), -signal.SIGTERM),  # it imports, and hears no orders
        (Give(0, Order.STOP), -signal.SIGTERM),
    ],
)
def test_a_worker_that_does_not_listen_yet(
    host: Surroundings, command: Command, status: int
) -> None:
    def work(place: Place) -> int:
        while True:
            signal.pause()

    def answer(input: Input) -> Iterable[Command]:
        return [command] if isinstance(input, Spawned) else until_the_end(input)

    _, heard = perform(host, work, [Spawn(0, 1)], answer)
    assert heard[-1] == Ended(0, status)


def test_signals_are_the_supervisors_and_workers_have_none_of_them(host: Surroundings) -> None:
    def work(place: Place) -> int:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        place.superior.report(Report.READY)
        return wait_for_order(place)[0]

    def answer(input: Input) -> Iterable[Command]:
        if isinstance(input, Reported):
            os.kill(os.getpid(), signal.SIGHUP)
        if isinstance(input, Signalled):
            return [Give(0, Order.STOP)]
        return until_the_end(input)

    before = signal.getsignal(signal.SIGHUP)
    _, heard = perform(host, work, [Spawn(0, 1)], answer)
    assert [one for one in heard if isinstance(one, Signalled)] == [Signalled(signal.SIGHUP)]
    assert heard[-1] == Ended(0, Order.STOP)
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_worker_holds_nothing_of_its_siblings(host: Surroundings) -> None:
    """Else a sibling could not learn that the supervisor has gone."""

    def work(place: Place) -> int:
        open_files = len(os.listdir("/dev/fd"))
        place.superior.report(Report.READY)
        wait_for_order(place)
        return open_files

    def answer(input: Input) -> Iterable[Command]:
        if input == Reported(0, Report.READY):
            return [Spawn(1, 1)]
        if input == Reported(1, Report.READY):
            return [Give(1, Order.STOP)]
        if isinstance(input, Ended):
            return [Give(0, Order.STOP)] if input.slot == 1 else [Exit(0)]
        return []

    _, heard = perform(host, work, [Spawn(0, 1)], answer)
    second, first = (one.status for one in heard if isinstance(one, Ended))
    assert first == second > 3


def test_connections_are_told_while_somebody_asks(host: Surroundings) -> None:
    def answer(input: Input) -> Iterable[Command]:
        if input == Waiting(()):
            return [Watch(False), ReadSettings()]
        return [Exit(0)] if input == SettingsRead(None) else []

    with socket.create_connection(host.listener.getsockname()):
        status, heard = perform(host, lambda place: 0, [Watch(True)], answer)
    assert status == 0
    assert heard == [Waiting(()), SettingsRead(None)]


def test_who_stops_does_not_listen(host: Surroundings) -> None:
    perform(host, lambda place: 0, [Watch(True), Notify("stopping"), Exit(0)], until_the_end)
    assert not host.listening


def test_an_exec_that_fails_leaves_all_as_it_was(
    host: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker goes on, and signals are heard as before."""

    def work(place: Place) -> int:
        place.superior.report(Report.READY)
        return wait_for_order(place)[0]

    def answer(input: Input) -> Iterable[Command]:
        if isinstance(input, Reported):
            os.kill(os.getpid(), signal.SIGUSR2)
        if input == Signalled(signal.SIGUSR2):
            os.kill(os.getpid(), signal.SIGHUP)
            pid = next(one.pid for one in heard if isinstance(one, Spawned))
            return [ReExec((Adopted(0, pid, 1, "SERVING"), Adopted(3, 1, 1, "STARTING")))]
        if input == Signalled(signal.SIGHUP):
            return [Give(0, Order.STOP)]
        heard.append(input)
        return until_the_end(input)

    heard: list[Input] = []
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    _, told = perform(host, work, [Spawn(0, 1)], answer)
    assert told[-1] == Ended(0, Order.STOP)


def test_a_fork_that_fails_is_a_worker_that_ended(
    host: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    status, heard = perform(host, lambda place: 0, [Spawn(0, 1)], until_the_end)
    assert status == 5
    assert heard == [Ended(0, os.EX_OSERR)]


def test_what_was_heard_goes_to_the_new_image_and_who_has_ended_does_not(
    host: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two signals in one breath, and a worker that is reaped before the exec."""

    def work(place: Place) -> int:
        return 0

    def answer(input: Input) -> Iterable[Command]:
        if isinstance(input, Spawned):
            os.waitid(os.P_PID, input.pid, os.WEXITED | os.WNOWAIT)
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGHUP)
        if input == Signalled(signal.SIGUSR2):
            return [ReExec((Adopted(0, 1, 1, "SERVING"),))]
        return [Exit(0)] if input == Signalled(signal.SIGHUP) else []

    def replace(image: Image, state: State) -> None:
        notes.append(state)
        raise OSError(8, "Exec format error")

    notes: list[State] = []
    monkeypatch.setattr(Image, "replace", replace)
    perform(host, work, [Spawn(0, 1)], answer)
    (note,) = notes
    assert (note.workers, note.channels) == ((), ())
    assert note.signals == (signal.SIGHUP,)


def test_settings_are_returned_to(host: Surroundings) -> None:
    config = Config(workers=7)
    perform(host, lambda place: 0, [UseSettings(config), Exit(0)], until_the_end)
    assert host.used is config


def test_a_trial_gives_way_to_the_next_one_and_to_the_end(
    host: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is one that hangs."""

    def trial(image: Image) -> subprocess.Popen[bytes]:
        trials.append(subprocess.Popen(["sleep", "60"], process_group=0))
        return trials[-1]

    trials: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(Image, "trial", trial)
    perform(host, lambda place: 0, [CheckImage(), CheckImage(), Exit(0)], until_the_end)
    assert [one.returncode for one in trials] == [-signal.SIGKILL] * 2


def test_the_status_is_told(host: Surroundings) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    board = Board(4)
    with socket.create_connection(listener.getsockname()) as client:
        script = Script([Watch(False)], lambda _: [Exit(0)])

        def document(script: Script) -> Overview:
            os.kill(os.getpid(), signal.SIGTERM)  # to end it
            return Overview("PAUSED", 3, Config(), 1, 0, ())

        script.overview = document.__get__(script)  # type: ignore[method-assign]
        Supervisor(script, board, host, Image(), Notifier(), listener).run()
        told = json.loads(b"".join(iter(lambda: client.recv(4096), b"")))
    board.close()
    assert (told["state"], told["generation"]) == ("paused", 3)
    assert listener.fileno() == -1
