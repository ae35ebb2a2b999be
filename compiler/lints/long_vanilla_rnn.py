"""L901."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic
from ..ir.graph import Node
from ..ir.proofs import bounds
from ..ops.recurrent import Rnn
from .base import LintContext, warning

MOST = 100
"""Steps over which a vanilla RNN may run without a warning."""


def long_vanilla_rnn(context: LintContext) -> Iterator[Diagnostic]:
    """A vanilla `rnn` over more than 100 steps.

    What it does: finds `rnn` layers over sequences of a fixed length above 100, or of a size that
    `dims` lets grow beyond it. An `rnn` with `nonlinearity: relu` and `recurrent_init: identity` is
    left alone: that beginning is made for long sequences.

    Why it is bad: on its way back a gradient is multiplied with the recurrent weights and the slope
    of the tanh at every step, and vanishes within 10 to 20 of them. What stands further back is
    hardly learned from. Source: Bengio et al. 1994, "Learning long-term dependencies with gradient
    descent is difficult".

    Example: with `dims: {T: {max: 400}}`, over an input [B, T, 16]

        - rnn: 128

    Use instead:

        - gru: 128

    or `lstm`. A smaller `max` of the size, strides before the `rnn`, or the identity as its
    beginning (Le et al. 2015) help too.
    """
    for span, nodes in context.sites.items():
        found = max(map(_steps, nodes))
        if found[0] <= MOST:
            continue
        yield warning(
            Code.L901,
            f"`rnn` expects sequences of at most {MOST} steps, found {found[1]}: gradients vanish "
            "on their way back",
            span,
            help="use `gru` or `lstm`, or shorter sequences",
        )


def _steps(node: Node) -> tuple[float, str]:
    """How many steps a vanilla RNN surely or possibly runs over, as a number and in words."""
    if not isinstance(node.op, Rnn) or _is_made_for_long(node.op):
        return 0, ""
    x = node.inputs[0]
    assert x is not None
    least, most = bounds(x.type.shape[1])
    if math.isinf(most):
        return least, f"at least {least:.0f}"
    return most, f"up to {most:.0f}" if least < most else f"{most:.0f}"


def _is_made_for_long(op: Rnn) -> bool:
    """Source: Le et al. 2015, "A Simple Way to Initialize Recurrent Networks of ReLUs"."""
    return op.nonlinearity == "relu" and op.recurrent_init == "identity"
