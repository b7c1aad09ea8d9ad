"""Repeats one operation: ``python -m benchmarks.micro.loop NAME [CALLS]``.

With CALLS it does just that, for callgrind to count. Without, it prints nanoseconds: the shortest
of many repetitions, which others disturb least.
"""

from __future__ import annotations

import sys
from timeit import repeat

from benchmarks.micro.operations import Operation, operations

CALLS = 2_000
REPETITIONS = 60


def find(name: str) -> Operation:
    return next(operation for operation in operations() if operation.name == name)


def nanoseconds(operation: Operation) -> float:
    calls = repeat(operation.call, number=CALLS, repeat=REPETITIONS)
    return min(calls) / CALLS / operation.per * 1e9


def main(name: str, calls: str = "") -> None:
    operation = find(name)
    if not calls:
        print(nanoseconds(operation))
    for _ in range(int(calls or 0)):
        operation.call()


if __name__ == "__main__":
    main(*sys.argv[1:])
