"""Public names, and names of tests."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fcgikit"
TESTS = ROOT / "tests"

PUBLIC = {
    "fcgikit": {"serve", "Config", "ConfigError", "FcgikitError", "authorizer", "Allow", "Deny",
                "filter", "FilterFile", "RequestContext"},
    "fcgikit.client": {
        "AsyncClient", "AsyncResponse", "CannotMultiplex", "Client", "ClientError",
        "ClientTimeout", "ConnectFailed", "FastCGIApp", "Overloaded", "Rejected", "Response",
        "ServerProtocolError", "Truncated", "UnknownRole",
    },
    "fcgikit.protocols": {"PROTOCOLS", "detect"},
}
"""What users may import; a name that goes or comes is a line of the change log."""

WITHOUT_A_TEST_OF_THEIR_NAME = {
    "config",
    "errors",
    "events",
    "protocols/fastcgi/app_side",
    "protocols/fastcgi/connection",
    "protocols/fastcgi/pairs",
    "protocols/fastcgi/states",
    "protocols/fastcgi/web_side",
    "server/leadership",
}
"""Modules tested under other names only. This list may only shrink."""

INTERFACES = {"__init__", "interface", "messages", "orders"}
"""Nothing runs there, only words are declared; but cli/__init__ is a command."""

SUCCESS_IS_THE_CHECK = {
    "test_a_request_outlasting_the_graceful_timeout_does_not_hold_the_worker",
    "test_a_stale_socket_file_is_replaced",
    "test_what_cannot_be_closed_is_left_alone",
}
"""Tests that fail only where something raises. This list may only shrink."""

NOT_MIRRORED = {"architecture", "names", "docs"}  # tests of the repository as a whole
BROADER = {"conformance", "golden", "hostile"}  # tests of a whole package in its folder
ELSEWHERE = {"benchmarks", "e2e", "examples", "soak"}  # folders for what no single module does


def defined(module: ModuleType) -> set[str]:
    """Names without underscore that a module offers beside its submodules and imports."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return set(names)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    return set(definitions(tree))


def definitions(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets: list[ast.expr] = []
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_those_and_exist(name: str) -> None:
    module = importlib.import_module(name)
    found = {each for each in defined(module) if not each.startswith("_")}
    assert found == PUBLIC[name]
    for each in found:
        assert getattr(module, each) is not None


def test_an_unknown_name_is_an_error() -> None:
    import fcgikit

    with pytest.raises(AttributeError, match="nonsense"):
        fcgikit.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import fcgikit", {"construct", "click", "asyncio", "socket", "threading", "uvicorn"}),
        ("import fcgikit.protocols", {"construct", "click", "asyncio", "socket", "threading"}),
        ("from fcgikit import serve", {"construct", "click", "asyncio", "uvicorn"}),
        ("from fcgikit.client import Client", {"construct", "click", "asyncio", "uvicorn"}),
    ],
)
def test_importing_brings_no_more_than_needed(statement: str, unwanted: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted({unwanted!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert found.stdout == b"\n"


# -- tests ----------------------------------------------------------------------------------------


def modules() -> Iterator[str]:
    """Modules with something to test, as paths below the package: ``server/loop``."""
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if path.stem in INTERFACES and module != "cli/__init__":
            continue
        tree = ast.parse(path.read_text())
        if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body):
            yield module


def file_of(module: str) -> Path:
    folder, _, name = module.rpartition("/")
    name = {"__init__": "main", "__main__": "main"}.get(name, name)
    return TESTS / folder / f"test_{name}.py"


def test_every_module_has_its_test() -> None:
    missing = {module for module in modules() if not file_of(module).exists()}
    assert missing == WITHOUT_A_TEST_OF_THEIR_NAME


def test_every_test_has_its_module() -> None:
    known = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    strays = []
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent.relative_to(TESTS)
        name = path.stem.removeprefix("test_")
        broader = name in BROADER or name == "main" or folder.parts[:1] in {(e,) for e in ELSEWHERE}
        top = not folder.parts and name in NOT_MIRRORED
        if not (broader or top or (folder / name).as_posix() in known):
            strays.append(path.relative_to(TESTS).as_posix())
    assert strays == []


def checks(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a test can fail: it asserts, expects an exception, or calls a check that does."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Assert, ast.Raise)):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2]
            if last.startswith(("check", "assert", "wait_for", "raises", "result", "await_")):
                return True
    return False


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.relative_to(TESTS).as_posix()
)
def test_every_test_checks_something(path: Path) -> None:
    tree = ast.parse(path.read_text())
    idle = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not checks(node)
        and node.name not in SUCCESS_IS_THE_CHECK
        and not calls_a_checking_helper(node, tree)
    ]
    assert idle == []


def calls_a_checking_helper(function: ast.AST, tree: ast.Module) -> bool:
    """A function of the same file that asserts on the test's behalf."""
    helpers = {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node is not function
    }
    called = {
        ast.unparse(node.func).rpartition(".")[2]
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
    }
    return any(checks(helpers[name]) for name in called if name in helpers)
