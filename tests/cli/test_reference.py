"""The reference page is what the settings say."""

from __future__ import annotations

from pathlib import Path

from fcgikit.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), "python -m fcgikit.cli.reference > docs/reference.md"
