"""Processes that only burn: ``python -m benchmarks.burning PROCESSES SECONDS``.

Each repeats what :func:`benchmarks.apps.burn` does before it answers, and nothing else. Prints how
often per second they did it together: what the cores give, if serving were free.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks.apps import work


def rate(until: float) -> float:
    """Times per second, until that time (``time.monotonic()``)."""
    done = 0
    began = time.monotonic()
    while (now := time.monotonic()) < until:
        work()
        done += 1
    return done / (now - began)


def main(processes: int, seconds: float) -> None:
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(rate, [0.0] * processes))  # they have started
        print(sum(pool.map(rate, [time.monotonic() + seconds] * processes)))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
