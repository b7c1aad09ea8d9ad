"""``wsgi.errors``: lines to the log and to the front end, harmless ones, and not too many."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.gateways.diagnostics import ErrorStream, printable
from tests.fake_exchange import FakeExchange


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_line_is_sent_when_it_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange()
    errors = ErrorStream(exchange, 1000)
    errors.write("half")
    assert exchange.events == []
    errors.write(" a line\nand ")
    assert exchange.diagnostics == "half a line\n"
    errors.writelines(["more", "\n", "\u20ac"])
    errors.flush()
    errors.flush()
    assert exchange.diagnostics == "half a line\nand more\n\u20ac\n"
    assert lines(caplog) == ["half a line", "and more", "\u20ac"]
    assert {record.name for record in caplog.records} == {"fcgikit.application"}


def test_one_record_per_line_whatever_is_written(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange()
    print("a\r\nb\x1b[2J\0\x85\ud800 %s", file=ErrorStream(exchange, 1000))
    expected = ["a\\x0d", "b\\x1b[2J\\x00\\x85\\ud800 %s"]
    assert lines(caplog) == expected
    assert exchange.diagnostics.splitlines() == expected


@given(st.text())
def test_no_control_character_passes(text: str) -> None:
    assert not any(c < " " or "\x7f" <= c < "\xa0" for c in printable(text).replace("\n", ""))


def test_the_limit_is_named_when_it_is_reached(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange()
    errors = ErrorStream(exchange, 100)
    errors.write("1" * 60 + "\n")
    errors.write("2" * 60 + "\n")
    for _ in range(50):
        errors.write("3\n")
        errors.write("no newline")
    errors.end()
    written = exchange.diagnostics
    assert 0 < written.count("2") < 60
    assert "3" not in written
    assert written.count("max_diagnostics_size") == 1
    assert len(written) < 250
    assert lines(caplog) == written.splitlines()


def test_no_character_is_cut_in_half() -> None:
    exchange = FakeExchange()
    ErrorStream(exchange, 10).write("x\U0001f600\U0001f600\U0001f600\n")
    assert exchange.diagnostics.startswith("x\U0001f600\U0001f600\n(")


def test_an_endless_line_is_not_collected() -> None:
    exchange = FakeExchange()
    errors = ErrorStream(exchange, 100)
    for _ in range(1000):
        errors.write("x" * 10)
    assert len(errors.pending) <= 110
    assert "max_diagnostics_size" in exchange.diagnostics


def test_empty_lines_count_too() -> None:
    exchange = FakeExchange()
    errors = ErrorStream(exchange, 100)
    for _ in range(1000):
        errors.write("\n")
    assert len(exchange.events) <= 101  # and the note


def test_the_end_sends_what_is_pending_and_then_only_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = FakeExchange()
    errors = ErrorStream(exchange, 1000)
    errors.write("pending")
    errors.end()
    errors.write("late\n")
    errors.report("late report")
    assert exchange.diagnostics == "pending\n"
    assert lines(caplog) == ["pending", "late"]


def test_a_front_end_that_is_gone_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorStream(FakeExchange(patience=0), 1000)
    errors.write("one\n")
    errors.write("two\n")
    assert lines(caplog) == ["one", "two"]


def test_a_log_handler_that_writes_to_wsgi_errors(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange()
    errors = ErrorStream(exchange, 1000)
    handler = logging.StreamHandler(errors)
    logging.getLogger().addHandler(handler)  # as Flask's documentation suggests
    try:
        logging.getLogger("app").error("once")
    finally:
        logging.getLogger().removeHandler(handler)
    assert exchange.diagnostics == "once\n"


def test_a_report_is_one_diagnostic_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange()
    ErrorStream(exchange, 20).report("one\ntwo\x07\n" + "x" * 100)
    assert len(exchange.events) == 1
    assert exchange.diagnostics.startswith("one\ntwo\\x07\nxxx")
    assert "max_diagnostics_size" in exchange.diagnostics
    assert caplog.records == []
