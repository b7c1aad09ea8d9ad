"""The reference page, made of the settings: ``python -m fcgikit.cli.reference``.

A test holds the page to what this prints.
"""

from __future__ import annotations

from dataclasses import Field
from typing import Any

import click

from .options import ARGUMENT, default_text, flag, sections
from .serve import EXIT_STATUSES, SIGNALS

INTRODUCTION = """\
# Reference

The settings of `fcgikit serve`. Where they can be written is in
[configuration.md](configuration.md): `--max-memory`, `FCGIKIT_MAX_MEMORY` in the environment and
`max_memory` in a file are the same setting. Sizes are bytes (`65536`, `64k`, `512M`, `1G`),
durations seconds (`30`, `30s`, `5m`). Those with a mark under *script* can be given to
`serve(app, name=value)`, too; those with a mark under *reload* take effect at SIGHUP, and the
others at a restart.

This page is generated: `python -m fcgikit.cli.reference > docs/reference.md`.
"""

COLUMNS = ("option", "setting", "default", "script", "reload", "meaning")

ENVIRONMENT = {
    "FCGIKIT_...": "Settings, such as FCGIKIT_WORKERS. FCGIKIT_CONFIG is `--config`.",
    "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES": "The sockets systemd has passed; removed once read.",
    "FCGI_WEB_SERVER_ADDRS": "Addresses of the web servers that may connect over TCP, separated by "
    "commas; beside `allow` a peer must be in both. FastCGI 1.0 section 3.2.",
    "GATEWAY_INTERFACE": "Only `serve(app)` in a script, and only when fd 0 is not a listening "
    "socket: set, it means that the script answers one request as CGI (RFC 3875).",
}


def reference() -> str:
    """The whole page, in Markdown."""
    parts = [INTRODUCTION]
    for title, fields in sections():
        parts.append(f"## {title}\n\n{_row(*COLUMNS)}\n{'|---' * len(COLUMNS)}|")
        parts += [_setting(field) for field in fields]
        parts.append("")
    parts.append(_table("Signals", "signal", SIGNALS))
    parts.append(_table("Exit statuses", "status", EXIT_STATUSES))
    parts.append(_table("Environment variables", "variable", ENVIRONMENT))
    return "\n".join(parts)


def _setting(field: Field[Any]) -> str:
    names = [field.metadata["short"], flag(field)] if field.name != ARGUMENT else ["MODULE:APP"]
    return _row(
        ", ".join(f"`{name}`" for name in names if name),
        f"`{field.name}`",
        f"`{default_text(field)}`" if default_text(field) else "",
        "x" if field.metadata["script"] else "",
        "x" if field.metadata["reload"] else "",
        f"{field.metadata['help']} {field.metadata['why']}".rstrip(),
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(title: str, heading: str, rows: dict[str, str]) -> str:
    lines = [f"## {title}", "", f"| {heading} | meaning |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in rows.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    click.echo(reference(), nl=False)
