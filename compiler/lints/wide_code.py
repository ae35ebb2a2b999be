"""L903."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic
from ..ir.shapes import elements
from ..objectives.autoencoder import Autoencoder
from .base import LintContext, warning


def wide_code(context: LintContext) -> Iterator[Diagnostic]:
    """A code from which the sample could be copied.

    What it does: compares the number of elements of an `autoencoder`'s code with that of its
    target, where the encoder reads the target. With `noise` or `sparsity` nothing is said.

    Why it is bad: a code as large as the sample has room for the sample itself. The network can
    learn to pass it through, which makes the loss small and says nothing about the data.

    Example: for images [B, 1, 28, 28], which have 784 elements

        - flatten
        - linear: 1024

    Use instead a smaller code:

        - flatten
        - linear: 32

    or, with a large one, a task that copying does not solve: `noise: {masking: 0.25}` or
    `sparsity: {l1: {weight: 1e-3}}` in the objective.
    """
    objective = context.objective
    if not isinstance(objective, Autoencoder) or objective.is_regularised:
        return
    target = context.fields[objective.target].shape or []
    if objective.target not in objective.encoder_fields(context.graphs).values():
        return  # what the encoder does not read it can't copy
    graph = objective.encoder_graph(context.graphs)
    code = graph.outputs[objective.code_output(graph)]
    have, room = elements(target[1:]), elements(code.type.shape[1:])
    if not isinstance(have, int) or not isinstance(room, int) or room < have:
        return
    maker = graph.producers().get(code.name)
    place = context.located.span(("objective", objective.name, "encoder"))
    yield warning(
        Code.L903,
        f"the code has {room:,} elements, no fewer than the {have:,} of the target "
        f"`{objective.target}`: the network can learn to copy",
        maker.span if maker else place,
        f"the code is {code.type}",
        help="make the code smaller, or add `noise` or `sparsity` to the objective",
    )
