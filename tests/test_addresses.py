"""What an address names, for who listens and for who connects."""

from __future__ import annotations

import pytest

from fcgikit.addresses import socket_address
from fcgikit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/app.sock", "/run/app.sock"),
        ("unix:///run/app.sock", "/run/app.sock"),
        ("unix:app.sock", "app.sock"),
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("tcp://localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_addresses(text: str, address: object) -> None:
    assert socket_address(text, "bind") == address


@pytest.mark.parametrize(
    "text", ["", "unix:", ":9000", "host:65536", "::1:9000", "fd://0", "host:٣", "unix:/a\0b"]
)
def test_what_is_no_address_is_told_the_syntax(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        socket_address(text, "upstream")
    start = f"upstream {text!r} is no address: write unix:PATH, "
    assert str(caught.value) == f"{start}HOST:PORT or [IPV6]:PORT"
    with pytest.raises(ConfigError) as caught:
        socket_address(text, "upstream", also="self://")
    assert str(caught.value) == f"{start}HOST:PORT, [IPV6]:PORT or self://"
