"""Both clients with one face, so that a test is written once: the asyncio one is run here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, Unpack

from fcgikit.client import AsyncClient, AsyncResponse, Client
from fcgikit.client.outgoing import Arguments


class AnyResponse(Protocol):
    """What both kinds of response offer once awaiting is done with."""

    status: Any
    reason: Any
    headers: Any
    stderr: Any
    app_status: Any

    def read(self, size: int = -1) -> bytes: ...
    def iter_bytes(self, size: int = -1) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class Driven:
    """An ``AsyncResponse`` whose loop runs while one waits for it."""

    def __init__(self, response: AsyncResponse, runner: asyncio.Runner) -> None:
        self._response = response
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def __repr__(self) -> str:
        return repr(self._response)

    def read(self, size: int = -1) -> bytes:
        return self._runner.run(self._response.read(size))

    def iter_bytes(self, size: int = -1) -> Iterator[bytes]:
        pieces = self._response.iter_bytes(size)

        async def following() -> bytes:
            return await anext(pieces, b"")

        while piece := self._runner.run(following()):
            yield piece

    def close(self) -> None:
        self._runner.run(self._response.close())


class AioClient:
    """``AsyncClient`` with the face of ``Client``."""

    def __init__(self, address: str, **settings: Any) -> None:
        self._runner = asyncio.Runner()

        async def make() -> AsyncClient:
            return AsyncClient(address, **settings)

        try:
            self.client = self._runner.run(make())
        except BaseException:
            self._runner.close()
            raise

    def request(
        self, method: str, url: str, *, timeout: float | None = None, **arguments: Unpack[Arguments]
    ) -> Driven:
        response = self._runner.run(self.client.request(method, url, timeout=timeout, **arguments))
        return Driven(response, self._runner)

    def values(self, *names: str) -> dict[str, str]:
        return self._runner.run(self.client.values(*names))

    def close(self) -> None:
        self._runner.run(self.client.close())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


AnyClient = Client | AioClient
MakeClient = Callable[..., AnyClient]

CLIENTS: dict[str, MakeClient] = {"sync": Client, "aio": AioClient}
