"""Serve Python web applications over FastCGI, SCGI and uwsgi."""

from __future__ import annotations

__version__ = "0.1.0"
