from __future__ import annotations

from fcgikit.orders import Report
from fcgikit.supervisor.messages import View
from fcgikit.supervisor.roster import Roster, Worker
from fcgikit.supervisor.states import Phase


def roster(*phases: Phase) -> Roster:
    made = Roster(len(phases) + 2)
    for slot, phase in enumerate(phases):
        made.add(Worker(slot, 1, 0.0, phase))
    return made


def test_slots_are_used_again() -> None:
    three = roster(Phase.SERVING, Phase.SERVING, Phase.SERVING)
    assert three.free_slots() == [3, 4]
    three.remove(1)
    assert three.free_slots() == [1, 3, 4]
    assert three.remove(1) is None


def test_the_least_missed_is_one_that_does_not_serve_then_an_idle_one_then_the_oldest() -> None:
    three = roster(Phase.SERVING, Phase.SERVING, Phase.STARTING)
    assert three.superfluous().slot == 2
    three.remove(2)
    three.see(View(0, busy=1, requests=0, connections=0, beat_age=0.0), now=5.0)
    assert three.superfluous().slot == 1
    three.see(View(1, busy=1, requests=0, connections=0, beat_age=0.0), now=5.0)
    assert three.superfluous().slot == 0


def test_the_load_counts_those_about_to_start_as_free() -> None:
    three = roster(Phase.SERVING, Phase.SERVING, Phase.STARTING, Phase.LEAVING)
    three.see(View(0, busy=2, requests=0, connections=0, beat_age=0.0), now=5.0)
    load = three.load(threads=2, wanted=5)
    assert (load.total, load.free, load.idle) == (5, 4, 1)


def test_a_view_of_a_worker_that_has_gone_is_nothing() -> None:
    none = roster()
    none.see(View(0, busy=1, requests=0, connections=0, beat_age=0.0), now=5.0)
    assert len(none) == 0


def test_what_is_adopted_is_what_was_adoptable() -> None:
    before = roster(Phase.SERVING, Phase.STARTING, Phase.LEAVING)
    after = Roster(8)
    for adopted in before.adoptable():
        after.adopt(adopted, 7.0)
    assert after.adoptable() == before.adoptable()
    assert [worker.fresh for worker in after] == [False] * 3


def test_the_stuck_are_replaced_before_the_old() -> None:
    three = roster(Phase.SERVING, Phase.SERVING, Phase.SERVING)
    for worker, report in zip(three, (Report.MAX_REQUESTS, None, Report.TIMEOUT), strict=True):
        worker.worn = report
    assert [worker.slot for worker in three.replaceable()] == [2, 0]
