"""Whether network and data of `language_model` fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..diagnostics import Code
from ..ir.dims import symbol_of
from ..ir.graph import Graph
from ..ir.shapes import TensorType
from ..source import Key
from ..streaming.stepped import NotStreamable, Stepped
from ..suggest import did_you_mean
from .base import Context
from .binding import bind_inputs
from .fields import Field
from .losses import INTEGERS, same_shape
from .problem import Problem
from .stream import report_obstacles
from .text_sources import Text

if TYPE_CHECKING:
    from .language_model import LanguageModel


class LanguageModelChecks:
    """Reports everything that does not fit; what one mistake leads to stays silent.

    path: leads to the section.
    """

    def __init__(self, settings: LanguageModel, context: Context, path: Key) -> None:
        self._settings, self._context, self._path = settings, context, path

    def run(self) -> None:
        settings, context = self._settings, self._context
        graph = settings.network.find(settings.title, context, self._path)
        if graph is None or not self._reads_tokens(graph):
            return
        place = (*self._path, "network")
        types = bind_inputs(graph, settings.network.inputs, [settings.target], context, place)
        if types is None or not self._names_scores(graph, types) or not self._fits_target(types):
            return
        self._check_sample()
        self._check_steps()

    def _misfit(self, message: str, path: Key, step: str | None) -> bool:
        """Report O501 below the section; the answer of a check that failed."""
        self._context.misfit(message, (*self._path, *path), step)
        return False

    def _exclude(self, message: str, path: Key, step: str) -> None:
        """Report O502 below the section."""
        self._context.report(Problem(Code.O502, message, path, help=step), self._path)

    # Tokens and scores

    def _reads_tokens(self, graph: Graph) -> bool:
        """Whether the network has one input, of tokens along a symbolic size."""
        types = [value.type for value in graph.inputs]
        fits = len(types) == 1 and types[0].dtype in INTEGERS and types[0].rank == 2
        if fits and symbol_of(types[0].shape[1]) is not None:
            return True
        found = ", ".join(map(str, graph.inputs)) or "none"
        self._context.misfit(
            f"{self._settings.title} expects a network with one input, tokens i64[B, T] of any "
            f"number of steps T, found {found}",
            (*self._path, "network"),
            "write `inputs: {tokens: {shape: [B, T], dtype: int64}}`, with `T` in `dims`",
            also=self._context.label(("networks", graph.name), "the network"),
        )
        return False

    def _names_scores(self, graph: Graph, types: Mapping[str, TensorType]) -> bool:
        """Whether it is clear which output has the scores."""
        output = self._settings.output
        if output is not None and output not in types:
            message = f"`output` names `{output}`, which `{graph.name}` does not have"
            return self._misfit(message, ("output",), did_you_mean(output, types, "output"))
        if output is None and len(types) != 1:
            return self._misfit(
                f"`{graph.name}` has the outputs {', '.join(f'`{n}`' for n in types)}, and "
                f"{self._settings.title} expects one with scores",
                ("network",),
                f"name it: `output: {next(iter(types))}`",
            )
        return True

    def _fits_target(self, types: Mapping[str, TensorType]) -> bool:
        """Whether there is a target, with a score for each of its tokens at each step."""
        settings, context = self._settings, self._context
        if settings.target in context.broken:
            return False
        field = context.fields.get(settings.target)
        if field is None:
            message = f"`target` names the data field `{settings.target}`, which does not exist"
            step = did_you_mean(settings.target, context.fields, "field")
            return self._misfit(message, ("target",), step)
        output = settings.output or next(iter(types))
        scores, target = types[output], field.raw_type(context.dims)
        if not _scores_fit(scores, target):
            return self._misfit(
                f"{settings.title} expects scores f32[B, T, K] and targets i64[B, T], found "
                f"`{output}` {scores} and `{settings.target}` {target}",
                (),
                "let the network end with `linear: K`, for K tokens"
                if scores.rank > 2
                else "give scores for every step: of a recurrent layer read the port `sequence`",
            )
        return self._knows_all(output, scores, field)

    def _knows_all(self, output: str, scores: TensorType, field: Field) -> bool:
        total, scored = field.class_total, scores.shape[2]
        if total is None or total == scored:
            return True
        return self._misfit(
            f"{self._settings.title} expects a score for each of the {total} tokens of "
            f"`{self._settings.target}`, found {scored} in `{output}`",
            (),
            f"give the layer that makes the scores {total} features",
        )

    # Steps

    def _check_steps(self) -> None:
        """Whether no step sees a later one, and what is carried can be."""
        try:
            stepped = self._settings.stepped(self._context.graphs)
        except NotStreamable as refused:
            asked, place = "one step after the other, as a language model does", "network"
            otherwise = "use the objective `supervised`"
            report_obstacles(refused, asked, otherwise, self._context, (*self._path, place))
        else:
            self._check_carry(stepped)
            self._check_longest(stepped)

    def _check_carry(self, stepped: Stepped) -> None:
        source = self._context.source
        if not self._settings.carry:
            return
        if source and not isinstance(source, Text):
            self._exclude(
                "`carry` expects samples that go on from each other, as those of the source "
                f"`text`, found the source `{source.name}`",
                ("carry",),
                "remove `carry`",
            )
        elif not stepped.states or stepped.longest is not None:
            why = "has no state" if not stepped.states else "sees a limited number of steps"
            message = f"`carry` expects a state that can go on for ever, found a network that {why}"
            self._exclude(message, ("carry",), "remove `carry`")

    def _check_longest(self, stepped: Stepped) -> None:
        """Whether there is room to generate: each token that is drawn is read, too."""
        most = stepped.longest
        if most is None:
            return
        if most < 2:
            self._misfit(
                f"{self._settings.title} expects a network that sees 2 steps or more, found one "
                "that sees 1",
                ("network",),
                f"raise the `max` of `{stepped.graph.time}` in `dims`",
            )
        elif (found := self._prompt_tokens()) >= most:
            self._exclude(
                f"`prompt` expects at most {most - 1} tokens, since the network sees {most} steps "
                f"and one is drawn, found {found}",
                ("sample", "prompt"),
                "write a shorter one",
            )

    # What it writes

    def _check_sample(self) -> None:
        source = self._context.source
        if self._settings.sample and source and not isinstance(source, Text):
            message = f"`sample` expects data of the source `text`, found `{source.name}`"
            self._exclude(message, ("sample",), "remove it")

    def _prompt_tokens(self) -> int:
        """How many tokens the prompt of `sample` has; 0 without one."""
        sample, source = self._settings.sample, self._context.source
        if not sample or not isinstance(source, Text):
            return 0
        return len(sample.prompt.encode() if source.unit == "byte" else sample.prompt)


def _scores_fit(scores: TensorType, target: TensorType) -> bool:
    """Whether scores f32[B, T, K], of a fixed K, belong to a target i64[B, T]."""
    if scores.rank != 3 or not isinstance(scores.shape[2], int):
        return False
    places = TensorType(target.dtype, scores.shape[:2])
    return scores.dtype.is_float and target.dtype in INTEGERS and same_shape(places, target)
