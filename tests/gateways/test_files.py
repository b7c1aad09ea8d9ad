"""``wsgi.file_wrapper``: what is a file to the kernel, and what only looks like one."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import pytest

from fcgikit.gateways.files import FileWrapper


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        yield file


def test_iterates_over_the_rest_in_blocks() -> None:
    filelike = io.BytesIO(b"0123456789")
    filelike.seek(1)
    wrapper = FileWrapper(filelike, 4)
    assert list(wrapper) == [b"1234", b"5678", b"9"]
    wrapper.close()
    assert filelike.closed


def test_what_cannot_be_closed_is_left_alone() -> None:
    class Readable:
        def read(self, size: int) -> bytes:
            return b""

    FileWrapper(Readable()).close()


def test_the_rest_of_a_regular_file(file: IO[bytes]) -> None:
    assert FileWrapper(file).rest_of_file() == (file.fileno(), 10, 0)
    file.seek(3)
    assert FileWrapper(file).rest_of_file() == (file.fileno(), 3, 7)  # and what was written is out
    assert file.read(2) == b"34"
    assert FileWrapper(file).rest_of_file() == (file.fileno(), 5, 5)  # not what was read ahead
    file.seek(20)
    assert FileWrapper(file).rest_of_file() == (file.fileno(), 20, 0)


def test_an_unbuffered_file(file: IO[bytes]) -> None:
    file.flush()
    with open(os.dup(file.fileno()), "rb", buffering=0) as raw:
        raw.seek(4)
        assert FileWrapper(raw).rest_of_file() == (raw.fileno(), 4, 6)


def test_what_is_no_file_to_the_kernel(file: IO[bytes]) -> None:
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    others: list[Any] = [
        io.BytesIO(b"x"),
        gzip.GzipFile(fileobj=file, mode="wb"),  # its fileno() is of other bytes than it reads
        os.fdopen(os.dup(file.fileno())),
        ours.makefile("rb"),
        os.fdopen(read_end, "rb"),
        object(),
    ]
    try:
        assert [FileWrapper(other).rest_of_file() for other in others] == [None] * len(others)
    finally:
        os.close(write_end)
        for other in (*others[:-1], ours, theirs):
            other.close()
