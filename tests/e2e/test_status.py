"""The status of a pool is told when nobody else could answer."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from fcgikit.cli import main
from tests.e2e import wire
from tests.e2e.gate import Gate
from tests.e2e.process import PATIENCE
from tests.e2e.project import Project


@pytest.fixture
def project() -> Iterator[Project]:
    with Project() as made:
        yield made


def ask(address: str) -> Any:
    result = CliRunner().invoke(main, ["status", address, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def wait_until_all_are_busy(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while ask(address)["idle_processes"]:
        assert time.monotonic() < deadline


def test_while_every_worker_is_busy_or_stuck(project: Project, gate: Gate) -> None:
    address = f"unix:{project.directory}/st"
    with project.pool("--status", address, workers=2, threads=1) as pool:
        workers = pool.ready(2)
        assert stat.S_IMODE(os.stat(f"{project.directory}/st").st_mode) == 0o660
        with pool.connect() as busy:
            busy.sendall(wire.request(f"/wait?{gate.query}"))
            visit = gate.wait()
            victim = next(pid for pid in workers if pid != int(visit.message))
            try:
                with pool.connect() as stuck:
                    stuck.sendall(wire.request("/stuck"))
                    wait_until_all_are_busy(address)
                with pool.connect("tcp"):
                    told = ask(address)
            finally:
                os.kill(victim, signal.SIGKILL)
            pool.wait_for_log(f"worker {victim} was ended by SIGKILL")
            assert (told["state"], told["pid"]) == ("running", pool.pid)
            assert (told["total_processes"], told["idle_processes"]) == (2, 0)
            assert told["listen_queue"] == 1
            running = {one["pid"]: one["running"][0]["request"] for one in told["processes"]}
            assert running.keys() == set(workers)
            assert running[int(visit.message)].startswith("GET /wait?gate=")
            assert running[victim] == "GET /stuck"
            visit.let_go()
        assert pool.stop() == 0
    assert not os.path.exists(f"{project.directory}/st")


def test_it_goes_on_with_a_new_image(project: Project) -> None:
    with project.pool("--status", "127.0.0.1:0") as pool:
        workers = pool.ready(2)
        address = pool.wait_for_log("status on").split()[-1]
        pool.ask()
        first = ask(address)
        assert sorted(one["pid"] for one in first["processes"]) == sorted(workers)
        pool.turn(signal.SIGUSR2, "reload complete")
        second = ask(address)
        assert (second["pid"], second["generation"]) == (first["pid"], 2)
        serving = [one for one in second["processes"] if one["phase"] == "serving"]
        assert [one["generation"] for one in serving] == [2, 2]


def test_it_is_for_this_machine_only(project: Project) -> None:
    with pytest.raises(AssertionError, match="offer it on a Unix socket"):
        project.pool("--status", "0.0.0.0:0")
