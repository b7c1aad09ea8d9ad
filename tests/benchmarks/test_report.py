"""What the benchmarks make of their figures."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks import chart, pages, table
from benchmarks.cases import Case, Goal
from benchmarks.contestants import Contestant, Turn
from benchmarks.figures import Kind, Outcome, Report, Verdict, compare
from benchmarks.http_load import parse
from benchmarks.rounds import run
from benchmarks.servers import Server


class Scripted(Contestant):
    """Has its figures ready, and a note of when it was its turn."""

    def __init__(
        self, name: str, figures: list[float], turns: list[str], version: str = "1.0"
    ) -> None:
        build = "compiled" if name == "own" else ""
        super().__init__(Server(name, version, "fastcgi", "1", list, build))
        self._figures = iter(figures)
        self._turns = turns

    def start(self, stack: contextlib.ExitStack) -> None:
        stack.callback(self._turns.append, f"{self.server.name} ends")

    def warm_up(self) -> None:
        self._turns.append(f"{self.server.name} warms up")

    def turn(self, seconds: int) -> Turn:
        self._turns.append(self.server.name)
        return Turn(next(self._figures), 1000.0, 0.5)


def measured(turns: list[str]) -> Outcome:
    """Three rounds of two contestants; somebody slowed down the last one."""
    peer = Scripted("peer & co", [20, 20, 80], turns)
    own = Scripted("own", [10, 12, 40], turns)
    missing = Scripted("missing", [], turns, version="")
    goals = [
        Goal("own against peer", own, peer, Kind.RATIO, 0.6),
        Goal("own against missing", own, missing, Kind.RATIO, 0.6),
    ]
    case = Case("hello-kept", "hello world", [peer, own, missing], goals)
    return run(case, 3, 1, lambda contestant: True)


def test_contestants_take_turns_and_everybody_begins_once() -> None:
    turns: list[str] = []
    measured(turns)
    assert turns[:2] == ["peer & co warms up", "own warms up"]
    assert turns[2:8] == ["peer & co", "own", "own", "peer & co", "peer & co", "own"]
    assert sorted(turns[8:]) == ["own ends", "peer & co ends"]


def test_a_goal_is_judged_if_both_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    (verdict,) = measured([]).verdicts
    assert (verdict.value, verdict.low, verdict.high) == (0.6, 0.5, 0.6)
    assert (verdict.build, verdict.reached) == ("compiled", True)
    assert "missing is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.RATIO, (0.6, 0.5, 0.6)),
        (Kind.GAIN, (0.6, 0.5, 0.6)),
        (Kind.EXCESS, (-8, -40, -8)),
        (Kind.FIGURE, (12, 10, 40)),
    ],
)
def test_medians_are_compared(kind: Kind, expected: tuple[float, float, float]) -> None:
    assert compare(kind, [10, 12, 40], [20, 20, 80]) == expected


@pytest.mark.parametrize(
    ("kind", "value", "reached"),
    [
        (Kind.RATIO, 1.004, True),
        (Kind.RATIO, 1.006, False),
        (Kind.GAIN, 0.996, True),
        (Kind.GAIN, 0.99, False),
        (Kind.EXCESS, -3, True),
        (Kind.FIGURE, 1.01, False),
    ],
)
def test_a_goal_is_judged_as_it_is_printed(kind: Kind, value: float, reached: bool) -> None:
    verdict = Verdict("title", "compiled", kind, 1.0, "us of CPU", value, value, value)
    assert verdict.reached is reached


def test_a_report_survives_its_file() -> None:
    report = Report({"Python": "3.11"}, [measured([])])
    again = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert again == report
    assert again.outcomes[0].verdicts[0].kind is Kind.RATIO


def test_the_text_shows_medians_and_verdicts() -> None:
    text = table.text(measured([]))
    assert "20.0  (20.0-80.0)" in text
    assert "0.60x (0.50-0.60), goal <= 0.6x: reached" in text


def test_measured_parts_of_a_page_are_renewed_and_nothing_else() -> None:
    page = (
        "a\n<!-- measured: goals -->\nold\n<!-- end -->\nb\n<!-- measured: x -->\ny\n<!-- end -->"
    )
    renewed = pages.renew(page, table.parts(Report({}, [measured([])])))
    assert renewed.startswith("a\n<!-- measured: goals -->\n\n| case |")
    assert renewed.endswith("<!-- end -->\nb\n<!-- measured: x -->\ny\n<!-- end -->")
    assert "old" not in renewed
    assert pages.renew(renewed, table.parts(Report({}, [measured([])]))) == renewed


def test_the_chart_is_sound_xml_with_a_bar_for_each() -> None:
    root = ET.fromstring(chart.draw(Report({}, [measured([])])))
    bars = root.findall("{*}rect")
    assert [bar.get("class") for bar in bars] == ["fcgikit", "other"]
    widths = [float(bar.get("width", "")) for bar in bars]
    assert widths[0] == pytest.approx(widths[1] * 0.6)
    assert "peer & co 1.0" in [text.text for text in root.findall("{*}text")]


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="hello-kept"):
        chart.draw(Report({}, []))


def test_failures_are_read_from_what_wrk_says() -> None:
    told = (
        "  900 requests in 1.00s, 2MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1"
    )
    assert parse(told) == (900, 3)
    assert parse("7 requests in 1.00s\n  Non-2xx or 3xx responses: 5\n") == (7, 5)
