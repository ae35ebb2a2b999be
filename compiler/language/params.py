"""Parameters of a spec: their values after a variant and `--set`, and the sizes of `dims`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Code, Sink
from ..ir.dims import Symbol
from ..source import Located
from ..suggest import did_you_mean
from .describe import describe, plain
from .evaluate import FAILED, Scope
from .expressions import is_expression
from .layers import NAME
from .scalars import Refused, read_plain
from .schema import DimModel, ParamModel
from .validate import Validator

BATCH = "B"


@dataclass(frozen=True)
class Choices:
    """What the command line says about parameters.

    variant: the name of a variant. values: `--set` by name, as text in the spec's own notation.
    """

    variant: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ParamReader:
    """Reads `params`, `variants` and `dims` of one document."""

    located: Located
    sink: Sink
    validator: Validator

    def params(self, choices: Choices) -> dict[str, Any]:
        """The value of every parameter; those with mistakes are reported and left out."""
        models = self._models()
        chosen = {**self._variant(choices.variant, models), **self._set(choices.values, models)}
        env: dict[str, Any] = {}
        for name, model in models.items():
            path = ("params", name, "value")
            where = path if path in self.located.spans else ("params", name)
            default = Scope(env, self.located, self.sink).evaluate(model.value, where)
            if default is FAILED or not self._is_value(name, default):
                continue
            value, said = chosen.get(name, (default, None))
            if said and not _fits(value, default):
                self._add(
                    f"{said} expects {_type_words(default)} for `{name}`, found {_found(value)}",
                    help=f"the default is `{plain(default)}`",
                )
                continue
            if isinstance(default, float) and isinstance(value, int):
                value = float(value)
            if self._in_range(name, model, value, said):
                env[name] = value
        return env

    def _models(self) -> dict[str, ParamModel]:
        data = self._map("params")
        models: dict[str, ParamModel] = {}
        for name, value in data.items():
            path = ("params", name)
            if not NAME.match(str(name)) or not str(name)[0].islower():
                self._report(
                    Code.S102,
                    f"a parameter expects a lower-case name, found `{name}`",
                    path,
                    "upper-case names are dimensions",
                )
                continue
            model = self.validator.read(ParamModel, value, path)
            if model:
                models[name] = model
        return models

    def _is_value(self, name: str, value: Any) -> bool:
        good = isinstance(value, int | float | str | bool) or (
            isinstance(value, list) and all(isinstance(v, int | float | bool | str) for v in value)
        )
        if not good:
            self._report(
                Code.S102,
                f"parameter `{name}` expects a number, a word, true, false or a list of these, "
                f"found {describe(value)}",
                ("params", name),
            )
        return good

    def _variant(
        self, chosen: str | None, models: Mapping[str, ParamModel]
    ) -> dict[str, tuple[Any, str]]:
        variants = self._map("variants")
        for name, values in variants.items():
            if not isinstance(values, dict):
                self._report(
                    Code.S102,
                    f"variant `{name}` expects a map of parameters, found {describe(values)}",
                    ("variants", name),
                )
                continue
            for param in values:
                if param not in models and param not in self._map("params", quiet=True):
                    self._report(
                        Code.E201,
                        f"variant `{name}` sets the unknown parameter `{param}`",
                        ("variants", name, param),
                        did_you_mean(str(param), models, "parameter"),
                    )
        if chosen is None:
            return {}
        if chosen not in variants:
            self._add(
                f"unknown variant `{chosen}`",
                code=Code.E201,
                help=did_you_mean(chosen, variants, "variant"),
            )
            return {}
        values = variants[chosen]
        said = f"variant `{chosen}`"
        return {k: (v, said) for k, v in values.items()} if isinstance(values, dict) else {}

    def _set(
        self, values: Mapping[str, str], models: Mapping[str, ParamModel]
    ) -> dict[str, tuple[Any, str]]:
        found: dict[str, tuple[Any, str]] = {}
        for name, text in values.items():
            if name not in models:
                self._add(
                    f"`--set {name}={text}` names an unknown parameter",
                    code=Code.E201,
                    help=did_you_mean(name, models, "parameter"),
                )
                continue
            value = read_value(text)
            if isinstance(value, Refused):
                self._add(f"`--set {name}={text}`: {value.message}", help=value.help)
                continue
            found[name] = (value, f"`--set {name}={text}`")
        return found

    def _in_range(self, name: str, model: ParamModel, value: Any, said: str | None) -> bool:
        low, high = model.min, model.max
        if isinstance(value, bool) or not isinstance(value, int | float):
            if low is not None or high is not None:
                self._report(
                    Code.S102,
                    f"`min` and `max` of a parameter limit numbers, found {describe(value)} in "
                    f"`{name}`",
                    ("params", name),
                    "remove them",
                )
            return True
        if (low is None or value >= low) and (high is None or value <= high):
            return True
        limits = [f"at least {low:g}" if low is not None else ""]
        limits.append(f"at most {high:g}" if high is not None else "")
        wanted = " and ".join(filter(None, limits))
        self._report(
            Code.E202 if said else Code.S102,
            f"parameter `{name}` expects {wanted}, found `{value}`"
            + (f" by {said}" if said else ""),
            ("params", name),
        )
        return False

    def dims(self) -> dict[str, Symbol]:
        """Every symbolic size by name, the batch `B` among them."""
        found = {BATCH: Symbol(BATCH)}
        for name, value in self._map("dims").items():
            path = ("dims", name)
            if not NAME.match(str(name)) or not str(name)[0].isupper():
                self._report(
                    Code.S102,
                    f"a size in `dims` expects an upper-case name, found `{name}`",
                    path,
                    "lower-case names are parameters",
                )
                continue
            if name == BATCH:
                self._report(
                    Code.G304,
                    f"`{BATCH}`, the batch, is built in and cannot be declared",
                    path,
                    "remove it",
                )
                continue
            found[name] = Symbol(name)  # so that a mistake in it is no unknown size elsewhere
            model = self.validator.read(DimModel, value, path)
            if model and self._bounds_fit(name, model):
                found[name] = Symbol(name, model.min, model.max, model.multiple_of)
        return found

    def _bounds_fit(self, name: str, model: DimModel) -> bool:
        least = -(-model.min // model.multiple_of) * model.multiple_of
        if model.max is None or least <= model.max:
            return True
        self._report(
            Code.S102,
            f"size `{name}` has no value: min {model.min}, max {model.max}, "
            f"multiple of {model.multiple_of}",
            ("dims", name),
            "raise `max`",
        )
        return False

    def _map(self, section: str, *, quiet: bool = False) -> dict[str, Any]:
        data = self.located.data.get(section)
        if data is None or isinstance(data, dict):
            return data or {}
        if not quiet:
            self._report(
                Code.S102, f"`{section}` expects a map, found {describe(data)}", (section,)
            )
        return {}

    def _report(
        self,
        code: Code,
        message: str,
        path: tuple[str | int, ...],
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> None:
        self.sink.add(code, message, self.located.key(path), help=help)

    def _add(
        self,
        message: str,
        *,
        code: Code = Code.E202,
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> None:
        """A mistake of the command line, which has no place in the file."""
        self.sink.add(code, message, None, help=help)


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


def _found(value: Any) -> str:
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
