"""The models of a spec's sections that say nothing about layers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ..objectives.lint import Reason
from ..objectives.section import Section

SECTIONS = (
    "spec",
    "name",
    "summary",
    "imports",
    "params",
    "variants",
    "dims",
    "data",
    "blocks",
    "networks",
    "objective",
    "training",
    "export",
    "expect",
    "lint",
)
"""Every key of the top level, in canonical order; `x-*` is free."""

LIBRARY_SECTIONS = ("spec", "name", "imports", "blocks")

EDITION = "v1"

DTypeWord = Literal["float32", "int64", "int32", "uint8", "bool"]
"""Element types of network inputs. Weights are float32; `training.precision` lowers both."""


class ParamModel(Section):
    """A parameter of the spec: `width: 64` or `{value: 64, min: 8, max: 512, doc: ...}`."""

    title: ClassVar[str] = "a parameter"
    expects: ClassVar[str] = "a value or a map"

    value: Any = Field(description="The value that `--set` and variants may change.")
    min: float | None = Field(default=None, description="The least allowed value.")
    max: float | None = Field(default=None, description="The greatest allowed value.")
    doc: str | None = Field(default=None, description="What it means, for people.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"value": data}


class DimModel(Section):
    """A symbolic size: `T: {min: 1, max: 400, multiple_of: 1}`."""

    title: ClassVar[str] = "a size in `dims`"

    min: int = Field(default=1, ge=1, description="The least size.")
    max: int | None = Field(default=None, ge=1, description="The greatest size.")
    multiple_of: int = Field(default=1, ge=1, description="What the size is a multiple of.")


class InputModel(Section):
    """An input of a network: `image: {shape: [B, 1, 28, 28]}`."""

    title: ClassVar[str] = "an input"

    shape: list[Any] = Field(
        min_length=1,
        max_length=8,
        description="sizes, the batch `B` first; states of recurrent layers: [layers, B, hidden]",
    )
    dtype: DTypeWord = Field(default="float32", description="the element type")


class BlockInputModel(Section):
    """An input of a block: its shape binds the names in it."""

    title: ClassVar[str] = "an input of a block"

    shape: list[Any] = Field(min_length=1, max_length=8, description="names and sizes to match")


class NetworkModel(Section):
    """A graph of layers."""

    title: ClassVar[str] = "a network"

    inputs: dict[str, InputModel] = Field(min_length=1, description="what goes in, by name")
    layers: list[Any] = Field(min_length=1, description="the layers in order")
    outputs: Any = Field(default=None, description="a name for the last layer, or {port: source}")


class BlockParamModel(Section):
    """A parameter of a block: `channels: int` or `stride: {type: int, default: 1}`."""

    title: ClassVar[str] = "a parameter of a block"

    type: Literal["int", "float", "bool", "list", "choice"] = Field(description="its type")
    default: Any = Field(default=None, description="its value where a use does not give it")
    choices: list[str] | None = Field(default=None, description="the words of a choice")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if isinstance(data, list):
            return {"type": "choice", "choices": data}
        if isinstance(data, str):
            return {"type": data}
        if isinstance(data, dict) and "choices" in data and "type" not in data:
            return {"type": "choice", **data}
        return data


class BlockModel(Section):
    """A parameterised template of layers."""

    title: ClassVar[str] = "a block"

    params: dict[str, BlockParamModel] = Field(default={}, description="what a use may set")
    inputs: dict[str, BlockInputModel] | None = Field(
        default=None, min_length=1, description="its inputs; one `x` of any shape by default"
    )
    layers: list[Any] = Field(min_length=1, description="the layers in order")
    outputs: Any = Field(default=None, description="{port: source}; the last layer by default")


class ExpectModel(Section):
    """Assertions about the compiled model; each names networks."""

    title: ClassVar[str] = "`expect`"

    parameters: dict[str, int] = Field(default={}, description="Trained numbers, by network.")
    flops: dict[str, int] = Field(default={}, description="Operations a sample, by network.")
    outputs: dict[str, str] = Field(
        default={}, description="Type of an output: `classifier.logits: f32[B, 10]`."
    )


class LintModel(Section):
    """Suppressed lints, each with a reason: `lint: {L909: small on purpose}`."""

    title: ClassVar[str] = "`lint`"
    expects: ClassVar[str] = "a map from codes to reasons"

    reasons: dict[str, Reason] = Field(
        default={}, description="why a lint does not matter here, by code"
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"reasons": data} if isinstance(data, dict) else super().desugar(data)
