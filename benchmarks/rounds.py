"""Runs a case: everybody in turns, round after round, so that what else happens meets all alike."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from benchmarks.cases import Case, Goal
from benchmarks.contestants import Contestant, Turn
from benchmarks.figures import Outcome, Row, Verdict, compare


def run(case: Case, rounds: int, seconds: int, wanted: Callable[[Contestant], bool]) -> Outcome:
    """The figures of *rounds* turns of *seconds* each, for those *wanted* and installed."""
    turns: dict[Contestant, list[Turn]] = {}
    for contestant in filter(wanted, case.contestants):
        if contestant.server.version:
            turns[contestant] = []
        else:
            print(
                f"{contestant.server.name} is not installed: make bench installs it",
                file=sys.stderr,
            )
    order = list(turns)
    with contextlib.ExitStack() as stack:
        for contestant in order:
            contestant.start(stack)
        for contestant in order:
            contestant.warm_up()
        for number in range(rounds):
            first = number % max(1, len(order))
            for contestant in order[first:] + order[:first]:
                turns[contestant].append(contestant.turn(seconds))
            print(f"{case.name}: round {number + 1} of {rounds}", file=sys.stderr)
    rows = {contestant: row(contestant, turns[contestant]) for contestant in order}
    verdicts = [
        verdict(goal, case.unit, rows)
        for goal in case.goals
        if goal.subject in rows and (goal.reference is None or goal.reference in rows)
    ]
    return Outcome(case.name, case.title, case.unit, list(rows.values()), verdicts)


def row(contestant: Contestant, turns: list[Turn]) -> Row:
    figures, rates, busy = map(list, zip(*turns, strict=True))
    server = contestant.server
    return Row(
        server.name,
        server.version,
        server.build,
        contestant.note,
        server.protocol,
        server.threads,
        figures,
        rates,
        busy,
    )


def verdict(goal: Goal, unit: str, rows: dict[Contestant, Row]) -> Verdict:
    own = rows[goal.subject]
    other = rows[goal.reference].figures if goal.reference is not None else []
    value, low, high = compare(goal.kind, own.figures, other)
    return Verdict(goal.title, own.build, goal.kind, goal.limit, unit, value, low, high)
