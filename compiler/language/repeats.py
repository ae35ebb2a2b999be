"""Reads `repeat`: a count, or lists of equal length with a value per copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..diagnostics import Code
from ..source import Key
from ..suggest import did_you_mean
from .describe import describe
from .evaluate import FAILED, Scope
from .layers import NAME, Layer

KEYS = ("over", "reverse")


@dataclass(frozen=True)
class Copies:
    """How many copies, and what each binds besides `index` and `count`."""

    count: int
    over: Mapping[str, list[Any]]

    def environments(self) -> Iterator[dict[str, Any]]:
        for index in range(self.count):
            values = {name: values[index] for name, values in self.over.items()}
            yield {"index": index, "count": self.count, **values}


def read_repeat(layer: Layer, scope: Scope) -> Copies | None:
    """Evaluate a layer's `repeat`; None where a mistake was reported."""
    path = (*layer.path, "repeat")
    raw = layer.modifiers["repeat"]
    if isinstance(raw, Mapping):
        return _read_lists(raw, path, scope)
    value = scope.evaluate(raw, path)
    if value is FAILED:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _report(scope, path, f"`repeat` expects a whole number from 0, found {describe(value)}")
        return None
    return Copies(value, {})


def _read_lists(raw: Mapping[str, Any], path: Key, scope: Scope) -> Copies | None:
    for key in raw:
        if key not in KEYS:
            scope.sink.add(
                Code.S101,
                f"unknown key `{key}` in `repeat`",
                scope.located.key((*path, key)),
                notes=scope.notes,
                help=did_you_mean(str(key), KEYS, "key"),
            )
            return None
    reverse = raw.get("reverse", False)
    if not isinstance(reverse, bool):
        _report(
            scope,
            (*path, "reverse"),
            f"`reverse` expects `true` or `false`, found {describe(reverse)}",
        )
        return None
    lists = scope.evaluate(raw.get("over"), (*path, "over"))
    if lists is FAILED:
        return None
    if not isinstance(lists, dict) or not lists:
        _report(scope, path, f"`over` expects a map of names to lists, found {describe(lists)}")
        return None
    return _equal_lists(lists, reverse, (*path, "over"), scope)


def _equal_lists(lists: dict[str, Any], reverse: bool, path: Key, scope: Scope) -> Copies | None:
    for name, values in lists.items():
        if not NAME.match(str(name)) or name in ("index", "count"):
            _report(scope, (*path, name), f"`{name}` cannot be the name of a value per copy")
            return None
        if not isinstance(values, list):
            _report(scope, (*path, name), f"`{name}` expects a list, found {describe(values)}")
            return None
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"`{name}` has {n}" for name, n in lengths.items())
        _report(scope, path, f"the lists of `over` need equal lengths, found: {found}")
        return None
    step = -1 if reverse else 1
    over = {name: values[::step] for name, values in lists.items()}
    return Copies(next(iter(lengths.values())), over)


def _report(scope: Scope, path: Key, message: str) -> None:
    note = scope.origins.note(path)
    scope.sink.add(
        Code.E202 if note else Code.S102,
        message,
        scope.located.span(path),
        notes=(*([note] if note else []), *scope.notes),
    )
