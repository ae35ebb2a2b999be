"""Operators of a user's own: a Python file with `@register` classes.

A plug-in is named on the command line or in Python, never by a spec: a spec is untrusted, and
loading a plug-in runs its code.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from .diagnostics import Code, Diagnostic, failure
from .ops.base import REGISTRY, Op

PREFIX = "netwright_plugin_"
"""What the modules of plug-ins are called, followed by the names of their files."""


def load_plugin(path: Path) -> list[str]:
    """Run a Python file that registers operators.

    Returns: the names of the operators that it added.
    Raises: NetwrightError: P951: it can't be read, fails, or registers nothing.
    """
    if not path.is_file():
        raise failure(Code.P951, f"the plug-in `{path}` is not a file")
    name = PREFIX + path.stem
    known = set(REGISTRY)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise failure(Code.P951, f"the plug-in `{path}` is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises is reported, with its place
        _forget(name, known)
        raise failure(
            Code.P951,
            f"the plug-in `{path}` failed: {type(error).__name__}: {error}",
            notes=[_place(error, path)],
            help="run the file with Python to see the whole traceback",
        ) from error
    added = sorted(set(REGISTRY) - known)
    if not added:
        _forget(name, known)
        raise failure(
            Code.P951,
            f"the plug-in `{path}` registers no operator",
            help="decorate its class with `@register` of `netwright.compiler.ops.base`",
        )
    fault = next(filter(None, (_fault(REGISTRY[operator]) for operator in added)), None)
    if fault:
        _forget(name, known)
        raise failure(Code.P951, f"the plug-in `{path}`: {fault}")
    return added


def _fault(operator: type[Op]) -> str | None:
    """What the class of an operator lacks, or None."""
    from .language.arguments import argument_model

    lacking = [method for method in ("infer", "torch") if not hasattr(operator, method)]
    if lacking:
        return f"`{operator.__name__}` expects a method `{lacking[0]}`, found none"
    try:
        argument_model(operator)
    except KeyError as error:
        return (
            f"an argument of `{operator.__name__}` expects int, float, bool, str, Size, Init or a "
            f"tuple of one of them, found {error}"
        )
    return None


def failure_in_plugin(error: Exception) -> Diagnostic | None:
    """P951 for an exception that a method of a user's operator raised; None for any other."""
    files = {module.__file__ for name, module in sys.modules.items() if name.startswith(PREFIX)}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    if not frames:
        return None
    last = frames[-1]
    return Diagnostic(
        Code.P951,
        f"the plug-in `{last.filename}` failed in `{last.name}`: {type(error).__name__}: {error}",
        notes=(f"at {last.filename}:{last.lineno}: {last.line}",),
        help="repair the method; `netwright.compiler.ops.base` says what each one is given",
    )


def _forget(name: str, known: set[str]) -> None:
    """A plug-in that failed leaves nothing behind."""
    sys.modules.pop(name, None)
    for operator in set(REGISTRY) - known:
        del REGISTRY[operator]


def _place(error: Exception, path: Path) -> str:
    own = str(path.absolute())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == own]
    return f"at {path}:{frames[-1].lineno}" if frames else f"while reading {path}"
