"""Turns what a spec says about an operator's arguments into the operator.

The pydantic model of each operator is derived from its `attributes`, when the operator is first
used; the editor's JSON Schema is derived from the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails

from ..diagnostics import Code, failure
from ..ir.dims import Poly
from ..objectives.numbers import IN_FLOAT32
from ..ops.base import Attribute, Op, Refusal
from ..ops.weights import SETTINGS, Init, InitKind
from ..source import Key
from ..suggest import word_help, word_meant
from .corrections import wrong_value_help
from .describe import describe
from .evaluate import FAILED, Scope
from .validate import wrong_value


class Strict(BaseModel):
    """Base of the derived models."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


Spread = Annotated[float, Field(gt=0, le=1e30), IN_FLOAT32]
"""How far apart initial weights lie: torch draws from an interval that float32 must hold."""

Centre = Annotated[float, Field(ge=-1e30, le=1e30), IN_FLOAT32]
"""What initial weights lie around."""


class InitModel(Strict):
    """The long form of `init`."""

    kind: InitKind
    mean: Centre = 0.0
    std: Spread | None = None
    bound: Spread | None = None
    gain: Spread = 1.0
    mode: Literal["fan_in", "fan_out"] = "fan_in"

    @model_validator(mode="after")
    def _only_what_the_kind_takes(self) -> Self:
        taken = SETTINGS.get(self.kind, ())
        ignored = sorted(self.model_fields_set - {"kind", *taken})
        if ignored:
            words = ", ".join(f"`{name}`" for name in taken) or "nothing"
            raise ValueError(f"`{self.kind}` takes {words}, found `{ignored[0]}`")
        return self


def _size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Poly):
        raise ValueError(f"expects a size, found {describe(value)}")
    return value


Size = Annotated[Any, PlainValidator(_size, json_schema_input_type=int)]

_BASES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "Size": Size,
    "Init": InitModel,
}


def static_check(cls: type[Op], data: Any, path: Key, scope: Scope) -> bool:
    """Check the keys of an operator's arguments without evaluating anything.

    Returns: False where a mistake was reported.
    """
    arguments = _as_map(cls, data, path, scope)
    if arguments is None:
        return False
    known = list(cls.attributes)
    unknown = [key for key in arguments if key not in cls.attributes]
    for key in unknown:
        scope.report(
            Code.S101,
            f"unknown argument `{key}` of `{cls.name}`",
            (*path, key),
            key=True,
            help=word_help(str(key), known, "argument")
            if known
            else f"`{cls.name}` takes no arguments",
        )
    meant = {word_meant(str(key), known) for key in unknown}
    missing = [n for n, a in cls.attributes.items() if a.required and n not in arguments]
    for name in missing:
        if name in meant:
            continue  # the misspelt key is reported
        scope.report(
            Code.S102,
            f"`{cls.name}` needs `{name}`",
            path,
            key=True,
            help=f"add `{name}`: {cls.attributes[name].doc}",
        )
    return not unknown and not missing


def build_operator(cls: type[Op], data: Any, path: Key, scope: Scope) -> Op | None:
    """The operator with evaluated arguments, or None where mistakes were reported.

    Its keys must have passed `static_check`.
    """
    raw = _as_map(cls, data, path, scope)
    arguments = FAILED if raw is None else scope.evaluate(raw, path)
    if arguments is FAILED:
        return None
    spread = {name: _spread(cls.attributes[name], value) for name, value in arguments.items()}
    try:
        return make(cls, spread)
    except ValidationError as error:
        for loc, details in _distinct(error, raw or {}):
            field = f"`{'.'.join(map(str, loc))}`"
            message = wrong_value(field, f"`{cls.name}`", details)
            scope.wrong(message, (*path, *loc), wrong_value_help(details))
    except Refusal as refusal:
        scope.report(refusal.code, refusal.message, path, refusal.label, help=refusal.help or None)
    return None


def _distinct(error: ValidationError, raw: Mapping[str, Any]) -> list[tuple[Key, ErrorDetails]]:
    """The mistakes by place; one number that was spread over several axes counts once."""
    found: dict[Key, ErrorDetails] = {}
    for details in error.errors():
        loc = details["loc"]
        is_list = isinstance(raw.get(str(loc[0])), list | dict)
        found.setdefault(loc if is_list else loc[:1], details)
    return list(found.items())


