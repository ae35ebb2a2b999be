"""Reads a map of a document as a `Section` and turns every mistake into a diagnostic.

The walk resolves what pydantic has no words for (shorthands, maps with one key that names a
section), so that each model validates only its own leaves and one mistake gives one message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..diagnostics import Code, Sink
from ..objectives.section import OneKey, Section
from ..source import Key, Located
from ..suggest import word_help, word_meant
from .corrections import item, list_help, meant, nested, number_for, texts_help, wrong_value_help
from .describe import describe, expected
from .evaluate import FAILED, Origins
from .inner_keys import inner_sections, key_help

S = TypeVar("S", bound=Section)

EMPTY = "write a value, or remove the key"


@dataclass
class Validator:
    """Reads sections of one document."""

    located: Located
    sink: Sink
    origins: Origins

    def read(self, model: type[S], data: Any, path: Key, what: str = "") -> S | None:
        """The section at `path`, or None where mistakes were reported.

        what: the setting that it is the value of, in words; else the model's title.
        """
        data = model.desugar(data)
        if not isinstance(data, Mapping):
            self._no_map(model, data, path, what)
            return None
        before = self.sink.errors
        values = self._fields(model, data, path)
        self._unknown_keys(model, data, path)
        section = self._construct(model, values, path)
        return section if self.sink.errors == before else None

    def _no_map(self, model: type[Section], data: Any, path: Key, what: str) -> None:
        has_words = model.expects != Section.expects
        subject = what if what and has_words else model.title
        is_text = model.expects.startswith("a number") and isinstance(data, str)
        hint = number_for(data) if is_text else _as_item(model, data)
        self._wrong(path, f"{subject} expects {model.expects}, found {describe(data)}", hint)

    def _fields(self, model: type[Section], data: Mapping[str, Any], path: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, info in model.model_fields.items():
            key = info.alias or name
            inline = _inline(info)
            if inline:
                beside = [other for other in _keys(model) if other != key]
                values[key] = self.choose(inline, _chosen(model, data), path, beside)
            elif key in data:
                kind = _annotated(info)
                values[key] = self._convert(
                    kind, data[key], (*path, key), f"`{key}` of {model.title}"
                )
            elif info.is_required():
                if not self._misspelt(model, key, data):
                    self._missing(model, key, path)
                values[key] = FAILED
        return values

    def _convert(self, kind: Any, value: Any, path: Key, what: str) -> Any:
        inner, choice = _strip(kind)
        if value is None and (_is_optional(kind) or _is_optional(inner)):
            self._wrong(path, f"{what} expects a value, found nothing", EMPTY)
            return FAILED
        kind = _without_none(inner)
        if choice:
            return self.choose(choice, value, path)
        if isinstance(kind, type) and issubclass(kind, Section):
            section = self.read(kind, value, path, what)
            return FAILED if section is None else section
        origin, args = get_origin(kind), get_args(kind)
        if origin in (list, tuple) and isinstance(value, list) and args:
            items = [
                self._convert(args[0], v, (*path, i), f"item {i + 1} of {what}")
                for i, v in enumerate(value)
            ]
            if any(value is FAILED for value in items):
                return FAILED
            return tuple(items) if origin is tuple else items
        if origin is list and isinstance(value, str):
            hint = list_help(str(path[-1]), _choice_of_items(args[0]), value)
            self._wrong(path, f"{what} expects a list, found {describe(value)}", hint)
            return FAILED
        if origin is dict and isinstance(value, dict):
            entries = {
                k: self._convert(args[1], v, (*path, k), f"`{k}` of {what}")
                for k, v in value.items()
            }
            return FAILED if any(v is FAILED for v in entries.values()) else entries
        return value

    def choose(self, choice: OneKey, value: Any, path: Key, beside: Sequence[str] = ()) -> Any:
        """The section that a map with one key names, or FAILED where mistakes were reported.

        beside: the other keys that the map may have, which are left out of `value`.
        """
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, Mapping):
            choices = ", ".join(f"`{name}`" for name in choice.registry)
            self._wrong(path, f"expected a {choice.what} ({choices}), found {describe(value)}")
            return FAILED
        names = list(value)
        known = [name for name in names if name in choice.registry]
        if beside and len(known) == 1 < len(names):
            for name in names:
                if name not in known:
                    self.sink.add(
                        Code.S101,
                        f"unknown key `{name}` beside the {choice.what} `{known[0]}`",
                        self.located.key((*path, name)),
                        help=word_help(str(name), beside),
                    )
            return FAILED
        if len(names) != 1:
            found = ", ".join(f"`{name}`" for name in names) or "none"
            self.sink.add(
                Code.S103,
                f"expected exactly one {choice.what}, found {found}",
                self.located.key(path),
                help=nested(choice, value) or word_help("", choice.registry, choice.what),
            )
            return FAILED
        return self._chosen_section(choice, names[0], value[names[0]], path)

    def _chosen_section(self, choice: OneKey, name: str, value: Any, path: Key) -> Any:
        model = choice.registry.get(name)
        place = (*path, name)
        if model is None:
            self.sink.add(
                Code.S103,
                f"unknown {choice.what} `{name}`",
                self.located.key(place),
                help=word_help(str(name), choice.registry, choice.what),
            )
            return FAILED
        section = self.read(model, value, place)
        return FAILED if section is None else section

    def _unknown_keys(self, model: type[Section], data: Mapping[str, Any], path: Key) -> None:
        known = _keys(model)
        if any(_inline(info) for info in model.model_fields.values()):
            return  # every other key is read as the choice
        for key in data:
            if key not in known:
                self.sink.add(
                    Code.S101,
                    f"unknown key `{key}` in {model.title}",
                    self.located.key((*path, key)),
                    help=key_help(str(key), known, inner_sections(model)),
                )

    def _misspelt(self, model: type[Section], key: str, data: Mapping[str, Any]) -> bool:
        """Whether an unknown key, reported as such, is probably this one."""
        known = _keys(model)
        return any(word_meant(str(other), known) == key for other in data if other not in known)

    def _missing(self, model: type[Section], key: str, path: Key) -> None:
        about = model.model_fields.get(key)
        self.sink.add(
            Code.S102,
            f"{model.title} needs `{key}`",
            self.located.key(path),
            help=f"add `{key}:` ({about.description})" if about and about.description else None,
        )

    def _construct(self, model: type[S], values: dict[str, Any], path: Key) -> S | None:
        failed = {key for key, value in values.items() if value is FAILED}
        try:
            return model(**{k: v for k, v in values.items() if k not in failed})
        except ValidationError as error:
            for details in _distinct(error):
                if not details["loc"] or details["loc"][0] not in failed:
                    self._leaf(details, path, model, values)
        return None

    def _leaf(
        self, details: ErrorDetails, path: Key, model: type[Section], values: Mapping[str, Any]
    ) -> None:
        title = model.title
        place = self._place(path, details["loc"])
        end = details.get("ctx", {}).get("end")
        field = f"`{details['loc'][-1]}`" if details["loc"] else title
        if details["loc"] and isinstance(details["loc"][-1], int):
            field = f"item {details['loc'][-1] + 1} of `{details['loc'][0]}`"
        if end:  # of a number that moves
            place, field = (*place, end), f"`{end}` of {field}"
        self._wrong(place, wrong_value(field, title, details), _hint(details, model, values))

    def _place(self, path: Key, loc: Key) -> Key:
        """Where a field stands: a shorthand leaves out parts of the way to it."""
        for part in loc:
            inner = (*path, part)
            if inner in self.located.spans:
                path = inner
        return path

    def _wrong(
        self,
        path: Key,
        message: str,
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> None:
        note = self.origins.note(path)
        code = Code.E202 if note else Code.S102
        notes = [note] if note else []
        self.sink.add(code, message, self.located.span(path), notes=notes, help=help)


def _distinct(error: ValidationError) -> list[ErrorDetails]:
    """The mistakes; of items of one list that are no texts, the first."""
    found: dict[Key, ErrorDetails] = {}
    for details in error.errors():
        loc = details["loc"]
        in_list = details["type"] == "string_type" and len(loc) > 1 and isinstance(loc[-1], int)
        found.setdefault(loc[:-1] if in_list else loc, details)
    return list(found.values())


def _hint(details: ErrorDetails, model: type[Section], values: Mapping[str, Any]) -> str | None:
    """The next step for one leaf of a section."""
    key = str(details["loc"][0]) if details["loc"] else ""
    given = values.get(key)
    if details["type"] == "string_type" and isinstance(given, list):
        return texts_help(key, given)
    return wrong_value_help(details, model.model_fields.get(key))


def _as_item(model: type[Section], data: Any) -> str | None:
    """The next step for a bare word where a choice stands among other keys of its map."""
    choices = (_inline(info) for info in model.model_fields.values())
    choice = next(filter(None, choices), None)
    if choice is None or not isinstance(data, str):
        return None
    name = meant(data, choice)
    return f"write `{item(name, choice.registry[name])}`" if name in choice.registry else None


def _choice_of_items(kind: Any) -> OneKey | None:
    """What the items of a list may be, where each is a choice."""
    inner, choice = _strip(kind)
    if choice is None and isinstance(inner, type) and issubclass(inner, Section):
        choices = (_inline(info) for info in inner.model_fields.values())
        choice = next(filter(None, choices), None)
    return choice


def wrong_value(field: str, owner: str, details: ErrorDetails) -> str:
    """The message for one leaf that pydantic refused."""
    if details["type"] == "value_error":
        return f"{field} of {owner}: {expected(details)}"
    found = details.get("ctx", {}).get("found", details["input"])
    return f"{field} of {owner} expects {expected(details)}, found {describe(found)}"


def _keys(model: type[Section]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _inline(info: FieldInfo) -> OneKey | None:
    return next((m for m in info.metadata if isinstance(m, OneKey) and m.inline), None)


def _chosen(model: type[Section], data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a map that are no fields of the model: the inline choice."""
    fields = {info.alias or name for name, info in model.model_fields.items() if not _inline(info)}
    return {key: value for key, value in data.items() if key not in fields}


def _annotated(info: FieldInfo) -> Any:
    """A field's annotation with the metadata that pydantic took off it."""
    choice = next((m for m in info.metadata if isinstance(m, OneKey)), None)
    return Annotated[info.annotation, choice] if choice else info.annotation


def _strip(kind: Any) -> tuple[Any, OneKey | None]:
    if get_origin(kind) is not Annotated:
        inner = _without_none(kind)
        return (kind, None) if get_origin(inner) is not Annotated else _strip(inner)
    choice = next((m for m in kind.__metadata__ if isinstance(m, OneKey)), None)
    return kind.__origin__, choice


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind)


def _without_none(kind: Any) -> Any:
    if not _is_optional(kind):
        return kind
    kinds = [arg for arg in get_args(kind) if arg is not NoneType]
    return kinds[0] if len(kinds) == 1 else kind
