"""Words for values and for what was expected, as messages use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from ..ir.dims import Poly
from ..objectives.numbers import OUT_OF_RANGE

LONGEST = 40


def describe(value: Any) -> str:
    """What a value is, for the "found ..." of a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{value}`"
        case "":
            return "an empty text"
        case str():
            short = value if len(value) <= LONGEST else value[:LONGEST] + "..."
            return f"the text `{short}`"
        case Mapping():
            return "a map" if value else "an empty map"
        case list() | tuple():
            return f"a list of {len(value)}"
        case Poly():
            return f"the symbolic size `{value}`"
    return f"`{value}`"


def plain(value: Any) -> str:
    """A value as a spec would write it, for notes such as `{channels: 64, bias: false}`."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case Mapping():
            return "{" + ", ".join(f"{k}: {plain(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(plain(item) for item in value) + "]"
    return str(value)


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "finite_number": "a finite number",
    "none_required": "nothing",
}

_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
    "multiple_of": ("a multiple of", "multiple_of"),
}


def expected(error: ErrorDetails) -> str:
    """What pydantic wanted, in words: "a whole number", "at least 1", "one of `a`, `b`"."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{words} {plain(context[key])}"
    if kind in ("literal_error", "enum"):
        return f"one of {str(context['expected']).replace(chr(39), '`').replace(' or ', ', ')}"
    if kind == "too_short":
        return f"at least {context['min_length']} items"
    if kind == "too_long":
        return f"at most {context['max_length']} items"
    if kind == "string_too_short":
        return "text that is not empty"
    if kind == "string_pattern_mismatch":
        return f"a name that matches `{context['pattern']}`"
    if kind == OUT_OF_RANGE:
        return str(context["wanted"])
    if kind == "value_error":
        return str(context["error"])
    return _EXPECTED.get(kind, error["msg"])
