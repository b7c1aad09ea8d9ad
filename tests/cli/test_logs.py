"""Where the log goes: standard error or files, which may be moved away."""

from __future__ import annotations

import io
import logging
import logging.config
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fcgikit.cli.logs import configure_logging, reopen_logs
from fcgikit.config import Config
from fcgikit.errors import ConfigError

LOG, SLOW = logging.getLogger("fcgikit"), logging.getLogger("fcgikit.slow")
ROOT = Path(__file__).parents[2]

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "error.log"


def messages(path: Path) -> list[str]:
    """The lines of a log file from the level on."""
    return [line.partition("] ")[2] for line in path.read_text().splitlines()]


def test_standard_error_once_and_for_us_alone() -> None:
    root_handlers = list(logging.root.handlers)
    configure_logging(Config(log_level="warning"))
    configure_logging(Config(log_level="debug"))
    assert len(LOG.handlers) == 1
    assert LOG.level == logging.DEBUG
    assert logging.root.handlers == root_handlers


def test_a_file_takes_lines_with_our_number(path: Path) -> None:
    path.write_text("before\n")
    configure_logging(Config(error_log=str(path)))
    logging.getLogger("fcgikit.server").info("hello")
    first, line = path.read_text().splitlines()
    assert first == "before"
    assert line.endswith(f" [{os.getpid()}] INFO hello")


def test_more_lines_are_indented(path: Path) -> None:
    configure_logging(Config(error_log=str(path)))
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        LOG.exception("it failed\nbadly")
    _, *rest = path.read_text().splitlines()
    assert rest[:2] == ["  badly", "  Traceback (most recent call last):"]
    assert rest[-2:] == ["  ValueError: first", "  second"]


def test_a_file_that_was_moved_away_is_made_anew(path: Path) -> None:
    configure_logging(Config(error_log=str(path)))
    LOG.info("one")
    old = path.rename(path.with_suffix(".1"))
    LOG.info("two")
    path.unlink()
    LOG.info("three")
    assert (messages(old), messages(path)) == (["INFO one"], ["INFO three"])
    path.rename(old)
    reopen_logs()
    assert messages(path) == []


def test_a_file_that_cannot_be_made_anew_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    path = directory / "error.log"
    configure_logging(Config(error_log=str(path)))
    directory.rename(tmp_path / "moved")
    LOG.info("still here")
    reopen_logs()
    LOG.info("and here")
    assert messages(tmp_path / "moved" / "error.log") == ["INFO still here", "INFO and here"]


def test_slow_requests_have_a_log_of_their_own_if_wanted(path: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.log"
    configure_logging(Config(error_log=str(path), log_level="error", slow_log=str(slow)))
    SLOW.warning("slow")
    LOG.error("wrong")
    assert (messages(path), messages(slow)) == (["ERROR wrong"], ["WARNING slow"])
    configure_logging(Config(error_log=str(path)))
    SLOW.warning("slow too")
    assert messages(path)[1:] == ["WARNING slow too"]


def test_new_settings_change_the_file_and_a_failure_keeps_it(path: Path, tmp_path: Path) -> None:
    configure_logging(Config(error_log=str(path)))
    with pytest.raises(ConfigError, match=r"^error_log .*/absent/x: No such file") as caught:
        configure_logging(Config(error_log=str(tmp_path / "absent" / "x")))
    assert caught.value.settings == ("error_log",)
    LOG.info("one")
    other = tmp_path / "other.log"
    configure_logging(Config(error_log=str(other)))
    LOG.info("two")
    assert (messages(path), messages(other)) == (["INFO one"], ["INFO two"])


def test_an_application_that_configures_logging_does_not_silence_us(path: Path) -> None:
    config = Config(error_log=str(path))
    configure_logging(config)
    saved = logging.root.handlers[:], logging.root.level
    try:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    finally:
        logging.root.handlers[:], logging.root.level = saved
    assert LOG.disabled
    configure_logging(config)
    LOG.info("here")
    assert messages(path) == ["INFO here"]


def test_an_application_may_take_our_records_elsewhere(path: Path) -> None:
    taken = io.StringIO()
    LOG.addHandler(logging.StreamHandler(taken))
    try:
        configure_logging(Config(error_log=str(path)))
        LOG.info("elsewhere")
    finally:
        LOG.handlers.clear()
    assert taken.getvalue() == "elsewhere\n"
    assert not path.exists()


def test_threads_lose_no_line_while_files_move(path: Path) -> None:
    configure_logging(Config(error_log=str(path)))

    def write() -> None:
        for _ in range(200):
            LOG.info("line")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    moved = []
    for number in range(20):
        if path.exists():
            moved.append(path.rename(path.with_suffix(f".{number}")))
        reopen_logs()
    for thread in threads:
        thread.join()
    assert sum(len(messages(each)) for each in [*moved, path]) == 800


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files are given away")
def test_the_user_gets_what_root_creates_and_nothing_else(tmp_path: Path) -> None:
    mine, theirs, link = (tmp_path / name for name in ("mine", "theirs", "link"))
    mine.write_text("")
    link.symlink_to(mine)
    code = (
        "import sys; from fcgikit.cli.logs import configure_logging; "
        "from fcgikit.config import Config; "
        f"configure_logging(Config(error_log=sys.argv[1], user='{NOBODY}', group='{NOBODY}'))"
    )
    for path in (theirs, link):
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT)
    assert (theirs.stat().st_uid, theirs.stat().st_gid) == (NOBODY, NOBODY)
    assert theirs.stat().st_mode & 0o777 == 0o640
    assert mine.stat().st_uid == 0
