"""The shape of the package: who may import whom, and how large a module may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fcgikit"
TESTS = ROOT / "tests"

CHAPTERS = ("fastcgi", "scgi", "uwsgi")

MAY_IMPORT = {
    "errors": set[str](),
    "events": {"errors"},
    "config": {"errors"},
    "addresses": {"errors"},
    "orders": set[str](),
    "values": {"config"},
    "protocols": {"errors", "events", "config"},
    "gateways": {"errors", "events", "config"},
    "server": {"errors", "events", "config", "addresses", "orders", "values", "protocols",
               "gateways"},
    "client": {"errors", "events", "config", "addresses", "protocols"},
    "supervisor": {"errors", "config", "orders"},
    "inspector": {"errors", "events", "protocols"},
    "cli": {"errors", "events", "config", "addresses", "orders", "values", "protocols", "gateways",
            "server", "client", "supervisor", "inspector"},
    "__init__": {"config", "errors", "gateways", "server"},
    "__main__": {"cli"},
}  # fmt: skip
"""part of the package -> the other parts it may import. A package counts as one part."""

SANS_IO = {"socket", "selectors", "os", "time", "threading", "asyncio", "select", "signal"}

MAX_LINES = 400
LONGER_MODULES: frozenset[str] = frozenset()
"""Modules that may be longer than that. This list may only shrink."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """A module's dotted name below ``fcgikit``: ``protocols.scgi.grammar``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def part_of(module: str) -> str:
    return module.partition(".")[0]


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all that a module imports, wherever in its text."""
    package = ("fcgikit", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> Iterator[str]:
    """Modules of ours that a module imports, below ``fcgikit``."""
    for name in imports(path):
        if name.startswith("fcgikit.") and name != "fcgikit.__version__":  # but a constant
            found = name.removeprefix("fcgikit.")
            while found and not exists(found):  # the last part names something inside a module
                found = found.rpartition(".")[0]
            yield found or "__init__"


def exists(module: str) -> bool:
    path = PACKAGE / Path(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def outer_imports(path: Path) -> set[str]:
    """Top-level names of everything else it imports."""
    return {name.partition(".")[0] for name in imports(path)} - {"fcgikit"}


every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


@every_module
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(name_of(path))
    found = {part_of(module) for module in own_imports(path)} - {part}
    assert found <= MAY_IMPORT[part]


def test_no_input_or_output_in_chapters_and_environ() -> None:
    for path in MODULES:
        if name_of(path).startswith("protocols.") or name_of(path) == "gateways.environ":
            assert not outer_imports(path) & SANS_IO, name_of(path)


def test_gateways_know_no_sockets() -> None:
    for path in (PACKAGE / "gateways").rglob("*.py"):
        assert not outer_imports(path) & {"socket", "select", "selectors", "asyncio"}, path.name


def test_construct_only_in_grammars() -> None:
    users = {name_of(path) for path in MODULES if "construct" in outer_imports(path)}
    assert users
    assert {module.rpartition(".")[2] for module in users} == {"grammar"}


def test_grammars_are_not_imported_when_serving() -> None:
    for path in MODULES:
        if part_of(name_of(path)) != "inspector" and path.stem != "grammar":
            assert not [one for one in own_imports(path) if one.endswith(".grammar")], path


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_knows_no_other(chapter: str) -> None:
    others = tuple(f"protocols.{other}" for other in CHAPTERS if other != chapter)
    for path in (PACKAGE / "protocols" / chapter).rglob("*.py"):
        assert not [name for name in own_imports(path) if name.startswith(others)], name_of(path)


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_the_table_allows_no_circles(part: str) -> None:
    reached: set[str] = set()
    ahead = {part}
    while ahead:
        reached |= ahead
        ahead = {one for name in ahead for one in MAY_IMPORT[name]} - reached
    assert not [name for name in reached - {part} if part in MAY_IMPORT[name]]


def test_no_module_is_too_long() -> None:
    longer = {name_of(path) for path in MODULES if path.read_text().count("\n") > MAX_LINES}
    assert longer == LONGER_MODULES


def test_every_part_is_in_the_table() -> None:
    assert {part_of(name_of(path)) for path in MODULES} <= set(MAY_IMPORT)
