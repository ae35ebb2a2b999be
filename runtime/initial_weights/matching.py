"""Which stored tensor each tensor of a network takes, by name and shape. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ...compiler.ir.graph import Graph, Parameter
from ...compiler.ir.shapes import DType
from ...compiler.objectives.initial_weights import InitFrom
from ...compiler.objectives.patterns import matches, matches_any
from .files import Stored, WeightSource

COUNTER = "num_batches_tracked"
"""A counter of batch norm that older files lack; it starts at 0 then, as torch has it."""

FITTING = {
    DType.F32: ("F32", "F64", "F16", "BF16"),
    DType.I64: ("I64", "I32", "I16", "I8", "U8"),
}
"""The stored element types that a tensor may come from, its own first."""


@dataclass(frozen=True)
class Misfit:
    """A stored tensor of another shape or type than the network's of its name."""

    network: str
    tensor: str
    declared: Parameter
    stored: Stored


@dataclass
class Match:
    """What networks take from a source.

    taken: network -> tensor -> where it lies.
    fresh: `<network>.<tensor>` of those that start anew, as `reinitialise` says or since the
        source has none. missing: the latter of them, counters of batch norm left out.
    extra: the source's names that have no place. rest: all that were not asked for.
    """

    settings: InitFrom
    graphs: Mapping[str, Graph]
    source: WeightSource
    taken: dict[str, dict[str, Stored]] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> list[tuple[str, str, Parameter]]:
        """Network, tensor and declaration of everything that `under` covers."""
        return [
            (network, tensor, declared)
            for network, graph in self.graphs.items()
            for tensor, declared in graph.tensors().items()
            if self.below(tensor) is not None
        ]

    def starts_anew(self, network: str, tensor: str) -> bool:
        """Whether `reinitialise` names a tensor, alone or behind its network's name."""
        return matches_any(self.patterns, tensor) or matches_any(
            self.whole_names, f"{network}.{tensor}"
        )

    @cached_property
    def patterns(self) -> list[str]:
        """Patterns of `reinitialise` for the names that tensors have in their network."""
        return [p for p in self.settings.reinitialise if p not in self.whole_names]

    @cached_property
    def whole_names(self) -> list[str]:
        """Patterns that name the network first, as those of `parameters` do.

        A pattern is one where it fits no name inside the networks, so that `fc.**` stays the layer
        `fc` where a network is called `fc`, too.
        """
        inner = [tensor for _, tensor, _ in self.wanted]
        whole = [f"{network}.{tensor}" for network, tensor, _ in self.wanted]
        return [
            pattern
            for pattern in self.settings.reinitialise
            if not any(matches(pattern, name) for name in inner)
            and any(matches(pattern, name) for name in whole)
        ]

    def below(self, tensor: str) -> str | None:
        """A tensor's name below the layer that gets weights; None where it lies elsewhere."""
        under = self.settings.under
        if under is None:
            return tensor
        return tensor.removeprefix(f"{under}.") if tensor.startswith(f"{under}.") else None

    def head(self, network: str) -> str:
        """What stands before a network's own names in the source."""
        prefix = self.settings.prefix
        if len(self.graphs) > 1:
            parts = [prefix, network]
        elif prefix is not None:
            parts = [prefix]
        else:
            parts = [network] if self.source.by_network else []
        return "".join(f"{part.removesuffix('.')}." for part in parts if part)

    def own_name(self, name: str) -> str | None:
        """A name of the source as the network would call it; None where it is not for these."""
        heads = [head for head in map(self.head, self.graphs) if name.startswith(head)]
        if not heads:
            return None
        rest = name.removeprefix(max(heads, key=len))
        return f"{self.settings.under}.{rest}" if self.settings.under else rest


def match_names(settings: InitFrom, graphs: Mapping[str, Graph], source: WeightSource) -> Match:
    """Look up every tensor of the networks that get weights."""
    match = Match(settings, graphs, source)
    asked = {_decide(match, *wanted) for wanted in match.wanted}
    match.rest = [name for name in source.tensors if name not in asked]
    for name in match.rest:
        own = match.own_name(name)
        if own is not None and not matches_any(match.patterns, own):
            match.extra.append(name)
    return match


def _decide(match: Match, network: str, tensor: str, declared: Parameter) -> str:
    """Where one tensor comes from. Returns: its name in the source, whether it is there or not."""
    asked = f"{match.head(network)}{match.below(tensor)}"
    stored = match.source.tensors.get(asked)
    if match.starts_anew(network, tensor):
        match.fresh.append(f"{network}.{tensor}")
    elif stored is None:
        match.fresh.append(f"{network}.{tensor}")
        if declared.key != COUNTER:
            match.missing.append(f"{network}.{tensor}")
    elif stored.shape != declared.shape or stored.dtype not in FITTING.get(declared.dtype, ()):
        match.misfits.append(Misfit(network, tensor, declared, stored))
    else:
        match.taken.setdefault(network, {})[tensor] = stored
    return asked
