"""Learn from pairs: a network's outputs are compared with data fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph, Value
from ..ir.shapes import TensorType
from ..source import Key
from ..suggest import did_you_mean
from .alignment import check_alignment
from .base import Context, Labels, Objective, Probable
from .binding import bind_inputs, field_name
from .fields import Field
from .id_room import with_room
from .judging import check_loss, check_metric
from .losses import CrossEntropy, Loss, WeightedLoss, class_count
from .metrics import METRICS, Metric
from .network_use import NetworkUse
from .padding import check_padding
from .pairs import Pairs, pair_of, pairs_of
from .problem import Problem
from .program import ProgramBuilder, fresh
from .repetition import check_repeats
from .section import OneKey
from .stream import check_stream, stepped_network
from .units import check_units, raw_field


class Supervised(Objective):
    """Make the weighted sum of losses small, each of an output and a data field.

    A target whose field has `lengths` is compared as far as it is real: losses and metrics are
    means over real elements, and what the network says of padding counts nowhere.

    Programs: `predict` takes the raw fields that the network reads and gives its outputs, with
    `probabilities` for an output that `cross_entropy` or `bce_logits` judges. An output that is
    compared with a field of `scale` or `normalize` by another loss is given in its raw units.
    With `stream` there is `step` too: the same for one chunk of a sequence, with states in and out.
    """

    name: ClassVar[str] = "supervised"
    title: ClassVar[str] = "the objective `supervised`"

    network: NetworkUse = Setting(description="The network that is trained.")
    losses: list[WeightedLoss] = Setting(min_length=1, description="What is made small.")
    metrics: list[Annotated[Metric, OneKey(METRICS, "metric")]] = Setting(
        default=[], description="What is measured on the validation and test samples."
    )
    predict: list[str] | None = Setting(
        default=None,
        min_length=1,
        description="Which outputs the program keeps; all by default. Layers that only others "
        "need are left out of the exported file.",
    )

    stream: str | None = Setting(
        default=None,
        description="Also yield the program `step`, which runs one chunk along this size of the "
        "network's inputs, with its state in and out.",
    )

    @property
    def program_names(self) -> tuple[str, ...]:
        return ("predict", "step") if self.stream else ("predict",)

    def networks(self) -> dict[str, str]:
        return {"network": self.network.network}

    def figures(self) -> dict[str, bool]:
        return {metric.label: metric.higher_is_better for metric in self.metrics}

    def judge(self, output: str) -> Loss | None:
        """The first loss of an output: what its numbers mean."""
        return next((item.loss for item in self.losses if item.loss.output == output), None)

    def compared_by(self, metric: Metric) -> Loss | None:
        """The loss whose output and target a metric compares: the first that fits it."""
        return next(
            (
                item.loss
                for item in self.losses
                if item.loss.kind in metric.kinds
                and metric.output in (None, item.loss.output)
                and metric.target in (None, item.loss.target)
            ),
            None,
        )

    def pairs(self, context: Context) -> Pairs:
        """How outputs and targets meet. The section must have passed `check`."""
        outputs = context.graphs[self.network.network].outputs
        types = {name: value.type for name, value in outputs.items()}
        losses = (item.loss for item in self.losses)
        return pairs_of(losses, types, context.fields, context.dims)

    def inputs(self, graph: Graph) -> dict[str, str]:
        """Input of the network -> data field, in the order of the inputs."""
        return {v.name: field_name(v.name, self.network.inputs) for v in graph.inputs}

    def reads(self, context: Context) -> set[str]:
        graph = context.graphs[self.network.network]
        read = {*self.inputs(graph).values(), *(item.loss.target for item in self.losses)}
        lengths = {context.fields[name].lengths for name in read if name in context.fields}
        return read | {name for name in lengths if name}

    def check(self, context: Context, path: Key) -> None:
        graph = self.network.find(self.title, context, path)
        if graph is None:
            return
        targets = [item.loss.target for item in self.losses]
        place = (*path, "network")
        types = bind_inputs(graph, self.network.inputs, targets, context, place)
        self._check_losses(graph, types, context, path)
        for index, metric in enumerate(self.metrics):
            check_metric(self, metric, graph, types, context, (*path, "metrics", index))
        check_padding(graph, self.inputs(graph), context)
        self._check_names(graph, context, path)
        check_alignment(self.inputs(graph).values(), targets, context)
        if self.stream and types and all(name in graph.outputs for name in self.predict or ()):
            kept = self.kept_outputs(graph)
            bound = self.inputs(graph)
            judged = [i.loss for i in self.losses if i.loss.target in context.fields]
            units = {x.output: x.target for x in judged if raw_field(x, context.fields)}
            units = {name: units[name] for name in kept if name in units}
            check_stream(graph, kept, self.stream, bound, units, context, (*path, "stream"))

    def _check_losses(
        self, graph: Graph, types: Mapping[str, TensorType] | None, context: Context, path: Key
    ) -> None:
        before = context.sink.errors
        if not any(max(item.weight.start, item.weight.end) > 0 for item in self.losses):
            message = "`losses` expects one of a `weight` above 0 at least, found none"
            context.report(Problem(Code.O502, message), (*path, "losses"))
        for index, item in enumerate(self.losses):
            check_loss(item, graph, types, context, (*path, "losses", index))
        if context.sink.errors == before:
            check_units(self.losses, self.kept_outputs(graph), context, path)

    def _check_names(self, graph: Graph, context: Context, path: Key) -> None:
        kept = self.predict or []
        for index, name in enumerate(kept):
            if name not in graph.outputs and name not in kept[:index]:
                context.misfit(
                    f"`predict` names the output `{name}`, which `{graph.name}` does not have",
                    (*path, "predict", index),
                    did_you_mean(name, graph.outputs, "output"),
                )
        check_repeats(self, context, path)

    def kept_outputs(self, graph: Graph) -> list[str]:
        """The network's outputs that the program keeps."""
        return list(graph.outputs) if self.predict is None else self.predict

    def probabilities(self, graph: Graph) -> dict[str, str]:
        """Kept output -> the program's output with its probabilities, where it has them."""
        judged = {name: self.judge(name) for name in self.kept_outputs(graph)}
        names = [name for name, loss in judged.items() if loss and loss.kind != "values"]
        taken = set(graph.outputs)
        if len(names) == 1:
            return {names[0]: fresh("probabilities", taken)}
        return {name: fresh(f"{name}_probabilities", taken) for name in names}

    def programs(self, context: Context) -> dict[str, Graph]:
        predict = {"predict": self._predict(context)}
        return {**predict, "step": self._step(context, self.stream)} if self.stream else predict

    def _predict(self, context: Context) -> Graph:
        graph = context.graphs[self.network.network]
        bound = self.inputs(graph)
        builder = ProgramBuilder("predict", context)
        ready = {name: builder.field(name) for name in dict.fromkeys(bound.values())}
        results = builder.call(graph, [ready[bound[port.name]] for port in graph.inputs])
        return builder.graph(self._outputs(builder, graph, results, context))

    def _step(self, context: Context, size: str) -> Graph:
        """The same for one chunk of a sequence."""
        graph = context.graphs[self.network.network]
        stepped = stepped_network(graph, self.kept_outputs(graph), size, context)
        bound, ports = self.inputs(graph), stepped.graph.inputs[: len(graph.inputs)]
        builder = ProgramBuilder("step", context)
        read = {bound[port.name]: port for port in reversed(ports)}
        ready = {
            name: builder.field(name, size, read[name]) for name in dict.fromkeys(bound.values())
        }
        states = [builder.state(state.input, state.type) for state in stepped.states]
        results = builder.call(stepped.graph, [*(ready[bound[p.name]] for p in ports), *states])
        outputs = self._outputs(builder, graph, results, context)
        for state, before in zip(stepped.states, states, strict=True):
            outputs[builder.becomes(before, state.output)] = results[state.output]
        return builder.graph(outputs, time=size)

    def _outputs(
        self,
        builder: ProgramBuilder,
        graph: Graph,
        results: Mapping[str, Value],
        context: Context,
    ) -> dict[str, Value]:
        """What a program gives of the network's results, in raw units and as probabilities."""
        named, pairs = self.probabilities(graph), self.pairs(context)
        outputs: dict[str, Value] = {}
        for name in self.kept_outputs(graph):
            loss = self.judge(name)
            field = raw_field(loss, context.fields) if loss else None
            x = results[name]
            outputs[name] = builder.raw(field, x, f"{name}_raw") if field else x
            if loss and name in named:
                axis = pair_of(loss, pairs).axis
                outputs[named[name]] = builder.probabilities(loss, x, named[name], axis)
        return outputs

    def labels(self, context: Context) -> dict[str, list[str]]:
        graph = context.graphs[self.network.network]
        found: dict[str, list[str]] = {}
        for output, probabilities in self.probabilities(graph).items():
            loss = self.judge(output)
            classes = context.fields[loss.target].classes if loss else None
            if loss and loss.kind == "classes" and classes:
                found |= {output: classes, probabilities: classes}
        return found

    def named_fields(
        self, labels: Mapping[str, Sequence[str]], graphs: Mapping[str, Graph]
    ) -> dict[str, Sequence[str]]:
        losses = (item.loss for item in self.losses)
        return {loss.target: labels[loss.output] for loss in losses if loss.output in labels}

    def probable(self, context: Context) -> dict[str, Probable]:
        made, pairs = self.probabilities(context.graphs[self.network.network]), self.pairs(context)
        judged = {name: (scores, self.judge(scores)) for scores, name in made.items()}
        return {
            name: Probable(scores, loss.kind == "classes", pair_of(loss, pairs).axis)
            for name, (scores, loss) in judged.items()
            if loss
        }

    def label_rules(self, context: Context) -> dict[str, Labels]:
        graph, pairs = context.graphs[self.network.network], self.pairs(context)
        scored = {
            loss.target: Labels(
                class_count(graph.outputs[loss.output].type, pair_of(loss, pairs).axis),
                frozenset() if loss.ignore is None else frozenset({loss.ignore}),
            )
            for loss in (item.loss for item in self.losses)
            if isinstance(loss, CrossEntropy)
        }
        return with_room(scored, graph, self.inputs(graph))

    def class_names(self, fields: Mapping[str, Field], count: int) -> list[str]:
        for loss in (item.loss for item in self.losses):
            names = fields[loss.target].classes
            if names and len(names) == count:
                return names
        return super().class_names(fields, count)

    def inputs_only(self, graphs: Mapping[str, Graph]) -> list[str]:
        targets = {item.loss.target for item in self.losses}
        read = self.inputs(graphs[self.network.network]).values()
        return [name for name in dict.fromkeys(read) if name not in targets]
