from __future__ import annotations

from fcgikit.client.pool import MAX_IDLE_TIME, Pool


class Kept:
    """A connection in the state the test wants."""

    def __init__(self, *, idle: bool = True, reusable: bool = True) -> None:
        self.idle = idle
        self.reusable = reusable
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_the_one_used_last_is_used_first() -> None:
    pool: Pool[Kept] = Pool(2)
    first, second = Kept(), Kept()
    pool.put(first, 1.0)
    pool.put(second, 2.0)
    assert [pool.take(3.0), pool.take(3.0), pool.take(3.0)] == [second, first, None]


def test_no_more_than_its_size_are_idle() -> None:
    pool: Pool[Kept] = Pool(1)
    first, second, busy = Kept(), Kept(), Kept(idle=False)
    for each in (busy, first, second):
        pool.put(each, 1.0)
    assert [each.closed for each in (busy, first, second)] == [False, False, True]
    pool.put(first, 2.0)
    assert not first.closed


def test_what_cannot_be_used_is_closed_when_it_is_met() -> None:
    pool: Pool[Kept] = Pool(9)
    good, gone, old = Kept(), Kept(), Kept()
    pool.put(old, 0.0)
    pool.put(good, MAX_IDLE_TIME)
    pool.put(gone, MAX_IDLE_TIME)
    gone.reusable = False
    now = MAX_IDLE_TIME + 1
    assert (pool.take(now), pool.take(now)) == (good, None)
    assert [each.closed for each in (good, gone, old)] == [False, True, True]


def test_a_busy_one_without_room_stays() -> None:
    pool: Pool[Kept] = Pool(1)
    busy = Kept(idle=False, reusable=False)
    pool.put(busy, 0.0)
    assert pool.take(MAX_IDLE_TIME * 2) is None
    busy.reusable = True
    assert pool.take(MAX_IDLE_TIME * 2) is busy


def test_a_dead_one_is_not_kept() -> None:
    pool: Pool[Kept] = Pool(1)
    dead = Kept(reusable=False)
    pool.put(dead, 0.0)
    assert dead.closed
    assert pool.drain() == []


def test_one_that_must_be_settled_has_been_idle_for_a_while() -> None:
    pool: Pool[Kept] = Pool(9)
    old, new, busy = Kept(), Kept(), Kept(idle=False)
    pool.put(old, 1.0)
    pool.put(new, 2.0)
    assert (pool.take(2.5, 1.0), new.closed, pool.take(2.5, 1.0)) == (old, True, None)
    pool.put(busy, 2.5)
    assert pool.take(2.5, 1.0) is busy
