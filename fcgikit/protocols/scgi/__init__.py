"""The SCGI chapter: https://python.ca/scgi/protocol.txt, both sides.

``connection`` is all that serving needs. ``grammar`` declares the same wire once more, for
the inspector and as the oracle of the tests.
"""

from __future__ import annotations

from .connection import SCGIConnection

__all__ = ["SCGIConnection"]
