"""The app that a command is about: ``module:app`` becomes an `App`.

What is wrong with the target itself is a usage error (exit code 2). What goes wrong in the user's module is the user's
to see: errors of streamproc with the line that caused them, other exceptions with their traceback from that module on.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Annotated, Any, TypeAlias, TypeVar

import typer

import streamproc
from streamproc.app import App
from streamproc.errors import PipelineError, StreamprocError

__all__ = ["Target", "load_app"]

Target: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:APP",
        help="The app: an importable module and the App in it, or a function without arguments that returns one.",
        show_default=False,
    ),
]
"""The argument of a command that is about an app."""

R = TypeVar("R")


def load_app(target: str) -> App:
    """Return the app that a target names. The working directory becomes importable.

    Args:
        target: ``"module:app"``; the part behind the colon may have dots.

    Raises:
        typer.BadParameter: The target is no such text, or there is no such module, or no app of that name in it.
        typer.Exit: The module failed; why is on standard error.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise _wrong(f"{target!r} is no app: expected MODULE:APP, such as {_suggestion(module_name)}")
    if module_name.endswith(".py") or os.sep in module_name or module_name.startswith("."):
        raise _wrong(f"{module_name!r} is a path: expected the name of a module, such as {_suggestion(module_name)}")
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    module = _import(module_name)
    return _app(_find(module, path), module, path)


def _import(name: str) -> ModuleType:
    try:
        return _guarded(lambda: importlib.import_module(name))
    except ModuleNotFoundError as error:
        missing = str(error.name)
        raise _wrong(f"there is no module {missing!r}, neither in {Path.cwd()} nor among what is installed") from None


def _find(module: ModuleType, path: str) -> object:
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise _wrong(f"the module {module.__name__!r} has no {path!r}{_apps_in(module)}") from None
    return found


def _app(found: object, module: ModuleType, path: str) -> App:
    if inspect.isfunction(found) or inspect.ismethod(found):
        function: Callable[..., Any] = found
        if not _needs_no_arguments(function):
            raise _wrong(f"{path} is a function with arguments: expected an App, or a function without arguments")
        found = _guarded(function)
        if inspect.iscoroutine(found):
            found.close()
        what = f"{path}() returned {_described(found)}"
    else:
        what = f"{path} is {_described(found)}"
    if not isinstance(found, App):
        raise _wrong(f"{what}, expected an App{_apps_in(module)}")
    return found


def _guarded(user_code: Callable[[], R]) -> R:
    """Run code of the user, and show what it raises from its own first line on.

    Raises:
        ModuleNotFoundError: The module that was asked for, or a package around it, does not exist.
        typer.Exit: The code failed.
    """
    try:
        return user_code()
    except Exception as error:
        own = _from_user_code_on(error.__traceback__)
        if isinstance(error, ModuleNotFoundError) and own is None:
            raise
        if isinstance(error, StreamprocError):
            line = _last_user_line(own) if isinstance(error, PipelineError) else None
            typer.echo(f"Error: {line}: {error}" if line else f"Error: {error}", err=True)
        else:
            traceback.print_exception(error.with_traceback(own))
        raise typer.Exit(1) from None


def _from_user_code_on(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without what ran before the user's first line; None if there is none of the user."""
    while trace is not None and not _is_users(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _last_user_line(trace: TracebackType | None) -> str | None:
    """Return file and line of the user's innermost call."""
    lines = [frame for frame in traceback.extract_tb(trace) if _is_users(frame.filename)]
    return f"{lines[-1].filename}:{lines[-1].lineno}" if lines else None


def _is_users(file: str) -> bool:
    return not (file.startswith("<frozen ") or file == importlib.__file__ or Path(file).is_relative_to(_PACKAGE))


_PACKAGE = Path(streamproc.__file__).parent


def _needs_no_arguments(function: Callable[..., Any]) -> bool:
    return all(
        parameter.default is not parameter.empty or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in inspect.signature(function).parameters.values()
    )


def _apps_in(module: ModuleType) -> str:
    """Return a hint at the apps of a module."""
    names = [name for name, value in vars(module).items() if isinstance(value, App)]
    if not names:
        return f"; there is no App in {module.__file__}"
    return f": did you mean {' or '.join(f'{module.__name__}:{name}' for name in names)}?"


def _suggestion(text: str) -> str:
    """Return what the user may have meant, from the name of a module or file."""
    stem = text.removesuffix(".py").strip("./").replace(os.sep, ".")
    return f"{stem or 'shop'}:app"


def _described(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="MODULE:APP")
