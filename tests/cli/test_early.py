"""Signals while a supervisor starts: none is lost, and none kills."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from fcgikit.cli.early import ENDING, OTHERS, EndedEarly, ignore_signals, starting


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = {number: signal.getsignal(number) for number in (*ENDING, *OTHERS)}
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in before.items():
        signal.signal(number, handler)


def waiting() -> set[int]:
    return set(signal.sigpending())


@pytest.mark.parametrize("number", OTHERS, ids=str)
def test_others_wait_until_somebody_hears_them(number: signal.Signals) -> None:
    with starting(first=True):
        os.kill(os.getpid(), number)
    assert waiting() == {number}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    assert waiting() == set()


@pytest.mark.parametrize("number", ENDING, ids=str)
def test_those_that_end_a_first_start_end_it_at_once(number: signal.Signals) -> None:
    with pytest.raises(EndedEarly) as told, starting(first=True):
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), number)
    assert told.value.number is number
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OTHERS)  # nothing that waits disturbs the end


def test_somebody_who_swallows_everything_does_not_keep_it_from_ending() -> None:
    with pytest.raises(EndedEarly), starting(first=True):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:
            pass


@pytest.mark.parametrize("number", ENDING, ids=str)
def test_in_a_service_that_runs_they_wait_too(number: signal.Signals) -> None:
    with starting(first=False):
        os.kill(os.getpid(), number)
    assert waiting() == {number}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])  # and do nothing by themselves


def test_a_start_that_fails_leaves_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError), starting(first=True):
        raise ValueError
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(OTHERS) == set()


@pytest.mark.parametrize("number", [*ENDING, *OTHERS], ids=str)
def test_when_all_is_over_none_disturbs(number: signal.Signals) -> None:
    ignore_signals()
    os.kill(os.getpid(), number)
    assert waiting() == set()
