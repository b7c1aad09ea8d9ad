"""The group of commands: help, version, and commands whose extra is not installed."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from fcgikit import __version__, events
from fcgikit.cli import main


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    python = f"{platform.python_implementation()} {platform.python_version()}"
    build = "pure Python" if events.__file__.endswith(".py") else "compiled"
    assert result.output == f"fcgikit {__version__} ({build}, {python})\n"
    assert result.exit_code == 0


def test_serve_help_teaches() -> None:
    result = CliRunner().invoke(main, ["serve", "--help"])
    assert result.exit_code == 0
    for part in ("--bind", "--allow", "fastcgi_pass unix:", "spawn-fcgi", "SIGTERM", "Exit status"):
        assert part in result.output


def test_without_a_command_the_help_is_shown() -> None:
    assert "fcgikit serve MODULE:APP" in CliRunner().invoke(main, []).output


def test_dev_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without_uvicorn(name: str, package: str | None = None) -> Any:
        if name == ".dev":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without_uvicorn)
    result = CliRunner().invoke(main, ["dev", "shop:app", "--port", "1"])
    assert result.exit_code == 1
    assert "pip install 'fcgikit[dev]'" in result.output
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "pip install 'fcgikit[dev]'" in result.output


def test_importing_the_package_starts_nothing() -> None:
    code = "import fcgikit, sys; print({'socket', 'threading', 'click'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout == b"set()\n"
