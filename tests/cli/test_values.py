from __future__ import annotations

from click.testing import CliRunner, Result

from fcgikit.cli import main
from tests.client.servers import Scripted, echo
from tests.server.harness import Server


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["values", *arguments])


def test_what_a_server_says_of_itself() -> None:
    with Server(echo, max_connections=7, max_requests_per_connection=5) as server:
        result = run(server.address)
        assert result.exit_code == 0
        assert sorted(result.stdout.split()) == [
            "FCGI_MAX_CONNS=7",
            "FCGI_MAX_REQS=5",
            "FCGI_MPXS_CONNS=1",
        ]
        assert run(server.address, "FCGI_MAX_CONNS", "OTHER").stdout == "FCGI_MAX_CONNS=7\n"


def test_servers_that_say_nothing() -> None:
    assert run("unix:/nonexistent/s").exit_code == 7
    with Scripted(lambda connection: connection.recv(100)) as server:
        result = run(server.address)
    assert (result.exit_code, "FCGI_GET_VALUES" in result.stderr) == (52, True)
