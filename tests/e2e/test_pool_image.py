"""SIGUSR2 when something goes wrong: the trial hangs, or a new image fails after all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gate import Gate
from tests.e2e.project import APP, Pool, Project, wait_for_end

AT_TRIAL = f"""
import os, sys
if "--check-config" in sys.argv:
    %s
{APP.replace('"one"', '"two"')}
"""


@pytest.fixture
def project() -> Iterator[Project]:
    with Project() as made:
        yield made


def test_a_trial_that_hangs_is_in_nobodys_way(project: Project, gate: Gate) -> None:
    with project.pool(environ={"GATE": gate.path}) as pool:
        workers = pool.ready(2)
        text = "from tests.e2e.gate import pass_gate; pass_gate(os.environ['GATE'])"
        project.write(AT_TRIAL % text)
        pool.signal(signal.SIGUSR2)
        first = gate.wait()
        pool.turn(signal.SIGUSR2, "ignored: a new image is still being tried out")
        assert pool.ask()[0] == "one"
        pool.signal(signal.SIGWINCH)
        for worker in workers:  # of two signals at once, the kernel tells the lower number first
            wait_for_end(worker)
        pool.signal(signal.SIGUSR2)
        second = gate.wait()
        with pytest.raises(ProcessLookupError):
            os.kill(first.pid, 0)
        assert pool.stop() == 0
        wait_for_end(second.pid)
        assert "Traceback" not in pool.log()


def all_are_new(pool: Pool, workers: list[int]) -> None:
    for worker in workers:
        wait_for_end(worker)
    assert pool.ask()[0] == "two"


def still_serves(pool: Pool, workers: list[int]) -> None:
    version, pid = pool.ask()
    assert (version, pid in workers) == ("one", True)
    assert pool.running


def test_settings_that_cannot_work_after_all(project: Project) -> None:
    settings = project.directory / "settings.toml"
    settings.write_text("threads = 3\n")
    with project.pool("--config", str(settings)) as pool:
        workers = pool.ready(2)
        project.write(AT_TRIAL % f"open({str(settings)!r}, 'w').write('nonsense = 1')")
        pool.turn(signal.SIGUSR2, "reload given up, 2 workers of before serve on")
        assert "nonsense" in pool.log()
        still_serves(pool, workers)
        settings.write_text("threads = 2\n")
        project.write(APP.replace('"one"', '"two"'))
        pool.turn(signal.SIGUSR2, "reload complete: 2 workers")
        all_are_new(pool, workers)
        assert pool.stop() == 0
    assert not os.path.exists(pool.path)


def test_a_preloaded_application_that_fails_after_all(project: Project) -> None:
    with project.pool("--preload") as pool:
        workers = pool.ready(2)
        project.write(AT_TRIAL % "pass\nelse:\n    raise ValueError('after all')")
        pool.turn(signal.SIGHUP, "reload given up, 2 workers of before serve on")
        assert "ValueError: after all" in pool.log()
        still_serves(pool, workers)
        project.write(APP.replace('"one"', '"two"'))
        pool.turn(signal.SIGHUP, "reload complete: 2 workers")
        all_are_new(pool, workers)


def test_the_pid_file_moves(project: Project) -> None:
    settings, old, new = (project.directory / name for name in ("settings.toml", "old", "new"))
    settings.write_text(f"pid = {str(old)!r}\n")
    with project.pool("--config", str(settings)) as pool:
        pool.ready(2)
        assert read(old) == pool.pid
        settings.write_text(f"pid = {str(new)!r}\n")
        pool.turn(signal.SIGUSR2, "reload complete")
        assert (old.exists(), read(new)) == (False, pool.pid)
        old.write_text(f"{os.getpid()}\n")
        settings.write_text(f"pid = {str(old)!r}\n")
        pool.turn(signal.SIGUSR2, "reload complete")
        assert "lives and has its number there" in pool.log()
        assert (read(old), read(new)) == (os.getpid(), pool.pid)
        assert pool.stop() == 0
    assert not new.exists()


def read(path: Path) -> int:
    return int(path.read_text())


def test_after_a_reload_that_was_given_up_workers_come_back_with_the_old_settings(
    project: Project,
) -> None:
    settings = project.directory / "settings.toml"
    settings.write_text("")
    with project.pool("--config", str(settings), workers=1) as pool:
        (worker,) = pool.ready(1)
        settings.write_text("script_name = '/shop'\n")
        project.write("import no_such_library\n")
        pool.turn(signal.SIGHUP, "reload given up")
        project.write("def app(e, start):\n    start('200 OK', [])\n"
                      "    return [f\"{e['SCRIPT_NAME'] or 'none'} 0\".encode()]\n")  # fmt: skip
        os.kill(worker, signal.SIGKILL)
        assert pool.ask()[0] == "none"
