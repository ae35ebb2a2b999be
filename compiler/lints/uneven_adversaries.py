"""L913."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic, Label
from ..objectives.gan import DISCRIMINATOR, GENERATOR, Gan
from ..objectives.parameter_rules import trained_count
from .base import LintContext, warning

MOST = 30
"""How many times as many parameters one network may have. The pair of pix2pix (Isola et al. 2017),
with 54 million and 2.8 million, is among the most uneven that are known to work."""

TENDENCIES = {
    DISCRIMINATOR: (
        "one that is far stronger tells all samples apart, and the generator learns nothing from "
        "it",
        "make the discriminator smaller or the generator larger; `regularizers` and "
        "`weight_norm: spectral` hold a strong one smooth",
    ),
    GENERATOR: (
        "a discriminator that is far weaker is fooled by traces that no real sample has",
        "make the discriminator larger or the generator smaller",
    ),
}
"""The larger network -> what tends to happen, and what to do."""


def uneven_adversaries(context: LintContext) -> Iterator[Diagnostic]:
    """A generator and a discriminator of very different sizes.

    What it does: compares how many parameters of each network of a `gan` are trained, those that
    `training.parameters` freezes left out, and finds one with more than 30 times as many as the
    other.

    Why it is bad: neither can get ahead for long. A discriminator that is much stronger tells all
    samples apart whatever the generator does, so that the loss hardly changes and has next to no
    gradient (Arjovsky and Bottou 2017). A much weaker one is fooled by artefacts, and the generator
    is then held to nothing else.

    Example:

        generator:
          inputs: {z: {shape: [B, 64]}}
          layers: [{linear: 2048}, relu, {linear: 2048}, relu, {linear: 784}, tanh]
          outputs: image
        discriminator:
          inputs: {image: {shape: [B, 784]}}
          layers: [{linear: 16}, {leaky_relu: 0.2}, {linear: 1}]
          outputs: score

    Use instead networks of about one size:

        discriminator:
          inputs: {image: {shape: [B, 784]}}
          layers: [{linear: 2048}, {leaky_relu: 0.2}, {linear: 512}, {leaky_relu: 0.2}, {linear: 1}]
          outputs: score
    """
    objective = context.objective
    if not isinstance(objective, Gan):
        return
    counts = {role: _trained(context, name) for role, name in objective.networks().items()}
    smaller, larger = sorted(counts, key=lambda role: counts[role])
    if counts[larger] <= MOST * counts[smaller] or not counts[smaller]:
        return
    tendency, step = TENDENCIES[larger]
    times = counts[larger] / counts[smaller]
    yield warning(
        Code.L913,
        f"the {larger} has {counts[larger]:,} trained parameters, {times:,.0f} times those of the "
        f"{smaller}: {tendency}",
        context.located.span(("objective", objective.name, larger)),
        f"{counts[larger]:,} trained parameters",
        also=(
            Label(
                context.located.span(("objective", objective.name, smaller)),
                f"{counts[smaller]:,} trained parameters",
            ),
        ),
        help=step,
    )


def _trained(context: LintContext, network: str) -> int:
    return trained_count(context.training.parameters, {network: context.graphs[network]})