def build(cls: type[Op], data: Mapping[str, Any] | None = None) -> Op:
    """An operator from plain data, for Python and tests.

    Raises: NetwrightError: S102: an argument is unknown, missing or wrong.
    """
    arguments = dict(data or {})
    unknown = sorted(arguments.keys() - cls.attributes.keys())
    if unknown:
        raise failure(Code.S101, f"unknown argument `{unknown[0]}` of `{cls.name}`")
    try:
        return make(cls, {k: _spread(cls.attributes[k], v) for k, v in arguments.items()})
    except ValidationError as error:
        details = error.errors()[0]
        field = f"`{'.'.join(map(str, details['loc']))}`"
        raise failure(Code.S102, wrong_value(field, f"`{cls.name}`", details)) from error
    except Refusal as refusal:
        raise failure(refusal.code, refusal.message, help=refusal.help or None) from refusal


def make(cls: type[Op], arguments: Mapping[str, Any]) -> Op:
    """Raises: ValidationError: a value is wrong. Refusal: values do not go together."""
    model = argument_model(cls)(**arguments)
    values = {name: _frozen(getattr(model, name)) for name in arguments}
    op = cls(**values)
    op.check()
    return op


_MODELS: dict[type[Op], type[BaseModel]] = {}


def argument_model(cls: type[Op]) -> type[BaseModel]:
    """The pydantic model of an operator's arguments, after shorthands are written out."""
    if cls not in _MODELS:
        _MODELS[cls] = _make_model(cls)
    return _MODELS[cls]


def _make_model(cls: type[Op]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (_kind(declared), ... if declared.required else declared.default)
        for name, declared in cls.attributes.items()
    }
    return create_model(f"{cls.__name__}Arguments", __base__=Strict, **fields)


def _kind(declared: Attribute) -> Any:
    text = declared.annotation
    optional = text.endswith(" | None")
    text = text.removesuffix(" | None")
    kind: Any
    if text.startswith("tuple["):
        item = _limited(_BASES[text[6:].partition(",")[0]], declared)
        kind = list.__class_getitem__(item)
        if declared.spread:
            size = declared.spread
            kind = Annotated[kind, Field(min_length=size, max_length=size)]
    elif text.startswith("dict["):
        kind = dict.__class_getitem__((str, _limited(_BASES[text[10:-1]], declared)))
    elif declared.choices:
        kind = Literal[declared.choices]
    else:
        kind = _limited(_BASES[text], declared)
    return Optional[kind] if optional or declared.default is None else kind  # noqa: UP045


def _limited(kind: Any, declared: Attribute) -> Any:
    low, high, above, is_float = declared.minimum, declared.maximum, declared.above, kind is float
    if not (low is None and high is None and above is None):
        kind = Annotated[kind, Field(ge=low, le=high, gt=above)]
    return Annotated[kind, IN_FLOAT32] if is_float else kind


def _as_map(cls: type[Op], data: Any, path: Key, scope: Scope) -> dict[str, Any] | None:
    """Write out the shorthands: nothing at all, or a bare value of the main argument."""
    if data is None:
        return {}
    if isinstance(data, dict):
        return data
    main = next((name for name, declared in cls.attributes.items() if declared.main), None)
    if main is None:
        scope.wrong(
            f"`{cls.name}` expects a map of arguments, found {describe(data)}",
            path,
            word_help("", cls.attributes, "argument") if cls.attributes else None,
        )
        return None
    return {main: data}


def _spread(declared: Attribute, value: Any) -> Any:
    """Write out the shorthands of one value."""
    if isinstance(value, str) and value in declared.words:
        return declared.words[value]
    if declared.annotation.startswith("Init") and value is not None:
        return _init_map(value)
    single = isinstance(value, int | float | str | Poly) and not isinstance(value, bool)
    if declared.spread and single:
        return [value] * declared.spread
    if declared.annotation.startswith("tuple[") and single:
        return [value]
    if isinstance(value, tuple):
        return list(value)
    return value


def _init_map(value: Any) -> Any:
    if isinstance(value, Init):
        standard = vars(Init(value.kind))
        given = {name: v for name, v in vars(value).items() if v != standard[name]}
        return InitModel(kind=value.kind, **given)
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and len(value) == 1 and "kind" not in value:
        kind, settings = next(iter(value.items()))
        return {"kind": kind, **(settings or {})} if isinstance(settings, dict | None) else value
    return value


def _frozen(value: Any) -> Any:
    if isinstance(value, InitModel):
        return Init(**value.model_dump())
    return tuple(value) if isinstance(value, list) else value
