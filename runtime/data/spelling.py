"""Values as a spec would write them, for lines that a user pastes, and names in natural order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
TWO_READINGS = frozenset("y n yes no on off true false null none nan inf".split())  # noqa: SIM905
"""Words that a reader of YAML may take for something else than text."""


def word(text: str) -> str:
    """A text, in quotes where YAML could take it for something else."""
    if PLAIN.match(text) and text.lower() not in TWO_READINGS:
        return text
    return json.dumps(text, ensure_ascii=False)


def flow(value: Mapping[str, object] | Sequence[object] | object) -> str:
    """Maps, lists and numbers in one line: `{mean: [0.5, 0.25], std: 1}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{word(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return word(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by their values: `2` before `10`."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
