"""The pid file: ours while we live, and nobody else's ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcgikit.errors import ConfigError
from fcgikit.supervisor.pidfile import pid_file


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_it_holds_our_number_and_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "app.pid"
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
        assert list(tmp_path.iterdir()) == [path]
    assert not path.exists()


def test_no_path_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pid_file(""):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "nonsense", "-1", "0", "99999999999999999999", "dead"])
def test_what_no_living_process_holds_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "app.pid"
    path.write_text(content if content != "dead" else str(dead_pid()))
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"


def test_one_that_a_living_process_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(ConfigError, match=rf"^pid .*process {os.getppid()} lives"), pid_file(
        str(path)
    ):
        pass
    assert path.read_text() == f"{os.getppid()}\n"


def test_our_own_from_before_an_exec_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "app.pid"
    path.write_text(f"{os.getpid()}\n")
    inode = path.stat().st_ino
    with pid_file(str(path)):
        assert path.stat().st_ino == inode
    assert not path.exists()


def test_one_that_somebody_has_taken_over_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.pid"
    with pid_file(str(path)):
        path.write_text("1\n")
    assert path.read_text() == "1\n"


def test_a_forked_worker_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.pid"
    child = -1
    with pid_file(str(path)):
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert path.exists()
    if child == 0:
        os._exit(0)


def test_what_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^pid .*No such file"), pid_file(f"{tmp_path}/no/pid"):
        pass
