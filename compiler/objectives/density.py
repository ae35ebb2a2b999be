"""A density that is fitted to codes after the encoder, to draw codes from in place of the prior."""

from __future__ import annotations

from ..ir.graph import Graph, Node
from ..ir.shapes import TensorType
from ..ops.gaussian_mixture import GaussianMixture
from .encoder_decoder_checks import EncoderDecoderChecks

NOISE, CHOICE = "noise", "choice"
"""Inputs of programs that codes are drawn with: standard normal numbers, and some in [0, 1)."""


def mixture(graph: Graph) -> Node | None:
    """The one layer of a density; None where the network is something else."""
    if len(graph.nodes) != 1 or not isinstance(graph.nodes[0].op, GaussianMixture):
        return None
    return graph.nodes[0]


def check_density(name: str, code: TensorType, checks: EncoderDecoderChecks) -> None:
    """Report a network that is no density of codes.

    Args: name: the network's. code: the type of codes.
    """
    graph = checks.graphs[name]
    if mixture(graph) is None or {v.name for v in graph.inputs} != {NOISE, CHOICE}:
        checks.misfit(
            f"`density` expects a network of one `gaussian_mixture` with the inputs `{NOISE}` and "
            f"`{CHOICE}`, found `{name}`",
            "density",
            _example(code),
        )
        return
    made = next(iter(graph.outputs.values())).type
    if made.shape[1:] != code.shape[1:]:
        checks.misfit(
            f"`density` expects to make codes {code}, found {made}",
            "density",
            f"give its input `{NOISE}` the shape [{_sizes(code)}]",
        )


def _example(code: TensorType) -> str:
    return (
        f"write `inputs: {{{NOISE}: {{shape: [{_sizes(code)}]}}, {CHOICE}: {{shape: [B]}}}}`, "
        "`layers: [{from: {noise: noise, choice: choice}, gaussian_mixture: 10}]` and `outputs: z`"
    )


def _sizes(kind: TensorType) -> str:
    return ", ".join(map(str, kind.shape))
