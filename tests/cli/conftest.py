"""Commands set up logging for the whole process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fcgikit.cli.logs import LogFile


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Leave logging as it was."""
    yield
    for logger in (logging.getLogger("fcgikit"), logging.getLogger("fcgikit.slow")):
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            if isinstance(handler, LogFile):
                handler.stream.close()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
        logger.disabled = False
