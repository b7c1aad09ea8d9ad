from __future__ import annotations

from signal import SIGRTMIN

from fcgikit.supervisor.obituary import cause, obituary
from fcgikit.supervisor.roster import Worker


def test_causes_are_words() -> None:
    assert cause(3) == "has exited with status 3"
    assert cause(-15) == "was ended by SIGTERM"
    assert cause(-9) == "was ended by SIGKILL (out of memory?)"
    assert cause(-(SIGRTMIN + 1)) == f"was ended by signal {SIGRTMIN + 1}"


def test_all_that_was_running_is_named() -> None:
    worker = Worker(0, 1, 0.0, pid=7, serving_since=1.0)
    said = obituary(worker, 1, ("GET /a", "POST /b"), 2.0)
    assert said == "worker 7 has exited with status 1 while it ran GET /a, POST /b; next try in 2 s"


def test_nobody_is_promised_who_will_not_come() -> None:
    worker = Worker(0, 1, 0.0, pid=7)
    said = obituary(worker, 3, (), None)
    assert said == "worker 7 has exited with status 3 before it could serve"
