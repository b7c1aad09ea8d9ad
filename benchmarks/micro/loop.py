"""Repeats one operation: ``python -m benchmarks.micro.loop NAME [TIMES]``.

With TIMES it does just that, for callgrind to count. Without, it prints nanoseconds: the shortest
of many repetitions, which others disturb least.
"""

from __future__ import annotations

import sys
from timeit import repeat

from benchmarks.micro.operations import Operation, operations
from fcgikit.server import admission, leadership, loop

TIMES = 2_000
REPETITIONS = 60


def find(name: str) -> Operation:
    return next(operation for operation in operations() if operation.name == name)


def nanoseconds(operation: Operation) -> float:
    runs = repeat(lambda: operation.run(TIMES), number=1, repeat=REPETITIONS)
    return min(runs) / TIMES * 1e9


def main(name: str, times: str = "") -> None:
    operation = find(name)
    if times:
        # Under valgrind every request is slow, and would be taken for one that others wait behind.
        admission.QUICK = loop.QUICK = leadership.SLOW = 1e9  # type: ignore[attr-defined]
        operation.run(int(times))
    else:
        print(nanoseconds(operation))


if __name__ == "__main__":
    main(*sys.argv[1:])
