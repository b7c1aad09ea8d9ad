"""The document: numbers that add up, whatever workers write."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import Config
from fcgikit.supervisor import board as board_module
from fcgikit.supervisor.board import Board
from fcgikit.supervisor.image import KeptSocket
from fcgikit.supervisor.messages import Member, Overview
from fcgikit.supervisor.status import Status, resident_memory


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board(4)
    yield made
    made.close()


def an_overview(*phases: str) -> Overview:
    now = time.monotonic()
    workers = tuple(
        Member(slot, os.getpid(), 1 + slot, phase, now - 60) for slot, phase in enumerate(phases)
    )
    return Overview("RUNNING", 2, Config(pm="dynamic", workers=3, threads=2), 3, 7, workers)


def document(status: Status, overview: Overview, board: Board, *kept: KeptSocket) -> Any:
    return json.loads(status.document(overview, board, kept))


def test_numbers_add_up(board: Board) -> None:
    now = time.monotonic()
    busy, idle = board.line(0, 1), board.line(1, 2)
    busy.beat(now - 2, 10, 3, 1)
    busy.begin(1, "GET", "/report", now - 5)
    idle.beat(now, 5, 1, 0)
    told = document(Status(), an_overview("SERVING", "SERVING", "STARTING"), board)
    assert (told["state"], told["generation"], told["process_manager"]) == ("running", 2, "dynamic")
    assert (told["requests"], told["connections"], told["slow_requests"]) == (15, 4, 1)
    assert (told["active_processes"], told["idle_processes"]) == (1, 1)
    assert (told["total_processes"], told["max_children"]) == (3, 3)
    assert (told["max_children_reached"], told["threads"]) == (7, 2)
    assert told["pid"] == os.getpid()
    assert told["start_time"] <= time.time()
    first, _, last = told["processes"]
    assert (first["slot"], first["generation"], first["phase"]) == (0, 1, "serving")
    assert (first["busy"], first["requests"], first["connections"]) == (1, 10, 3)
    assert first["beat_age"] >= 2
    assert first["start_since"] >= 60
    assert first["rss"] > 1 << 20
    (request,) = first["running"]
    assert request["request"] == "GET /report"
    assert request["request_duration"] >= 5
    assert (last["phase"], last["running"]) == ("starting", [])


def test_what_the_gone_have_done_is_counted(board: Board) -> None:
    status = Status()
    board.line(0, 1).beat(1.0, 100, 9, 2)
    status.gone(board.view(0))
    told = document(status, an_overview(), board)
    assert (told["requests"], told["slow_requests"], told["connections"]) == (100, 2, 0)


def test_listening_sockets_tell_how_many_wait(board: Board) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as tcp, socket.socket(
        socket.AF_UNIX
    ) as unix:
        unix.bind("")  # any name, in no directory
        unix.listen()
        kept = [KeptSocket(one.fileno(), "", name, False, "", (0, 0))
                for one, name in ((tcp, "a"), (unix, "b"))]  # fmt: skip
        with socket.create_connection(tcp.getsockname()):
            told = document(Status(), an_overview(), board, *kept)
        assert tcp.fileno() >= 0, "it was only looked at"
    assert told["listen"] == [
        {"address": "a", "queue": 1, "queue_len": 7},
        {"address": "b", "queue": None, "queue_len": None},
    ]
    assert (told["listen_queue"], told["listen_queue_len"]) == (1, 7)
    unknown = document(Status(), an_overview(), board)
    assert unknown["listen_queue"] is None


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident_memory(2**22 + 1) is None


@given(st.binary(min_size=1, max_size=300))
def test_whatever_a_worker_writes_it_is_json(garbage: bytes) -> None:
    size = board_module._SLOT_SIZE
    board = Board(1)
    try:
        board._memory[:] = (garbage * size)[:size]
        told = Status().document(an_overview("SERVING"), board, ())
        assert told.isascii()
        (process,) = json.loads(told)["processes"]
        assert len(process["running"]) == process["busy"]
    finally:
        board.close()
