"""Whether losses and metrics fit the outputs and targets that they compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..diagnostics import Code, Label
from ..ir.graph import Graph
from ..ir.shapes import TensorType
from ..source import Key
from ..suggest import did_you_mean
from .base import Context
from .fields import Field
from .losses import CrossEntropy, Loss, WeightedLoss, class_count
from .metrics import Metric
from .numbers import SINGLE, fits_single
from .problem import Problem

if TYPE_CHECKING:
    from .supervised import Supervised

SLACK = 1e-6
"""How far outside [0, 1] rounding may put the end of a range."""


def check_loss(
    item: WeightedLoss,
    graph: Graph,
    types: Mapping[str, TensorType] | None,
    context: Context,
    path: Key,
) -> None:
    """Report what does not fit about one item of `losses`.

    types: of the network's outputs; None where they are unknown, which silences what follows.
    path: leads to the item.
    """
    loss = item.loss
    place = (*path, loss.name)
    _check_weight(item, context, (*path, "weight"))
    known = check_pair(loss.name, loss.output, loss.target, graph, context, place)
    if not known or types is None:
        return
    _check_types(loss, types[loss.output], _maker(graph, loss.output), context, place)


def _check_weight(item: WeightedLoss, context: Context, path: Key) -> None:
    if item.weight.problem():
        context.report(Problem(Code.O502, str(item.weight.problem())), path)
    lowest = min(item.weight.start, item.weight.end)
    if lowest < 0:
        message = f"`weight` of a loss expects at least 0, found {lowest:g}"
        context.report(Problem(Code.S102, message), path)
    highest = max(item.weight.start, item.weight.end)
    if not fits_single(highest):
        message = f"`weight` of a loss expects {SINGLE}, found {highest:g}"
        context.report(Problem(Code.S102, message), path)


def check_pair(
    owner: str, output: str, target: str, graph: Graph, context: Context, path: Key
) -> bool:
    """Whether an output and a field exist; reports the ones that don't."""
    if output not in graph.outputs:
        context.misfit(
            f"`{owner}` judges the output `{output}`, which the network `{graph.name}` does not "
            "have",
            (*path, "output"),
            did_you_mean(output, graph.outputs, "output"),
        )
    if target not in context.fields and target not in context.broken:
        context.misfit(
            f"`{owner}` compares with the data field `{target}`, which does not exist",
            (*path, "target"),
            did_you_mean(target, context.fields, "field"),
        )
    return output in graph.outputs and target in context.fields


def _check_types(
    loss: Loss, output: TensorType, maker: tuple[Label, ...], context: Context, path: Key
) -> None:
    field = context.fields[loss.target]
    if loss.raw_target and field.is_transformed:
        context.misfit(
            f"`{loss.name}` expects the labels in `{loss.target}` as they are stored, found a "
            f"field with {'`scale` or `normalize`' if field.is_rescaled else '`binarize`'}",
            (*path, "target"),
            f"remove it from the field `{loss.target}`",
        )
        return
    target = field.network_type(context.dims)
    wanted = loss.misfit(output, target)
    if wanted:
        context.misfit(
            f"`{loss.name}` expects {wanted}, found output `{loss.output}` {output} and target "
            f"`{loss.target}` {target}",
            path,
            _next_step(loss, output, target),
            also=maker,
        )
        return
    _check_range(loss, field, context, path)
    if isinstance(loss, CrossEntropy) and len(loss.readings(output, target)) > 1:
        context.misfit(
            f"`{loss.name}` expects labels that fit one axis of `{loss.output}` {output} as that "
            f"of the classes, found `{loss.target}` {target}, which fits axis 1 and the last one",
            path,
            "say which of them holds the classes: `axis: 1`, or `axis: -1` for the last one",
            also=maker,
        )
        return
    classes = _classes(loss, output, target)
    problem = loss.setting_problem(classes)
    if problem:
        context.misfit(problem, path, loss.setting_help(classes))
    _check_class_count(loss, output, classes, maker, context, path)


def _classes(loss: Loss, output: TensorType, target: TensorType) -> int | None:
    """How many classes an output has scores for; None where that is open, or there are none."""
    if not isinstance(loss, CrossEntropy):
        return None
    return class_count(output, loss.class_axis(output, target))


