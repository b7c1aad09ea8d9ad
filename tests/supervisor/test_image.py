"""What one image of the program leaves to the next, and that a failed exec changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcgikit.supervisor.image import ADOPT, Image, KeptSocket, State
from fcgikit.supervisor.messages import Adopted

SUCCESSOR = """
import os, sys
from fcgikit.supervisor.image import ADOPT, Image, State

image = Image()
if image.adopted is None:
    os.chdir("/")
    reader, writer = os.pipe()
    image.replace(State(board=reader, slots=3, sockets=(), handover=(reader, writer)))
assert ADOPT not in os.environ
state = image.adopted
os.write(state.handover[1], b"still open")
print(state.slots, state.pid == os.getpid(), os.read(state.board, 99).decode(), os.getcwd())
print(os.get_inheritable(state.board), sys.argv[1:])
"""


def a_state(**changes: object) -> State:
    values = {"board": 5, "slots": 8, "sockets": (), "handover": (6, 7), **changes}
    return State(**values)  # type: ignore[arg-type]


def test_a_state_survives_json() -> None:
    state = a_state(
        sockets=(KeptSocket(3, "unix:a", "unix:/b/a", False, "/b/a", (1, 2)),),
        workers=(Adopted(0, 99, 4, "SERVING"), Adopted(2, 98, 5, "LEAVING")),
        channels=(10, 11),
        signals=(15,),
    )
    assert State.from_json(state.to_json()) == state
    assert list(state.descriptors()) == [5, 6, 7, 3, 10, 11]


def test_the_next_image_is_this_process_where_it_began(tmp_path: Path) -> None:
    script = tmp_path / "successor.py"
    script.write_text(SUCCESSOR)
    root = str(Path(__file__).resolve().parents[2])
    told = subprocess.run(
        [sys.executable, "successor.py", "--option"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "PWD": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split("\n")[:2] == [
        f"3 True still open {tmp_path}",
        "False ['--option']",
    ]


def test_a_note_for_somebody_else_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    note.write_text(a_state(pid=1).to_json())
    monkeypatch.setenv(ADOPT, str(os.open(note, os.O_RDONLY)))
    assert Image().adopted is None
    assert ADOPT not in os.environ


def test_an_exec_that_fails_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python"])
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    image = Image()
    monkeypatch.chdir(tmp_path)
    reader, writer = os.pipe()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        image.replace(a_state(board=reader, handover=(reader, writer)))
    assert set(os.listdir("/proc/self/fd")) == before
    assert not os.get_inheritable(reader)
    assert Path.cwd() == tmp_path
    os.close(reader)
    os.close(writer)


def test_a_link_that_was_moved_is_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to("old")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    image = Image()
    link.unlink()
    link.symlink_to("new")
    image.return_to_start()
    assert Path.cwd() == tmp_path / "new"
