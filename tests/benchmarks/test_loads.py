"""The benchmarks' own load generator and the steps of :mod:`benchmarks.micro`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import burning, fastcgi_load, servers
from benchmarks.apps import PIECE
from benchmarks.builds import INTERPRETED
from benchmarks.micro import kept
from benchmarks.micro.operations import Operation, operations
from benchmarks.scaling import Download, Upload
from benchmarks.servers import Server, fcgikit
from benchmarks.usage import cpu_seconds, resident


@contextlib.contextmanager
def running(server: Server) -> Iterator[tuple[str, int]]:
    """Path and process id."""
    with contextlib.ExitStack() as stack:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory(prefix='fk'))}/s"
        yield path, server.start(stack, path).pid


@pytest.mark.parametrize("in_flight", [1, 5])
def test_every_request_of_the_load_is_answered(in_flight: int) -> None:
    with running(fcgikit(INTERPRETED)) as (path, pid):
        answered = fastcgi_load.run(path, 0.1, 2, in_flight)
        assert answered > 0
        assert answered % in_flight == 0
        assert cpu_seconds(pid) > 0
        assert resident(pid) > 1 << 20


def test_the_floor_answers_what_the_servers_answer() -> None:
    server = servers.floor()
    assert server.version, "no C compiler"
    with running(server) as (path, _):
        assert fastcgi_load.run(path, 0.05, 2, 1) > 0


def test_bodies_pass_in_both_directions() -> None:
    upload = Upload(fcgikit(INTERPRETED, app="benchmarks.apps:upload"))
    download = Download(fcgikit(INTERPRETED, app="benchmarks.apps:download"))
    for case in (upload, download):
        with running(case.server) as (path, _), fastcgi_load.connect(path) as connection:
            assert case.pass_through(connection, 3) == 3 * len(PIECE)


def test_processes_burn_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    burning.main(2, 0.05)
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_an_operation_can_be_repeated(operation: Operation) -> None:
    assert operation.run(8) == 8


def test_counts_are_kept_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    kept.save({"one": 10, "two": 20}, INTERPRETED, path)
    kept.save({"two": 22}, INTERPRETED, path)
    assert kept.load(path) == {kept.key(INTERPRETED): {"one": 10, "two": 22}}


def test_a_change_is_told() -> None:
    assert kept.change(110, 100) == "+10 (+10.0%)"
    assert kept.change(100, 100) == ""
    assert kept.change(100, None) == "new"
