"""Whether the settings of `vae` go together, and fit its networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..diagnostics import Code
from ..ir.shapes import TensorType, elements
from ..suggest import did_you_mean
from .density import check_density
from .likelihoods import LOGVAR, MEAN, Gaussian
from .problem import Problem

if TYPE_CHECKING:
    from .encoder_decoder_checks import EncoderDecoderChecks
    from .vae import Vae


def check_vae(
    settings: Vae,
    checks: EncoderDecoderChecks,
    encoded: Mapping[str, TensorType],
    decoded: Mapping[str, TensorType],
) -> None:
    """Report what does not fit of a `vae`, once encoder and decoder do.

    encoded, decoded: the types of their outputs for the data at hand.
    """
    _check_code(settings, checks, encoded)
    _check_variance(settings, checks, decoded)
    _check_density(settings, checks, encoded[MEAN])
    for problem in (
        *_of_likelihood(settings),
        *_of_bound(settings),
        *_of_divergence(settings),
        *_of_terms(settings, checks),
    ):
        checks.excluded(problem)


def check_target(settings: Vae, checks: EncoderDecoderChecks) -> bool:
    """Report a field that the likelihood cannot take, before its type is asked for."""
    likelihood, name = settings.likelihood, settings.target
    unfit = likelihood.unfit(name, checks.target_field)
    if unfit is None:
        return True
    found, step = unfit
    message = f"{likelihood.title} expects a target of {likelihood.expected_field}, found `{name}`"
    return checks.misfit(f"{message} {found}", "target", step)


def _check_code(
    settings: Vae, checks: EncoderDecoderChecks, encoded: Mapping[str, TensorType]
) -> None:
    mean, logvar = encoded[MEAN], encoded[LOGVAR]
    if mean.shape != logvar.shape:
        checks.misfit(
            f"`{LOGVAR}` expects the shape of `{MEAN}`, {mean}, found {logvar}",
            "encoder",
            "give both layers the same size",
            also=checks.maker(settings.encoder.network, LOGVAR),
        )


def _check_variance(
    settings: Vae, checks: EncoderDecoderChecks, decoded: Mapping[str, TensorType]
) -> None:
    if LOGVAR not in settings.decoder_outputs:
        return
    mean, logvar = decoded[MEAN], decoded[LOGVAR]
    pairs = zip(mean.shape, logvar.shape, strict=False)
    if mean.rank != logvar.rank or not all(own in (size, 1) for size, own in pairs):
        checks.misfit(
            f"`{LOGVAR}` of the decoder expects the axes of `{MEAN}` {mean}, or axes of size 1, "
            f"found {logvar}",
            "decoder",
            "give it the shape of the mean; one number for all is `[B, 1, ...]`",
            also=checks.maker(settings.decoder.network, LOGVAR),
        )


def _check_density(settings: Vae, checks: EncoderDecoderChecks, code: TensorType) -> None:
    name, graphs = settings.density, checks.graphs
    if name is None:
        return
    if name in graphs:
        check_density(name, code, checks)
        return
    message = f"`density` names the network `{name}`, which does not exist"
    checks.misfit(message, "density", did_you_mean(name, graphs, "network"))


def _of_bound(settings: Vae) -> Iterator[Problem]:
    """What `bound: iwae` leaves no room for."""
    if settings.bound != "iwae":
        return
    needs = "`bound: iwae` is the bound itself and"
    clashes = {
        "beta": "beta" in settings.model_fields_set,
        "free_bits": settings.free_bits > 0,
        "capacity": settings.capacity is not None,
    }
    for key in (key for key, is_set in clashes.items() if is_set):
        message = f"{needs} takes no `{key}`"
        yield Problem(Code.O502, message, (key,), help="remove one of them")
    if settings.samples < 2:
        message = f"{needs} expects 2 `samples` or more, found {settings.samples}"
        step = "add `samples: 5`; with one code it is the ELBO"
        yield Problem(Code.O502, message, ("bound",), help=step)


def _of_likelihood(settings: Vae) -> Iterator[Problem]:
    likelihood = settings.likelihood
    learns = isinstance(likelihood, Gaussian) and likelihood.learned
    if learns and "variance" in likelihood.model_fields_set:
        message = "`variance` and `learned` exclude each other, found both"
        path = ("likelihood", likelihood.name, "variance")
        yield Problem(Code.O502, message, path, help="remove one of them")


def _of_divergence(settings: Vae) -> Iterator[Problem]:
    """What `capacity` takes the place of."""
    if settings.capacity is None:
        return
    clashes = {"beta": "beta" in settings.model_fields_set, "free_bits": settings.free_bits > 0}
    for key in (key for key, is_set in clashes.items() if is_set):
        message = f"`capacity` takes the place of `{key}`, found both"
        yield Problem(Code.O502, message, (key,), help=f"remove `{key}`, or `capacity`")


def _of_terms(settings: Vae, checks: EncoderDecoderChecks) -> Iterator[Problem]:
    """A mean beside a sum is a weight that nobody asked for."""
    terms, count = settings.reduction, elements(checks.target_type.shape[1:])
    if terms.reconstruction == terms.kl:
        return
    factor = f"{count:,}" if terms.reconstruction == "mean" else f"1/{count:,}"
    yield Problem(
        Code.O502,
        f"`reduction` expects the same of both terms, found `{terms.reconstruction}` of the "
        f"reconstruction and `{terms.kl}` of the KL divergence: over {count:,} elements of "
        f"the target that is a `beta` of {factor}",
        ("reduction",),
        help="write `reduction: sum`, and the `beta` that you want",
    )
