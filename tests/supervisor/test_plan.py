"""The life of a pool, as transcripts: how it starts, keeps its workers, and ends."""

from __future__ import annotations

from math import inf

import pytest

from fcgikit.config import Config
from fcgikit.supervisor.messages import Ticked
from fcgikit.supervisor.plan import Planner, slots_for
from fcgikit.supervisor.states import State

from .playbook import Playbook, running

# -- starting ---------------------------------------------------------------------------------


def test_it_is_ready_when_the_last_of_the_first_workers_is() -> None:
    Playbook(workers=2).check("""
        >> 0 s
        << log INFO starting 2 workers
        << spawn 0 1
        << spawn 1 1
        >> 0 READY
        >> 1 READY
        << log INFO ready: 2 workers
        << notify ready 2 workers
    """)


def test_nothing_happens_before_the_first_tick_and_nothing_wakes_an_idle_pool() -> None:
    assert Planner(Config(), 4).wake_at == 0.0
    assert running(workers=2).planner.wake_at == inf


def test_an_application_that_cannot_be_imported_ends_it_with_status_3() -> None:
    Playbook(workers=2).check("""
        >> 0 s
        << spawn 0 1
        << spawn 1 1
        >> 0 ends 3
        << log ERROR worker 101 has exited with status 3 before it could serve
        << log CRITICAL the application cannot be imported: giving up
        << notify stopping
        << give 1 QUIT
        >> 1 ends 3
        << exit 3
    """)


def test_on_demand_too() -> None:
    Playbook(workers=2, pm="ondemand").check("""
        >> 0 s
        << notify ready 0 workers
        << watch on
        >> waiting
        << spawn 0 1
        << watch off
        >> 0 ends 3
        << notify stopping
        << exit 3
    """)


def test_workers_that_die_while_they_start_are_tried_three_times() -> None:
    Playbook(workers=1).check("""
        >> 0 s
        << spawn 0 1
        >> 0 ends -11
        << log ERROR worker 101 was ended by SIGSEGV before it could serve; starting another
        << spawn 0 1
        >> 0 ends -11
        << log ERROR worker 102 *; next try in 0.5 s
        >> 0.4 s
        >> 0.1 s
        << spawn 0 1
        >> 0 ends -11
        << log CRITICAL workers die before they can serve: giving up
        << notify stopping
        << exit 1
    """)


def test_workers_that_die_together_are_one_failure() -> None:
    Playbook(workers=3).check("""
        >> 0 s
        << spawn 0 1
        << spawn 1 1
        << spawn 2 1
        >> 0.1 s
        >> 0 ends 1
        << spawn 0 1
        >> 1 ends 1
        << spawn 1 1
        >> 2 ends 1
        << spawn 2 1
        >> 0 READY
        >> 1 READY
        >> 2 READY
        << notify ready 3 workers
    """)


def test_once_one_serves_an_import_failure_is_an_accident() -> None:
    Playbook(workers=2).check("""
        >> 0 s
        << spawn 0 1
        << spawn 1 1
        >> 0 READY
        >> 1 ends 3
        << spawn 1 1
        >> 1 ends 3
        >> 0.5 s
        << spawn 1 1
        >> 1 READY
        << notify ready 2 workers
    """)


def test_a_reload_asked_for_too_early_comes_later() -> None:
    Playbook(workers=1).check("""
        >> 0 s
        << spawn 0 1
        >> SIGHUP
        >> 0 READY
        << notify ready 1 worker
        << notify reloading
        << read settings
    """)


# -- keeping the number -----------------------------------------------------------------------


def test_a_crash_is_named_and_made_good_at_once() -> None:
    running(workers=2).check("""
        >> 60 s
        >> 1 ends -11 GET /slow
        << log ERROR worker 102 was ended by SIGSEGV while it ran GET /slow; starting another
        << spawn 1 1
        << notify - 1 worker
        >> 1 READY
        << notify - 2 workers
    """)


def test_an_exit_nobody_asked_for_is_made_good_too() -> None:
    running(workers=1).check("""
        >> 60 s
        >> 0 ends 0
        << log WARNING worker 101 has exited with status 0; starting another
        << spawn 0 1
    """)


def test_killing_one_worker_after_the_other_delays_nothing() -> None:
    book = running(workers=4)
    for slot in (0, 1, 2, 3) * 5:
        book.check(f"""
            >> 1 s
            >> {slot} ends -9
            << spawn {slot} 1
            >> {slot} READY
        """)


def test_workers_that_die_young_come_back_later_and_later() -> None:
    book = running(workers=1).check("""
        >> 60 s
        >> 0 ends -9
        << spawn 0 1
        >> 0 ends -9
        << spawn 0 1
    """)
    for delay in (0.5, 1, 2, 4, 8, 16, 30, 30):
        book.check(f"""
            >> 0 ends -9
            << log ERROR *next try in {delay} s
            >> {delay - 0.25} s
            >> 0.25 s
            << spawn 0 1
        """)
    book.check("""
        >> 0 READY
        >> 60 s
        >> 0 ends -9
        << spawn 0 1
    """)


# -- other signals ----------------------------------------------------------------------------


def test_usr1_opens_the_logs_again() -> None:
    running(workers=2).check("""
        >> SIGUSR1
        << reopen logs
        << give 0 REOPEN_LOGS
        << give 1 REOPEN_LOGS
    """)


