"""Keys that stand one level too high: `lr` in `training`, which belongs in `optimizer`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic.fields import FieldInfo

from ..foreign_words import translated
from ..objectives.schedules import Schedule
from ..objectives.section import OneKey, Section
from ..suggest import word_help

Inner = Mapping[str, Iterable[type[Section]]]
"""Key -> the sections that its value may be."""


def key_help(name: str, known: Iterable[str], inner: Inner, what: str = "key") -> str:
    """The help text for an unknown key: where it belongs, or which one was probably meant.

    known: the keys that there are. inner: the sections below them.
    """
    keys = list(known)
    holders = {} if translated(name, keys) else _holders(name, inner)
    if not holders:
        return word_help(name, keys, what)
    own = next(iter(holders.values()))
    places = " or ".join(f"`{key}`" for key, word in holders.items() if word == own)
    called = "" if own == name else f" is called `{own}` here, and"
    return f"`{name}`{called} belongs in {places}"


def inner_sections(model: type[Section]) -> dict[str, list[type[Section]]]:
    """The sections that each key of a model may hold; of keys with the same ones, the first."""
    found: dict[str, list[type[Section]]] = {}
    for name, info in model.model_fields.items():
        sections = list(_sections(_annotated(info)))
        if sections not in found.values():
            found[info.alias or name] = sections
    return found


def _holders(name: str, inner: Inner) -> dict[str, str]:
    """Keys below which a name stands, with the word for it there; under its own name before all."""
    same = {key: name for key, models in inner.items() if any(name in _keys(m) for m in models)}
    if same:
        return same
    found = {
        key: translated(name, [word for model in models for word in _keys(model)])
        for key, models in inner.items()
    }
    return {key: word for key, word in found.items() if word}


def _keys(model: type[Section]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _annotated(info: FieldInfo) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _sections(kind: Any) -> Iterator[type[Section]]:
    """The sections in an annotation; numbers that may move are none."""
    if isinstance(kind, type) and issubclass(kind, Section):
        yield from () if kind is Schedule else (kind,)
        return
    metadata = kind.__metadata__ if get_origin(kind) is Annotated else ()
    choice = next((one for one in metadata if isinstance(one, OneKey)), None)
    if choice:
        yield from choice.registry.values()
        return
    for part in (kind.__origin__,) if metadata else get_args(kind):
        yield from _sections(part)
