"""Apache httpd with every file of conf/apache/."""

from __future__ import annotations

import concurrent.futures
import http.client
import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e.apache import CONF, Apache
from tests.e2e.checks import Requests, cut_is_seen
from tests.e2e.client import fetch
from tests.e2e.gate import Gate
from tests.e2e.process import Foreign
from tests.e2e.worker import Worker

FILES = ["mod_fcgid.conf", "proxy_fcgi.conf", "proxy_scgi.conf", "proxy_uwsgi.conf"]


@pytest.fixture(scope="module", params=FILES)
def web_server(request: pytest.FixtureRequest, worker: Worker) -> Iterator[Apache]:
    file: str = request.param
    with Apache(file, "" if file == "mod_fcgid.conf" else worker.path) as running:
        yield running


class TestApache(Requests):
    """The checks that every front end has to pass."""


def test_every_ready_file_is_started_here() -> None:
    in_test_roles = {"authnz_fcgi.conf", "fcgid_authorizer.conf"}
    assert {*FILES, *in_test_roles} == {path.name for path in CONF.glob("*.conf")}


@pytest.mark.parametrize("target", ["/short", "/boom-late"])
def test_mod_proxy_fcgi_shows_that_an_answer_is_cut(worker: Worker, target: str) -> None:
    """The others take any end for the end, unless the Content-Length says otherwise."""
    with Apache("proxy_fcgi.conf", worker.path) as apache:
        assert all(cut_is_seen(apache.address, target) for _ in range(5))
        assert fetch(apache.address, "/hello").status == 200


# -- processes that mod_fcgid manages -------------------------------------------------------------

GRACEFUL = "threads=1, graceful_timeout=7"
"""As the ready file advises: mod_fcgid kills 8 s after the first SIGTERM."""

AT_ONCE = "FcgidSpawnScore 0\n"
"""Lets several processes start within a second."""


class Asking:
    """Requests of clients that are held at the gate."""

    def __init__(self, apache: Apache, gate: Gate, count: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(count)
        target = f"/wait?{gate.query}"
        self.answers = [self._pool.submit(fetch, apache.address, target) for _ in range(count)]
        self.visits = [gate.wait() for _ in range(count)]
        self.processes = [Foreign(visit.pid) for visit in self.visits]

    def let_go(self) -> list[bytes]:
        """The bodies of their answers."""
        for visit in self.visits:
            visit.let_go()
        return [answer.result().body for answer in self.answers]

    def close(self) -> None:
        self._pool.shutdown()
        for process in self.processes:
            process.close()


def test_processes_come_as_needed_are_recycled_and_idle_out(gate: Gate) -> None:
    limits = ["FcgidMaxRequestsPerProcess 2", "FcgidMinProcessesPerClass 0", "FcgidIdleTimeout 1"]
    scans = ["FcgidIdleScanInterval 1", "FcgidErrorScanInterval 1", "FcgidZombieScanInterval 1"]
    more = "\n".join(["LogLevel fcgid:info", *limits, *scans])
    with Apache("mod_fcgid.conf", settings=GRACEFUL, more=AT_ONCE + more) as apache:
        asking = Asking(apache, gate, 3)
        pids = [process.pid for process in asking.processes]
        assert len(set(pids)) == 3, "one request at a time each"
        assert asking.let_go() == [b"waited "] * 3
        for _ in range(2):  # two of the three have then served as many as they may
            assert fetch(apache.address, "/hello").status == 200
        for process in asking.processes:
            process.wait()
        for pid in pids:
            apache.wait_for_log(rf"index.fcgi\({pid}\) exit\(.*return code: 0")
        assert fetch(apache.address, "/hello").status == 200
        asking.close()


def test_a_cut_answer_does_not_cost_the_process(gate: Gate) -> None:
    """mod_fcgid kills whoever closes a connection before the end of the request."""
    with Apache("mod_fcgid.conf", settings=GRACEFUL) as apache:
        before = Asking(apache, gate, 1)
        before.let_go()
        assert fetch(apache.address, "/boom-late").status == 200
        after = Asking(apache, gate, 1)
        after.let_go()
        assert after.visits[0].pid == before.visits[0].pid
        before.close()
        after.close()


def test_requests_in_flight_survive_a_graceful_restart(gate: Gate) -> None:
    """httpd waits for its clients, but mod_fcgid sends SIGTERM twice, and SIGKILL after 8 s."""
    more = f"{AT_ONCE}LogLevel fcgid:info"
    with Apache("mod_fcgid.conf", settings=GRACEFUL, more=more) as apache:
        asking = Asking(apache, gate, 2)
        seen = apache.mark
        apache.signal(signal.SIGUSR1)
        apache.wait_for_log("SIGTERM: stopping", seen)
        time.sleep(2)  # the second SIGTERM comes after a second, and nobody logs it
        assert asking.let_go() == [b"waited "] * 2
        for process in asking.processes:
            process.wait()
            apache.wait_for_log(rf"index.fcgi\({process.pid}\) exit\(.*return code: 0", seen)
        assert fetch(apache.address, "/hello").status == 200
        asking.close()


def test_what_outlasts_a_graceful_restart_is_told_so(gate: Gate) -> None:
    with Apache("mod_fcgid.conf", settings="threads=1, graceful_timeout=1") as apache:
        asking = Asking(apache, gate, 1)
        apache.signal(signal.SIGUSR1)
        assert asking.answers[0].result().status == 503
        asking.processes[0].wait()
        assert fetch(apache.address, "/hello").status == 200
        asking.close()


def test_a_request_in_flight_survives_a_graceful_stop(gate: Gate) -> None:
    """httpd waits for its clients first, and then ends the processes."""
    with Apache("mod_fcgid.conf", settings=GRACEFUL) as apache:
        asking = Asking(apache, gate, 1)
        seen = apache.mark
        apache.signal(signal.SIGWINCH)
        apache.wait_for_log("shutting down gracefully", seen)
        assert asking.let_go() == [b"waited "]
        assert apache.wait() == 0
        apache.wait_for_log("stopped; requests served: 1", seen)
        asking.close()


def test_a_stop_at_once_leaves_no_process(gate: Gate) -> None:
    """httpd hangs up on its clients; the processes finish and leave."""
    with Apache("mod_fcgid.conf", settings=GRACEFUL) as apache:
        asking = Asking(apache, gate, 1)
        seen = apache.mark
        apache.signal(signal.SIGTERM)
        apache.wait_for_log("SIGTERM: stopping", seen)
        with pytest.raises(http.client.RemoteDisconnected):
            asking.let_go()
        asking.processes[0].wait()
        assert apache.wait() == 0
        apache.wait_for_log("stopped; requests served: 1")
        asking.close()
