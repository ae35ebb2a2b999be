"""What an objective is, and what it is checked against.

runtime/objectives has the training step of each, under the same file name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..diagnostics import Code, Label, Sink
from ..ir.dims import Symbol
from ..ir.graph import Graph
from ..source import Key, Span
from .fields import Field
from .problem import Problem
from .section import Section


@dataclass(frozen=True)
class Context:
    """Everything that an objective refers to.

    graphs: the networks by name. fields: the data fields that passed `resolve_fields`.
    broken: names of fields whose mistakes are reported already.
    dims: every symbolic size by name, `B` included.
    span: the place of a value in the spec by its path from the root.
    """

    graphs: Mapping[str, Graph]
    fields: Mapping[str, Field]
    dims: Mapping[str, Symbol]
    span: Callable[[Key], Span | None]
    sink: Sink
    broken: frozenset[str] = field(default=frozenset())

    def report(self, problem: Problem, path: Key) -> None:
        """Report a problem of the section at `path`."""
        problem.report(path, self.span, self.sink)

    def label(self, path: Key, text: str) -> tuple[Label, ...]:
        """A second place to show, if it has one."""
        span = self.span(path)
        return (Label(span, text),) if span else ()

    def misfit(
        self,
        message: str,
        path: Key,
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
        *,
        label: str = "",
        also: tuple[Label, ...] = (),
    ) -> None:
        """Report O501 at a path."""
        self.sink.add(Code.O501, message, self.span(path), label, also=also, help=help)


class Objective(Section):
    """A recipe that ties networks to data fields; it yields programs."""

    name: ClassVar[str]
    optimizer_roles: ClassVar[tuple[str, ...]] = ()
    """The keys of `training.optimizers`; () where one optimizer trains everything."""

    program_names: ClassVar[tuple[str, ...]]

    def networks(self) -> dict[str, str]:
        """Role -> name of the network."""
        raise NotImplementedError

    def reads(self, context: Context) -> set[str]:
        """The data fields that networks and losses read. The section must have passed `check`."""
        raise NotImplementedError

    def figures(self) -> dict[str, bool]:
        """What validation measures beside `loss`: name -> whether higher is better."""
        raise NotImplementedError

    def check(self, context: Context, path: Key) -> None:
        """Report everything that does not fit into `context.sink`; `path` leads to the section."""
        raise NotImplementedError

    def programs(self, context: Context) -> dict[str, Graph]:
        """The programs by name. The section must have passed `check`."""
        raise NotImplementedError

    def labels(self, context: Context) -> dict[str, list[str]]:
        """Output of a program -> the names of its classes, where the data has names."""
        return {}


def trained_graphs(objective: Objective | None, context: Context) -> dict[str, Graph] | None:
    """The networks that an objective trains; None where one of them is missing or has mistakes."""
    if objective is None:
        return None
    names = objective.networks().values()
    if any(name not in context.graphs for name in names):
        return None
    return {name: context.graphs[name] for name in names}
