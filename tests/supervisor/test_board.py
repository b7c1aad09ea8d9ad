"""The board: what workers write is seen at once, and nothing they write can hurt the reader."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.supervisor import board as board_module
from fcgikit.supervisor.board import LINE_SIZE, SEATS, Board

SLOT_SIZE = board_module._SLOT_SIZE


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board(4)
    yield made
    made.close()


def test_an_empty_slot(board: Board) -> None:
    view = board.view(0)
    assert (view.slot, view.busy, view.requests, view.connections, view.beat_age) == (0,) * 5
    assert board.running(0) == ()


def test_what_a_worker_does_is_seen(board: Board) -> None:
    line = board.line(2, generation=1)
    line.beat(100.0, 17, 3, 0)
    line.begin(0, "GET", "/report?year=1", 90.0)
    line.begin(3, "POST", "/upload", 99.5)
    view = board.view(2, now=102.5)
    assert (view.busy, view.requests, view.connections, view.beat_age) == (2, 17, 3, 2.5)
    assert board.running(2, now=102.5) == (
        "GET /report?year=1 for 12.5 s",
        "POST /upload for 3.0 s",
    )
    line.end(0)
    assert board.running(2, now=102.5) == ("POST /upload for 3.0 s",)
    assert board.view(1).busy == board.view(3).busy == 0, "the neighbours see nothing of it"


def test_a_shorter_line_leaves_nothing_of_a_longer_one(board: Board) -> None:
    line = board.line(0, 1)
    line.begin(0, "GET", "/" + "x" * 50, 0.0)
    line.begin(0, "PUT", "/y", 0.0)
    assert board.running(0, 0.0) == ("PUT /y for 0.0 s",)


def test_a_cleared_slot_is_empty(board: Board) -> None:
    line = board.line(1, 1)
    line.beat(1.0, 2, 3, 0)
    line.begin(0, "GET", "/", 1.0)
    board.clear(1)
    assert board.view(1) == Board.view(board, 1, now=math.inf)
    assert board.view(1).busy == 0


def test_long_lines_are_cut_and_odd_ones_escaped(board: Board) -> None:
    line = board.line(0, 1)
    line.begin(0, "GET", "/" + "x" * 5000, 0.0)
    line.begin(1, "GET", "/a\n2026 [1] INFO all is well\x1b[2J\\\xe9\u20ac", 0.0)
    long, odd = board.running(0, 0.0)
    assert len(long) == LINE_SIZE + len(" for 0.0 s")
    assert odd == r"GET /a\x0a2026 [1] INFO all is well\x1b[2J\x5c\xe9? for 0.0 s"


def test_threads_without_a_seat_write_nowhere(board: Board) -> None:
    line = board.line(0, 1)
    line.begin(SEATS, "GET", "/", 0.0)
    line.end(SEATS)
    assert board.view(0).busy == board.view(1).busy == 0


def test_time_that_runs_backwards_is_no_time(board: Board) -> None:
    line = board.line(0, 1)
    line.beat(50.0, 0, 0, 0)
    assert board.view(0, now=40.0).beat_age == 0.0


def test_another_process_writes_and_we_read(board: Board) -> None:
    pid = os.fork()
    if pid == 0:
        line = board.line(3, 7)
        line.beat(1.0, 5, 6, 0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert board.view(3, 1.0).requests == 5


def test_the_next_image_reads_the_same_memory(board: Board) -> None:
    board.line(1, 1).beat(1.0, 9, 0, 0)
    again = Board(4, os.dup(board.fd))
    assert again.view(1, 1.0).requests == 9
    again.close()


@given(st.binary(min_size=1, max_size=500))
def test_whatever_a_worker_writes_the_reader_gets_numbers_and_plain_text(garbage: bytes) -> None:
    board = Board(1)
    try:
        board._memory[:] = (garbage * SLOT_SIZE)[:SLOT_SIZE]
        view = board.view(0)
        assert 0 <= view.busy <= SEATS
        assert view.beat_age >= 0.0
        assert view.requests >= 0
        assert view.connections >= 0
        running = board.running(0)
        assert len(running) == view.busy
        for text in running:
            assert text.isascii()
            assert text.isprintable()
            assert len(text) < LINE_SIZE * 4 + 30
    finally:
        board.close()
