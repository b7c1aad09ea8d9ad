"""Which application MODULE:APP names, and what is said when there is none."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fcgikit.cli.load import LoadError, load, prepare
from fcgikit.errors import ConfigError

SITE = """
class Site:
    def __init__(self, name): self.name = name
    def __call__(self, environ, start_response): return []
class shelf:
    inner = Site("inner")
app, application, number = Site("app"), Site("application"), 7
def create(name="default", *, debug=False): return Site(f"{name} {debug}")
def fail(): raise ZeroDivisionError("in the factory")
async def asgi(scope, receive, send): ...
class Asgi:
    async def __call__(self, scope, receive, send): ...
asgi_object = Asgi()
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with applications; what they import is forgotten afterwards."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    prepare("", "")
    (tmp_path / "site_one.py").write_text(SITE)
    (tmp_path / "only_app.py").write_text("def app(environ, start_response): return []\n")
    (tmp_path / "neither.py").write_text("")
    (tmp_path / "broken.py").write_text("def helper():\n    raise KeyError('shelf')\nhelper()\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit('go away')\n")
    (tmp_path / "needy.py").write_text("import no_such_library\n")
    (tmp_path / "syntax.py").write_text("def app(:\n")
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("site_one", "application"),
        ("site_one:app", "app"),
        ("site_one:shelf.inner", "inner"),
        ("site_one:create()", "default False"),
        ("site_one:create('x', debug=True)", "x True"),
        ('site_one:create("x:y")', "x:y False"),
    ],
)
def test_names(spec: str, name: str) -> None:
    assert vars(load(spec))["name"] == name


def test_roles(directory: Path) -> None:
    (directory / "door.py").write_text(
        "import fcgikit\n@fcgikit.authorizer\ndef check(environ): return fcgikit.Allow()\n"
        "@fcgikit.filter\nasync def wait(*_): return []\n"
    )
    assert load("door:check") is sys.modules["door"].check
    responder: Any = load("door:check.wsgi")  # an authorizer for front ends that know none
    assert responder({}, lambda *head: None) == []
    with pytest.raises(LoadError, match="async"):
        load("door:wait")


def test_app_is_the_second_usual_name() -> None:
    assert load("only_app") is sys.modules["only_app"].app


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("absent", "there is no module 'absent'"),
        ("absent.part:app", "there is no module 'absent'"),
        ("site_one.part:app", "there is no module 'site_one.part'"),
        ("site_one.py", "write site_one"),
        ("site_one.py:app", "write site_one:app"),
        ("./site_one:app", "is no module name"),
        ("", "is no module name"),
        ("site_one:", "does not name an application"),
        ("site_one:1 +", "does not name an application"),
        ("site_one:app[0]", "does not name an application"),
        ("site_one:create(app)", "must be literals"),
        ("site_one:create(**{'name': 1})", "must be literals"),
        ("site_one:absent", "site_one has no attribute 'absent'"),
        ("site_one:shelf.absent", r"site_one\.shelf has no attribute 'absent'"),
        ("site_one:number", "int is not callable"),
        ("site_one:asgi", "is an ASGI application"),
        ("site_one:asgi_object", "is an ASGI application"),
        ("neither", "write neither:NAME"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(LoadError, match=message) as caught:
        load(spec)
    assert shown(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    ("spec", "last_line", "first_frame"),
    [
        ("broken", "Error: importing broken failed: KeyError: 'shelf'", "broken.py"),
        ("needy", "Error: importing needy failed: No module named 'no_such_library'", "needy.py"),
        ("leaves", "Error: importing leaves failed: SystemExit: go away", "leaves.py"),
        (
            "site_one:fail()",
            "Error: calling site_one:fail() failed: ZeroDivisionError: in the factory",
            "site_one.py",
        ),
    ],
)
def test_its_own_failure_is_shown_with_its_own_traceback(
    spec: str, last_line: str, first_frame: str
) -> None:
    with pytest.raises(LoadError) as caught:
        load(spec)
    lines = shown(caught.value).splitlines()
    assert lines[-1] == last_line
    assert lines[0] == "Traceback (most recent call last):"
    assert first_frame in lines[1]


def test_a_syntax_error_points_at_its_line() -> None:
    with pytest.raises(LoadError) as caught:
        load("syntax")
    assert "def app(:" in shown(caught.value)
    assert "fcgikit" not in shown(caught.value)


def test_ctrl_c_during_the_import_stays_what_it_is(directory: Path) -> None:
    (directory / "slow.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load("slow")


def test_pythonpath_comes_before_the_current_directory(directory: Path) -> None:
    for name in ("one", "two"):
        (directory / name).mkdir()
        (directory / name / "only_app.py").write_text(f"def app(*_): return {name!r}\n")
    prepare("", "one,two")
    app: Any = load("only_app")
    assert app({}, None) == "one"


def test_chdir(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "deep.py").write_text("def app(*_): return []\n")
    prepare("sub", "")
    assert load("deep") is sys.modules["deep"].app
    with pytest.raises(ConfigError, match="chdir absent: No such file"):
        prepare("absent", "")


def shown(error: LoadError) -> str:
    stream = io.StringIO()
    error.show(stream)
    return stream.getvalue()
