"""L905."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic, Label
from ..ir.graph import Graph, Node
from ..objectives.gan import Gan
from ..objectives.gradient_penalties import Penalty
from ..objectives.parameter_rules import STATISTICS, treatments
from ..ops.conditional_batch_norm import BATCH_NORMS
from .base import LintContext, warning


def critic_batch_norm(context: LintContext) -> Iterator[Diagnostic]:
    """Batch norm in a discriminator with a gradient penalty.

    What it does: finds `batch_norm` and `conditional_batch_norm` in the discriminator of a `gan`
    with `r1`, `r2` or `gradient_penalty` among its `regularizers`. Those whose statistics
    `training.parameters` freezes for the whole run are left out, and so is `minibatch_deviation`,
    with which R1 is known to work (Karras et al. 2020, StyleGAN2).

    Why it is bad: the penalty is of the gradient of each sample's score by that sample. With batch
    norm a score depends on all samples of the batch, so that another gradient is held small, and
    the penalty no longer does what it is for. Source: Gulrajani et al. 2017, section 4, "No critic
    batch normalization".

    Example: with `regularizers: [gradient_penalty]`

        - conv2d: {channels: 64, kernel: 4, stride: 2, padding: 1, bias: false}
        - batch_norm
        - leaky_relu: 0.2

    Use instead a normalisation that looks at one sample alone, such as `group_norm`, which with one
    group is the layer norm of that paper:

        - conv2d: {channels: 64, kernel: 4, stride: 2, padding: 1}
        - group_norm: 1
        - leaky_relu: 0.2

    or `instance_norm`, `layer_norm` behind linear layers, or `weight_norm: spectral` in the layers.
    """
    objective = context.objective
    penalties = list(_penalties(objective)) if isinstance(objective, Gan) else []
    if not isinstance(objective, Gan) or not penalties:
        return
    index, penalty = penalties[0]
    norms = list(_norms(objective.discriminator_graph(context.graphs), context))
    places = list(dict.fromkeys(node.span for node in norms if node.span))
    if not norms or not places:
        return
    place = context.located.span(("objective", objective.name, "regularizers", index))
    yield warning(
        Code.L905,
        f"`{penalty.name}` is of each sample's own score, which `{norms[0].op.name}` in the "
        "discriminator makes depend on the whole batch",
        places[0],
        "mixes the samples",
        also=(*(Label(span, "and here") for span in places[1:]), Label(place, "the penalty")),
        help=f"use {_instead(norms[0])}, with statistics of each sample alone",
    )


def _penalties(gan: Gan) -> Iterator[tuple[int, Penalty]]:
    """The regularizers that count for something at some step, with their places."""
    for index, penalty in enumerate(gan.regularizers):
        if max(penalty.weight.start, penalty.weight.end) > 0:
            yield index, penalty


def _norms(graph: Graph, context: LintContext) -> Iterator[Node]:
    """The batch norms of a network that see the batch."""
    frozen = {
        tensor.name
        for tensor, treated in treatments(context.training.parameters, {graph.name: graph})
        if tensor.is_statistics and treated.frozen_until is None
    }
    for node in graph.nodes:
        if not isinstance(node.op, BATCH_NORMS):
            continue
        if f"{graph.name}.{node.weights[STATISTICS].name}" not in frozen:
            yield node


def _instead(norm: Node) -> str:
    """What normalises such an input sample by sample."""
    x = norm.input_types[0]
    flat = x is not None and x.rank == 2
    return "`layer_norm`" if flat else "`group_norm: 1` or `instance_norm`"
