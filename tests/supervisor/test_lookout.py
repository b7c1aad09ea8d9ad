"""Idle, busy and stuck workers, as transcripts."""

from __future__ import annotations

from math import inf

from .playbook import running

# -- stuck workers ----------------------------------------------------------------------------


def test_a_worker_without_a_sign_of_life_is_aborted_and_replaced_at_once() -> None:
    running(workers=1, timeout=30.0).check("""
        >> 40 s
        >> 0 busy 4 beat 35
        >> 1 s
        >> 0 beat 36
        >> 1 s
        << log ERROR worker 101 has given no sign of life for 36 s, 4 requests running: SIGABRT
        << kill 0 SIGABRT
        << spawn 1 1
        >> 2 s
        << kill 0 SIGKILL
        >> 0 ends -9 GET /stuck
        << log WARNING worker 101 was ended by SIGKILL*; it was running GET /stuck
    """)


def test_a_worker_that_loads_for_long_is_not_stuck() -> None:
    running(workers=1, timeout=1.0).check("""
        >> 60 s
        >> 0 ends -9
        << spawn 0 1
        >> 0 beat 59
        >> 60 s
        >> 0 READY
        >> 5 s
        >> 0 beat 0
        >> 5 s
    """)


def test_without_a_timeout_nobody_looks() -> None:
    book = running(workers=1).check(">> 0 beat 1000")
    assert book.planner.wake_at == inf


# -- pm dynamic -------------------------------------------------------------------------------


def test_too_few_free_workers_are_made_good_faster_and_faster() -> None:
    spares = {"min_spare_workers": 4, "max_spare_workers": 8}
    book = running(workers=20, slots=41, pm="dynamic", threads=1, **spares)
    for slot in range(4):
        book.check(f">> {slot} busy 1")
    book.check("""
        >> 1 s
        << spawn 4 1
        >> 1 s
        << spawn 5 1
        << spawn 6 1
        >> 1 s
        << spawn 7 1
        >> 10 s
    """)


def test_the_most_there_may_be_is_logged_once() -> None:
    running(workers=2, pm="dynamic", threads=2).check("""
        >> 0 busy 2
        >> 1 s
        << spawn 1 1
        >> 1 READY
        >> 1 busy 2
        >> 1 s
        << log WARNING 2 workers are the most there may be, *(setting: workers)
        >> 60 s
    """)


def test_a_worker_with_a_free_thread_is_a_spare_one() -> None:
    running(workers=4, pm="dynamic", threads=4).check("""
        >> 0 busy 3
        >> 10 s
        >> 0 busy 4
        >> 1 s
        << spawn 1 1
    """)


def test_of_too_many_idle_ones_the_longest_idle_is_retired() -> None:
    book = running(workers=4, slots=9, pm="dynamic", threads=1, max_spare_workers=2)
    for slot in (1, 2, 3):
        book.check(f"""
            >> {slot - 1} busy 1 requests 1
            >> 1 s
            << spawn {slot} 1
            >> {slot} READY
        """)
    book.check("""
        >> 1 busy 0
        >> 5 s
        >> 2 busy 0
        >> 1 s
        << give 1 RETIRE            # the others have rested less
        >> 1 ends 0
        >> 60 s
    """)


# -- pm ondemand ------------------------------------------------------------------------------


def test_a_worker_comes_with_the_first_connection_and_goes_when_idle() -> None:
    running(workers=2, pm="ondemand", threads=1).check("""
        >> 3600 s
        >> waiting
        << spawn 0 1
        << watch off
        >> waiting                  # told before the performer has obeyed
        >> 0 READY
        >> 0 busy 1 connections 1
        >> 1 s
        << watch on
        >> waiting
        << spawn 1 1
        << watch off
        >> 1 READY
        >> 1 busy 1 connections 1
        >> 1 s
        << log WARNING 2 workers are the most there may be, *(setting: workers)
        >> 0 busy 0 requests 1
        >> 1 s
        >> 1 busy 0 requests 1
        >> 9 s
        >> 1.5 s
        << give 0 RETIRE
        >> 0 ends 0
        >> 60 s
        >> 1 connections 0          # nobody could have taken it over
        >> 1 s
        << give 1 RETIRE
        << watch on
        >> 1 ends 0
        >> 3600 s
    """)


def test_a_burst_is_met_as_fast_as_workers_become_ready() -> None:
    book = running(workers=4, pm="ondemand", threads=1).check("""
        >> waiting
        << spawn 0 1
        << watch off
        >> 5 s                      # it imports for long: its place is not given twice
    """)
    for slot in (0, 1, 2):
        book.check(f"""
            >> {slot} READY
            >> {slot} busy 1 connections 1
            >> 0.05 s
            << watch on
            >> waiting
            << spawn {slot + 1} 1
            << watch off
        """)
    book.check("""
        >> 3 READY
        >> 3 busy 1
        >> 60 s
    """)


def test_a_connection_that_somebody_is_free_for_by_now_starts_nobody() -> None:
    running(workers=2, pm="ondemand", threads=1).check("""
        >> waiting
        << spawn 0 1
        << watch off
        >> 0 READY
        >> 0 busy 1
        >> 1 s
        << watch on
        >> 0 busy 0
        >> waiting
        << watch off
        >> 0 busy 1
        >> 0.05 s
        << watch on
        >> waiting
        << spawn 1 1
        << watch off
    """)


def test_requests_too_quick_to_be_seen_running_keep_a_worker() -> None:
    book = running(workers=1, pm="ondemand").check("""
        >> waiting
        << spawn 0 1
        << watch off
        >> 0 READY
    """)
    for requests in range(1, 10):
        book.check(f"""
            >> 0 requests {requests}
            >> 5 s
        """)


def test_a_crash_on_demand_is_made_good_on_demand() -> None:
    running(workers=2, pm="ondemand").check("""
        >> waiting
        << spawn 0 1
        << watch off
        >> 0 READY
        >> 9 s
        >> 0 ends -9
        << watch on
        >> waiting
        << spawn 0 1
        << watch off
        >> 0 ends -9
        << watch on
        >> waiting
        << spawn 0 1
        << watch off
        >> 0 ends -9
        << watch on
        >> waiting
        << watch off
        >> 0.25 s
        >> 0.25 s
        << spawn 0 1
    """)


def test_a_pause_hears_of_no_connections() -> None:
    running(workers=2, pm="ondemand").check("""
        >> SIGWINCH
        << watch off
        >> waiting
        >> SIGTTIN
        << watch on
        >> waiting
        << spawn 0 1
        << watch off
    """)
