"""Who serves: this process or a pool. What a pool then does is in tests/e2e/test_pool.py."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from fcgikit.cli.pool import check, served_here
from fcgikit.config import Config
from fcgikit.errors import ConfigError


@pytest.fixture
def given() -> Iterator[None]:
    """A listening socket on fd 0, as spawn-fcgi and mod_fcgid leave it."""
    before = os.dup(0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.dup2(listener.fileno(), 0)
        yield
    os.dup2(before, 0)
    os.close(before)


@pytest.mark.parametrize(
    ("config", "here"),
    [
        (Config(), True),
        (Config(bind=("fd://0",)), True),
        (Config(bind=("127.0.0.1:0",)), False),
        (Config(workers=2), False),
        (Config(workers=0, bind=("127.0.0.1:0",)), True),
    ],
)
def test_who_was_given_a_socket_serves_it_himself(
    given: None, config: Config, here: bool
) -> None:
    assert served_here(config) is here


def test_else_it_is_a_pool() -> None:
    assert not served_here(Config())
    assert not served_here(Config(workers=1))
    assert served_here(Config(workers=0))


def test_a_check_finds_what_a_start_would() -> None:
    with pytest.raises(ConfigError, match="user"):
        check(Config(app=("wsgiref.simple_server:demo_app",), user="no-such-user"))
    with pytest.raises(ConfigError, match="nowhere"):
        check(Config(app=("wsgiref.simple_server:demo_app",), bind=("nowhere",)))
