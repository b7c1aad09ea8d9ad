"""A report's first figures as an SVG: bars that can be read on light and on dark pages."""

from __future__ import annotations

from html import escape
from statistics import median

from benchmarks.figures import Outcome, Report, Row

WIDTH = 760
NAMES = 250
"""Pixels for the names, left of the bars."""
ROOM = 70
"""Pixels right of the longest bar, for its figure."""
CUT = 3
"""A bar of more than so many times the median is cut off there, lest it flatten all others."""
BAR = 16
STEP = 24

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.other { fill: #8c959f }
.fcgikit { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #d1d7e0 }
  .other { fill: #656c76 }
  .fcgikit { fill: #4493f8 }
}"""


def draw(report: Report, names: tuple[str, ...] = ("hello-kept", "hello-one-shot")) -> str:
    """The cases called *names*, one above the other, in one scale."""
    outcomes = [outcome for outcome in report.outcomes if outcome.name in names and outcome.rows]
    if not outcomes:
        raise ValueError(f"none of {', '.join(names)} was measured")
    medians = [row.median for outcome in outcomes for row in outcome.rows]
    scale = (WIDTH - NAMES - ROOM) / min(max(medians), CUT * median(medians))
    lines: list[str] = []
    top = 0
    for outcome in outcomes:
        lines += panel(outcome, top, scale)
        top += STEP * (len(outcome.rows) + 2)
    label = "CPU time per request, server by server"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img"'
            f' aria-label="{label}">',
            f"<style>\n{STYLE}\n</style>",
            *lines,
            "</svg>\n",
        ]
    )


def panel(outcome: Outcome, top: int, scale: float) -> list[str]:
    """A heading and a bar for each server, the cheapest first."""
    title = f"{outcome.title}: {outcome.unit}, less is better"
    lines = [f'<text class="title" x="0" y="{top + STEP - 8}">{escape(title)}</text>']
    for number, row in enumerate(sorted(outcome.rows, key=lambda row: row.median), 1):
        lines += bar(row, top + number * STEP, scale)
    return lines


def bar(row: Row, top: int, scale: float) -> list[str]:
    kind = "fcgikit" if row.build else "other"
    width = max(1.0, row.median * scale)
    figure = f"{row.median:.1f}"
    if width > WIDTH - NAMES - ROOM:
        width, figure = WIDTH - NAMES - ROOM, f"\N{MUCH GREATER-THAN} {figure}"
    base = top + BAR - 3
    return [
        f'<text x="{NAMES - 8}" y="{base}" text-anchor="end">{escape(row.title)}</text>',
        f'<rect class="{kind}" x="{NAMES}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'<text x="{NAMES + width + 6:.1f}" y="{base}">{figure}</text>',
    ]
