"""Values of settings as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fcgikit.config import Config
from fcgikit.errors import ConfigError
from fcgikit.values import FIELDS, from_native, from_text, setting, to_text
from tests.strategies import settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("threads", "8", 8),
        ("workers", "0", 0),
        ("max_memory", "512M", 512 << 20),
        ("max_memory", "64k", 64 << 10),
        ("max_memory", "1g", 1 << 30),
        ("max_memory", "1000", 1000),
        ("timeout", "30", 30.0),
        ("timeout", "0.5", 0.5),
        ("timeout", "30s", 30.0),
        ("timeout", "5m", 300.0),
        ("timeout", "1.5h", 5400.0),
        ("timeout", "1d", 86400.0),
        ("socket_mode", "660", 0o660),
        ("socket_mode", "0o660", 0o660),
        ("umask", "027", 0o027),
        ("preload", "1", True),
        ("preload", "True", True),
        ("preload", "0", False),
        ("preload", "false", False),
        ("script_name", "", ""),
        ("bind", "unix:/a, 127.0.0.1:1", ("unix:/a", "127.0.0.1:1")),
        ("bind", "", ()),
    ],
)
def test_text_means_a_value(name: str, text: str, value: Any) -> None:
    assert from_text(FIELDS[name], text) == value


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("threads", "many", "write a whole number, not 'many'"),
        ("threads", "", "whole number"),
        ("threads", "4.0", "whole number"),
        ("threads", "1_000", "whole number"),
        ("threads", "9" * 5000, "whole number"),
        ("max_memory", "12X", "512M"),
        ("max_memory", "M", "512M"),
        ("timeout", "soon", "30s or 5m"),
        ("timeout", "s", "30s or 5m"),
        ("socket_mode", "1777", "a mode such as 660"),
        ("umask", "8", "a mode such as 660"),
        ("preload", "maybe", "true or false"),
    ],
)
def test_other_text_is_refused_with_an_example(name: str, text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        from_text(FIELDS[name], text)


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("threads", 8, 8),
        ("timeout", 30, 30.0),
        ("timeout", "5m", 300.0),
        ("max_memory", 1024, 1024),
        ("max_memory", "1M", 1 << 20),
        ("socket_mode", "660", 0o660),
        ("socket_mode", 0o660, 0o660),
        ("bind", "unix:/a,b", ("unix:/a,b",)),
        ("bind", ["unix:/a", ":1"], ("unix:/a", ":1")),
        ("preload", True, True),
        ("script_name", None, None),
    ],
)
def test_a_native_value_is_taken(name: str, given: Any, value: Any) -> None:
    assert from_native(FIELDS[name], given) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("threads", "8"),
        ("threads", True),
        ("threads", 1.0),
        ("threads", None),
        ("timeout", True),
        ("overload", 503),
        ("preload", 1),
        ("preload", "true"),
        ("bind", 9000),
        ("bind", [9000]),
        ("max_memory", {}),
    ],
)
def test_a_native_value_of_another_type_is_refused(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=r"^write .*, not "):
        from_native(FIELDS[name], given)


@given(settings())
def test_what_is_written_is_read_again(config: Config) -> None:
    for name, field in FIELDS.items():
        value = getattr(config, name)
        if value is not None:
            assert from_text(field, to_text(field, value)) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("max_memory", "1G"), ("max_memory", "1536M"), ("max_memory", "1025"), ("max_memory", "0"),
     ("spool_size", "64k"), ("timeout", "30"), ("timeout", "0.5"), ("umask", "27")],
)  # fmt: skip
def test_values_are_written_readably(name: str, text: str) -> None:
    assert to_text(FIELDS[name], from_text(FIELDS[name], text)) == text


def test_a_setting_is_found_in_either_spelling_or_told() -> None:
    assert setting("max-memory") is setting("max_memory") is FIELDS["max_memory"]
    with pytest.raises(ValueError, match="did you mean workers"):
        setting("wrokers")
    with pytest.raises(ValueError, match=r"no such setting$"):
        setting("xyzzy")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pm": "dynamic", "workers": 0}, "pm dynamic needs workers"),
        ({"pm": "ondemand", "workers": 0}, "pm ondemand needs workers"),
        ({"pm": "dynamic", "workers": 4, "min_spare_workers": 5, "max_spare_workers": 6}, "rs 4"),
        ({"pm": "dynamic", "workers": 4, "min_spare_workers": 4}, "max_spare_workers 3"),
        ({"max_requests_jitter": 5}, "max_requests_jitter adds to max_requests"),
        ({"threads": -1}, "threads cannot be negative"),
        ({"timeout": float("nan")}, "timeout must be a number"),
        ({"write_timeout": float("inf")}, "write_timeout must be a number"),
        ({"socket_mode": 660}, "socket_mode must be a mode such as 660"),
        ({"log_level": "loud"}, "log_level 'loud' is unknown: use debug, info, warning or error"),
        ({"pid": "a\0b"}, "pid must not contain a NUL"),
        ({"bind": ("a\0b",)}, "bind must not contain a NUL"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Config(**settings)
    assert set(caught.value.settings) <= set(FIELDS)
    assert caught.value.settings[0] in settings
