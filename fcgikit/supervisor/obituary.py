"""What the log says of a worker that has ended."""

from __future__ import annotations

import signal
from math import inf

from .roster import Worker


def cause(status: int) -> str:
    """In words, what :func:`os.waitstatus_to_exitcode` says."""
    if status >= 0:
        return f"has exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"


def obituary(
    worker: Worker, status: int, running: tuple[str, ...], delay: float | None
) -> str:
    """Of a worker nobody had told to go. Its place is taken again in *delay* seconds; ``None``:
    by nobody."""
    text = f"worker {worker.pid} {cause(status)}"
    if worker.serving_since == inf:
        text += " before it could serve"
    if running:
        text += f" while it ran {', '.join(running)}"
    if delay is None:
        return text
    return f"{text}; next try in {delay:g} s" if delay else f"{text}; starting another"
