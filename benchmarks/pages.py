"""Pages with measured parts, which are made anew by whoever has measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_PART = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renew(page: str, parts: Mapping[str, str]) -> str:
    """*page* with those of its parts between ``measured`` and ``end`` made anew that are given."""

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        return f"{match[1]}\n{parts[name]}\n\n{match[3]}" if name in parts else match[0]

    return _PART.sub(replace, page)


def rewrite(path: Path, parts: Mapping[str, str]) -> None:
    """:func:`renew` for the page at *path*."""
    path.write_text(renew(path.read_text(), parts))


def table(head: list[str], rows: list[list[str]], numbers: tuple[int, ...] = ()) -> str:
    """A Markdown table; the columns *numbers* are aligned to the right."""
    rules = ["---:" if column in numbers else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rules, *rows])
