"""Bodies keep their order and their bytes, wherever they wait."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.server.spool import Spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = Spool()
    yield made
    made.close()


def descriptors() -> set[int]:
    """Those open now; the list itself names the one it was read from, too."""
    names = os.listdir("/proc/self/fd")
    return {int(name) for name in names if os.path.lexists(f"/proc/self/fd/{name}")}


def take_all(spool: Spool) -> bytes:
    pieces = []
    while piece := spool.take():
        pieces.append(piece)
    return b"".join(pieces)


# None takes a piece; what is added is never empty, as the chapters never pass on nothing.
STEPS = st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=50)), max_size=40)


@given(STEPS, st.one_of(st.none(), st.integers(0, 100)))
def test_first_in_first_out_within_the_limit(steps: list[bytes | None], limit: int | None) -> None:
    spool = Spool()
    added, taken = b"", b""
    try:
        for step in steps:
            if step is None:
                piece = spool.take()
                assert piece or taken == added, "it has more, and gives it"
                taken += piece
            else:
                spool.append(step, limit)
                added += step
            assert limit is None or spool.in_memory <= limit
            assert bool(spool) == (taken != added)
        assert taken + take_all(spool) == added
        assert spool.in_memory == 0
    finally:
        spool.close()


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.sampled_from([None, 0, 10]))))
def test_the_limit_may_change_while_something_waits(steps: list[tuple[bytes, int | None]]) -> None:
    """A connection is multiplexed at one moment and not at the next."""
    spool = Spool()
    try:
        for data, limit in steps:
            spool.append(data, limit)
        assert take_all(spool) == b"".join(data for data, _ in steps)
    finally:
        spool.close()


def test_no_file_without_need(spool: Spool) -> None:
    before = descriptors()
    spool.append(b"x" * 100, 100)
    spool.append(b"x" * 1_000_000, None)
    assert descriptors() == before


def test_the_file_shrinks_when_it_is_read_and_goes_at_the_end(spool: Spool) -> None:
    before = descriptors()
    for _ in range(3):
        spool.append(b"x" * 100_000, 10)
        (file,) = descriptors() - before
        assert os.fstat(file).st_size <= 100_000
        assert take_all(spool) == b"x" * 100_000
        assert os.fstat(file).st_size == 0
    spool.append(b"left", 0)
    spool.close()
    assert descriptors() == before
    assert not spool
    assert spool.take() == b""


def test_the_file_has_no_name(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool.append(b"secret", 0)
    assert list(tmp_path.iterdir()) == []
    assert spool.take() == b"secret"


def test_without_a_place_for_the_file(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    spool.append(b"memory", 6)
    with pytest.raises(OSError, match="No such file"):
        spool.append(b"file", 6)
    assert take_all(spool) == b"memory"
