"""How many workers there should be: php-fpm's static, dynamic and ondemand, as arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..config import Config

FASTEST: Final = 32
"""Most workers started in one second; php-fpm's FPM_MAX_SPAWN_RATE."""


@dataclass(slots=True)
class Load:
    """What the workers are doing."""

    total: int  # that serve or are about to
    free: int  # of them with a free thread, or still starting
    idle: int  # of them that run nothing


def at_first(config: Config, most: int) -> int:
    """Workers a pool of at most *most* starts with."""
    if config.pm == "static":
        return most
    if config.pm == "dynamic":
        return min(max(1, config.min_spare_workers), most)
    return 0


def change(config: Config, load: Load, most: int, rate: int) -> int:
    """With ``pm`` dynamic, once a second: workers more (positive) or fewer (negative).

    *rate* is how many may be started now; see :func:`next_rate`.
    """
    least = max(1, config.min_spare_workers)
    if load.idle > max(least, config.max_spare_workers):
        return -1
    return max(0, min(rate, least - load.free, most - load.total))


def next_rate(rate: int, changed: int) -> int:
    """How many may be started the next second: twice as many while more are needed."""
    return min(rate * 2, FASTEST) if changed > 0 else 1


def full(config: Config, load: Load, most: int) -> bool:
    """Whether more workers were needed than there may be."""
    if config.pm == "dynamic":
        return load.total >= most and load.free < max(1, config.min_spare_workers)
    return config.pm == "ondemand" and load.total >= most and load.free == 0
