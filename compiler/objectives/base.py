"""What an objective is, and what it is checked against.

runtime/objectives has the training step of each, under the same file name.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

from pydantic import PrivateAttr

from ..diagnostics import Code, Label, Sink
from ..ir.dims import Symbol
from ..ir.graph import Graph
from ..source import Key, Span
from .fields import Field
from .judge import Judge
from .losses import FIRST, Axis
from .problem import Problem
from .section import Section
from .source import Source
from .training import Training

Noise = Literal["normal", "uniform"]
"""The standard normal distribution, or the uniform one from 0 to below 1."""


@dataclass(frozen=True)
class Labels:
    """What a loss or a layer needs of integers that it reads, beside what their field says.

    count: how many there may be, such as a classifier's scores; None where nothing fixes it.
    ignored: labels that the loss leaves out, such as 255 for unlabelled pixels.
    room: how many ids a layer that looks them up has room for; None where none does.
    """

    count: int | None = None
    ignored: frozenset[int] = frozenset()
    room: int | None = None


@dataclass(frozen=True)
class Probable:
    """An output of a program that holds probabilities.

    scores: the output that they are made of. exclusive: whether one class is true of those of a
    place; else each number answers yes or no. axis: of the classes, `FIRST` or `LAST`.
    """

    scores: str
    exclusive: bool
    axis: Axis = FIRST


@dataclass(frozen=True)
class Context:
    """Everything that an objective refers to.

    graphs: the networks by name. fields: the data fields that passed `resolve_fields`.
    broken: names of fields whose mistakes are reported already.
    dims: every symbolic size by name, `B` included. source: where the data comes from.
    span: the place of a value in the spec by its path from the root.
    is_stage: whether the networks are those of a stage of `training.grow` before the last.
    """

    graphs: Mapping[str, Graph]
    fields: Mapping[str, Field]
    dims: Mapping[str, Symbol]
    span: Callable[[Key], Span | None]
    sink: Sink
    broken: frozenset[str] = field(default=frozenset())
    source: Source | None = None
    is_stage: bool = False

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

    takes_fade: ClassVar[bool] = False
    """Whether inputs of its networks may take the fade of `training.grow`."""

    _fade: str | None = PrivateAttr(default=None)
    """The input of networks that takes the fade; None where nothing fades."""

    def grown_by(self, training: Training) -> Self:
        """The same settings, knowing what `training.grow` feeds the networks."""
        if training.grow is None or training.grow.fade is None:
            return self
        told = self.model_copy()
        told._fade = training.grow.fade.input
        return told

    @property
    def differentiates_twice(self) -> bool:
        """Whether its losses hold gradients, whose gradient is taken."""
        return False

    @property
    def lazy(self) -> str:
        """What some steps compute and others leave out, in words; empty where all do the same."""
        return ""

    @property
    @abstractmethod
    def program_names(self) -> tuple[str, ...]:
        """The programs that it yields."""

    @abstractmethod
    def networks(self) -> dict[str, str]:
        """Role -> name of the network."""

    @abstractmethod
    def reads(self, context: Context) -> set[str]:
        """The data fields that networks and losses read. The section must have passed `check`."""

    @abstractmethod
    def figures(self) -> dict[str, bool]:
        """What validation measures beside `loss`: name -> whether higher is better."""

    @abstractmethod
    def check(self, context: Context, path: Key) -> None:
        """Report everything that does not fit into `context.sink`; `path` leads to the section."""

    @abstractmethod
    def programs(self, context: Context) -> dict[str, Graph]:
        """The programs by name. The section must have passed `check`."""

    def labels(self, context: Context) -> dict[str, list[str]]:
        """Output of a program -> the names of its classes, where the data has names."""
        return {}

    def named_fields(
        self, labels: Mapping[str, Sequence[str]], graphs: Mapping[str, Graph]
    ) -> dict[str, Sequence[str]]:
        """Field -> the names of its classes, from what `labels` gave."""
        return {}

    def other_inputs(
        self, fields: Mapping[str, Field], graphs: Mapping[str, Graph]
    ) -> dict[str, Field]:
        """What those inputs of programs hold that are no data fields."""
        return {}

    def noise_inputs(self, program: str) -> dict[str, Noise]:
        """Inputs of a program that whoever runs it draws, and the distribution of each number."""
        return {}

    def imitated(self, fields: Mapping[str, Field]) -> dict[str, str]:
        """Output of programs -> the data field whose samples it is like, in raw units."""
        return {}

    def probable(self, context: Context) -> dict[str, Probable]:
        """The outputs of programs that hold probabilities. It must have passed `check`."""
        return {}

    def label_rules(self, context: Context) -> dict[str, Labels]:
        """What is needed of the integers in data fields: torch would crash on others.

        The section must have passed `check`.
        """
        return {}

    def class_names(self, fields: Mapping[str, Field], count: int) -> list[str]:
        """The names of `count` classes; their numbers where the data has no names."""
        return [str(index) for index in range(count)]

    @abstractmethod
    def inputs_only(self, graphs: Mapping[str, Graph]) -> list[str]:
        """The fields that networks read and that nothing is compared with."""

    def other_sources(self) -> dict[str, Source]:
        """Data that is measured beside the spec's own: what asks for it -> source."""
        return {}

    def judged(self) -> tuple[str, Judge] | None:
        """The field whose samples it makes, and how these are judged; None where they are not."""
        return None

    def training_problems(self, training: Training, context: Context) -> Iterator[Problem]:
        """Settings of `training` that it can't be trained with. It must have passed `check`."""
        yield from ()


def trained_graphs(objective: Objective | None, context: Context) -> dict[str, Graph] | None:
    """The networks that an objective trains; None where one of them is missing or has mistakes."""
    if objective is None:
        return None
    names = objective.networks().values()
    if any(name not in context.graphs for name in names):
        return None
    return {name: context.graphs[name] for name in names}
