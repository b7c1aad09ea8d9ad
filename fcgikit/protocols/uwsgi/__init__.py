"""The uwsgi chapter: https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html, both sides.

``connection`` is all that serving needs. ``grammar`` declares the same wire once more, for
the inspector and as the oracle of the tests.
"""

from __future__ import annotations

from .connection import UwsgiConnection

__all__ = ["UwsgiConnection"]
