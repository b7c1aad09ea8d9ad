"""Numbers from outside."""

from __future__ import annotations

import pytest

from fcgikit.errors import Scope
from fcgikit.protocols.oneshot import decimal, refusal, too_many_variables


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert decimal(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "+5", "-1", "1_0", "0x5", " 5", "5 ", "5\n", "\xb2", "\u0665", "9" * 19, "9" * 5000],
)
def test_anything_else_is_not(text: str) -> None:
    assert decimal(text) is None


def test_a_refusal_concerns_the_request_alone() -> None:
    error = refusal("no")
    assert (str(error), error.scope, error.status, error.limit) == ("no", Scope.REQUEST, 400, "")
    error = too_many_variables(7)
    assert (error.scope, error.status, error.limit) == (Scope.REQUEST, 431, "max_params_size")
