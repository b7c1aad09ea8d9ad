"""Draws the state diagrams of the pages from the tables that run.

``python -m docs.diagrams`` renews the pages; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fcgikit.events import Event
from fcgikit.protocols import answers
from fcgikit.protocols.fastcgi import states
from fcgikit.protocols.fastcgi.constants import RECORD_NAMES
from fcgikit.protocols.oneshot import states as oneshot
from fcgikit.supervisor import states as pool

PAGES = [Path(__file__).parent / name for name in ("protocol.md", "signals.md")]

_PART = re.compile(r"(<!-- drawn: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Edges = dict[tuple[str, str], list[str]]


def renew(page: str) -> str:
    """*page* with every part between ``drawn`` and ``end`` made anew."""
    drawn = parts()
    return _PART.sub(lambda match: f"{match[1]}{drawn[match[2]]}{match[3]}", page)


def parts() -> dict[str, str]:
    """Everything drawn from a table, by the name the page calls it."""
    return {
        "fastcgi-request": _diagram(_fastcgi_request()),
        "fastcgi-request-records": _record_table(states.REQUEST_RECORDS),
        "fastcgi-response-records": _record_table(states.RESPONSE_RECORDS),
        "answer": _diagram(_by_events(answers.RESPONSE_EVENTS)),
        "oneshot-request": _diagram(_by_events(oneshot.REQUEST_EVENTS)),
        "pool-states": _diagram(_pool_states()),
        "pool-signals": _signal_table(),
    }


def _fastcgi_request() -> Edges:
    edges: Edges = {}
    for state, actions in states.REQUEST_RECORDS.items():
        for type_, action in actions.items():
            name = RECORD_NAMES[type_]
            if action is states.BEGIN:
                edges.setdefault((state, states.PARAMS), []).append(name)
            elif action is states.ABORT:
                edges.setdefault((state, states.DONE), []).append(name)
            elif action is states.TAKE:
                edges.setdefault((state, state), []).append(name)
                for after, roles in _after(state).items():
                    label = f"empty {name} ({', '.join(roles)})"
                    edges.setdefault((state, after), []).append(label)
    return edges


def _after(state: str) -> dict[str, list[str]]:
    """What follows when the stream of *state* has ended, and for which roles."""
    following: dict[str, list[str]] = {}
    for role, after in states.AFTER_STREAM.items():
        if state in after:
            following.setdefault(after[state], []).append(role.name.lower())
    return following


def _by_events(table: Mapping[str, Mapping[type[Event], str]]) -> Edges:
    edges: Edges = {}
    for before, transitions in table.items():
        for event, after in transitions.items():
            edges.setdefault((before, after), []).append(event.__name__)
    return edges


def _diagram(edges: Edges) -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    for (before, after), labels in edges.items():
        lines.append(f"    {before} --> {after}" + f": {', '.join(labels)}" * bool(labels))
    return "\n".join([*lines, "```", ""])


def _record_table(table: Mapping[str, Mapping[int, states.Action]]) -> str:
    types = list(dict.fromkeys(type_ for actions in table.values() for type_ in actions))
    lines = [
        f"| state | {' | '.join(RECORD_NAMES[type_] for type_ in types)} |",
        f"|---{'|---' * len(types)}|",
    ]
    for state, actions in table.items():
        cells = [actions[type_].name.lower() for type_ in types]
        lines.append(f"| {state} | {' | '.join(cells)} |")
    used = {action for actions in table.values() for action in actions.values()}
    legend = [f"- *{a.name.lower()}*: {a.value}" for a in states.Action if a in used]
    return "\n".join([*lines, "", *legend, ""])


def _pool_states() -> Edges:
    return {
        (before.name, after.name): []
        for before, following in pool.MAY_FOLLOW.items()
        for after in following
    }


def _signal_table() -> str:
    lines = [
        f"| signal | {' | '.join(state.name for state in pool.State)} |",
        f"|---{'|---' * len(pool.State)}|",
    ]
    for number, actions in pool.SIGNALS.items():
        cells = [_name(actions[state]) for state in pool.State]
        lines.append(f"| {number.name} | {' | '.join(cells)} |")
    meanings = [f"- *{_name(a)}*: {a.value}" for a in pool.Action if a is not pool.Action.NOTHING]
    return "\n".join([*lines, "", *meanings, ""])


def _name(action: pool.Action) -> str:
    if action is pool.Action.NOTHING:
        return "-"
    return action.name.lower().replace("_", "-")


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(renew(page.read_text()))
