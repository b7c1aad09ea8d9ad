from __future__ import annotations

from fcgikit.client.patience import Patience


def test_silence_is_counted_from_the_last_movement() -> None:
    patience = Patience.starting(100.0, 5.0, None)
    assert patience.left(103.0, 102.0) == 4.0
    assert patience.exhausted(106.9, 102.0) is None
    assert patience.exhausted(107.0, 102.0) == ("read", "silence for 5 seconds")
    assert patience.left(110.0, 102.0) == 0.0


def test_the_deadline_stands_whatever_moves() -> None:
    patience = Patience.starting(100.0, 5.0, 8.0)
    assert patience.left(106.0, 106.0) == 2.0
    assert patience.exhausted(108.0, 108.0) == ("total", "not finished within 8 seconds")


def test_without_limits_one_waits_for_ever() -> None:
    patience = Patience.starting(100.0, None, None)
    assert patience.left(1e9, 0.0) is None
    assert patience.exhausted(1e9, 0.0) is None
