"""A pool as its operator sees it: start, reload, replacement, growth and end lose nothing."""

from __future__ import annotations

import os
import pwd
import re
import resource
import select
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e import wire
from tests.e2e.gate import Gate
from tests.e2e.process import PATIENCE, ROOT
from tests.e2e.project import APP, Project, parse, wait_for_end, wait_for_rest

TWO = APP.replace('"one"', '"two"')


@pytest.fixture
def project() -> Iterator[Project]:
    with Project() as made:
        yield made


def test_it_starts_and_says_so(project: Project) -> None:
    with project.pool(workers=2, threads=3) as pool:
        workers = pool.ready(2)
        pool.wait_for_log("ready: 2 workers")
        assert f"supervisor {pool.pid}, 2 workers x 3 threads, application shop:app" in pool.log()
        version, pid = pool.ask()
        assert version == "one"
        assert pid in workers
        assert pool.stop() == 0
    assert not os.path.exists(pool.path)
    for worker in workers:
        wait_for_end(worker)


def test_an_application_that_cannot_be_imported_stops_the_start(project: Project) -> None:
    project.write("import no_such_library\n")
    with project.pool() as pool:
        assert pool.wait() == 3
        assert "No module named 'no_such_library'" in pool.log()
        assert 'shop.py", line 1' in pool.log()
    assert not os.path.exists(pool.path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=str)
def test_a_graceful_stop_finishes_what_runs(
    project: Project, gate: Gate, number: signal.Signals
) -> None:
    with project.pool() as pool, pool.connect() as running, pool.connect() as idle:
        running.sendall(wire.request(f"/wait?{gate.query}", keep=True))
        visit = gate.wait()
        pool.turn(number, "stopping")
        assert wire.read_all(idle) == b""
        visit.let_go()
        assert parse(wire.read_answer(running))[0] == "one"
        assert wire.read_all(running) == b""
        assert pool.wait() == 0


def test_sigint_ends_at_once(project: Project, gate: Gate) -> None:
    with project.pool() as pool, pool.connect() as running:
        running.sendall(wire.request(f"/wait?{gate.query}"))
        gate.wait()
        pool.signal(signal.SIGINT)
        assert pool.wait() == 130
        assert "Traceback" not in pool.log()
    assert not os.path.exists(pool.path)


def ask_until(version: str, kept: socket.socket) -> int:
    """Ask on a kept connection until it has come to a worker of that *version*, which may be
    one request late; who that is."""
    answer = ("", 0)
    for _ in range(1000):
        kept.sendall(wire.request("/", keep=True))
        answer = parse(wire.read_answer(kept))
        if answer[0] == version:
            break
    return answer[1]


@pytest.mark.parametrize("preload", [False, True])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2], ids=str)
def test_a_reload_brings_new_code_and_loses_nothing(
    project: Project, gate: Gate, number: signal.Signals, preload: bool
) -> None:
    options = ["--preload"] if preload else []
    with project.pool(*options) as pool, pool.connect() as running, pool.connect() as kept:
        pool.ready(2)
        running.sendall(wire.request(f"/wait?{gate.query}", keep=True))
        visit = gate.wait()
        kept.sendall(wire.request("/", keep=True))
        assert parse(wire.read_answer(kept))[0] == "one"
        project.write(TWO)
        seen = pool.turn(number, "reload complete: 2 workers")
        new = pool.ready(2, seen)
        assert ask_until("two", kept) in new
        visit.let_go()
        assert parse(wire.read_answer(running)) == ("one", int(visit.message))
        assert ask_until("two", running) in new
        assert pool.running, "and it is the same process"
        assert pool.stop() == 0
    assert not os.path.exists(pool.path)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2], ids=str)
