"""Answers each connection with one document, and closes it. It waits for nobody."""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Callable
from functools import partial

READERS = 8
"""Readers that may be slow to take their document; one more, and the slowest gets no more."""

log = logging.getLogger("fcgikit.supervisor")


class Desk:
    """Tells whoever connects to *listener* what *document* says at that moment.

    The *selector* has as ``data`` of each of its sockets a function to be called when the socket
    is ready.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        document: Callable[[], bytes],
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._document = document
        self._left: dict[socket.socket, memoryview] = {}  # what a reader has still to take
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Let go of all readers, and of the listening socket; in a forked process, too, which
        must not touch the selector that it shares with its parent."""
        for one in (self._listener, *self._left):
            one.close()

    def _accept(self) -> None:
        try:
            reader, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # gone already
        except OSError as error:  # no more descriptors: to try again at once would only spin
            log.error("the status is told no more: %s", error.strerror)
            self._selector.unregister(self._listener)
            return
        reader.setblocking(False)
        if len(self._left) >= READERS:
            self._dismiss(next(iter(self._left)))
        self._left[reader] = memoryview(self._document())
        self._selector.register(reader, selectors.EVENT_WRITE, partial(self._write, reader))
        self._write(reader)

    def _write(self, reader: socket.socket) -> None:
        if reader not in self._left:
            return  # dismissed since it was reported
        try:
            sent = reader.send(self._left[reader])
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(reader)
            return
        self._left[reader] = self._left[reader][sent:]
        if not self._left[reader]:
            self._dismiss(reader)

    def _dismiss(self, reader: socket.socket) -> None:
        del self._left[reader]
        self._selector.unregister(reader)
        reader.close()
