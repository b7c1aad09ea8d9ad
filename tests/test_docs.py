"""What the README and the pages of docs/ say is so."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.micro import __main__ as micro
from docs import diagrams
from fcgikit.cli import main
from fcgikit.cli.config import config
from fcgikit.cli.dev import dev
from fcgikit.cli.ping import ping
from fcgikit.cli.request import request
from fcgikit.cli.serve import serve
from fcgikit.cli.status import status
from fcgikit.cli.values import values
from tests.e2e.client import fetch
from tests.e2e.nginx import LISTEN, Nginx
from tests.e2e.process import Process

ROOT = Path(__file__).parents[1]
FOLDERS = (".ci", "benchmarks", "conf", "docs", "examples", "fcgikit", "tests")
FILES = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*")]
FILES += [*ROOT.glob("*.*"), *(ROOT / folder for folder in FOLDERS)]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("conf/*/*.*")])
SOCKET = "unix:/run/hello/app.sock"

OTHERS_OPTIONS = {"--now", "--strict"}  # of systemctl and mypy

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE_NAME = re.compile(r"`([.\w][\w./-]*(?:\.(?:py|md|conf|toml|txt|fcgi)|/))`")
_LINK = re.compile(r"\]\(([^)#:\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(kind: str) -> list[str]:
    """The README's blocks of code in one language."""
    found = _BLOCK.findall((ROOT / "README.md").read_text())
    return [text for language, text in found if language == kind]


@every_page
def test_every_file_named_exists(page: Path) -> None:
    known = [f"/{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}" for path in FILES]
    for name in _FILE_NAME.findall(page.read_text()):
        assert any(path.endswith(f"/{name}") for path in known), f"there is no {name}"


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{target} leads nowhere"


@every_page
def test_every_option_named_exists(page: Path) -> None:
    commands = (main, serve, dev, *config.commands.values(), request, ping, values, status)
    options = [option for command in commands for option in command.params]
    known = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    for parser in (benchmarks.parser(), micro.parser()):
        known.update(name for action in parser._actions for name in action.option_strings)
    assert set(_OPTION.findall(page.read_text())) <= known | OTHERS_OPTIONS


def test_the_diagrams_are_up_to_date() -> None:
    pages = [path.read_text() for path in diagrams.PAGES]
    assert [diagrams.renew(page) for page in pages] == pages, "python -m docs.diagrams"
    for name in diagrams.parts():
        assert f"<!-- drawn: {name} -->" in "".join(pages)


@pytest.fixture
def directory() -> Iterator[Path]:
    """The README's files, as a reader would save them."""
    path = Path(tempfile.mkdtemp(prefix="fk"))
    hello, script, _ = blocks("python")
    (path / "hello.py").write_text(hello)
    (path / "index.fcgi").write_text(script)
    yield path
    shutil.rmtree(path)


def test_the_readme_application_keeps_to_pep_3333() -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), names)
    environ: dict[str, Any] = {"PATH_INFO": "/Ren\xc3\xa9", "SCRIPT_NAME": "", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    heads: list[Any] = []

    def start_response(*head: Any) -> Any:
        heads.append(head)
        return print

    result = validator(names["app"])(environ, start_response)
    body = b"".join(result).decode()
    result.close()  # type: ignore[attr-defined]
    assert (heads[0][0], body) == ("200 OK", "Hello, René!\n")


def test_the_readme_script_answers_as_cgi(directory: Path) -> None:
    environ = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "PATH_INFO": "/cgi",
        "PYTHONPATH": str(ROOT),
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/index.fcgi",
        "SERVER_NAME": "hello.example",
    }
    answer = subprocess.run(
        [sys.executable, str(directory / "index.fcgi")],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert answer.stdout.endswith(b"\r\n\r\nHello, cgi!\n")


@dataclass(frozen=True)
class ReadmeSite:
    """The README's lines for nginx, with nothing changed but the addresses."""

    params: str = "distribution"

    def site(self, port: int, address: str) -> str:
        (text,) = blocks("nginx")
        assert LISTEN in text
        assert SOCKET in text
        return text.replace(LISTEN, f"listen 127.0.0.1:{port};").replace(SOCKET, address)


def test_the_readme_server_answers_behind_the_readme_nginx(directory: Path) -> None:
    (command,) = re.findall(r"^fcgikit (serve .*)$", "\n".join(blocks("sh")), re.MULTILINE)
    address = f"unix:{directory}/app.sock"
    arguments = shlex.split(command.replace(SOCKET, address))
    serving = [sys.executable, "-m", "fcgikit", *arguments, "--chdir", str(directory)]
    with Process(serving) as worker:
        worker.wait_for_log("listening on unix:")
        with Nginx(ReadmeSite(), address) as nginx:
            assert fetch(nginx.address, "/Ren%C3%A9").body.decode() == "Hello, René!\n"
        assert worker.stop() == 0


def test_the_readme_client_asks_the_readme_server(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"unix:{directory}/app.sock"
    serving = [sys.executable, "-m", "fcgikit", "serve", "hello:app", "--bind", address]
    with Process([*serving, "--workers", "0", "--chdir", str(directory)]) as worker:
        worker.wait_for_log("listening on unix:")
        exec(blocks("python")[2].replace(SOCKET, address), {})
        assert worker.stop() == 0
    assert capsys.readouterr().out == "200 text/plain; charset=utf-8 Hello, Ann!\n\n"
