from __future__ import annotations

from fcgikit.supervisor.respawn import FORGOTTEN, LONGEST_DELAY, Respawn


def test_the_delay_doubles_up_to_a_limit() -> None:
    respawn = Respawn()
    delays = []
    now = 0.0
    for _ in range(10):
        respawn.failed(born=now, now=now + 0.1)
        delays.append(respawn.delay)
        now = respawn.not_before
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_a_slow_start_that_fails_is_no_excuse() -> None:
    respawn = Respawn()
    for born in (0.0, 100.0, 200.5):
        respawn.failed(born, born + 100.0)
    assert respawn.failures == 3


def test_a_worker_started_long_after_the_last_failure_starts_the_count_anew() -> None:
    respawn = Respawn()
    respawn.failed(born=0.0, now=1.0)
    respawn.failed(born=1.0 + FORGOTTEN + 0.1, now=20.0)
    assert (respawn.failures, respawn.delay) == (1, 0.0)


def test_a_reset_forgets() -> None:
    respawn = Respawn()
    respawn.failed(born=0.0, now=1.0)
    respawn.failed(born=1.0, now=2.0)
    respawn.reset()
    assert (respawn.failures, respawn.not_before) == (0, 0.0)
