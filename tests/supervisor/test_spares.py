from __future__ import annotations

import pytest

from fcgikit.config import Config
from fcgikit.supervisor.spares import FASTEST, Load, at_first, change, full, next_rate

DYNAMIC = Config(pm="dynamic", workers=10, min_spare_workers=2, max_spare_workers=4)


@pytest.mark.parametrize(("pm", "workers"), [("static", 9), ("dynamic", 2), ("ondemand", 0)])
def test_how_many_there_are_at_first(pm: str, workers: int) -> None:
    assert at_first(Config(pm=pm, workers=9, min_spare_workers=2), 9) == workers


@pytest.mark.parametrize(
    ("load", "rate", "expected"),
    [
        (Load(total=2, free=2, idle=2), 1, 0),
        (Load(total=2, free=1, idle=0), 1, +1),
        (Load(total=2, free=0, idle=0), 1, +1),
        (Load(total=2, free=0, idle=0), 8, +2),
        (Load(total=9, free=0, idle=0), 8, +1),
        (Load(total=10, free=0, idle=0), 8, 0),
        (Load(total=12, free=0, idle=0), 8, 0),
        (Load(total=6, free=6, idle=4), 1, 0),
        (Load(total=6, free=6, idle=5), 8, -1),
    ],
)
def test_dynamic_keeps_the_spares_between_least_and_most(
    load: Load, rate: int, expected: int
) -> None:
    assert change(DYNAMIC, load, 10, rate) == expected


def test_the_rate_doubles_while_more_are_needed() -> None:
    rates = [1]
    for _ in range(6):
        rates.append(next_rate(rates[-1], +1))
    assert rates == [1, 2, 4, 8, 16, 32, FASTEST]
    assert next_rate(32, 0) == next_rate(32, -1) == 1


def test_a_static_pool_is_never_too_small() -> None:
    needy = Load(total=4, free=0, idle=0)
    assert not full(Config(), needy, 4)
    assert full(Config(pm="ondemand"), needy, 4)
    assert full(DYNAMIC, needy, 4)
    assert not full(DYNAMIC, needy, 5)
