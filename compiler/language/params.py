"""Parameters of a spec: their values after a variant and `--set`, and the sizes of `dims`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Code, Sink
from ..ir.dims import Symbol
from ..source import Located
from ..suggest import did_you_mean
from .describe import describe, plain
from .evaluate import FAILED, Scope, expression_names
from .layers import NAME
from .param_values import found_words, outside, read_value, wanted_instead
from .scalars import Refused
from .schema import DimModel, ParamModel
from .validate import Validator

BATCH = "B"


@dataclass(frozen=True)
class Choices:
    """What the command line says about parameters.

    variant: the name of a variant. values: `--set` by name, as text in the spec's own notation.
    stage: which stage of `training.grow` is compiled, whose value is among `values`; None for the
        spec as it stands, whose stages are compiled beside it.
    """

    variant: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    stage: int | None = None


@dataclass(frozen=True)
class _Settings:
    """What sets parameters besides their defaults.

    variants: what each sets, as written. variant: the chosen one, None for none.
    values: those of the command line, with the words for messages.
    """

    variants: Mapping[str, Mapping[str, Any]]
    variant: str | None
    values: Mapping[str, tuple[Any, str]]


@dataclass
class ParamReader:
    """Reads `params`, `variants` and `dims` of one document.

    sound_params, sound_dims: those that no mistake was reported of.
    """

    located: Located
    sink: Sink
    validator: Validator
    sound_params: list[str] = field(default_factory=list)
    sound_dims: list[str] = field(default_factory=list)

    def params(self, choices: Choices) -> dict[str, Any]:
        """The value of every parameter; those with mistakes are reported and left out."""
        models = self._models()
        settings = self._settings(choices, models)
        env: dict[str, Any] = {}
        failed = {str(name) for name in self._map("params", quiet=True) if name not in models}
        for name, model in models.items():
            before = self.sink.errors
            silent = expression_names(model.value) & failed  # what it is made of has the mistake
            value = FAILED if silent else self._value(name, model, env, settings)
            if value is FAILED:
                failed.add(name)
                continue
            env[name] = value
            if self.sink.errors == before:
                self.sound_params.append(name)
        return env

    def _settings(self, choices: Choices, models: Mapping[str, ParamModel]) -> _Settings:
        variants = self._variants(models)
        if choices.variant is not None and choices.variant not in variants:
            self._add(
                f"unknown variant `{choices.variant}`",
                did_you_mean(choices.variant, variants, "variant"),
                code=Code.E201,
            )
        return _Settings(variants, choices.variant, self._set(choices.values, models))

    def _value(
        self, name: str, model: ParamModel, env: Mapping[str, Any], settings: _Settings
    ) -> Any:
        default = self._default(name, model, env)
        if default is FAILED:
            return FAILED
        value = self._chosen(name, default, model, settings)
        return float(value) if isinstance(default, float) and value is not FAILED else value

    def _default(self, name: str, model: ParamModel, env: Mapping[str, Any]) -> Any:
        """The default of a parameter, or FAILED where a mistake was reported."""
        path = ("params", name, "value")
        where = path if path in self.located.spans else ("params", name)
        value = Scope(env, self.located, self.sink).evaluate(model.value, where)
        if value is FAILED or not self._is_value(name, value):
            return FAILED
        limited = model.min is not None or model.max is not None
        if limited and (isinstance(value, bool) or not isinstance(value, int | float)):
            self._report(
                Code.S102,
                f"`min` and `max` of a parameter limit numbers, found {describe(value)} in "
                f"`{name}`",
                ("params", name),
                "remove them",
            )
        return value

    def _chosen(self, name: str, default: Any, model: ParamModel, settings: _Settings) -> Any:
        """What a parameter is set to; FAILED where that was refused. Every variant is checked."""
        fitting = {
            variant: values[name]
            for variant, values in settings.variants.items()
            if name in values and self._variant_fits(variant, name, values[name], default, model)
        }
        if name in settings.values:
            value, said = settings.values[name]
            wanted = wanted_instead(value, default, model)
            if wanted:
                self._add(*_misfit(said, name, wanted, value, default))
            return FAILED if wanted else value
        chosen = settings.variant
        if chosen is not None and name in settings.variants.get(chosen, {}):
            return fitting.get(chosen, FAILED)
        wanted = outside(default, model)
        if wanted:
            message = f"parameter `{name}` expects {wanted}, found `{default}`"
            self._report(Code.S102, message, ("params", name))
        return FAILED if wanted else default

    def _variant_fits(
        self, variant: str, name: str, value: Any, default: Any, model: ParamModel
    ) -> bool:
        wanted = wanted_instead(value, default, model)
        if wanted:
            message, step = _misfit(f"variant `{variant}`", name, wanted, value, default)
            place = self.located.span(("variants", variant, name))
            self.sink.add(Code.S102, message, place, help=step)
        return wanted is None

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

    def _variants(self, models: Mapping[str, ParamModel]) -> dict[str, dict[str, Any]]:
        """What each variant sets, as written; unknown parameters are reported."""
        known = {*models, *self._map("params", quiet=True)}
        found: dict[str, dict[str, Any]] = {}
        for name, values in self._map("variants").items():
            found[name] = values if isinstance(values, dict) else {}
            if not isinstance(values, dict):
                self._report(
                    Code.S102,
                    f"variant `{name}` expects a map of parameters, found {describe(values)}",
                    ("variants", name),
                    f"write `{name}: {{<parameter>: <value>}}`",
                )
            for param in (param for param in found[name] if param not in known):
                self._report(
                    Code.E201,
                    f"variant `{name}` sets the unknown parameter `{param}`",
                    ("variants", name, param),
                    did_you_mean(str(param), models, "parameter"),
                )
        return found

    def _set(
        self, values: Mapping[str, str], models: Mapping[str, ParamModel]
    ) -> dict[str, tuple[Any, str]]:
        found: dict[str, tuple[Any, str]] = {}
        for name, text in values.items():
            if name not in models:
                self._add(
                    f"`--set {name}={text}` names an unknown parameter",
                    did_you_mean(name, models, "parameter"),
                    code=Code.E201,
                )
                continue
            value = read_value(text)
            if isinstance(value, Refused):
                self._add(f"`--set {name}={text}`: {value.message}", value.help)
                continue
            found[name] = (value, f"`--set {name}={text}`")
        return found

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
                self.sound_dims.append(name)
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
        help: str | None,  # noqa: A002 - the word of the diagnostic's field
        code: Code = Code.E202,
    ) -> None:
        """A mistake of the command line, which has no place in the file."""
        self.sink.add(code, message, None, help=help)


def _misfit(said: str, name: str, wanted: str, value: Any, default: Any) -> tuple[str, str]:
    """The message about a value that cannot stand for a default, and the next step."""
    return (
        f"{said} expects {wanted} for `{name}`, found {found_words(value)}",
        f"the default is `{plain(default)}`",
    )