def _check_range(loss: Loss, field: Field, context: Context, path: Key) -> None:
    """Yes-or-no targets are probabilities; the data is checked against what their field says."""
    low, high = field.interval()
    if loss.kind != "binary" or (low >= -SLACK and high <= 1 + SLACK):
        return
    told = math.isfinite(low) and math.isfinite(high)
    found = f"in [{low:g}, {high:g}]" if told else f"of {field.dtype} without a range"
    context.misfit(
        f"`{loss.name}` expects targets in [0, 1], found `{loss.target}` {found}",
        (*path, "target"),
        f"give the field `{loss.target}` {_answers(field, told)}",
    )


def _answers(field: Field, told: bool) -> str:
    """The setting that makes a field's values probabilities. told: whether its range is known."""
    if not told and field.element_type.is_float:
        return "`range: [0, 1]`, which the data is checked against"
    scale = "`scale: [0, 1]`" if told else "its `range` and `scale: [0, 1]`"
    return f"`below: 2` if it holds 0 and 1, or {scale}"


def _maker(graph: Graph, output: str) -> tuple[Label, ...]:
    """The layer that makes an output, to show beside a mistake about it."""
    node = graph.producers().get(graph.outputs[output].name)
    return (Label(node.span, f"`{output}` is made here"),) if node and node.span else ()


def _check_class_count(
    loss: Loss,
    output: TensorType,
    scores: int | None,
    maker: tuple[Label, ...],
    context: Context,
    path: Key,
) -> None:
    """scores: how many there are for each label, where that is known."""
    labels = context.fields[loss.target].class_total
    if scores is None or labels is None or scores == labels:
        return
    context.misfit(
        f"`{loss.name}` expects one score for each of the {labels} classes of `{loss.target}`, "
        f"found {scores} in output `{loss.output}` {output}",
        path,
        f"give the layer that makes `{loss.output}` {labels} features or channels",
        also=maker,
    )


def _next_step(loss: Loss, output: TensorType, target: TensorType) -> str:
    one_more = output.rank == target.rank + 1 and output.shape[1] == 1
    if loss.kind != "classes" and one_more:
        return f"remove axis 1 of `{loss.output}` with `squeeze: 1` as the last layer"
    if loss.kind != "classes" and output.rank == target.rank + 1:
        return "for integer labels use `cross_entropy`"
    if loss.kind == "classes" and output.rank == target.rank:
        return "for targets of the output's own shape use `bce_logits` or `mse`"
    if loss.kind == "classes" and output.rank > target.rank + 1:
        return f"reduce `{loss.output}` to [B, K] with `global_avg_pool` or `flatten` and `linear`"
    return "change the layers that make the output, or the field's `shape` and `dtype`"


def check_metric(
    objective: Supervised,
    metric: Metric,
    graph: Graph,
    types: Mapping[str, TensorType] | None,
    context: Context,
    path: Key,
) -> None:
    """Report a metric that no output fits."""
    if (metric.output is None) != (metric.target is None):
        given = "output" if metric.target is None else "target"
        context.misfit(
            f"`{metric.name}` expects both `output` and `target`, or neither; found `{given}`",
            path,
        )
        return
    if metric.output and metric.target:
        place = (*path, metric.name)
        if not check_pair(metric.name, metric.output, metric.target, graph, context, place):
            return
    compared = objective.compared_by(metric)
    if compared is None:
        context.misfit(
            f"`{metric.name}` measures {_KINDS[metric.kinds[0]]}, found no loss of that kind"
            + (f" for `{metric.output}` and `{metric.target}`" if metric.output else ""),
            path,
            f"losses of that kind are {_losses_for(metric)}",
        )
        return
    if not types or compared.output not in types or compared.target not in context.fields:
        return
    output, field = types[compared.output], context.fields[compared.target]
    wrong = metric.misfit(output, _classes(compared, output, field.network_type(context.dims)))
    if wrong:
        context.misfit(f"`{metric.name}`: {wrong}", path)


_KINDS = {
    "classes": "predicted classes",
    "binary": "yes-or-no answers",
    "values": "errors of predicted numbers",
}


def _losses_for(metric: Metric) -> str:
    from .losses import LOSSES

    names = [f"`{name}`" for name, loss in LOSSES.items() if loss.kind in metric.kinds]
    return ", ".join(names)
