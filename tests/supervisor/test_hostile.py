"""Workers and operators do whatever they like, whenever they like; some things never happen."""

from __future__ import annotations

from signal import Signals
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from fcgikit.config import Config
from fcgikit.orders import Order, Report
from fcgikit.supervisor.messages import (
    Command,
    Ended,
    Exit,
    Give,
    ImageChecked,
    Input,
    Kill,
    ReadSettings,
    ReExec,
    Reported,
    SettingsRead,
    Signalled,
    Spawn,
    View,
    Waiting,
)
from fcgikit.supervisor.states import ENDING, SIGNALS, State

from .playbook import Playbook

SETTINGS = st.fixed_dictionaries(
    {
        "pm": st.sampled_from(["static", "dynamic", "ondemand"]),
        "workers": st.integers(1, 6),
        "threads": st.integers(1, 2),
        "timeout": st.sampled_from([0.0, 3.0]),
        "graceful_timeout": st.just(5.0),
        "preload": st.booleans(),
    }
)
ENDS = [Signals.SIGTERM, Signals.SIGQUIT, Signals.SIGINT]
OTHERS = [number for number in SIGNALS if number not in ENDS]
STATUSES = st.sampled_from([0, 1, 3, -9, -11])
LONG = 100.0
"""Seconds in which everything is over that has a time limit or a delay."""


class World(RuleBasedStateMachine):
    """Around the planner: processes that exist only as words."""

    @initialize(chosen=SETTINGS, slots=st.integers(2, 9))
    def begin(self, chosen: dict[str, Any], slots: int) -> None:
        self.slots = slots
        self.chosen = chosen
        self.book = Playbook(slots=slots, **chosen)
        self.ready: dict[int, bool] = {}  # slot -> whether the worker there serves
        self.told: set[int] = set()
        self.asked = False
        self.exited = False
        self.pass_(0.0)

    # -- what happens -----------------------------------------------------------------------

    @rule(number=st.sampled_from(OTHERS))
    def signal(self, number: Signals) -> None:
        self.hear(Signalled(number))

    @precondition(lambda self: len(self.ready) > 2)
    @rule(number=st.sampled_from(ENDS))
    def end(self, number: Signals) -> None:
        self.hear(Signalled(number))

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def become_ready(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(list(self.ready)))
        self.ready[slot] = True
        self.hear(Reported(slot, Report.READY))

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), report=st.sampled_from(list(Report)[1:]))
    def wear_out(self, data: st.DataObject, report: Report) -> None:
        self.hear(Reported(data.draw(st.sampled_from(list(self.ready))), report))

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), status=STATUSES)
    def die(self, data: st.DataObject, status: int) -> None:
        self.gone(data.draw(st.sampled_from(list(self.ready))), status)

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), numbers=st.tuples(*[st.integers(0, 2)] * 3), beat=st.floats(0, 20))
    def work(self, data: st.DataObject, numbers: tuple[int, int, int], beat: float) -> None:
        slot = data.draw(st.sampled_from(list(self.ready)))
        self.book.views[slot] = View(slot, *numbers, beat)

    @rule()
    def wait(self) -> None:
        self.hear(Waiting(tuple(self.book.views.values())))

    @rule(chosen=SETTINGS | st.none())
    def read(self, chosen: dict[str, Any] | None) -> None:
        self.hear(SettingsRead(Config(**chosen) if chosen else None))

    @rule(status=st.integers(0, 1))
    def try_image(self, status: int) -> None:
        self.hear(ImageChecked(status))

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 30.0]))
    def pass_(self, seconds: float) -> None:
        self.judge(self.book.passes(seconds))  # which fails if the planner spins

    # -- what must never happen -------------------------------------------------------------

    def hear(self, input: Input) -> None:
        was_exited = self.exited
        commands = self.book.hear(input)
        assert not (was_exited and commands)
        self.judge(commands)

    def gone(self, slot: int, status: int) -> None:
        del self.ready[slot], self.book.views[slot]
        self.told.discard(slot)
        self.hear(Ended(slot, status))

    def serving(self) -> int:
        return sum(serves for slot, serves in self.ready.items() if slot not in self.told)

    def judge(self, commands: list[Command]) -> None:
        planner = self.book.planner
        for command in commands:
            match command:
                case Spawn(slot):
                    assert 0 <= slot < self.slots
                    assert slot not in self.ready
                    assert planner.state not in {*ENDING, State.PAUSED}
                    self.ready[slot] = False
                case Give(slot, Order.REOPEN_LOGS):
                    assert slot in self.ready
                case Give(slot, order):
                    before = self.serving()
                    assert slot in self.ready
                    self.told.add(slot)
                    lost = self.serving() < before
                    if lost and order is Order.RETIRE and planner.state is not State.PAUSED:
                        assert self.serving() >= planner._pool.wanted, "retired too early"
                case Kill(slot):
                    assert slot in self.ready
                    self.told.add(slot)
                case ReadSettings():
                    self.asked = True
                case ReExec(workers):
                    assert {worker.slot for worker in workers} == set(self.ready)
                case Exit():
                    assert not self.ready
                    self.exited = True

    def teardown(self) -> None:
        """When everybody behaves again, everything comes right."""
        if not hasattr(self, "book"):
            return
        for _ in range(3 * self.slots):
            self.pass_(LONG)
            for slot in list(self.told):
                self.gone(slot, 0)
            for slot, serves in list(self.ready.items()):
                if not serves:
                    self.ready[slot] = True
                    self.hear(Reported(slot, Report.READY))
                self.book.views[slot] = View(slot, 0, 0, 0, 0.0)
        planner = self.book.planner
        if planner.state is State.PAUSED:
            assert not self.ready
        elif planner.state in ENDING:
            assert self.exited
        else:
            assert planner.state is State.RUNNING
            assert len(self.ready) == self.serving() == planner._pool.wanted


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
