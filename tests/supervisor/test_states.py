from __future__ import annotations

from signal import Signals

import pytest

from fcgikit.config import Config
from fcgikit.orders import Order
from fcgikit.supervisor.states import ENDING, MAY_FOLLOW, SIGNALS, Action, State, patience


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_means_something_in_every_state(number: Signals) -> None:
    assert list(SIGNALS[number]) == list(State)


def test_nothing_cancels_or_softens_a_termination() -> None:
    assert set(MAY_FOLLOW[State.STOPPING]) == {State.TERMINATING}
    assert not MAY_FOLLOW[State.TERMINATING]
    harmless = {Action.NOTHING, Action.TERMINATE, Action.KILL, Action.REOPEN}
    for actions in SIGNALS.values():
        assert {actions[state] for state in ENDING} <= harmless


def test_every_state_can_be_ended() -> None:
    for state in set(State) - ENDING:
        assert set(MAY_FOLLOW[state]) > {State.STOPPING, State.TERMINATING} - {state}


def test_only_a_graceful_order_has_the_graceful_timeout() -> None:
    config = Config(graceful_timeout=100.0)
    assert patience(Order.RETIRE, config) == patience(Order.STOP, config) > 100.0
    assert patience(Order.QUIT, config) == patience(Signals.SIGABRT, config) < 10.0
