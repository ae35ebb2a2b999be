"""L912."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic
from ..objectives.vae import Vae
from .base import LintContext, warning


def code_without_prior(context: LintContext) -> Iterator[Diagnostic]:
    """A `vae` whose codes nothing holds near the prior.

    What it does: finds a `beta` that is 0, or that ends at 0. With `capacity` or `bound: iwae`,
    which take no `beta`, and with a `density`, which is fitted to the codes wherever they lie,
    nothing is said.

    Why it is bad: without the KL divergence in the loss the codes lie anywhere, each with hardly
    any variance. `sample` draws from the standard normal distribution, where the decoder has never
    seen a code, and makes noise; `elbo` falls without limit. What is left is an autoencoder.

    Example:

        vae: {encoder: encoder, decoder: decoder, target: image, likelihood: bernoulli, beta: 0}

    Use instead a `beta` that ends above 0:

        vae:
          encoder: encoder
          decoder: decoder
          target: image
          likelihood: bernoulli
          beta: {start: 0, end: 1, steps: 2000}

    or the objective `autoencoder`, where no samples are to be drawn.
    """
    objective = context.objective
    if not isinstance(objective, Vae) or objective.beta.end > 0:
        return
    if objective.capacity or objective.bound == "iwae" or objective.density:
        return
    when = "is 0" if objective.beta.is_constant else "ends at 0"
    yield warning(
        Code.L912,
        f"`beta` {when}: nothing holds the codes near the distribution that `sample` draws from",
        context.located.span(("objective", objective.name, "beta")),
        help="let it end above 0, as `beta: {start: 0, end: 1, steps: 2000}` does, or train an "
        "`autoencoder`",
    )
