"""The page a browser gets when the worker has none for it."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

_EXPLANATIONS = {
    502: "The application gave no proper answer. It may have stopped, or it is just starting.",
    503: "The application has more requests than it can take. Please try again in a moment.",
    504: "The application did not answer in time.",
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 15vh auto;
         padding: 0 1rem; color: #222; background: #fafafa }}
  h1 {{ font-size: 1.4rem }}
  pre {{ white-space: pre-wrap; padding: 1rem; border-left: 4px solid #c33; background: #fff }}
</style>
<h1>{title}</h1>
<p>{explanation}</p>
{detail}</html>
"""


async def error_page(
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]], status: int, detail: str
) -> None:
    """Answer with a plain explanation of *status* and, unless it is empty, *detail*."""
    title = f"{status} {HTTPStatus(status).phrase}"
    body = _PAGE.format(
        title=title,
        explanation=_EXPLANATIONS.get(status, ""),
        detail=f"<pre>{html.escape(detail)}</pre>\n" if detail else "",
    ).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