def test_usr1_stops_where_the_socket_was_inherited() -> None:
    running(workers=1, inherited=True).check("""
        >> SIGUSR1
        << notify stopping
        << give 0 STOP
        >> 0 ends 0
        << exit 0
    """)


def test_ttin_and_ttou() -> None:
    running(workers=1, slots=3).check("""
        >> SIGTTIN
        << log INFO 2 workers from now on
        << spawn 1 1
        >> 1 READY
        >> SIGTTIN
        << log WARNING there is no room for more than 2 workers until a restart
        >> 0 busy 1
        >> SIGTTOU
        << give 0 RETIRE            # the planner has not looked at the board yet
        >> 0 ends 0
        >> SIGTTOU
        >> SIGTTIN
        << spawn 0 1
        >> SIGTTOU
        << give 0 RETIRE            # it does not serve yet: nobody misses it
    """)


def test_winch_retires_all_and_hup_brings_them_back() -> None:
    running(workers=2).check("""
        >> SIGWINCH
        << notify - paused
        << give 0 RETIRE
        << give 1 RETIRE
        >> 0 ends 0
        >> 1 ends 0
        >> 60 s
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 0 2
        << spawn 1 2
        >> 0 READY
        >> 1 READY
        << notify ready 2 workers
    """)


def test_ttin_brings_them_back_too() -> None:
    running(workers=1).check("""
        >> SIGWINCH
        << give 0 RETIRE
        >> SIGTTIN
        << spawn 1 1
    """)


def test_a_worker_that_was_still_loading_when_all_were_retired_retires_too() -> None:
    running(workers=1, graceful_timeout=10).check("""
        >> SIGTTIN
        << spawn 1 1
        >> SIGWINCH
        << give 1 RETIRE
        << give 0 RETIRE
        >> 1 READY                  # it has been faster, and may have requests
        >> 0 ends 0
        >> 11.5 s
        >> 0.5 s
        << kill 1 SIGKILL
    """)


# -- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["SIGTERM", "SIGQUIT"])
def test_a_graceful_stop(number: str) -> None:
    running(workers=2).check(f"""
        >> {number}
        << notify stopping
        << give 0 STOP
        << give 1 STOP
        >> {number}                 # mod_fcgid sends it twice
        >> SIGHUP
        << log INFO SIGHUP while STOPPING: no effect
        >> SIGUSR2
        >> SIGTTIN
        >> SIGWINCH
        >> 1 ends 0
        >> 0 ends 0
        << exit 0
    """)


def test_requests_left_behind_show_in_the_status() -> None:
    running(workers=2, graceful_timeout=5.0).check("""
        >> SIGTERM
        << notify stopping
        << give 0 STOP
        << give 1 STOP
        >> 0 ends 0
        >> 7 s
        << kill 1 SIGKILL
        >> 1 ends -9 GET /slow
        << exit 1
    """)


def test_a_stop_gives_nobody_more_time() -> None:
    running(workers=1, graceful_timeout=5.0).check("""
        >> SIGWINCH
        << give 0 RETIRE
        >> 6 s
        >> SIGTERM
        << notify stopping
        << give 0 STOP
        >> 1 s
        << kill 0 SIGKILL
    """)


def test_a_worker_that_is_still_loading_has_nothing_to_lose() -> None:
    Playbook(workers=1).check("""
        >> 0 s
        << spawn 0 1
        >> SIGTERM
        << notify stopping
        << give 0 STOP
        >> 2 s
        << kill 0 SIGKILL
        >> 0 ends -9
        << exit 0
    """)


def test_sigint_ends_at_once_and_a_second_one_sooner() -> None:
    running(workers=2).check("""
        >> SIGINT
        << notify stopping
        << give 0 QUIT
        << give 1 QUIT
        >> 0 ends 0
        >> SIGINT
        << kill 1 SIGKILL
        >> 1 ends -9
        << exit 130
    """)


def test_sigint_hastens_sigterm_and_sigterm_does_not_soften_sigint() -> None:
    running(workers=1).check("""
        >> SIGTERM
        << notify stopping
        << give 0 STOP
        >> SIGINT
        << notify stopping
        << give 0 QUIT
        >> SIGTERM
        >> 2 s
        << kill 0 SIGKILL
        >> 0 ends -9
        << exit 130
    """)


def test_a_stop_before_anything_has_started() -> None:
    planner = Planner(Config(), 4)
    Playbook(workers=1).check("""
        >> SIGTERM
        << notify stopping
        << exit 0
        >> SIGTERM
    """)
    assert planner.state is State.STARTING


def test_what_comes_after_the_end_changes_nothing() -> None:
    book = Playbook(workers=1).check("""
        >> SIGTERM
        << notify stopping
        << exit 0
        >> SIGHUP
        >> waiting
        >> settings workers=3
        >> image 0
    """)
    assert book.planner.handle(Ticked(()), book.now) == []
    assert book.planner.wake_at == inf


def test_there_is_room_for_two_generations() -> None:
    assert slots_for(Config(workers=4)) > 2 * 4
    assert slots_for(Config()) > 2
    with pytest.raises(ValueError, match="two slots"):
        Planner(Config(), 1)
