"""Values of parameters: how they are written, and what they must be to stand for a default."""

from __future__ import annotations

import json
from typing import Any

from ..diagnostics import Code
from .describe import describe, plain
from .expressions import is_expression
from .layers import NAME
from .scalars import Refused, read_plain
from .schema import ParamModel


def read_value(text: str) -> Any:
    """A value in the notation of specs: a scalar, or a list such as `[1, 2, 4]`."""
    stripped = text.strip()
    if is_expression(stripped):
        return Refused(Code.E201, "an expression cannot be set from outside", "give a plain value")
    if stripped.startswith("[") and stripped.endswith("]"):
        items = [_read_scalar(item.strip()) for item in stripped[1:-1].split(",") if item.strip()]
        refused = next((item for item in items if isinstance(item, Refused)), None)
        return refused or items
    return _read_scalar(stripped)


def write_value(value: Any) -> str:
    """A value of a parameter as a spec writes it, so that it reads as the same value."""
    if isinstance(value, list):
        return "[" + ", ".join(map(write_value, value)) + "]"
    if isinstance(value, str) and (not NAME.match(value) or read_plain(value) != value):
        return json.dumps(value, ensure_ascii=False)
    return plain(value)


def _read_scalar(text: str) -> Any:
    """A scalar, which may stand in quotes to be text."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return read_plain(text)


def wanted_instead(value: Any, default: Any, model: ParamModel) -> str | None:
    """What a value would have to be to stand for a default, in words; None where it fits."""
    if not _fits(value, default):
        return _type_words(default)
    return outside(value, model)


def outside(value: Any, model: ParamModel) -> str | None:
    """The limits that a value breaks: "at least 2 and at most 8"; None where it keeps them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = model.min, model.max
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    limits = [f"at least {low:g}" if low is not None else ""]
    limits.append(f"at most {high:g}" if high is not None else "")
    return " and ".join(filter(None, limits))


def _fits(value: Any, default: Any) -> bool:
    """Whether a value may stand for a default: of its type, and a list of its members' types."""
    if is_expression(value):
        return False
    if not isinstance(value, list) or not isinstance(default, list):
        return _same_type(value, default)
    return all(any(_same_type(item, other) for other in default) for item in value) or (
        not default and all(isinstance(item, int | float | bool | str) for item in value)
    )


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def found_words(value: Any) -> str:
    """What was found in the place of a value."""
    return f"`{plain(value)}`" if isinstance(value, list) else describe(value)


def _type_words(default: Any) -> str:
    match default:
        case bool():
            return "`true` or `false`"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case list():
            kinds = dict.fromkeys(_type_words(item) for item in default)
            return f"a list, each item {' or '.join(kinds)}," if kinds else "a list"
    return "text"
