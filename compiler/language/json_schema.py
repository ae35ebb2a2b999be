"""The JSON Schema of the language, for editors: generated from the models and the registry.

Draft-07, which every editor knows. It is wider than the language (types of tensors are beyond it),
never narrower: what it refuses, `check` refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from ..docstrings import first_sentence
from ..objectives.data import Data
from ..objectives.export import Export
from ..objectives.numbers import Range
from ..objectives.registry import OBJECTIVES
from ..objectives.schedules import Schedule
from ..objectives.section import OneKey, Section
from ..objectives.training import Training
from ..ops.base import REGISTRY, Attribute, Op
from .arguments import argument_model
from .schema import (
    EDITION,
    SECTIONS,
    BlockModel,
    DimModel,
    ExpectModel,
    NetworkModel,
    ParamModel,
)

Schema = dict[str, Any]

EXPRESSION: Schema = {
    "type": "string",
    "pattern": r"^\$",
    "description": "an expression: $name or $( ... )",
}
SCALARS = ["number", "string", "boolean", "array", "null"]
DRAFT_07_LACKS = ("discriminator", "title", "$defs", "default")


def json_schema() -> Schema:
    """The schema of a spec."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Netwright spec",
        "type": "object",
        "required": ["spec"],
        "properties": {key: _SECTION_SCHEMAS[key]() for key in SECTIONS},
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
        "definitions": {
            "layer": _layer(),
            "layers": _layers(),
            "source": _source(),
            "schedule": section_schema(Schedule)["anyOf"][0],
        },
    }


