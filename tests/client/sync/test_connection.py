"""The pump: who polls when several threads wait on one connection."""

from __future__ import annotations

import socket
import threading

from fcgikit.client import Client
from fcgikit.client.outgoing import prepare
from fcgikit.client.patience import Patience
from fcgikit.client.settings import Settings
from fcgikit.client.sync.connection import Call, Connection
from tests.client.servers import OK, Scripted, end, read_to_end, read_until, stdout
from tests.e2e.process import PATIENCE

END_OF_STDIN = bytes((1, 5, 0, 2, 0, 0, 0, 0))


def settings_of(address: str) -> Settings:
    return Client(address)._settings


def wait_to_the_end(connection: Connection, call: Call) -> None:
    connection.wait(call, lambda: call.exchange.ended, Patience(PATIENCE))


def test_whoever_polls_receives_for_the_others() -> None:
    """The answers come in the other order than they are waited for, or in the same."""
    answers = (stdout(b"A: b\r\n\r\ntwo", 2) + end(request_id=2), OK)
    for order in (answers, answers[::-1]):

        def script(connection: socket.socket, order: tuple[bytes, ...] = order) -> None:
            read_until(connection, END_OF_STDIN)
            for answer in order:
                connection.sendall(answer)
            read_to_end(connection)

        with Scripted(script) as server:
            connection = Connection(settings_of(server.address), limit=2)
            calls = [connection.begin(prepare("fastcgi", "GET", "/"), keep=True) for _ in range(2)]
            threads = [
                threading.Thread(target=wait_to_the_end, args=(connection, call)) for call in calls
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert [call.exchange.take() for call in calls] == [b"hello", b"two"]
            assert connection.reusable
            connection.close()
            assert not connection.reusable


def test_an_idle_server_that_speaks_or_leaves_is_not_used_again() -> None:
    said = threading.Event()

    def speaks(connection: socket.socket) -> None:
        connection.sendall(b"x")
        said.set()
        read_to_end(connection)

    def leaves(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        said.set()
        read_to_end(connection)

    for script in (speaks, leaves):
        said.clear()
        with Scripted(script) as server:
            connection = Connection(settings_of(server.address))
            assert said.wait(PATIENCE)
            assert not connection.reusable
            connection.close()
