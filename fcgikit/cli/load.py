"""Find the application that ``MODULE:APP`` names, as gunicorn does."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import traceback
from types import ModuleType
from typing import Any, cast

import click

from ..errors import ConfigError
from ..gateways.roles import Application, Authorizer, Filter

USUAL_NAMES = ("application", "app")
"""What an application is called when only its module is named."""


class LoadError(click.ClickException):
    """The application cannot be had; shown with its own traceback, if it has raised one."""

    exit_code = 3

    def show(self, file: Any = None) -> None:
        cause = self.__cause__
        if cause is not None:
            click.echo("".join(_own_traceback(cause)), file=file, err=True, nl=False)
        super().show(file)


def prepare(chdir: str, pythonpath: str) -> None:
    """Make the application importable: from the current directory, as ``python -m`` would.

    *pythonpath* is comma-separated. Raises ``ConfigError``.
    """
    if chdir:
        try:
            os.chdir(chdir)
        except OSError as error:
            raise ConfigError(f"chdir {chdir}: {error.strerror}") from error
    directories = [os.path.abspath(part) for part in pythonpath.split(",") if part]
    for directory in [os.getcwd(), *reversed(directories)]:
        if directory not in sys.path:
            sys.path.insert(0, directory)


def load(spec: str) -> Application:
    """The application *spec* names, of whatever role. Raises :class:`LoadError`.

    *spec* is ``module``, ``module:attribute.attribute`` or ``module:factory("literal", n=1)``.
    """
    module_name, colon, expression = spec.partition(":")
    if module_name.endswith(".py") and "/" not in module_name:
        raise LoadError(f"{spec!r} names a file: write {module_name[:-3]}{colon}{expression}")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise LoadError(f"{module_name!r} is no module name: write MODULE:APP, as in shop.wsgi:app")
    names, call = _parse(expression) if colon else ([], None)
    module = _import(module_name)
    app = _look_up(module, names) if names else _usual(module)
    if call is not None:
        app = _call(app, call, spec)
    if not callable(app):
        raise LoadError(f"{spec} is no WSGI application: {type(app).__name__} is not callable")
    if isinstance(app, (Authorizer, Filter)):
        if inspect.iscoroutinefunction(inspect.unwrap(app)):
            raise LoadError(f"{spec} is async: applications of its role are plain functions")
    elif inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        raise LoadError(f"{spec} is an ASGI application: fcgikit serves WSGI applications")
    return cast(Application, app)


def _parse(expression: str) -> tuple[list[str], ast.Call | None]:
    """The dotted name in *expression*, and the call when it is one."""
    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        node = None
    call = node if isinstance(node, ast.Call) else None
    node = call.func if call else node
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise LoadError(
            f"{expression!r} does not name an application: write a name, as in app or site.app, "
            'or a call with literal arguments, as in create_app("production")'
        )
    return [node.id, *names], call


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise LoadError(
                f"there is no module {error.name!r} in {os.getcwd()} or elsewhere on sys.path "
                "(see --chdir and --pythonpath)"
            ) from None
        raise LoadError(f"importing {name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise LoadError(f"importing {name} failed: {_brief(error)}") from error


def _look_up(module: ModuleType, names: list[str]) -> Any:
    found: Any = module
    path = module.__name__
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise LoadError(f"{path} has no attribute {name!r}") from None
        path = f"{path}.{name}"
    return found


def _usual(module: ModuleType) -> Any:
    for name in USUAL_NAMES:
        if hasattr(module, name):
            return getattr(module, name)
    raise LoadError(
        f"{module.__name__} has neither {' nor '.join(USUAL_NAMES)}: write {module.__name__}:NAME"
    )


def _call(factory: Any, call: ast.Call, spec: str) -> Any:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    try:
        for arg in call.args:
            args.append(ast.literal_eval(arg))
        for word in call.keywords:
            if word.arg is None:
                raise ValueError("a mapping")
            kwargs[word.arg] = ast.literal_eval(word.value)
    except ValueError:
        raise LoadError(f"{spec}: the arguments of a factory must be literals") from None
    try:
        return factory(*args, **kwargs)
    except (Exception, SystemExit) as error:
        raise LoadError(f"calling {spec} failed: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _own_traceback(error: BaseException) -> list[str]:
    """The traceback without the frames of this module and of the import system."""
    frame = error.__traceback__
    while frame is not None and (
        frame.tb_frame.f_code.co_filename in (__file__, importlib.__file__)
        or "importlib._bootstrap" in frame.tb_frame.f_code.co_filename
    ):
        frame = frame.tb_next
    return traceback.format_exception(error.with_traceback(frame))