@pytest.mark.parametrize("preload", [False, True])
def test_broken_code_is_told_and_the_old_one_serves_on(
    project: Project, number: signal.Signals, preload: bool
) -> None:
    with project.pool(*(["--preload"] if preload else [])) as pool:
        workers = pool.ready(2)
        project.write("import no_such_library\n")
        pool.turn(number, "reload given up|nothing has changed")
        assert "No module named 'no_such_library'" in pool.log()
        version, pid = pool.ask()
        assert (version, pid in workers) == ("one", True)
        project.write(TWO)
        pool.turn(number, "reload complete")
        for worker in workers:
            wait_for_end(worker)
        assert pool.ask()[0] == "two"


def test_a_preloaded_application_is_imported_once(project: Project) -> None:
    project.write(APP + "\nprint('imported by', os.getpid())\n")
    with project.pool("--preload", workers=3) as pool:
        pool.ready(3)
        assert re.findall(r"imported by (\d+)", pool.log()) == [str(pool.pid)]


def test_a_new_image_reads_its_settings_anew(project: Project) -> None:
    settings = project.directory / "settings.toml"
    settings.write_text("threads = 2\n")
    with project.pool("--config", str(settings)) as pool:
        pool.ready(2)
        settings.write_text("threads = 2\nlog_level = 'debug'\n")
        seen = pool.turn(signal.SIGUSR2, "reload complete")
        assert f"supervisor {pool.pid}" in pool.log(seen)
        pool.turn(signal.SIGTERM, "worker stopped; requests served")
        assert pool.wait() == 0


def test_one_more_and_one_fewer(project: Project) -> None:
    with project.pool(workers=1) as pool, pool.connect() as kept:
        pool.ready(1)
        kept.sendall(wire.request("/", keep=True))
        wire.read_answer(kept)
        seen = pool.turn(signal.SIGTTIN, "worker .* ready")
        pool.ready(1, seen)
        pool.turn(signal.SIGTTOU, "stopping$")
        for connection in (kept, kept):
            connection.sendall(wire.request("/", keep=True))
            assert parse(wire.read_answer(connection))[0] == "one"
        assert pool.ask()[0] == "one"


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="elsewhere every worker is told")
@pytest.mark.parametrize("threads", [1, 4])
def test_connections_that_stay_come_to_all_workers_in_turn(project: Project, threads: int) -> None:
    def open_more(count: int) -> Counter[int]:
        answered = []
        for _ in range(count):
            wait_for_rest(workers)
            connection = stack.enter_context(pool.connect())
            connection.sendall(wire.request("/", keep=True))
            answered.append(parse(wire.read_answer(connection))[1])
        return Counter(answered)

    with project.pool(workers=2, threads=threads) as pool, ExitStack() as stack:
        workers = pool.ready(2)
        shares = open_more(40)
        assert sorted(shares) == sorted(workers)
        assert min(shares.values()) >= 10, "strictly it is 20 each, if nobody is late"
        workers += pool.ready(1, pool.turn(signal.SIGTTIN, "worker .* ready"))
        shares = open_more(60)
        assert sorted(shares) == sorted(workers)
        assert min(shares.values()) >= 10


def test_connections_wait_while_there_are_no_workers(project: Project) -> None:
    with project.pool(workers=2) as pool:
        workers = pool.ready(2)
        pool.signal(signal.SIGWINCH)
        for worker in workers:
            wait_for_end(worker)
        with pool.connect() as waiting:
            waiting.sendall(wire.request("/"))
            pool.signal(signal.SIGHUP)
            assert parse(wire.read_answer(waiting))[1] not in workers


