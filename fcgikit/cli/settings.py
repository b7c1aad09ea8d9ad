"""Where settings come from, the strongest first: command line, environment, file, pyproject.toml.

Every setting has one name: ``--max-memory`` is ``FCGIKIT_MAX_MEMORY`` in the environment and
``max_memory`` (or ``max-memory``) in a TOML file, be it the one that ``--config`` names or the
table ``[tool.fcgikit]`` of the application's ``pyproject.toml``.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..config import Config
from ..errors import ConfigError
from ..values import FIELDS, from_native, from_text, setting, unknown

log = logging.getLogger("fcgikit.settings")

VARIABLES = {f"FCGIKIT_{name.upper()}": field for name, field in FIELDS.items()}
"""The environment variable of each setting."""

FILE_VARIABLE = "FCGIKIT_CONFIG"
"""Names the settings file where the command line does not."""

_NOT_OURS = re.compile("FCGIKIT_((SERVICE|PORT)(_|$)|ADOPT$)")
"""What Kubernetes tells containers of a service called fcgikit; and a note to a new image."""


class Found(NamedTuple):
    """A setting that somebody has made."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Settings:
    """The sources of one command's settings, to be read at its start and at each reload.

    *given* is what the command line says, by name; *file* the settings file. Relative names of
    files start in *directory*, also when the process has changed its own since.
    """

    given: Mapping[str, Any]
    file: str = ""
    directory: str = dataclasses.field(default_factory=os.getcwd)

    def read(self) -> Config:
        """The effective settings. Raises ``ConfigError`` that says what is wrong and where."""
        found = self.found()
        try:
            return Config(**{name: one.value for name, one in found.items()})
        except ConfigError as error:
            raise ConfigError(f"{error}{_whence(error.settings, found)}") from None

    def found(self) -> dict[str, Found]:
        """What somebody has set; what is not in it has its default. Raises ``ConfigError``."""
        found = {name: Found(value, "command line") for name, value in self.given.items()}
        found = _environment() | found
        file = self.file or os.environ.get(FILE_VARIABLE, "")
        if file:
            found = _file(os.path.join(self.directory, file)) | found
        chdir = found["chdir"].value if "chdir" in found else ""
        return _pyproject(os.path.join(self.directory, chdir, "pyproject.toml")) | found

    def reread(self, current: Config) -> Config:
        """The settings for a reload: as :meth:`read`, but what cannot change yet is as in
        *current*, and a warning says so."""
        new = self.read()
        kept = {
            name: getattr(current, name)
            for name, field in FIELDS.items()
            if getattr(new, name) != getattr(current, name)
            # Workers come and go; but to do without any is another kind of process.
            and (not field.metadata["reload"] or (name == "workers" and new.workers == 0))
        }
        if kept:
            log.warning("changed settings that wait for a restart: %s", ", ".join(kept))
        return dataclasses.replace(new, **kept)


def _environment() -> dict[str, Found]:
    found = {}
    for variable, text in os.environ.items():
        if not variable.startswith("FCGIKIT_") or variable == FILE_VARIABLE:
            continue
        try:
            if variable in VARIABLES:
                field = VARIABLES[variable]
                found[field.name] = Found(from_text(field, text), f"environment {variable}")
            elif not _NOT_OURS.match(variable):
                raise unknown(variable, VARIABLES)
        except ValueError as error:
            raise ConfigError(f"{variable}: {error}") from None
    return found


def _file(path: str) -> dict[str, Found]:
    try:
        data = _read(path)
    except OSError as error:
        raise ConfigError(f"config {path}: {error.strerror}") from error
    if os.path.basename(path) == "pyproject.toml":
        return _of_project(path, data)
    return _settings(path, _parse(path, data))


def _pyproject(path: str) -> dict[str, Found]:
    """The settings of the project in whose directory the application is; not all have any."""
    try:
        data = _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    # A parser that need not be imported makes for a faster start.
    return _of_project(path, data) if b"fcgikit" in data else {}


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _parse(path: str, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode())
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"{path}: {error}") from None


def _of_project(path: str, data: bytes) -> dict[str, Found]:
    tools = _parse(path, data).get("tool", {})
    table = tools.get("fcgikit", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.fcgikit must be a table: [tool.fcgikit]")
    return _settings(path, table)


def _settings(path: str, table: dict[str, Any]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for key, value in table.items():
        try:
            if isinstance(value, dict):
                raise ValueError("settings stand at the top of the file, in no section")
            field = setting(key)
            if field.name in found:
                raise ValueError("the same setting is there twice")
            found[field.name] = Found(from_native(field, value), f"file {path}")
        except ValueError as error:
            raise ConfigError(f"{path}: {key}: {error}") from None
    return found


def _whence(names: tuple[str, ...], found: dict[str, Found]) -> str:
    """Where the settings in a message come from, unless one sees them in the command line."""
    origins = {name: found[name].origin if name in found else "default" for name in names}
    if set(origins.values()) <= {"command line"}:
        return ""
    if len(origins) == 1:
        return f" ({origins[names[0]]})"
    return f" ({', '.join(f'{name}: {origin}' for name, origin in origins.items())})"
