"""New workers for old, as transcripts."""

from __future__ import annotations

from fcgikit.config import Config
from fcgikit.supervisor.messages import Adopted

from .playbook import Playbook, running


def test_each_new_worker_that_serves_retires_an_old_one() -> None:
    running(workers=2).check("""
        >> SIGHUP
        << log INFO SIGHUP while RUNNING: new workers, with new settings and new code
        << notify reloading
        << read settings
        >> settings
        << spawn 2 2
        << spawn 3 2
        >> 3 READY
        << give 0 RETIRE
        >> 2 READY
        << give 1 RETIRE
        << log INFO reload complete: 2 workers
        << notify ready 2 workers
        >> 0 ends 0
        >> 1 ends 0
    """)


def test_with_one_slot_to_spare_workers_are_exchanged_one_by_one() -> None:
    running(workers=2, slots=3).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 2 2
        >> 2 READY
        << give 0 RETIRE
        >> 0 ends 0
        << spawn 0 2
        >> 0 READY
        << give 1 RETIRE
        << notify ready 2 workers
    """)


def test_settings_that_cannot_work_change_nothing() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings bad
        << log ERROR reload given up: nothing has changed
        << notify ready 1 worker
    """)


def test_the_number_of_workers_is_that_of_the_settings() -> None:
    running(workers=1).check("""
        >> SIGTTIN
        << spawn 1 1
        >> 1 READY
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings workers=1
        << give 0 RETIRE            # two of one that shall be
        << spawn 2 2
        >> 2 READY
        << give 1 RETIRE
        << notify ready 1 worker
    """)


def test_more_workers_than_slots_need_a_restart() -> None:
    running(workers=1, slots=3).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings workers=4
        << log WARNING only 2 of 4 workers: there is no room for more until a restart
        << spawn 1 2
        << spawn 2 2
    """)


def test_code_that_cannot_be_imported_leaves_the_old_workers_and_settings() -> None:
    running(workers=2).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings workers=3
        << spawn 2 2
        << spawn 3 2
        << spawn 4 2
        >> 3 ends 3
        << log ERROR worker 104 has exited with status 3 before it could serve
        << use settings workers=2
        << give 2 RETIRE
        << give 4 RETIRE
        << log ERROR the application cannot be imported: reload given up, 2 workers *
        << notify ready 2 workers
        >> 2 ends 3
        >> 4 ends 3
        >> 60 s
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings workers=1       # mended
        << give 0 RETIRE
        << spawn 2 3
        >> 2 READY
        << give 1 RETIRE
        << notify ready 1 worker
    """)


def test_a_new_worker_that_becomes_ready_after_all_retires() -> None:
    running(workers=2).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 2 2
        << spawn 3 2
        >> 2 ends 3
        << use settings workers=2
        << give 3 RETIRE
        << notify ready 2 workers
        >> 3 READY
        >> 3 ends 0
    """)


def test_the_settings_that_stay_are_those_of_the_last_workers_that_served() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings workers=2
        << spawn 1 2
        << spawn 2 2
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings workers=3
        << give 1 RETIRE
        << give 2 RETIRE
        << spawn 3 3
        << spawn 4 3
        << spawn 5 3
        >> 3 ends 3
        << use settings workers=1
        << give 4 RETIRE
        << give 5 RETIRE
        << notify ready 1 worker
    """)


def test_a_reload_may_mend_what_made_workers_die() -> None:
    running(workers=1).check("""
        >> 0 ends -11
        << spawn 0 1
        >> 0 ends -11
        >> 0.5 s
        << spawn 0 1
        >> 0 ends -11
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 0 2                # at once
    """)


def test_code_that_makes_workers_crash_is_given_up_too() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 1 2
        >> 1 ends -11
        << spawn 1 2
        >> 1 ends -11
        >> 0.5 s
        << spawn 1 2
        >> 1 ends -11
        << use settings workers=1
        << log ERROR workers die before they can serve: reload given up, 1 worker of before *
        << notify ready 1 worker
    """)


def test_once_a_new_one_serves_the_reload_goes_on_whatever_happens() -> None:
    running(workers=2).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 2 2
        << spawn 3 2
        >> 2 READY
        << give 0 RETIRE
        >> 3 ends 3
        << spawn 3 2
        >> 1 ends -9                # an old one dies: nobody has to be retired for the next
        >> 3 READY
        << notify ready 2 workers
    """)


def test_another_hup_begins_again() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> SIGHUP                   # before the answer
        >> SIGHUP
        >> settings
        << notify reloading
        << read settings
        >> settings
        << spawn 1 2
        >> SIGHUP                   # while the new one loads
        << notify reloading
        << read settings
        >> settings
        << give 1 RETIRE
        << spawn 2 3
        >> 1 ends 0
        >> 2 READY
        << give 0 RETIRE
        << notify ready 1 worker
    """)


def test_a_stop_overtakes_a_reload() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> SIGTERM
        << notify stopping
        << give 0 STOP
        >> settings workers=5
        >> 0 ends 0
        << exit 0
    """)


def test_a_pause_overtakes_a_reload() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> SIGWINCH
        << give 0 RETIRE
        >> settings
        >> 0 ends 0
    """)


def test_a_pause_during_a_reload_ends_it_for_the_service_manager() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 1 2
        >> SIGWINCH
        << notify ready paused
        << give 0 RETIRE
        << give 1 RETIRE
    """)


