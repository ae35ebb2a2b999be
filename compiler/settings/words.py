"""What a setting takes, in words: "whole number from 1", "list of metrics", "2 numbers"."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from ..objectives.numbers import Range
from ..objectives.schedules import Schedule
from ..objectives.section import OneKey, Section

UNLIMITED = 2**62
"""A limit from here on is that of integers, and nobody's choice."""

NOUNS = {
    "integer": ("whole number", "whole numbers"),
    "number": ("number", "numbers"),
    "string": ("text", "texts"),
}


def annotated(info: FieldInfo) -> Any:
    """A field's annotation, with the metadata that pydantic took off it."""
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def choice_of(kind: Any) -> tuple[OneKey, Any] | None:
    """The choice among sections that an annotation holds, with the base of all choices."""
    if get_origin(kind) is Annotated:
        choice = next((m for m in kind.__metadata__ if isinstance(m, OneKey)), None)
        return (choice, kind.__origin__) if choice else choice_of(kind.__origin__)
    return next((found for arg in get_args(kind) if (found := choice_of(arg))), None)


def section_of(kind: Any) -> type[Section] | None:
    """The section that an annotation holds, alone, in a list or in a map."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    args = (kind.__origin__,) if get_origin(kind) is Annotated else get_args(kind)
    return next((found for arg in args if (found := section_of(arg))), None)


def words(kind: Any, *, several: bool = False) -> str:
    """What an annotation accepts. several: in the plural."""
    inner, metadata = _parts(kind)
    choice = next((m for m in metadata if isinstance(m, OneKey)), None)
    if choice:
        return _plural(choice.what) if several else choice.what
    if inner is Schedule:
        limits = next((m.limits() for m in metadata if isinstance(m, Range)), {})
        return " ".join(
            ["numbers or schedules" if several else "number or schedule", *_limits(limits)]
        )
    if isinstance(inner, type) and issubclass(inner, Section):
        return "maps" if several else inner.expects.removeprefix("a ")
    origin, args = get_origin(inner), get_args(inner)
    if origin is list:
        return f"{_amount(kind)} {words(args[0], several=True)}"
    if origin is dict:
        return f"{words(args[1], several=True)} by name"
    return _leaf(TypeAdapter(_with(inner, metadata)).json_schema(), several=several)


def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """An annotation without `None`, and its metadata from all levels."""
    metadata: tuple[Any, ...] = ()
    while True:
        if get_origin(kind) is Annotated:
            metadata, kind = (*metadata, *kind.__metadata__), kind.__origin__
            continue
        kinds = [arg for arg in get_args(kind) if arg is not NoneType]
        if get_origin(kind) not in (Union, UnionType) or len(kinds) > 1:
            return kind, metadata
        kind = kinds[0]


def _with(kind: Any, metadata: tuple[Any, ...]) -> Any:
    return Annotated[kind, *metadata] if metadata else kind


def _amount(kind: Any) -> str:
    inner, metadata = _parts(kind)
    schema = TypeAdapter(_with(inner, metadata)).json_schema()
    least, most = schema.get("minItems"), schema.get("maxItems")
    return str(least) if least is not None and least == most else "list of"


def _leaf(schema: dict[str, Any], *, several: bool) -> str:
    """The words for a JSON Schema without sections in it."""
    if "enum" in schema:
        return either([f"`{value}`" for value in schema["enum"]])
    if "anyOf" in schema:
        return either([_leaf(form, several=several) for form in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "boolean":
        return "`true` or `false`"
    if kind == "array":
        return f"{'lists' if several else 'list'} of {_leaf(schema['items'], several=True)}"
    if kind not in NOUNS:
        return "any values" if several else "any value"
    if kind == "string" and schema.get("maxLength") == 1:
        return "one character"
    return " ".join([NOUNS[kind][several], *_limits(schema)])


def _limits(schema: dict[str, Any]) -> list[str]:
    """Limits in the words of JSON Schema: `["from 0", "to below 1"]`."""
    found = []
    if "minimum" in schema:
        found.append(f"from {schema['minimum']:g}")
    if "exclusiveMinimum" in schema:
        found.append(f"above {schema['exclusiveMinimum']:g}")
    if "maximum" in schema:
        found.append(f"{'to' if found else 'up to'} {schema['maximum']:g}")
    if schema.get("exclusiveMaximum", UNLIMITED) < UNLIMITED:
        found.append(f"{'to ' if found else ''}below {schema['exclusiveMaximum']:g}")
    return found


def either(items: list[str]) -> str:
    """`a`, `b` or `c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"
