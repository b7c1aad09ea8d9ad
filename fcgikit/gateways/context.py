"""``environ["fcgikit.request"]``: what an application may know and do beyond PEP 3333."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .diagnostics import printable
from .interface import Exchange

_log = logging.getLogger("fcgikit.error")


class RequestContext:
    """One request, for as long as its application runs."""

    __slots__ = ("_after", "_exchange")

    _exchange: Exchange
    _after: list[tuple[Callable[..., object], tuple[Any, ...]]] | None

    @property
    def id(self) -> int:
        """The request's id on its connection; 1 unless the front end multiplexes."""
        return self._exchange.request.request_id

    @property
    def aborted(self) -> bool:
        """The front end has gone away or aborted the request."""
        return self._exchange.aborted

    def finish(self) -> None:
        """End the answer with what was sent so far, and let the application go on.

        php's ``fastcgi_finish_request``. The client has its answer, and the front end may use the
        connection for another request. What is written afterwards is ignored; of the body
        only what has been received can still be read. The thread stays occupied.

        Raises ``RuntimeError`` before ``start_response``.
        """
        raise NotImplementedError

    def call_after_response(self, function: Callable[..., object], *args: Any) -> None:
        """Call *function* with *args* when the answer has been sent, before the thread is free.

        In the order of these calls. An exception is logged, and ends only that function.
        """
        if self._after is None:
            self._after = []
        self._after.append((function, args))

    def run_after(self) -> None:
        """For the gateway: do what was put off."""
        if self._after is None:
            return
        self._exchange.release()
        for function, args in self._after:  # one may add others
            try:
                function(*args)
            except BaseException as error:
                _log.exception("after the response: %s", printable(repr(error)))
