"""Authorizers behind Apache, lighttpd, nginx and Caddy; a filter behind a client of our own."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from fcgikit.config import Config
from tests.e2e import wire
from tests.e2e.apache import Apache
from tests.e2e.apps import pattern
from tests.e2e.client import Answer, fetch
from tests.e2e.lighttpd import Lighttpd
from tests.e2e.nginx import Nginx
from tests.e2e.process import ROOT
from tests.e2e.worker import Worker

APPLICATIONS = ("examples.authorizer:check", "examples.filter:number")

CHECK = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from fcgikit import serve
from {{module}} import check
serve(check, threads=1)
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One process with an application for each role."""
    with Worker(*APPLICATIONS) as running:
        yield running
        assert running.stop() == 0


def enter(
    address: tuple[str, int], password: str = "", method: str = "GET", *, name: str = "ann"
) -> Answer:
    """Ask for a private page; with a password, under a name."""
    given = base64.b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {given}"} if password else {}
    body = b"body" if method == "POST" else None
    return fetch(address, "/private/page.txt", method, body, headers)


# -- authorizers -----------------------------------------------------------------------------------


SHOWN = """\
Header always set X-Member "%{MEMBER}e"
Header always set X-Duty "%{DUTY}e"
"""
"""What an authorizer has set can be seen in an answer."""

ASKS = "FcgidAuthenticator /srv/app/check.fcgi"
"""What the ready file has Apache ask."""


