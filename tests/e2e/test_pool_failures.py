"""What goes wrong in one worker stays there, is told, and is mended."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.e2e import wire
from tests.e2e.gate import Gate
from tests.e2e.project import Project, parse, wait_for_end


@pytest.fixture
def project() -> Iterator[Project]:
    with Project() as made:
        yield made


def test_a_crash_is_told_with_what_was_running(project: Project) -> None:
    with project.pool() as pool, pool.connect() as victim:
        workers = pool.ready(2)
        seen = pool.mark
        victim.sendall(wire.request("/abort?secret=1"))
        assert wire.read_all(victim) == b""
        told = pool.wait_for_log("was ended by SIGABRT while it ran", seen)
        assert "GET /abort?secret=1 for " in told
        assert pool.ready(1, seen)[0] not in workers
        assert pool.ask()[0] == "one"


def test_a_killed_worker_is_replaced(project: Project, gate: Gate) -> None:
    with project.pool() as pool, pool.connect() as running:
        workers = pool.ready(2)
        running.sendall(wire.request(f"/wait?{gate.query}"))
        visit = gate.wait()
        victim = next(pid for pid in workers if pid != int(visit.message))
        seen = pool.mark
        os.kill(victim, signal.SIGKILL)
        pool.wait_for_log(rf"worker {victim} was ended by SIGKILL", seen)
        pool.ready(1, seen)
        visit.let_go()
        assert parse(wire.read_answer(running))[0] == "one", "the other one has not noticed"


def test_a_worker_is_replaced_after_so_many_requests(project: Project) -> None:
    with project.pool("--max-requests", "5", workers=1) as pool, pool.connect() as kept:
        (first,) = pool.ready(1)
        answered = first
        while answered == first:  # its last one is not lost, whenever the next one takes over
            kept.sendall(wire.request("/", keep=True))
            version, answered = parse(wire.read_answer(kept))
            assert version == "one"
        pool.wait_for_log(rf"replacing worker {first}: .*max_requests")


def test_a_worker_that_has_grown_is_replaced(project: Project) -> None:
    with project.pool("--max-memory", "80M", workers=1) as pool, pool.connect() as kept:
        kept.sendall(wire.request("/grow", keep=True))
        first = parse(wire.read_answer(kept))[1]
        pool.wait_for_log(rf"replacing worker {first}: .*max_memory")
        wait_for_end(first)
        kept.sendall(wire.request("/", keep=True))
        assert parse(wire.read_answer(kept))[1] != first


def test_a_request_that_takes_too_long(project: Project, gate: Gate) -> None:
    slow_log = project.directory / "slow.log"
    options = ["--timeout", "0.5", "--slow-log", str(slow_log)]
    with project.pool(*options, workers=1, threads=2) as pool, pool.connect() as late:
        (first,) = pool.ready(1)
        late.sendall(wire.request(f"/wait?{gate.query}"))
        gate.wait()
        assert pool.ask()[0] == "one", "its sibling is not held up"
        answer = wire.read_answer(late)
        assert b"504" in answer.stdout
        assert answer.protocol_status == 0
        pool.wait_for_log(rf"replacing worker {first}: .*timeout")
        assert pool.ask()[0] == "one"
        wait_for_end(first)
    told = slow_log.read_text()
    assert "GET /wait?gate=" in told
    assert "pass_gate" in told


def test_a_slow_request_is_told_and_left_alone(project: Project, gate: Gate) -> None:
    with project.pool("--slow-request", "0.2") as pool, pool.connect() as slow:
        slow.sendall(wire.request(f"/wait?{gate.query}"))
        visit = gate.wait()
        pool.wait_for_log("GET /wait")
        pool.wait_for_log("pass_gate")
        visit.let_go()
        assert parse(wire.read_answer(slow)) == ("one", int(visit.message))


def test_a_worker_stuck_in_c_is_killed(project: Project) -> None:
    """No thread of it runs any Python: only the supervisor can see that."""
    with project.pool("--timeout", "0.2", workers=2) as pool, pool.connect() as stuck:
        pool.ready(2)
        stuck.sendall(wire.request("/stuck"))
        told = pool.wait_for_log("no sign of life")
        victim = int(re.findall(r"worker (\d+)", told)[0])
        wait_for_end(victim)
        assert pool.ask()[1] != victim
        assert "shop.py" in pool.log(), "faulthandler has shown where"


def test_nobody_outlives_the_supervisor(project: Project, gate: Gate) -> None:
    with project.pool() as pool, pool.connect() as running:
        workers = pool.ready(2)
        running.sendall(wire.request(f"/wait?{gate.query}"))
        visit = gate.wait()
        pool.signal(signal.SIGKILL)
        assert pool._popen.wait() == -signal.SIGKILL
        visit.let_go()
        assert parse(wire.read_answer(running))[0] == "one"
        for worker in workers:
            wait_for_end(worker)
        os.unlink(pool.path)
