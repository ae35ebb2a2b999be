"""L908."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic
from ..ir.graph import Node
from ..ops.transposed_convolution import TransposedConvolution
from .base import LintContext, warning


def checkerboard(context: LintContext) -> Iterator[Diagnostic]:
    """A transposed convolution whose kernel its stride does not divide.

    What it does: finds `conv_transpose1d` and `conv_transpose2d` with a stride above 1 that does
    not divide the kernel.

    Why it is bad: neighbouring output positions are then sums of different numbers of inputs,
    which shows as a checkerboard in images. Source: Odena et al. 2016, "Deconvolution and
    Checkerboard Artifacts".

    Example:

        - conv_transpose2d: {channels: 32, kernel: 3, stride: 2, padding: 1, output_padding: 1}

    Use instead:

        - conv_transpose2d: {channels: 32, kernel: 4, stride: 2, padding: 1}

    or `upsample` followed by a convolution.
    """
    for span, nodes in context.sites.items():
        uneven = next(filter(None, map(_uneven, nodes)), None)
        if uneven is None:
            continue
        kernel, stride = uneven
        larger = -(-kernel // stride) * stride
        yield warning(
            Code.L908,
            f"`{nodes[0].op.name}` expects a kernel that its stride divides, found kernel "
            f"{kernel} and stride {stride}: the result shows a checkerboard",
            span,
            help=f"use kernel {larger} with stride {stride}, or `upsample` and a convolution",
        )


def _uneven(node: Node) -> tuple[int, int] | None:
    """Kernel and stride of the first axis along which they do not fit."""
    op = node.op
    if not isinstance(op, TransposedConvolution):
        return None
    pairs = zip(op.kernel, op.stride, strict=True)
    return next(((kernel, stride) for kernel, stride in pairs if kernel % stride), None)
