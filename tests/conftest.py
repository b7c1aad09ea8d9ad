"""Hypothesis profiles: ``ci`` is the same every time, ``fuzz`` a round of ``make fuzz``: random.

``HYPOTHESIS_PROFILE=fuzz`` or ``--hypothesis-profile=fuzz`` chooses.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.e2e.checks")

# Shells let what they start in the background ignore SIGINT, and the tests' programs inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is not a failure, so no profile has a deadline.
settings.register_profile("ci", max_examples=60, derandomize=True, database=None, deadline=None)
settings.register_profile(
    "fuzz", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
