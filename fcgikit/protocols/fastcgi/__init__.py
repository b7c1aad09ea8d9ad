"""The FastCGI chapter: FastCGI 1.0, both sides.

Read it in this order: ``constants`` (the numbers), ``records`` (the frames), ``pairs`` (the
variables), ``states`` (what may come next), then ``app_side`` and ``web_side``. ``grammar``
declares the same wire once more, for the inspector and as the oracle of the tests.
"""

from __future__ import annotations

from .connection import FastCGIConnection

__all__ = ["FastCGIConnection"]
