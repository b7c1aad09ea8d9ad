"""Giving up root: for good, or not at all, and never by halves."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from fcgikit.config import Config
from fcgikit.errors import ConfigError
from fcgikit.supervisor.privileges import privileges

ROOT = os.geteuid() == 0


def in_a_child(deed: Callable[[], object]) -> str:
    """What *deed* returns or raises in a process of its own, as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = str(deed())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def become(**settings: object) -> str:
    config = Config(**settings)  # type: ignore[arg-type]

    def deed() -> object:
        privileges(config).drop()
        mask = os.umask(0)
        return os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups()), mask

    return in_a_child(deed)


def test_nothing_said_nothing_changed() -> None:
    mask = os.umask(0)
    os.umask(mask)
    mine = os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups()), mask
    assert become() == str(mine)


def test_a_umask_is_anybodys() -> None:
    assert become(umask=0o027).endswith(f"{0o027})")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"user": "no-such-user"}, "user: there is no user 'no-such-user'"),
        ({"user": "99999999999999999999"}, "user: there is no user"),
        ({"group": "no-such-group"}, "group: there is no group 'no-such-group'"),
    ],
)
def test_names_nobody_knows(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        privileges(Config(**settings))  # type: ignore[arg-type]
    assert raised.value.settings == tuple(settings)


@pytest.mark.parametrize("name", ["nobody", str(pwd.getpwnam("nobody").pw_uid)])
def test_a_user_brings_its_groups(name: str) -> None:
    nobody = pwd.getpwnam("nobody")
    told = become(user=name)
    if not ROOT:
        assert told == "ConfigError: user: only root may do this; start as root or leave it out"
        return
    groups = sorted(os.getgrouplist("nobody", nobody.pw_gid))
    mask = os.umask(0)
    os.umask(mask)
    assert told == str((nobody.pw_uid, nobody.pw_uid, nobody.pw_gid, groups, mask))


def test_a_group_alone_and_beside_a_user() -> None:
    daemon = grp.getgrnam("daemon").gr_gid
    told = become(group="daemon")
    if not ROOT:
        assert told == "ConfigError: group: only root may do this; start as root or leave it out"
        return
    assert f", {daemon}, [{daemon}]," in told
    uid = pwd.getpwnam("nobody").pw_uid
    assert become(user="nobody", group="daemon").startswith(f"({uid}, {uid}, {daemon}, ")


def test_who_we_are_already_needs_no_root() -> None:
    me = pwd.getpwuid(os.geteuid())
    assert become(user=me.pw_name).startswith(f"({me.pw_uid}, ")


def test_a_chroot(tmp_path: Path) -> None:
    (tmp_path / "inside").touch()

    def deed() -> object:
        privileges(Config(chroot=str(tmp_path))).drop()
        return os.getcwd(), os.listdir("/")

    told = in_a_child(deed)
    assert told == "('/', ['inside'])" if ROOT else "only root" in told


def test_a_chroot_that_is_not_there_names_the_setting() -> None:
    told = become(chroot="/no/such/directory")
    assert told.startswith("ConfigError: chroot: " + ("No such file" if ROOT else "only root"))
