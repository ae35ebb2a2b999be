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
        scope.wrong(f"`repeat` expects a whole number from 0, found {describe(value)}", path)
        return None
    return Copies(value, {})


def _read_lists(raw: Mapping[str, Any], path: Key, scope: Scope) -> Copies | None:
    for key in raw:
        if key not in KEYS:
            scope.report(
                Code.S101,
                f"unknown key `{key}` in `repeat`",
                (*path, key),
                key=True,
                help=did_you_mean(str(key), KEYS, "key"),
            )
            return None
    reverse = raw.get("reverse", False)
    if not isinstance(reverse, bool):
        scope.wrong(
            f"`reverse` expects `true` or `false`, found {describe(reverse)}", (*path, "reverse")
        )
        return None
    lists = scope.evaluate(raw.get("over"), (*path, "over"))
    if lists is FAILED:
        return None
    if not isinstance(lists, dict) or not lists:
        scope.wrong(f"`over` expects a map of names to lists, found {describe(lists)}", path)
        return None
    return _equal_lists(lists, reverse, (*path, "over"), scope)


def _equal_lists(lists: dict[str, Any], reverse: bool, path: Key, scope: Scope) -> Copies | None:
    for name, values in lists.items():
        if not NAME.match(str(name)) or name in ("index", "count"):
            scope.wrong(f"`{name}` cannot be the name of a value per copy", (*path, name))
            return None
        if not isinstance(values, list):
            scope.wrong(f"`{name}` expects a list, found {describe(values)}", (*path, name))
            return None
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"`{name}` has {n}" for name, n in lengths.items())
        scope.wrong(f"the lists of `over` need equal lengths, found: {found}", path)
        return None
    step = -1 if reverse else 1
    over = {name: values[::step] for name, values in lists.items()}
    return Copies(next(iter(lengths.values())), over)
