"""Giving up root: the user, group, umask and root directory that a worker runs with."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from ..config import Config
from ..errors import ConfigError


@dataclass(slots=True)
class Privileges:
    """What to become; ``None`` and ``""`` mean: as it is."""

    user: pwd.struct_passwd | None
    gid: int | None
    groups: list[int]
    umask: int | None
    chroot: str

    def drop(self) -> None:
        """Become that, for good. Raises ``ConfigError``; the process must not go on then."""
        if self.umask is not None:
            os.umask(self.umask)
        setting = "chroot"
        try:
            if self.chroot:
                os.chroot(self.chroot)
                os.chdir("/")
            setting = "group"
            if self.gid is not None:
                os.setgroups(self.groups)
                os.setgid(self.gid)
            setting = "user"
            if self.user:
                os.setuid(self.user.pw_uid)
        except OSError as error:
            raise ConfigError(f"{setting}: {error.strerror}", setting) from error
        if self.user:
            if self.user.pw_uid and _may_become_root():
                raise ConfigError("user: this process could become root again", "user")
            os.environ.update(
                HOME=self.user.pw_dir, USER=self.user.pw_name, LOGNAME=self.user.pw_name
            )


def privileges(config: Config) -> Privileges:
    """What *config* says to become. Raises ``ConfigError`` for what cannot be.

    Users and groups are looked up here: their files may be out of reach after a chroot.
    """
    user = _user(config.user) if config.user else None
    gid = _group(config.group) if config.group else user.pw_gid if user else None
    groups = [] if gid is None else os.getgrouplist(user.pw_name, gid) if user else [gid]
    if os.geteuid() == 0:
        return Privileges(user, gid, groups, config.umask, config.chroot)
    for setting, possible in (
        ("user", user is None or user.pw_uid == os.geteuid()),
        ("group", gid in (None, os.getegid())),
        ("chroot", not config.chroot),
    ):
        if not possible:
            message = f"{setting}: only root may do this; start as root or leave it out"
            raise ConfigError(message, setting)
    return Privileges(None, None, [], config.umask, "")


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise ConfigError(f"user: there is no user {name!r} on this machine", "user") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"group: there is no group {name!r} on this machine", "group") from None


def _may_become_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True
