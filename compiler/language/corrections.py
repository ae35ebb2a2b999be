"""How a value of the wrong form would be written: the help texts of validate.py."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..objectives.numbers import OUT_OF_RANGE
from ..objectives.schedules import Schedule
from ..objectives.section import OneKey, Section
from ..suggest import suggest, word_meant
from .describe import plain

LIMITS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", OUT_OF_RANGE)
"""The kinds of pydantic's errors for numbers beyond a limit."""

TYPICAL = {"output": "logits", "target": "label"}
"""What stands for a setting that each spec names itself, in examples."""

NAMING = ("name", "type", "kind", "class", "_target_")
"""Keys that other tools write beside the settings of what they name."""


def wrong_value_help(details: ErrorDetails, about: FieldInfo | None = None) -> str | None:
    """The next step for one leaf that pydantic refused, where there is a typical one.

    about: the setting, where it is one of a section.
    """
    kind, value = details["type"], details["input"]
    if kind in ("int_type", "int_from_float") and isinstance(value, float):
        return "`/` gives a fraction; `//` divides whole numbers"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return number_for(value)
    if kind == "literal_error" and isinstance(value, str):
        choices = re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))
        near = suggest(value, choices)
        return f"a choice with a similar name exists: `{near}`" if near else None
    if kind in LIMITS and about is not None and len(details["loc"]) == 1:
        return _default(about)
    return None


def _default(about: FieldInfo) -> str | None:
    """Where to find a number that serves: a setting often has one by itself."""
    default = about.default
    if isinstance(default, Schedule) and default.is_constant:
        default = default.start
    if isinstance(default, bool) or not isinstance(default, int | float):
        return None
    return f"leave it out for {default:g}, unless you know a better number"


def number_for(text: str) -> str | None:
    """The next step where a text stands in place of a number."""
    if re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", text):
        return f"write it without quotes: `{text}`"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?\s*%", text):
        return f"write it as a fraction: `{float(text.rstrip('% ')) / 100:g}`"
    if re.fullmatch(r"[a-z_][a-z0-9_]*", text):
        return f"write a number, or `${text}` for the parameter of this name"
    return None


def texts_help(key: str, values: Sequence[Any]) -> str:
    """The next step for a list of numbers or truth values where names are wanted."""
    quoted = ", ".join(f'"{value if isinstance(value, str) else plain(value)}"' for value in values)
    step = f"write `{key}: [{quoted}]`" if len(values) <= 10 else "put each of them into quotes"
    if key != "classes":
        return step
    return f"{step}, or `below: {len(values)}` in its place for labels without names"


def list_help(key: str, choice: OneKey | None, text: str) -> str:
    """The next step for a text where a list is wanted. choice: what its items may be."""
    words = [word for word in re.split(r"\s*,\s*" if "," in text else r"\s+", text) if word]
    if choice is None:
        return f"write `{key}: [{', '.join(words)}]`"
    own = [meant(word, choice) for word in words]
    items = [item(name, choice.registry.get(name)) for name in own]
    return f"write `{key}: [{', '.join(items)}]`"


def meant(word: str, choice: OneKey) -> str:
    """The choice that a word stands for; the word itself where there is none."""
    return word if word in choice.registry else word_meant(word, choice.registry) or word


def item(name: str, model: type[Section] | None) -> str:
    """One choice as an item of a list, with the settings that it needs."""
    needed = [
        f"{info.alias or key}: {TYPICAL.get(key, '...')}"
        for key, info in (model.model_fields if model else {}).items()
        if info.is_required()
    ]
    return f"{{{name}: {{{', '.join(needed)}}}}}" if needed else name


def nested(choice: OneKey, value: Mapping[str, Any]) -> str | None:
    """A choice and its settings, which stand side by side, as they would be written.

    `{name: adam, lr: 0.1}` and `{adam: , lr: 0.1}` are `{adam: {lr: 0.1}}`.
    """
    rest = dict(value)
    named = next((key for key in NAMING if isinstance(rest.get(key), str)), None)
    if named is not None:
        name = meant(rest.pop(named), choice)
    else:
        known = [key for key in rest if key in choice.registry and rest[key] is None]
        name = known[0] if len(known) == 1 else ""
        rest.pop(name, None)
    model = choice.registry.get(name)
    if model is None or not rest.keys() <= model.model_fields.keys():
        return None
    return f"write `{plain({name: rest})}`" if rest else f"write `{name}`"
