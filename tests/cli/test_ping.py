from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from fcgikit.cli import main
from fcgikit.events import Response
from fcgikit.gateways.interface import Exchange
from tests.client.servers import Scripted, read_to_end
from tests.server.harness import Server


def application(exchange: Exchange) -> None:
    """200 for /, 500 for anything else."""
    status = 200 if exchange.request.params["REQUEST_URI"] == "/" else 500
    exchange.send(Response(exchange.request.request_id, status, "Reason", [], complete=True))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with Server(application) as server:
        yield server.address


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ping", *arguments])


@pytest.mark.parametrize(
    "options", [[], ["--path", "/"], ["--protocol", "scgi"], ["--protocol", "uwsgi"]]
)
def test_a_server_that_answers(address: str, options: list[str]) -> None:
    result = run(address, *options)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{address} answers: ")
    assert result.stdout.endswith(" ms\n")


def test_a_page_that_fails(address: str) -> None:
    result = run(address, "--path", "/sick")
    assert (result.exit_code, result.stderr) == (1, "Error: /sick is answered 500 Reason\n")


def test_a_server_that_does_not_answer() -> None:
    result = run("unix:/nonexistent/s")
    assert (result.exit_code, "No such file" in result.stderr) == (1, True)
    with Scripted(read_to_end) as server:
        result = run("-m", "0.05", server.address)
    assert (result.exit_code, "0.05 seconds" in result.stderr) == (1, True)


def test_what_is_no_address() -> None:
    assert run("nonsense").exit_code == 78