def _map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _layers() -> Schema:
    return {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/layer"}}


def _source() -> Schema:
    return {"type": ["string", "array", "object"], "description": "a layer, or several by port"}


def _layer() -> Schema:
    operators = {name: _operator(cls) for name, cls in sorted(REGISTRY.items())}
    modifiers = {
        "id": {"type": ["string", "integer"], "description": "the layer's name"},
        "from": {"$ref": "#/definitions/source"},
        "when": {"anyOf": [{"type": "boolean"}, EXPRESSION], "description": "keep the layer if"},
        "else": {"$ref": "#/definitions/source"},
        "repeat": {"description": "copies: a count, or {over: {name: list}}"},
        "tie": {"type": "object", "description": "use another layer's weight"},
    }
    structure = {
        "layers": {"$ref": "#/definitions/layers"},
        "share": {"type": "string", "description": "the same layer again, by its id"},
    }
    bare = [
        name for name, cls in REGISTRY.items() if not any(map(_required, cls.attributes.values()))
    ]
    words: Schema = {"anyOf": [{"enum": sorted(bare)}, {"pattern": r"^([a-z_]\w*\.)?[A-Z]\w*$"}]}
    return {
        "anyOf": [
            {"type": "string", **words},
            {
                "type": "object",
                "minProperties": 1,
                "properties": {**modifiers, **structure, **operators},
                "patternProperties": {r"^([a-z_]\w*\.)?[A-Z]": {"type": ["object", "null"]}},
                "additionalProperties": False,
            },
        ]
    }


def _required(declared: Attribute) -> bool:
    return declared.required


def _operator(cls: type[Op]) -> Schema:
    fields = argument_model(cls).model_fields
    properties = {
        name: {**_attribute(declared, fields[name]), "description": declared.doc}
        for name, declared in cls.attributes.items()
    }
    required = [name for name, declared in cls.attributes.items() if declared.required]
    long_form: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        long_form["required"] = required
    forms = [long_form]
    main = next((name for name, declared in cls.attributes.items() if declared.main), None)
    if main is not None and set(required) <= {main}:
        forms.append(properties[main])
    if not required:
        forms.append({"type": "null"})
    return {"anyOf": forms, "description": first_sentence(cls)}


def _attribute(declared: Attribute, info: FieldInfo) -> Schema:
    if declared.annotation.startswith("Init"):
        return {"type": ["string", "object"]}
    forms = _forms(_leaf(_annotated(info)))
    if declared.words:
        forms = [*forms, {"enum": sorted(declared.words)}]
    return {"anyOf": [*forms, EXPRESSION]}


def _annotated(info: FieldInfo) -> Any:
    return _with(info.annotation, tuple(info.metadata))


def _with(kind: Any, metadata: tuple[Any, ...]) -> Any:
    return Annotated[kind, *metadata] if metadata else kind


def _leaf(kind: Any) -> Schema:
    schema: Schema = _cleaned(TypeAdapter(kind).json_schema())
    return schema


def _cleaned(schema: Any) -> Any:
    """Without what draft-07 does not know, and with an expression wherever a number may stand."""
    if isinstance(schema, list):
        return [_cleaned(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    clean = {k: _cleaned(v) for k, v in schema.items() if k not in DRAFT_07_LACKS}
    for inner in ("items", "additionalProperties"):
        if isinstance(clean.get(inner), dict):
            clean[inner] = {"anyOf": [clean[inner], EXPRESSION]}
    return clean


# Sections


def section_schema(model: type[Section]) -> Schema:
    """The schema of a section, its shorthands included."""
    properties: Schema = {}
    inline: OneKey | None = None
    for name, info in model.model_fields.items():
        choice = next((m for m in info.metadata if isinstance(m, OneKey)), None)
        if choice and choice.inline:
            inline = choice
            continue
        schema = _field(_annotated(info))
        if info.description:
            schema = {**schema, "description": info.description}
        properties[info.alias or name] = schema
    if inline:
        properties |= {name: section_schema(cls) for name, cls in inline.registry.items()}
    required = [
        info.alias or name
        for name, info in model.model_fields.items()
        if info.is_required() and not any(isinstance(m, OneKey) and m.inline for m in info.metadata)
    ]
    form: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        form["required"] = required
    own = model.__mro__[: model.__mro__.index(Section)]
    if any("desugar" in vars(cls) for cls in own):  # a shorthand may be inherited
        return {"anyOf": [form, {"type": SCALARS}]}
    return form if required else {"anyOf": [form, {"type": "null"}]}


def _field(kind: Any) -> Schema:
    metadata: tuple[Any, ...] = ()
    if get_origin(kind) is Annotated:
        metadata = kind.__metadata__
    inner = kind.__origin__ if metadata else kind
    choice = next((m for m in metadata if isinstance(m, OneKey)), None)
    if choice:
        return _choice(choice)
    origin, args = get_origin(inner), get_args(inner)
    if origin in (Union, UnionType):
        return _optional(args, metadata)
    limits = next((m for m in metadata if isinstance(m, Range)), None)
    if limits:
        return _number_or_schedule(limits)
    if isinstance(inner, type) and issubclass(inner, Section):
        return section_schema(inner)
    if origin in (list, tuple) and _holds_section(args[0]):
        return {"type": "array", "items": _field(args[0])}
    if origin is dict and _holds_section(args[1]):
        return _map_of(_field(args[1]))
    return {"anyOf": [*_forms(_leaf(kind)), EXPRESSION]}


def _number_or_schedule(limits: Range) -> Schema:
    """A number within limits, or a schedule, whose ends are for `check` to judge."""
    number = {"type": "number", **limits.limits()}
    return {"anyOf": [{"$ref": "#/definitions/schedule"}, number, EXPRESSION]}


def _forms(schema: Schema) -> list[Schema]:
    """A leaf's alternatives; a list may be written as its only item."""
    forms = schema.pop("anyOf", None) or [schema]
    return [*forms, *(form["items"] for form in forms if form.get("type") == "array")]


def _optional(args: tuple[Any, ...], metadata: tuple[Any, ...]) -> Schema:
    kinds = [arg for arg in args if arg is not NoneType]
    if len(kinds) == 1 and _holds_section(kinds[0]):
        return _field(kinds[0])
    leaves = [form for kind in kinds for form in _forms(_leaf(_with(kind, metadata)))]
    return {"anyOf": [*leaves, EXPRESSION]}


def _holds_section(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return any(isinstance(m, OneKey) for m in kind.__metadata__) or _holds_section(
            kind.__origin__
        )
    if isinstance(kind, type):
        return issubclass(kind, Section)
    return any(_holds_section(arg) for arg in get_args(kind))


def _choice(choice: OneKey) -> Schema:
    return {
        "anyOf": [
            {"enum": sorted(choice.registry)},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {name: section_schema(cls) for name, cls in choice.registry.items()},
                "additionalProperties": False,
            },
        ]
    }


def _with_layers(model: type[Section]) -> Schema:
    schema = section_schema(model)
    schema["properties"]["layers"] = {"$ref": "#/definitions/layers"}
    return schema


_SECTION_SCHEMAS: dict[str, Callable[[], Schema]] = {
    "spec": lambda: {"const": EDITION, "description": "the language's edition"},
    "name": lambda: {"type": "string", "pattern": r"^[a-z_][a-z0-9_]*$"},
    "summary": lambda: {"type": "string", "description": "one line for people"},
    "imports": lambda: _map_of({"type": "string"}),
    "params": lambda: _map_of(section_schema(ParamModel)),
    "variants": lambda: _map_of({"type": "object"}),
    "dims": lambda: _map_of(section_schema(DimModel)),
    "data": lambda: section_schema(Data),
    "blocks": lambda: _map_of(_with_layers(BlockModel)),
    "networks": lambda: _map_of(_with_layers(NetworkModel)),
    "objective": lambda: _choice(OneKey(OBJECTIVES, "objective")),
    "training": lambda: section_schema(Training),
    "export": lambda: section_schema(Export),
    "expect": lambda: section_schema(ExpectModel),
    "lint": lambda: _map_of({"type": "string"}),
}
