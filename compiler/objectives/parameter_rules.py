"""`training.parameters`: which parameters train at another rate, decay otherwise or stay.

A rule chooses tensors by the pattern of their names, `<network>.<path>`, by what they are, or by
both. Where several rules choose a tensor, the last one that sets a key wins, key by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph, Node, Parameter
from ..ops.activations import Prelu
from ..ops.arithmetic import Scale
from ..ops.class_projection import ClassProjection
from ..ops.embedding import Embedding, PositionEmbedding
from ..ops.normalization import Normalization
from .patterns import is_pattern, matches_any
from .problem import Problem
from .section import Section, listed

Kind = Literal["weight", "bias", "norm", "embedding", "scale"]
"""bias: what is added. norm: both tensors of a normalisation layer, its bias included.
embedding: tables. scale: the factors of `scale` and the slopes of `prelu`. weight: the rest."""

KINDS: tuple[str, ...] = get_args(Kind)
STATISTICS = "running_mean"
"""The key by which batch norm's statistics are known to be chosen."""


class Freeze(Section):
    """For how long a parameter stays as it is.

    `freeze: true` is the whole run, `freeze: false` takes back what an earlier rule says.
    """

    title: ClassVar[str] = "`freeze`"
    expects: ClassVar[str] = "`true`, `false` or `{until: 500}`"

    until: int | None = Setting(
        default=None, ge=0, description="How many optimizer steps; the whole run unless given."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {True: {}, False: {"until": 0}}[data] if isinstance(data, bool) else data


class ParameterRule(Section):
    """What differs for some parameters: `{match: "classifier.layer1.**", lr_factor: 0.1}`."""

    title: ClassVar[str] = "an item of `parameters`"

    match: list[Annotated[str, Setting(min_length=1)]] = Setting(
        default=["**"],
        min_length=1,
        description="Patterns of names, `<network>.<path>`: `*` is one part, `**` any number.",
    )
    kind: list[Kind] = Setting(
        default=[],
        description="What they are; all unless given. bias: what is added, in normalisation too. "
        "norm: both tensors of a normalisation layer. embedding: tables. scale: the factors of "
        "`scale` and the slopes of `prelu`. weight: all else.",
    )
    lr_factor: float | None = Setting(
        default=None, gt=0, description="Multiplies the optimizer's learning rate."
    )
    weight_decay: float | None = Setting(
        default=None, ge=0, description="Replaces the optimizer's weight decay."
    )
    freeze: Freeze | None = Setting(
        default=None,
        description="true: the parameters stay as they are; `{until: 500}`: for so many steps. "
        "Batch norm that `match` covers as a whole uses its stored statistics meanwhile.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return listed(data, "match", "kind")

    def chooses(self, tensor: Tensor) -> bool:
        of_kind = not self.kind or bool(tensor.kinds & set(self.kind))
        return of_kind and matches_any(self.match, tensor.name)

    def problems(self) -> Iterator[Problem]:
        for index, pattern in enumerate(self.match):
            if not is_pattern(pattern):
                yield Problem(
                    Code.S102,
                    f"`match` expects names with `.` between their parts, `*` and `**`, found "
                    f"`{pattern}`",
                    ("match", index),
                    help='write it as `match: "classifier.layer1.**"`',
                )
        if not self.model_fields_set & {"match", "kind"}:
            yield Problem(
                Code.S102,
                f"{self.title} needs `match` or `kind`",
                help='`match: "**"` chooses every parameter',
            )
        if self.lr_factor is None and self.weight_decay is None and self.freeze is None:
            yield Problem(
                Code.S102,
                f"{self.title} needs `lr_factor`, `weight_decay` or `freeze`",
                help="say what differs, or remove the item",
            )


@dataclass(frozen=True)
class Tensor:
    """A stored tensor as rules see it. name: `<network>.<path>`. declared: by its operator."""

    name: str
    declared: Parameter
    kinds: frozenset[str]

    @property
    def is_statistics(self) -> bool:
        """Whether it stands for the statistics of a batch norm."""
        return self.declared.key == STATISTICS and not self.declared.trainable


@dataclass(frozen=True)
class Treatment:
    """What the rules make of one tensor.

    weight_decay: None for the optimizer's.
    frozen_until: how many steps it stays as it is; 0 if it trains from the first, None if never.
    """

    lr_factor: float = 1.0
    weight_decay: float | None = None
    frozen_until: int | None = 0


def tensors_of(graphs: Mapping[str, Graph]) -> list[Tensor]:
    """The tensors of networks, buffers included, under the names that rules match."""
    return [
        Tensor(f"{network}.{node.weights[declared.key].name}", declared, _kinds(node, declared))
        for network, graph in graphs.items()
        for node in graph.nodes
        for declared in node.declared()
        if node.owns(declared)
    ]


def _kinds(node: Node, declared: Parameter) -> frozenset[str]:
    found = set()
    if declared.key.endswith("bias"):
        found.add("bias")
    if isinstance(node.op, Normalization):
        found.add("norm")
    if isinstance(node.op, Embedding | PositionEmbedding | ClassProjection):
        found.add("embedding")
    if isinstance(node.op, Scale | Prelu):
        found.add("scale")
    return frozenset(found or {"weight"})


def is_matrix(tensor: Tensor, exclude: Sequence[str]) -> bool:
    """Whether `muon` moves a parameter: a weight of two axes that no pattern of `exclude` names."""
    return (
        len(tensor.declared.shape) == 2
        and "weight" in tensor.kinds
        and not matches_any(exclude, tensor.name)
    )


def treatments(
    rules: Sequence[ParameterRule], graphs: Mapping[str, Graph]
) -> list[tuple[Tensor, Treatment]]:
    """What the rules make of each tensor of networks."""
    return [(tensor, treatment(rules, tensor)) for tensor in tensors_of(graphs)]


def trained(rules: Sequence[ParameterRule], tensors: Iterable[Tensor]) -> list[Tensor]:
    """Those of some tensors that are not frozen for the whole run."""
    return [tensor for tensor in tensors if treatment(rules, tensor).frozen_until is not None]


def trained_count(rules: Sequence[ParameterRule], graphs: Mapping[str, Graph]) -> int:
    """How many numbers of networks are trained, be it from some step on."""
    found = trained(rules, tensors_of(graphs))
    return sum(tensor.declared.elements for tensor in found if tensor.declared.trainable)


def treatment(rules: Sequence[ParameterRule], tensor: Tensor) -> Treatment:
    """What the rules make of one tensor; later ones win."""
    found = Treatment()
    for rule in rules:
        if rule.chooses(tensor):
            found = replace(found, **_changes(rule))
    return found


def _changes(rule: ParameterRule) -> dict[str, Any]:
    given = {"lr_factor": rule.lr_factor, "weight_decay": rule.weight_decay}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if rule.freeze is not None:
        changes["frozen_until"] = rule.freeze.until
    return changes