class AuthorizedApache(Apache):
    """Apache with a ready file for authorizers, and a file to be served."""

    def __init__(
        self,
        file: str,
        address: str = "",
        *,
        module: str = "examples.authorizer",
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self._address = address
        self._module = module
        self._replaced = replaced or {}
        super().__init__(file, more=SHOWN)

    def modules(self) -> list[str]:
        # All but the last are on anyway.
        return [*super().modules(), "authn_core", "authz_user", "auth_basic", "headers"]

    def placeholders(self) -> dict[str, str]:
        (self.directory / "private").mkdir()
        (self.directory / "private" / "page.txt").write_text("the page\n")
        if self._address:
            return {"127.0.0.1:9000": self._address, "/srv/www": str(self.directory)}
        script = self.directory / "check.fcgi"
        script.write_text(CHECK.format(module=self._module))
        script.chmod(0o755)
        return {**self._replaced, "/srv/app": str(self.directory), "/srv/www": str(self.directory)}


@pytest.mark.parametrize("file", ["fcgid_authorizer.conf", "authnz_fcgi.conf"])
def test_apache_asks_before_it_serves_a_file(worker: Worker, file: str) -> None:
    address = worker.address("tcp") if file == "authnz_fcgi.conf" else ""
    with AuthorizedApache(file, address) as apache:
        for password in ("", "wrong"):
            answer = enter(apache.address, password)
            assert answer.status == 401
            assert answer.all("WWW-Authenticate") == ['Basic realm="members"']
            assert b"the page" not in answer.body
        for method in ("GET", "POST"):
            answer = enter(apache.address, "rosebud", method)
            assert (answer.status, answer.body) == (200, b"the page\n")
            assert answer.all("X-Member") == ["ann"]
            assert answer.all("Content-Length") == ["9"]
        assert enter(apache.address, "rosebud", "HEAD").status == 200


def test_apache_asks_who_it_is_and_then_whether_he_may() -> None:
    """FcgidAuthenticator, then FcgidAuthorizer, with what the first has set for the second."""
    replaced = {ASKS: f"{ASKS}\nFcgidAuthorizer /srv/app/check.fcgi"}
    with AuthorizedApache(
        "fcgid_authorizer.conf", module="tests.e2e.gatekeeper", replaced=replaced
    ) as apache:
        assert enter(apache.address).status == 401
        assert enter(apache.address, "wrong").status == 401
        refused = enter(apache.address, "rosebud", name="bob")
        assert refused.status == 401, "he is who he says, and may not"
        assert b"the page" not in refused.body
        answer = enter(apache.address, "rosebud")
        assert (answer.status, answer.body) == (200, b"the page\n")
        assert answer.all("X-Member") == ["ann"]
        assert answer.all("X-Duty") == ["to keep ann's page"]


def test_apache_asks_before_anybody_has_said_who_he_is() -> None:
    """FcgidAccessChecker."""
    replaced = {
        ASKS: "FcgidAccessChecker /srv/app/check.fcgi",
        "Require valid-user": "Require all granted",
    }
    with AuthorizedApache(
        "fcgid_authorizer.conf", module="tests.e2e.gatekeeper", replaced=replaced
    ) as apache:
        for token in ({}, {"X-Token": "wrong"}):
            refused = fetch(apache.address, "/private/page.txt", headers=token)
            assert refused.status == 401
            assert b"the page" not in refused.body
        answer = fetch(apache.address, "/private/page.txt", headers={"X-Token": "sesame"})
        assert (answer.status, answer.body) == (200, b"the page\n")
        assert answer.all("X-Member") == ["bearer"]


@pytest.fixture(scope="module")
def lighttpd(worker: Worker) -> Iterator[Lighttpd]:
    with Lighttpd("authorizer.conf", worker.path) as running:
        yield running


@pytest.mark.parametrize("password", ["", "wrong"])
def test_lighttpd_sends_the_refusal_of_an_authorizer(lighttpd: Lighttpd, password: str) -> None:
    answer = enter(lighttpd.address, password)
    assert (answer.status, answer.body) == (401, b"401 Unauthorized\n")
    assert answer.all("WWW-Authenticate") == ['Basic realm="members"']


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_lighttpd_tells_the_application_what_an_authorizer_has_said(
    lighttpd: Lighttpd, method: str
) -> None:
    """One process plays both roles; a body is still there for the second."""
    answer = enter(lighttpd.address, "rosebud", method)
    assert answer.status == 200
    environ = json.loads(answer.body)
    assert (environ["MEMBER"], environ["PATH_INFO"]) == ("ann", "/private/page.txt")
    assert "MEMBER" not in json.loads(fetch(lighttpd.address, "/public").body)


@dataclass(frozen=True)
class AskingSite:
    """nginx with the lines of docs/roles.md."""

    authorizer: str
    params: str = "distribution"

    def site(self, port: int, address: str) -> str:
        page = (ROOT / "docs" / "roles.md").read_text()
        (lines,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
        for given, here in (("app", address), ("check", self.authorizer)):
            assert f"unix:/run/shop/{given}.sock" in lines
            lines = lines.replace(f"unix:/run/shop/{given}.sock", here)
        return f"server {{ listen 127.0.0.1:{port};\n{lines} }}"


def test_nginx_asks_the_wsgi_form_of_an_authorizer(worker: Worker) -> None:
    with (
        Worker(application="examples.authorizer:check.wsgi") as authorizer,
        Nginx(AskingSite(authorizer.address("unix")), worker.address("unix")) as nginx,
    ):
        answer = enter(nginx.address, "wrong")
        assert answer.status == 401
        assert answer.all("WWW-Authenticate") == ['Basic realm="members"']
        environ = json.loads(enter(nginx.address, "rosebud", "POST").body)
        assert (environ["MEMBER"], environ["PATH_INFO"]) == ("ann", "/private/page.txt")


# -- filters ---------------------------------------------------------------------------------------


def filter_request(data: bytes, **params: str) -> bytes:
    """What a front end would send, if one did: the variables, no body, and the file."""
    variables = wire.pairs({**wire.params("/page.txt"), **params})
    records = [wire.begin(role=3, keep=True), wire.record(wire.PARAMS, variables)]
    records += [wire.record(wire.PARAMS), wire.record(wire.STDIN)]
    records += [wire.record(wire.DATA, data[at : at + 65535]) for at in range(0, len(data), 65535)]
    return b"".join([*records, wire.record(wire.DATA)])


def test_a_filter_works_on_a_file(worker: Worker) -> None:
    told = {"FCGI_DATA_LENGTH": "8", "FCGI_DATA_LAST_MOD": "86400"}
    with worker.connect() as connection:
        for _ in range(2):
            connection.sendall(filter_request(b"one\ntwo\n", **told))
            answer = wire.read_answer(connection)
            head, _, body = answer.stdout.partition(b"\r\n\r\n")
            assert b"Last-Modified: Fri, 02 Jan 1970 00:00:00 GMT\r\n" in head
            assert body == b"     1  one\n     2  two\n"
            assert (answer.app_status, answer.protocol_status) == (0, 0)


def test_a_filter_streams_a_large_file(worker: Worker) -> None:
    data = b"".join(pattern(2 * Config().body_window))
    with worker.connect() as connection:
        sender = threading.Thread(target=connection.sendall, args=(filter_request(data),))
        sender.start()
        _, _, body = wire.read_answer(connection).stdout.partition(b"\r\n\r\n")
        sender.join()
    assert b"".join(line[8:] for line in io.BytesIO(body)) == data


def test_the_application_is_still_there(worker: Worker) -> None:
    with worker.connect() as connection:
        for request in (filter_request(b"x"), wire.request("/hello", keep=True)):
            connection.sendall(request)
            assert b"Status: 200" in wire.read_answer(connection).stdout
