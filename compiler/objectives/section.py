"""The models that describe a section of a spec.

A `Section` is a pydantic model that refuses unknown keys. language/validate.py walks a document by
the fields declared here, desugars each map first, and turns every mistake into a diagnostic; so
models need no unions and no validators of their own for shapes of input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all models of the language."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        frozen=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # building a model takes milliseconds; most commands use few
    )

    title: ClassVar[str] = "section"
    """What messages call it: "unknown key `lr2` in the optimizer `adamw`"."""

    expects: ClassVar[str] = "a map"
    """What messages say that it is written as."""

    @classmethod
    def desugar(cls, data: Any) -> Any:
        """Rewrite a shorthand into a map; anything else is returned as it is."""
        return {} if data is None else data


def listed(data: Any, *keys: str) -> Any:
    """For `desugar`: the same map with a list where a single text stands at one of the keys."""
    if not isinstance(data, Mapping):
        return Section.desugar(data)
    alone = {key: [data[key]] for key in keys if isinstance(data.get(key), str)}
    return {**data, **alone}


@dataclass(frozen=True, eq=False)  # so that it has a hash, which a union asks for
class OneKey:
    """Metadata of a field whose value is a map with exactly one key, the name of a section.

    `optimizer: {adamw: {lr: 1e-3}}`; a bare word stands for the section without arguments.
    inline: the key stands among the keys of the map that has the field:
    `{cross_entropy: {output: logits}, weight: 0.5}`.
    what: what messages call the choice: "unknown loss `corss_entropy`".
    """

    registry: Mapping[str, type[Section]]
    what: str
    inline: bool = False
