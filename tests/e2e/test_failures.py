"""What goes wrong is seen where it should be: by the client, in nginx's log, in ours."""

from __future__ import annotations

import pytest

from tests.e2e.checks import cut_is_seen
from tests.e2e.client import Client, fetch
from tests.e2e.gate import Gate
from tests.e2e.nginx import Front, Nginx
from tests.e2e.worker import Worker


def test_an_exception_is_a_500_and_a_traceback_in_the_logs(
    nginx: Nginx, front: Front, worker: Worker
) -> None:
    ours, theirs = worker.mark, nginx.mark
    answer = fetch(nginx.address, "/boom")
    assert answer.status == 500
    assert b"kettle" not in answer.body
    assert b"Traceback" not in answer.body
    worker.wait_for_log("RuntimeError: the secret kettle", ours)
    if front.protocol == "fastcgi":  # the others have no way to say it
        nginx.wait_for_log("FastCGI sent in stderr.*GET /boom", theirs)
        nginx.wait_for_log("Traceback", theirs)
        nginx.wait_for_log("RuntimeError: the secret kettle", theirs)


def test_wsgi_errors_reach_the_logs(nginx: Nginx, front: Front, worker: Worker) -> None:
    ours, theirs = worker.mark, nginx.mark
    assert fetch(nginx.address, "/errors").body == b"logged\n"
    worker.wait_for_log("the kettle is empty", ours)
    if front.protocol == "fastcgi":
        nginx.wait_for_log("FastCGI sent in stderr.*the kettle is empty", theirs)


@pytest.mark.parametrize(
    ("path", "complaint"), [("/boom-late", "the late kettle"), ("/short", "Content-Length")]
)
def test_a_truncated_response_is_seen_to_be_truncated(
    nginx: Nginx, front: Front, worker: Worker, path: str, complaint: str
) -> None:
    """The client misses the end, or nginx, which still held everything back, answers 502.

    SCGI and uwsgi responses end where the stream ends, and a Unix socket has no reset: there
    only a Content-Length tells.
    """
    ours = worker.mark
    tellable = front.protocol == "fastcgi" or front.transport == "tcp" or path == "/short"
    assert cut_is_seen(nginx.address, path) == tellable
    worker.wait_for_log(complaint, ours)
    assert fetch(nginx.address, "/hello").status == 200


def test_an_application_learns_that_its_client_is_gone(nginx: Nginx, gate: Gate) -> None:
    client = Client(nginx.address)
    client.connection.request("GET", f"/endless?{gate.query}")
    response = client.connection.getresponse()
    assert response.read(1000)
    response.close()
    client.close()
    visit = gate.wait()
    assert visit.message == "closed", "the iterable's close() was called"
    visit.let_go()
    assert fetch(nginx.address, "/hello").status == 200
