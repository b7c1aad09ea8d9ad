"""The reference page, made of the settings: ``python -m fcgikit.cli.reference``.

A test holds the page to what this prints.
"""

from __future__ import annotations

import click

from .options import default_text, flag, sections
from .serve import EXIT_STATUSES, SIGNALS

INTRODUCTION = """\
# Reference

The settings of `fcgikit serve`, and of `serve(app, name=value)` in a script. Sizes are bytes,
durations seconds. This page is generated: `python -m fcgikit.cli.reference > docs/reference.md`.
"""

ENVIRONMENT = {
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
        parts.append(
            f"## {title}\n\n| option | in a script | default | meaning |\n|---|---|---|---|"
        )
        for field in fields:
            names = [field.metadata["short"], flag(field)]
            options = ", ".join(f"`{name}`" for name in names if name)
            default = f"`{default_text(field)}`" if default_text(field) else ""
            parts.append(f"| {options} | `{field.name}` | {default} | {field.metadata['help']} |")
        parts.append("")
    parts.append(_table("Signals", "signal", SIGNALS))
    parts.append(_table("Exit statuses", "status", EXIT_STATUSES))
    parts.append(_table("Environment variables", "variable", ENVIRONMENT))
    return "\n".join(parts)


def _table(title: str, heading: str, rows: dict[str, str]) -> str:
    lines = [f"## {title}", "", f"| {heading} | meaning |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in rows.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    click.echo(reference(), nl=False)
