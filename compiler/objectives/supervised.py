"""Learn from pairs: a network's outputs are compared with data fields."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph, Value
from ..source import Key
from ..suggest import did_you_mean
from .base import Context, Objective
from .binding import bind_inputs, field_name
from .judging import check_loss, check_metric
from .losses import Loss, WeightedLoss
from .metrics import METRICS, Metric
from .problem import Problem
from .program import ProgramBuilder, fresh
from .section import OneKey, Section


class NetworkUse(Section):
    """A network, and which data fields its inputs take where their names differ."""

    title: ClassVar[str] = "`network`"

    network: str = Setting(description="The name of a network.")
    inputs: dict[str, str] = Setting(
        default={}, description="Input -> data field, for inputs that are not named as a field."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"network": data} if isinstance(data, str) else super().desugar(data)


class Supervised(Objective):
    """Make the weighted sum of losses small, each of an output and a data field.

    Programs: `predict` takes the raw fields that the network reads and gives its outputs, with
    `probabilities` for an output that `cross_entropy` or `bce_logits` judges.
    """

    name: ClassVar[str] = "supervised"
    title: ClassVar[str] = "the objective `supervised`"
    program_names: ClassVar[tuple[str, ...]] = ("predict",)

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

    def inputs(self, graph: Graph) -> dict[str, str]:
        """Input of the network -> data field, in the order of the inputs."""
        return {v.name: field_name(v.name, self.network.inputs) for v in graph.inputs}

    def check(self, context: Context, path: Key) -> None:
        if not context.fields and not context.broken:
            context.misfit(
                f"{self.title} needs `data`, which the spec does not have",
                path,
                "add `data: {source: ...}` with the fields that the network and losses read",
            )
            return
        graph = context.graphs.get(self.network.network)
        if graph is None:
            context.misfit(
                f"the objective needs a network `{self.network.network}`, which does not exist",
                (*path, "network"),
                did_you_mean(self.network.network, context.graphs, "network"),
            )
            return
        types = bind_inputs(graph, self.network.inputs, context, (*path, "network"))
        for index, item in enumerate(self.losses):
            check_loss(item, graph, types, context, (*path, "losses", index))
        for index, metric in enumerate(self.metrics):
            check_metric(self, metric, graph, types, context, (*path, "metrics", index))
        self._check_names(graph, context, path)
        self._check_augmentation(graph, context)

    def _check_names(self, graph: Graph, context: Context, path: Key) -> None:
        for index, name in enumerate(self.predict or ()):
            if name not in graph.outputs:
                context.misfit(
                    f"`predict` names the output `{name}`, which `{graph.name}` does not have",
                    (*path, "predict", index),
                    did_you_mean(name, graph.outputs, "output"),
                )
        labels = [metric.label for metric in self.metrics]
        for index, label in enumerate(labels):
            if label in labels[:index]:
                problem = Problem(Code.O502, f"`metrics` has `{label}` twice", (index,))
                context.report(problem, (*path, "metrics"))

    def _check_augmentation(self, graph: Graph, context: Context) -> None:
        """Moving the pixels of an image apart from its per-pixel target would spoil both."""
        targets = [item.loss.target for item in self.losses]
        spatial = [t for t in targets if t in context.fields and context.fields[t].rank > 2]
        for name in self.inputs(graph).values():
            field = context.fields.get(name)
            for index, augmentation in enumerate(field.augment if field and spatial else ()):
                if augmentation.moves_pixels:
                    problem = Problem(
                        Code.O502,
                        f"`{augmentation.name}` moves the pixels of `{name}` but not those of its "
                        f"target `{spatial[0]}`",
                        help=f"remove `{augmentation.name}`; `noise` leaves pixels in place",
                    )
                    context.report(problem, ("data", "fields", name, "augment", index))

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
        return {"predict": self._predict(context)}

    def _predict(self, context: Context) -> Graph:
        graph = context.graphs[self.network.network]
        bound = self.inputs(graph)
        builder = ProgramBuilder("predict", context)
        ready = {name: builder.field(name) for name in dict.fromkeys(bound.values())}
        results = builder.call(graph, [ready[bound[port.name]] for port in graph.inputs])
        named = self.probabilities(graph)
        outputs: dict[str, Value] = {}
        for name in self.kept_outputs(graph):
            outputs[name] = results[name]
            loss = self.judge(name)
            if loss and name in named:
                outputs[named[name]] = builder.probabilities(loss, results[name], named[name])
        return builder.graph(outputs)

    def labels(self, context: Context) -> dict[str, list[str]]:
        graph = context.graphs[self.network.network]
        found: dict[str, list[str]] = {}
        for output, probabilities in self.probabilities(graph).items():
            loss = self.judge(output)
            classes = context.fields[loss.target].classes if loss else None
            if loss and loss.kind == "classes" and classes:
                found |= {output: classes, probabilities: classes}
        return found
