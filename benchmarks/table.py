"""A report as text, and as the tables of a page."""

from __future__ import annotations

from statistics import median

from benchmarks.figures import Kind, Outcome, Report, Row, Verdict
from benchmarks.pages import table


def text(outcome: Outcome) -> str:
    """One case: everybody's median and spread, then the goals."""
    lines = ["", f"{outcome.title} ({outcome.unit})"]
    for row in outcome.rows:
        figure = f"{row.median:>9,.1f}  ({min(row.figures):,.1f}-{max(row.figures):,.1f})"
        lines.append(f"  {row.title:44}{row.protocol:9}{row.threads:>3} {figure}")
    for verdict in outcome.verdicts:
        title = ", ".join(filter(None, (verdict.title, verdict.build)))
        lines.append(f"  {title}:")
        answer = "reached" if verdict.reached else "MISSED"
        lines.append(f"    {measured(verdict)}, goal {goal(verdict)}: {answer}")
    return "\n".join(lines)


def goal(verdict: Verdict) -> str:
    sign = ">=" if verdict.kind is Kind.GAIN else "<="
    return f"{sign} {verdict.goal:g}{_unit(verdict)}"


def measured(verdict: Verdict) -> str:
    """The comparison of the medians, and its lowest and highest round."""
    return f"{verdict.value:z.2f}{_unit(verdict)} ({verdict.low:z.2f}-{verdict.high:z.2f})"


def _unit(verdict: Verdict) -> str:
    if verdict.kind in (Kind.RATIO, Kind.GAIN):
        return "x"
    return f" {verdict.unit.partition(' ')[0]}"


def parts(report: Report) -> dict[str, str]:
    """What a page may show of it; see :mod:`benchmarks.pages`."""
    return {
        "about": about(report),
        "goals": goals(report),
        "figures": "\n\n".join(map(figures, report.outcomes)),
    }


def about(report: Report) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in report.about.items())


def goals(report: Report) -> str:
    """What was aimed at, and what has come of it."""
    head = ["case", "build", "measured (rounds)", "goal", "reached"]
    rows = [
        [v.title, v.build, measured(v), goal(v), "yes" if v.reached else "**no**"]
        for outcome in report.outcomes
        for v in outcome.verdicts
    ]
    return table(head, rows)


def figures(outcome: Outcome) -> str:
    """One case as a table of a page."""
    head = ["server", "protocol", "threads", "median", "lowest-highest", "of a core"]
    title = f"**{outcome.title[0].upper()}{outcome.title[1:]}**: {outcome.unit}"
    return f"{title}\n\n{table(head, list(map(_cells, outcome.rows)), (3, 5))}"


def _cells(row: Row) -> list[str]:
    spread = f"{min(row.figures):,.1f}-{max(row.figures):,.1f}"
    busy = f"{median(row.busy):.0%}" if any(row.busy) else ""
    return [row.title, row.protocol, row.threads, f"{row.median:,.1f}", spread, busy]
