"""What was measured and what it means: figures of every round, and goals set against them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any


class Kind(StrEnum):
    """How a goal looks at its subject's figures and its reference's."""

    RATIO = "ratio"  # of the medians, at most
    GAIN = "gain"  # the ratio, at least
    EXCESS = "excess"  # the difference of the medians, at most
    FIGURE = "figure"  # the subject alone, at most


@dataclass
class Row:
    """Everybody's figures, one of each round. *requests_per_second* and *busy* likewise."""

    name: str
    version: str
    build: str
    note: str
    protocol: str
    threads: str
    figures: list[float]
    requests_per_second: list[float]
    busy: list[float]

    @property
    def median(self) -> float:
        return median(self.figures)

    @property
    def title(self) -> str:
        """Name, version and build, and what else tells it from others."""
        title = " ".join(part for part in (self.name, self.version, self.build) if part)
        return f"{title}, {self.note}" if self.note else title


@dataclass
class Verdict:
    """A goal and what was measured: the medians compared, and the rounds' extremes."""

    title: str
    build: str
    kind: Kind
    goal: float
    unit: str
    value: float
    low: float
    high: float

    @property
    def reached(self) -> bool:
        """Judged as it is printed, to two decimals."""
        value = round(self.value, 2)
        return value >= self.goal if self.kind is Kind.GAIN else value <= self.goal


@dataclass
class Outcome:
    """One case."""

    name: str
    title: str
    unit: str
    rows: list[Row]
    verdicts: list[Verdict]


@dataclass
class Report:
    """A whole session; *about* says where and how it was measured."""

    about: dict[str, str]
    outcomes: list[Outcome]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Report:
        """The inverse of :meth:`to_json`."""
        outcomes = []
        for each in told["outcomes"]:
            rows = [Row(**row) for row in each["rows"]]
            verdicts = [Verdict(**{**v, "kind": Kind(v["kind"])}) for v in each["verdicts"]]
            outcomes.append(Outcome(**{**each, "rows": rows, "verdicts": verdicts}))
        return cls(told["about"], outcomes)


def compare(kind: Kind, own: list[float], other: list[float]) -> tuple[float, float, float]:
    """The medians compared, and the lowest and highest of the rounds compared one by one.

    *other* has as many figures as *own*, of the same rounds; a FIGURE does not look at it.
    """
    if kind is Kind.FIGURE:
        return median(own), min(own), max(own)
    if kind is Kind.EXCESS:
        pairs = [mine - theirs for mine, theirs in zip(own, other, strict=True)]
        return median(own) - median(other), min(pairs), max(pairs)
    pairs = [mine / theirs for mine, theirs in zip(own, other, strict=True)]
    return median(own) / median(other), min(pairs), max(pairs)
