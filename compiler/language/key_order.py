"""In which order the formatter writes the keys of a map."""

from __future__ import annotations

from ..source import Key
from .schema import SECTIONS

TRAINING = (
    "seed",
    "batch",
    "epochs",
    "steps",
    "precision",
    "clip_norm",
    "ema",
    "init_from",
    "optimizer",
    "optimizers",
    "schedule",
    "parameters",
    "device",
    "checkpoint",
)
TEMPLATE = ("params", "inputs", "layers", "outputs")
LAYER_FIRST, LAYER_LAST = ("id",), ("when", "else", "repeat", "tie")
GROUP_FIRST = ("id", "from", *LAYER_LAST)
"""Of a group everything else stands before its layers, which may go on for long."""


def sort_keys(path: Key, keys: list[str]) -> list[int]:
    """The positions of `keys`, the keys of the map at `path`, in canonical order.

    Keys that have no place of their own keep their order, between the first and the last ones.
    """
    first, last = _order(path, keys)

    def rank(position: int) -> tuple[int, int]:
        key = keys[position]
        if key in first:
            return 0, first.index(key)
        return (2, last.index(key)) if key in last else (1, position)

    return sorted(range(len(keys)), key=rank)


def _order(path: Key, keys: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys that stand first and those that stand last."""
    if not path:
        return SECTIONS, ()
    if path[0] in ("networks", "blocks"):
        return _template_order(path, keys)
    if len(path) == 1:
        return {"training": (TRAINING, ()), "data": (("source", "fields"), ())}.get(
            str(path[0]), ((), ())
        )
    if path[0] in ("params", "dims") and len(path) == 2:
        return ("value", "min", "max", "multiple_of", "doc"), ()
    if path[:2] == ("data", "fields") and len(path) == 3:
        return ("shape", "dtype"), ()
    return (), ()


def _template_order(path: Key, keys: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if len(path) == 2:
        return TEMPLATE, ()
    if len(path) >= 4 and path[-2] == "layers" and isinstance(path[-1], int):
        return (GROUP_FIRST, ()) if "layers" in keys else (LAYER_FIRST, LAYER_LAST)
    if len(path) == 4 and path[2] == "inputs":
        return ("shape", "dtype"), ()
    if len(path) == 4 and path[2] == "params":
        return ("type", "choices", "default"), ()
    return (), ()
