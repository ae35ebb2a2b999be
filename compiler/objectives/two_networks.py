"""What checks of objectives with two networks share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from ..diagnostics import Label
from ..ir.graph import Graph
from ..ir.proofs import equal
from ..ir.shapes import SPEC_DTYPES, DType, TensorType
from ..source import Key
from ..suggest import did_you_mean
from .base import Context, Objective
from .fields import Field
from .network_use import NetworkUse
from .problem import Problem

WORDS: Mapping[DType, Any] = {dtype: word for word, dtype in SPEC_DTYPES.items()}
"""The word of an element type in specs."""


class TwoNetworkChecks:
    """Finds the two networks of an objective, and reports at its settings.

    path: leads to the section.
    """

    roles: ClassVar[tuple[str, str]] = ("encoder", "decoder")
    """The settings that name the networks; the second one is made to follow the first."""

    def __init__(self, settings: Objective, context: Context, path: Key) -> None:
        self._settings, self._context, self._path = settings, context, path
        self.graphs = context.graphs

    def misfit(self, message: str, key: str, step: str, *, also: tuple[Label, ...] = ()) -> bool:
        """Report O501 at a setting; the answer of a check that failed."""
        place = (key, "network") if key in self.roles else (key,)
        self._context.misfit(message, (*self._path, *place), step, also=also)
        return False

    def excluded(self, problem: Problem) -> None:
        """Report settings of the section that do not go together."""
        self._context.report(problem, self._path)

    def maker(self, network: str, output: str) -> tuple[Label, ...]:
        """The layer that makes an output, as a second place to show."""
        graph = self.graphs[network]
        node = graph.producers().get(graph.outputs[output].name)
        return (Label(node.span, f"`{output}` is made here"),) if node and node.span else ()

    def _used(self, role: str) -> NetworkUse:
        use: NetworkUse = getattr(self._settings, role)
        return use

    def found(self) -> tuple[Graph | None, Graph | None]:
        """The networks by their roles; None where one is missing, which is reported once."""
        context, found = self._context, []
        for role in self.roles:
            graph = self._used(role).find(self._settings.title, context, (*self._path, role))
            if graph is None and not context.fields and not context.broken:
                return None, None  # that there is no data is said once
            found.append(graph)
        return found[0], found[1]

    def are_two(self) -> bool:
        first, second = (self._used(role).network for role in self.roles)
        if first != second:
            return True
        return self.misfit(
            f"{self._settings.title} expects two networks, found `{first}` as both",
            self.roles[1],
            "name another network",
        )

    def found_field(self, key: str) -> Field | None:
        """The data field that a setting names; None where it is missing, which is reported.

        key: the setting's.
        """
        context, name = self._context, str(getattr(self._settings, key))
        if name in context.broken:
            return None  # which was reported already
        field = context.fields.get(name)
        if field is None:
            message = f"`{key}` names the data field `{name}`, which does not exist"
            self.misfit(message, key, did_you_mean(name, context.fields, "field"))
        return field

    def names_are_free(self, own: Collection[str], read: Collection[str]) -> bool:
        """Whether what is the programs' own can have the names that it always has.

        own: what programs call inputs and outputs that are no fields. read: the fields they take.
        """
        clashes = [name for name in self._context.fields if name in read and name in own]
        for name in clashes:
            self._context.misfit(
                f"{self._settings.title} calls an input or an output of its programs `{name}`, and "
                f"expects data fields of other names, found `{name}`",
                ("data", "fields", name),
                f"rename the field; `inputs: {{{name}: ...}}` binds a network's input to it",
            )
        return not clashes


def same_sizes(kind: TensorType, wanted: TensorType) -> bool:
    """Whether two types are proved to have the same sizes and elements."""
    return (
        kind.rank == wanted.rank
        and all(equal(a, b) is True for a, b in zip(kind.shape, wanted.shape, strict=True))
        and kind.dtype == wanted.dtype
    )


def as_field(kind: TensorType) -> Field:
    """What a network gives, as if data held it: its sizes are known."""
    return Field(shape=list(kind.shape), dtype=WORDS[kind.dtype])
