"""The parameters of a block: which values each takes."""

from __future__ import annotations

from typing import Any

from ..ir.dims import Poly
from .describe import describe
from .schema import BlockParamModel

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "`true` or `false`",
    "list": "a list",
}


def expected(param: BlockParamModel) -> str:
    """What a parameter takes, in words: "a whole number", "one of `relu`, `tanh`"."""
    if param.type == "choice":
        return "one of " + ", ".join(f"`{word}`" for word in param.choices or ())
    return _EXPECTED[param.type]


def fits(value: Any, param: BlockParamModel) -> bool:
    """Whether a parameter takes a value; a whole number may be a symbolic size."""
    match param.type:
        case "int":
            return isinstance(value, int | Poly) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "choice":
            return value in (param.choices or ())


def declaration_problem(name: str, param: BlockParamModel) -> tuple[str, str] | None:
    """What is wrong with a declaration and at which of its keys ("" for the whole), or None."""
    if param.type == "choice" and not param.choices:
        return f"the choice `{name}` needs `choices`, the words that it takes", ""
    if param.type != "choice" and param.choices is not None:
        return (
            f"`choices` is for parameters of type `choice`, `{name}` is `{param.type}`",
            "choices",
        )
    if param.default is not None and not fits(param.default, param):
        return (
            f"the default of `{name}` expects {expected(param)}, found {describe(param.default)}",
            "default",
        )
    return None
