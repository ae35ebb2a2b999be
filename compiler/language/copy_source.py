"""A source that names one copy of a repeated layer: `{of: down, at: $(count - 1 - index)}`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..diagnostics import Code
from ..source import Key
from ..suggest import did_you_mean, suggest
from .describe import describe
from .evaluate import Scope
from .expressions import is_expression

KEYS = ("of", "at", "port")
FORM = "a source of the form `{of, at, port}`"


@dataclass(frozen=True)
class CopySource:
    """at: a whole number or an expression, not evaluated. port: "" for the first one."""

    of: str
    at: Any
    port: str = ""


def names_copy(source: Mapping[str, Any], ports: Collection[str] = ()) -> bool:
    """Whether a map is `{of, at, port}`, misspelt perhaps, and no map from ports to sources.

    ports: the inputs of the layer that reads it, where a map may name them.
    """
    if source and all(key in ports for key in source):
        return _is_number(source.get("at"))
    keys = [key for key in source if key not in ports]
    if any(key in ("of", "at") for key in keys):
        return True
    near = keys and all(suggest(key, KEYS) for key in keys)
    return bool(near) and any(map(_is_number, source.values()))


def _is_number(value: Any) -> bool:
    """Whether a value counts copies; a source is never a number."""
    return isinstance(value, int | float) or is_expression(value)


def read_copy(source: Mapping[str, Any], place: Key, scope: Scope) -> CopySource | None:
    """What a map that names a copy says; None where mistakes were reported."""
    unknown = [key for key in source if key not in KEYS]
    absent = [key for key in KEYS if key not in source]
    for key in unknown:
        scope.report(
            Code.S101,
            f"unknown key `{key}` in {FORM}",
            (*place, key),
            key=True,
            help=did_you_mean(key, absent, "key"),
        )
    if unknown:
        return None
    if absent and absent != ["port"]:
        scope.report(
            Code.S102,
            f"{FORM} needs `{absent[0]}`",
            place,
            help="write `{of: <layer>, at: <number of the copy>}`",
        )
        return None
    for key, wanted in (("of", "the id of a repeated layer"), ("port", "the name of an output")):
        if key in source and not isinstance(source[key], str):
            message = f"`{key}` expects {wanted}, found {describe(source[key])}"
            scope.report(Code.S102, message, (*place, key))
            return None
    return CopySource(source["of"], source["at"], source.get("port", ""))
