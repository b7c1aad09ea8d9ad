"""Where settings come from: what wins, what is refused, and what a reload may change."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from fcgikit.cli.settings import Settings
from fcgikit.config import DEFAULT, Config
from fcgikit.errors import ConfigError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings from outside, and a directory to start in."""
    for variable in [name for name in os.environ if name.startswith("FCGIKIT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def test_nothing_is_set_and_the_defaults_hold() -> None:
    assert Settings({}).read() == DEFAULT
    assert Settings({}).found() == {}


def test_the_command_line_wins_then_environment_file_and_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FCGIKIT_THREADS", "2")
    monkeypatch.setenv("FCGIKIT_BACKLOG", "2")
    write("s.toml", "threads = 3\nbacklog = 3\nmax-connections = 3\n")
    write(
        "pyproject.toml",
        "[project]\nname = 'shop'\n[tool.fcgikit]\n"
        "threads = 4\nbacklog = 4\nmax_connections = 4\napp = 'shop:app'\n",
    )
    settings = Settings({"threads": 1}, "s.toml")
    assert settings.read() == Config(threads=1, backlog=2, max_connections=3, app=("shop:app",))
    assert {name: one.origin for name, one in settings.found().items()} == {
        "threads": "command line",
        "backlog": "environment FCGIKIT_BACKLOG",
        "max_connections": f"file {tmp_path}/s.toml",
        "app": f"file {tmp_path}/pyproject.toml",
    }


def test_the_environment_may_name_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("s.toml", "threads = 3")
    write("t.toml", "threads = 5")
    monkeypatch.setenv("FCGIKIT_CONFIG", "s.toml")
    assert Settings({}).read().threads == 3
    assert Settings({}, "t.toml").read().threads == 5


def test_a_pyproject_named_as_the_file_is_read_as_one() -> None:
    Path("else").mkdir()
    write("else/pyproject.toml", "[tool.fcgikit]\nthreads = 3")
    assert Settings({}, "else/pyproject.toml").read().threads == 3


def test_the_project_is_where_the_application_is() -> None:
    Path("shop").mkdir()
    write("pyproject.toml", "[tool.fcgikit]\nthreads = 3")
    write("shop/pyproject.toml", "[tool.fcgikit]\nthreads = 5")
    write("s.toml", "chdir = 'shop'")
    assert Settings({}, "s.toml").read().threads == 5
    assert Settings({"chdir": "absent"}).read().threads == 4


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1", "[tool]", "tool = 1", "not TOML"])
def test_a_project_without_settings_does_not_matter(text: str) -> None:
    write("pyproject.toml", text)
    assert Settings({}).read() == DEFAULT


def test_relative_names_hold_when_the_directory_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    write("s.toml", "threads = 3")
    settings = Settings({}, "s.toml")
    Path("shop").mkdir()
    monkeypatch.chdir("shop")
    assert settings.read().threads == 3


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("FCGIKIT_WROKERS", "4", "FCGIKIT_WROKERS: there is no such setting: did you mean "),
        ("FCGIKIT_THREADS", "x", "FCGIKIT_THREADS: write a whole number, not 'x'"),
        ("FCGIKIT_THREADS", "0", "threads must be at least 1, not 0 (environment FCGIKIT_THREADS)"),
        ("FCGIKIT_CONFIG", "absent.toml", "/absent.toml: No such file"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(
    variable: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        Settings({}).read()
    assert message in str(caught.value)


def test_variables_of_kubernetes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SERVICE_HOST", "SERVICE_PORT", "PORT", "PORT_9000_TCP_ADDR"):
        monkeypatch.setenv(f"FCGIKIT_{variable}", "tcp://10.0.0.1:9000")
    assert Settings({}).read() == DEFAULT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wrokers = 4", "s.toml: wrokers: there is no such setting: did you mean workers?"),
        ("threads = '4'", "s.toml: threads: write a whole number, not '4'"),
        ("max-memory = 'lots'", "s.toml: max-memory: write bytes"),
        ("threads = 0", "threads must be at least 1, not 0 (file "),
        ("max-requests = 1\nmax_requests = 1", "max_requests: the same setting is there twice"),
        ("[fcgikit]\nthreads = 4", "s.toml: fcgikit: settings stand at the top"),
        ("threads = ", "s.toml: Invalid value (at "),
        ("pid = 'caf\udce9'", "s.toml: 'utf-8' codec can't decode"),
    ],
)
def test_a_wrong_file_is_named(text: str, message: str) -> None:
    Path("s.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        Settings({}, "s.toml").read()
    assert message in str(caught.value)


def test_a_wrong_project_is_named() -> None:
    write("pyproject.toml", "[tool]\nfcgikit = 1")
    with pytest.raises(ConfigError, match=r"pyproject\.toml: tool\.fcgikit must be a table"):
        Settings({}).read()
    write("pyproject.toml", "[tool.fcgikit]\nthreats = 1")
    with pytest.raises(ConfigError, match=r"pyproject\.toml: threats: .* did you mean threads"):
        Settings({}).read()


def test_settings_that_do_not_fit_each_other_are_named_with_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FCGIKIT_PM", "dynamic")
    with pytest.raises(ConfigError) as caught:
        Settings({"workers": 8, "min_spare_workers": 5}).read()
    assert str(caught.value).endswith(
        "(min_spare_workers: command line, max_spare_workers: default)"
    )


def test_what_one_sees_on_the_command_line_is_not_told_again() -> None:
    with pytest.raises(ConfigError, match=r"not 0$"):
        Settings({"threads": 0}).read()


def test_a_reload_takes_what_can_change_and_warns_of_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    write("s.toml", "threads = 2\nbind = ':1'\nuser = 'a'")
    settings = Settings({"workers": 2}, "s.toml")
    before = settings.read()
    with caplog.at_level(logging.WARNING, "fcgikit.settings"):
        assert settings.reread(before) == before
        assert caplog.messages == []
        write("s.toml", "threads = 3\nbind = ':2'\nuser = 'b'")
        after = settings.reread(before)
    assert (after.threads, after.bind, after.user) == (3, (":1",), "a")
    assert caplog.messages == ["changed settings that wait for a restart: bind, user"]
    write("s.toml", "threads = ")
    with pytest.raises(ConfigError):
        settings.reread(before)


def test_a_reload_does_not_do_away_with_all_workers(caplog: pytest.LogCaptureFixture) -> None:
    write("s.toml", "workers = 0")
    before = Config(workers=3)
    assert Settings({}, "s.toml").reread(before) == before
    assert "workers" in caplog.text
