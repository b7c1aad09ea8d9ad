"""Load on nginx from wrk, a load generator in C."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.e2e.client import Answer, fetch

CLIENTS = 16

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.8,de-DE;q=0.5,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cookie": "_ga=GA1.2.1180231453.1719830412; csrftoken=y8Nqf1VZ0jKpXr3bTgL5uWcE7sAhMd2o; "
    "sessionid=.eJxVjDsOwjAQBe_iGlnxJ17bKek5Q7S7XuMAcqQ4qRB3h0gpoH0z817q; theme=dark",
}
"""What Firefox sends. With nginx's stock params it makes 24 variables, or 25 where they have
REMOTE_USER."""


class Load(NamedTuple):
    """What came of it: answers in total and how many of them were not the right ones."""

    requests: int
    failures: int


@dataclass(frozen=True)
class Asking:
    """One request, repeated over *clients* kept connections. *body*: its size, of a POST."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: int = 0
    clients: int = CLIENTS

    def once(self, address: tuple[str, int]) -> Answer:
        if self.body:
            return fetch(address, "/", "POST", bytes(self.body), self.headers)
        return fetch(address, "/", headers=self.headers)

    def run(self, address: tuple[str, int], seconds: int) -> Load:
        """Keep nginx busy from another process, one request in flight on each connection."""
        argv = [wrk(), "-t1", f"-c{self.clients}", f"-d{seconds}s", "--timeout", "10s"]
        for name, value in self.headers.items():
            argv += ["-H", f"{name}: {value}"]
        url = "http://{}:{}/".format(*address)
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            if self.body:
                script.write(f'wrk.method, wrk.body = "POST", string.rep("x", {self.body})\n')
                script.flush()
                argv += ["-s", script.name]
            told = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
        return parse(told)


def wrk() -> str:
    path = shutil.which("wrk")
    if path is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    return path


def parse(told: str) -> Load:
    """What wrk reports."""
    found = re.search(r"(\d+) requests in", told)
    assert found is not None, told
    failures = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", told))
    for errors in re.findall(r"Socket errors: (.*)", told):
        failures += sum(int(n) for n in re.findall(r"\d+", errors))
    return Load(int(found[1]), failures)
