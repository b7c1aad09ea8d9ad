"""One worker in the place of another, as transcripts."""

from __future__ import annotations

import pytest

from .playbook import running


@pytest.mark.parametrize("report", ["MAX_REQUESTS", "MAX_MEMORY", "TIMEOUT"])
def test_a_worn_worker_serves_until_another_does(report: str) -> None:
    running(workers=2).check(f"""
        >> 0 {report}
        << log INFO replacing worker 101: *(setting: {report.lower()})
        << spawn 2 1
        >> 0 {report}
        >> 2 READY
        << give 0 RETIRE
        >> 0 ends 0
        >> 1 {report}
        << spawn 0 1
    """)


def test_the_old_one_stays_while_the_replacement_cannot_start() -> None:
    running(workers=1).check("""
        >> 0 MAX_REQUESTS
        << spawn 1 1
        >> 1 ends 3
        << spawn 1 1
        >> 1 ends 3
        >> 0.5 s
        << spawn 1 1
        >> 1 READY
        << give 0 RETIRE
    """)


def test_of_many_worn_ones_a_stuck_one_goes_first() -> None:
    running(workers=3).check("""
        >> 0 MAX_REQUESTS
        << spawn 3 1
        >> 2 TIMEOUT
        << spawn 4 1
        >> 3 READY
        << give 2 RETIRE
        >> 4 READY
        << give 0 RETIRE
    """)


def test_a_worn_one_that_ends_by_itself_is_only_one_worker_less() -> None:
    running(workers=2).check("""
        >> 0 MAX_REQUESTS
        << spawn 2 1
        >> 0 ends -9
        >> 2 READY
    """)


def test_who_does_not_leave_is_killed() -> None:
    running(workers=1, graceful_timeout=10.0).check("""
        >> 0 TIMEOUT
        << spawn 1 1
        >> 1 READY
        << give 0 RETIRE
        >> 0 busy 1
        >> 11.75 s
        >> 0.25 s
        << log WARNING worker 101 *1 requests running: SIGKILL (setting: graceful_timeout)
        << kill 0 SIGKILL
        >> 60 s
        >> 0 ends -9 GET /stuck
        << log WARNING worker 101 was ended by SIGKILL*; it was running GET /stuck
    """)
