"""A plain HTTP client: sends the request target exactly as given."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.e2e.process import PATIENCE


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Client:
    """One client connection, kept for as many requests as are made."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=PATIENCE)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask and read the whole answer. An iterable body is sent chunked."""
        self.connection.request(method, target, body, dict(headers or {}))
        response = self.connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    def close(self) -> None:
        self.connection.close()


def fetch(
    address: tuple[str, int],
    target: str,
    method: str = "GET",
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own."""
    client = Client(address)
    try:
        return client.request(method, target, body, headers)
    finally:
        client.close()