def test_logs_are_opened_anew(project: Project) -> None:
    path = project.directory / "error.log"
    command = [sys.executable, "-m", "fcgikit", "serve", "shop:app", "-w", "1"]
    command += ["--chdir", str(project.directory), "-b", f"unix:{project.directory}/s"]
    command += ["--error-log", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
        try:
            follow(path, "ready: 1 worker")
            path.rename(path.with_suffix(".1"))
            process.send_signal(signal.SIGUSR1)
            follow(path, "")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert "stopped" in path.read_text()
    assert "stopped" not in path.with_suffix(".1").read_text()


def follow(path: Path, text: str) -> None:
    """Wait until a log file is there and holds *text*."""
    script = 'while [ ! -e "$0" ] || ! grep -qF -- "$1" "$0"; do sleep 0.02; done'
    subprocess.run(["sh", "-c", script, str(path), text], check=True, timeout=PATIENCE)


def test_the_pid_file(project: Project) -> None:
    path = project.directory / "shop.pid"
    with project.pool("--pid", str(path)) as pool:
        pool.ready(2)
        assert path.read_text() == f"{pool.pid}\n"
        pool.turn(signal.SIGUSR2, "reload complete")
        assert path.read_text() == f"{pool.pid}\n"
        assert pool.stop() == 0
    assert not path.exists()


def test_the_service_manager_is_told(project: Project) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        manager.bind(str(project.directory / "notify"))
        (project.directory / "notify").chmod(0o777)
        project.write(APP.replace('"one"', 'os.environ.get("NOTIFY_SOCKET", "none")'))
        environ = {"NOTIFY_SOCKET": str(project.directory / "notify"), "WATCHDOG_USEC": "400000"}

        def told(state: str) -> None:
            while state not in manager.recv(4096).decode().split("\n"):
                pass

        with project.pool(environ=environ) as pool:
            told("READY=1")
            told("WATCHDOG=1")
            told("WATCHDOG=1")
            assert pool.ask()[0] == "none"
            pool.signal(signal.SIGHUP)
            told("RELOADING=1")
            told("READY=1")
            pool.signal(signal.SIGUSR2)
            told("READY=1")
            told("WATCHDOG=1")
            pool.signal(signal.SIGTERM)
            told("STOPPING=1")
            assert pool.wait() == 0


def test_workers_give_up_root(project: Project) -> None:
    project.write(
        "import os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    mask = os.umask(0o077)\n"
        "    return [f'{os.getuid()}:{os.getgid()}:{os.environ[\"HOME\"]}:{mask:o} 0'.encode()]\n"
    )
    with project.pool("--user", "nobody", "--umask", "027", workers=1) as pool:
        if os.geteuid() != 0:
            assert pool.wait() == 78
            assert "user: only root may do this" in pool.log()
            return
        nobody = pwd.getpwnam("nobody")
        assert pool.ask()[0] == f"{nobody.pw_uid}:{nobody.pw_gid}:{nobody.pw_dir}:27"


def test_ondemand_comes_and_goes_with_the_requests(project: Project) -> None:
    options = ["--pm", "ondemand", "--process-idle-timeout", "0.2", "--log-level", "debug"]
    with project.pool(*options, workers=2) as pool:
        pool.wait_for_log("ready: 0 workers")
        first = pool.ask()[1]
        wait_for_end(first)
        assert pool.ask()[1] != first


def test_dynamic_grows_and_shrinks(project: Project, gate: Gate) -> None:
    options = ["--pm", "dynamic", "--min-spare-workers", "1", "--max-spare-workers", "1"]
    with project.pool(*options, workers=2, threads=1) as pool, pool.connect() as busy:
        (first,) = pool.ready(1)
        busy.sendall(wire.request(f"/wait?{gate.query}"))
        visit = gate.wait()
        second = pool.ready(2)[1]
        assert pool.ask()[1] == second
        visit.let_go()
        assert parse(wire.read_answer(busy))[1] == first
        pool.wait_for_log("stopping")
        assert pool.ask()[0] == "one"


def test_idle_connections_cost_no_worker(project: Project) -> None:
    """php-fpm stands still with as many kept connections as it has processes."""
    count = 4000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 1000)), hard))
    kept: list[socket.socket] = []
    try:
        with project.pool(workers=4, threads=1) as pool:
            pool.ready(4)
            for _ in range(count):
                connection = pool.connect()
                kept.append(connection)
                connection.sendall(wire.request("/", keep=True))
            for connection in kept:
                assert wire.read_answer(connection).app_status == 0
            for _ in range(20):
                assert pool.ask()[0] == "one"
            kept[-1].sendall(wire.request("/", keep=True))
            assert wire.read_answer(kept[-1]).app_status == 0
    finally:
        for connection in kept:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