# -- the supervisor itself --------------------------------------------------------------------


def test_usr2_tries_the_new_image_first() -> None:
    running(workers=2).check("""
        >> 0 MAX_REQUESTS
        << spawn 2 1
        >> 2 READY
        << give 0 RETIRE
        >> SIGTTIN
        << spawn 3 1
        >> SIGUSR2
        << check image
        >> SIGUSR2
        << log WARNING ignored: a new image is still being tried out
        >> image 0
        << re-exec 0:101:1:LEAVING 1:102:1:SERVING 2:103:1:SERVING 3:104:1:STARTING
    """)


def test_an_image_that_would_not_start_changes_nothing() -> None:
    running(workers=1).check("""
        >> SIGUSR2
        << check image
        >> image 78
        << log ERROR the new image would not start (status 78): nothing has changed
        >> SIGUSR2
        << check image
    """)


def test_a_pause_forgets_the_trial_and_another_may_follow() -> None:
    running(workers=1).check("""
        >> SIGUSR2
        << check image
        >> SIGWINCH
        << notify - paused
        << give 0 RETIRE
        >> SIGUSR2
        << check image
        >> image 0
        << re-exec 0:101:1:LEAVING
    """)


def test_with_preload_hup_is_usr2() -> None:
    running(workers=1, preload=True).check("""
        >> SIGHUP
        << check image
        >> SIGTERM
        << notify stopping
        << give 0 STOP
        >> image 0
    """)


def test_the_new_image_replaces_the_workers_of_the_old_one() -> None:
    adopted = (
        Adopted(0, 101, 4, "SERVING"),
        Adopted(1, 102, 4, "LEAVING"),
        Adopted(2, 103, 5, "SERVING"),
        Adopted(3, 104, 5, "STARTING"),
    )
    Playbook(workers=2, graceful_timeout=10.0, adopted=adopted).check("""
        >> 0 s
        << notify reloading
        << give 3 RETIRE
        << spawn 4 6
        << spawn 5 6
        >> 4 READY
        << give 0 RETIRE
        >> 3 READY                  # it has been faster than the order
        >> 3 ends 0
        >> 5 READY
        << give 2 RETIRE
        << log INFO reload complete: 2 workers
        << notify ready 2 workers
        >> 12 s
        << kill 0 SIGKILL
        << log WARNING worker 102 has not left in time*(setting: graceful_timeout)
        << kill 1 SIGKILL
        << kill 2 SIGKILL
    """)


def test_the_new_image_keeps_the_old_workers_if_its_own_cannot_start() -> None:
    Playbook(workers=1, adopted=(Adopted(0, 101, 1, "SERVING"),)).check("""
        >> 0 s
        << notify reloading
        << spawn 1 2
        >> 1 ends 3
        << notify ready 1 worker
        >> 0 ends -9
        << log ERROR worker 101 was ended by SIGKILL (out of memory?); starting another
        << spawn 0 2
    """)


def test_an_adopted_worker_may_serve_though_nobody_knows() -> None:
    Playbook(workers=1, graceful_timeout=10.0, adopted=(Adopted(0, 101, 1, "STARTING"),)).check("""
        >> 0 s
        << notify reloading
        << give 0 RETIRE
        << spawn 1 2
        >> 11 s
        >> 1 s
        << kill 0 SIGKILL
    """)


def test_an_image_that_has_adopted_nobody_does_not_give_up() -> None:
    Playbook(workers=1, adopted=()).check("""
        >> 0 s
        << notify reloading
        << spawn 0 2
        >> 0 ends 3
        << notify ready 0 workers
        << spawn 0 2
        >> 0 ends 3
        >> 0.5 s
        << spawn 0 2
    """)


def test_a_new_image_that_cannot_start_workers_goes_on_with_those_of_before() -> None:
    Playbook(workers=2, renew=False, adopted=(Adopted(0, 101, 4, "SERVING"),)).check("""
        >> 0 s
        << notify reloading
        << log ERROR the new image cannot start workers: reload given up, 1 worker of before *
        << notify ready 1 worker
        << spawn 1 5                # there were two
        >> 1 ends 3
        << spawn 1 5
        >> 1 ends 3
        >> SIGTERM                  # nobody gives up a service that runs
        << notify stopping
        << give 0 STOP
        >> 0 ends 0
        << exit 0
    """)


def test_a_new_image_returns_to_the_settings_of_the_one_before() -> None:
    adopted = (Adopted(0, 101, 1, "SERVING"),)
    Playbook(workers=2, adopted=adopted, before=Config(workers=1)).check("""
        >> 0 s
        << notify reloading
        << spawn 1 2
        << spawn 2 2
        >> 1 ends 3
        << use settings workers=1
        << give 2 RETIRE
        << log ERROR the application cannot be imported: reload given up, 1 worker of before *
        << notify ready 1 worker
    """)


def test_a_reload_that_was_paused_is_nothing_to_end_for() -> None:
    running(workers=1).check("""
        >> SIGHUP
        << notify reloading
        << read settings
        >> settings
        << spawn 1 2
        >> SIGWINCH
        << notify ready paused
        << give 0 RETIRE
        << give 1 RETIRE
        >> 0 ends 0
        >> 1 ends 3
        >> SIGTTIN
        << spawn 0 2
        >> 0 ends 3
        << log ERROR worker * has exited with status 3 before it could serve; starting another
        << spawn 0 2
        >> 0 READY
    """)
