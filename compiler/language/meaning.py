"""What a document says, however it is laid out: the same after `fmt`, and with other comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..diagnostics import Sink
from ..source import Key, SourceFile
from .key_order import sort_keys
from .loader import load

NOTE = "x-"
"""What the names of free notes begin with."""


def meaning(file: SourceFile) -> str:
    """Equal texts for documents that say the same: JSON of what they hold, keys as `fmt` has them.

    Comments and free notes are left out. The order of a user's own names counts, since fields,
    inputs and outputs have one.

    Requires: the document can be loaded.
    """
    located = load(file, Sink())
    assert located is not None, f"{file.name} could be loaded before"
    return json.dumps(_ordered(located.data, ()), ensure_ascii=False, separators=(",", ":"))


def _ordered(value: Any, path: Key) -> Any:
    if isinstance(value, list):
        return [_ordered(item, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    keys = [key for key in value if path or not str(key).startswith(NOTE)]
    return {
        keys[position]: _ordered(value[keys[position]], (*path, keys[position]))
        for position in sort_keys(path, keys)
    }
