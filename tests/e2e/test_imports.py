"""What a server that serves has not imported: a start shall be fast, and a worker small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from fcgikit.cli.pool import LATE
from tests.e2e import wire
from tests.e2e.process import ROOT
from tests.e2e.project import Project

APP = """
import sys

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["\\n".join(sys.modules).encode()]
"""

NEEDLESS = (
    "argparse", "asyncio", "bz2", "concurrent", "construct", "csv", "ctypes", "email",
    "fcgikit.cli.dev", "fcgikit.cli.request", "fcgikit.client", "fcgikit.inspector",
    "fcgikit.protocols.fastcgi.grammar", "fcgikit.protocols.fastcgi.web_side",
    "fcgikit.protocols.oneshot.web_side", "http.client", "http.server", "importlib.metadata",
    "json", "lzma", "multiprocessing", "pathlib", "pickle", "random", "shutil", "ssl",
    "subprocess", "tempfile", "tomllib", "urllib", "zipfile",
)  # fmt: skip
"""Modules; those below them count as well."""


def test_a_worker_has_imported_only_what_it_needs() -> None:
    """It is a fork of the supervisor, so this holds for both."""
    with Project(APP) as project, project.pool(workers=1) as pool, pool.connect() as connection:
        connection.sendall(wire.request("/"))
        answer = wire.read_answer(connection).stdout.decode()
    modules = answer.partition("\r\n\r\n")[2].split()
    assert "fcgikit.server.worker" in modules
    assert "fcgikit.supervisor.posix" in modules
    needless = tuple(f"{name}." for name in NEEDLESS)
    assert not [name for name in modules if f"{name}.".startswith(needless)]


def test_what_is_imported_late_is_there_before_a_chroot() -> None:
    """In it the standard library may be out of reach."""
    found = {
        name
        for part in ("server", "gateways", "protocols")
        for path in (ROOT / "fcgikit" / part).rglob("*.py")
        for name in late_imports(path)
    }
    assert found == set(LATE)


def late_imports(path: Path) -> Iterator[str]:
    """What the functions of a module import from elsewhere."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    yield str(node.module)
