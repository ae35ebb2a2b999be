"""Learn a code whose distribution is known, so that new samples can be drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph, Operator
from ..ir.shapes import TensorType
from ..ops.latent import DrawLatent, KlNormal
from ..ops.merge import Mul, Sub
from .base import Context, Noise
from .density import CHOICE, NOISE
from .encoder_decoder import EncoderDecoder
from .fields import Field
from .likelihoods import LIKELIHOODS, LOGVAR, MEAN, Likelihood
from .numbers import IN_FLOAT32, Range
from .problem import Problem
from .program import ProgramBuilder
from .schedules import Schedule
from .section import OneKey, Section
from .training import Training
from .vae_checks import check_target, check_vae
from .watching import following

if TYPE_CHECKING:
    from .encoder_decoder_checks import EncoderDecoderChecks


class Reduction(Section):
    """How the terms of a sample become one number; means are taken over the batch in any case.

    sum: over all elements, in nats, as the ELBO is defined. mean: both terms are divided by the
    number of the target's elements, which is the ELBO for each of them.
    """

    title: ClassVar[str] = "`reduction`"
    expects: ClassVar[str] = "`sum`, `mean` or a map"

    reconstruction: Literal["sum", "mean"] = Setting(
        default="sum", description="Of the reconstruction's term."
    )
    kl: Literal["sum", "mean"] = Setting(
        default="sum", description="Of the KL divergence; it must be the same."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return (
            {"reconstruction": data, "kl": data} if isinstance(data, str) else super().desugar(data)
        )


class Capacity(Section):
    """Hold the KL divergence at a number of nats that grows during training.

    The term is weight * |KL - nats|. Source: Burgess et al. 2018, equation 8.
    """

    title: ClassVar[str] = "`capacity`"
    expects: ClassVar[str] = "a number or a map"

    nats: Annotated[Schedule, Range(ge=0)] = Setting(
        description="Where the KL divergence is held; a schedule lets it grow from 0."
    )
    weight: Annotated[float, Setting(gt=0), IN_FLOAT32] = Setting(
        default=1000.0, description="How much a nat away from it counts."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {"nats": data} if is_number else super().desugar(data)


class Vae(EncoderDecoder):
    """Make the evidence lower bound (ELBO) of each sample large: a variational autoencoder.

    The encoder gives `mean` and `logvar` of a normal distribution of codes, and the decoder makes
    data of a code that is drawn from it. The loss is `reconstruction` + beta * `kl`, both in nats:
    the negative log-likelihood of the sample, and the divergence of the codes from the prior,
    summed over a sample's elements and averaged over the batch. With `bound: iwae` it is the
    importance-weighted bound instead, which several `samples` make tighter.

    `elbo` is -(reconstruction + kl), whatever beta is. `active_units` counts the elements of the
    code whose mean varies over the data by more than 0.01 (Burda et al. 2016); few of many mean
    that the decoder ignores the code. `mse` is that of reconstructions from the mean code, as the
    network sees data.

    Programs: `encode` gives `mean` and `logvar` of raw samples; `decode` makes data of a code `z`;
    `reconstruct` does both; `sample` decodes `noise` of a standard normal distribution, or what the
    `density` makes of it; `interpolate` goes from one sample to another along an arc; `score` gives
    for each sample `elbo` and its two terms, where `noise` draws the code, and the `error` of the
    reconstruction. All take and give raw units.

    Source: Kingma and Welling 2014; beta: Higgins et al. 2017; `free_bits`: Kingma et al. 2016;
    `iwae`: Burda et al. 2016.
    """

    name: ClassVar[str] = "vae"
    title: ClassVar[str] = "the objective `vae`"
    program_names: ClassVar[tuple[str, ...]] = (
        "encode", "decode", "reconstruct", "sample", "interpolate", "score",
    )  # fmt: skip
    spherical: ClassVar[bool] = True
    has_density: ClassVar[bool] = True
    judge: ClassVar[str] = "likelihood"
    instead: ClassVar[str] = "`likelihood: gaussian`"

    likelihood: Annotated[Likelihood, OneKey(LIKELIHOODS, "likelihood")] = Setting(
        description="What the decoder's numbers say of the data."
    )
    prior: Literal["normal"] = Setting(
        default="normal", description="Where codes come from: the standard normal distribution."
    )
    beta: Annotated[Schedule, Range(ge=0)] = Setting(
        default=Schedule.constant(1.0), description="The weight of the KL divergence."
    )
    free_bits: Annotated[float, Setting(ge=0), IN_FLOAT32] = Setting(
        default=0.0,
        description="Nats of each element of the code, averaged over the batch, that cost nothing "
        "less than this: below it, the KL divergence has no gradient.",
    )
    capacity: Capacity | None = Setting(
        default=None, description="Hold the KL divergence at a number of nats, in place of `beta`."
    )
    samples: int = Setting(
        default=1, ge=1, le=10_000, description="Codes that are drawn for each sample of a step."
    )
    bound: Literal["elbo", "iwae"] = Setting(
        default="elbo",
        description="elbo: the mean over the codes; iwae: weighted by their importance.",
    )
    reduction: Reduction = Setting(
        default=Reduction(), description="Sums over a sample's elements, or means."
    )
    density: str | None = Setting(
        default=None,
        description="A network of one `gaussian_mixture`, which is fitted to codes of training "
        "samples wherever the run is measured; `sample` draws from it in place of the prior.",
    )

    @property
    def gives_logits(self) -> bool:
        return self.likelihood.gives_logits

    @property
    def gives_values(self) -> bool:
        return self.likelihood.gives_values

    def expectation(self, field: Field) -> tuple[str, Operator] | None:
        return self.likelihood.expectation(field)

    def output_type(self, target: TensorType) -> TensorType:
        return self.likelihood.output_type(target)

    def size_help(self, target: TensorType) -> str:
        return self.likelihood.size_help(target)

    def check_field(self, checks: EncoderDecoderChecks) -> bool:
        return check_target(self, checks)

    @property
    def judged_by(self) -> str:
        return self.likelihood.title

    @property
    def encoder_outputs(self) -> tuple[str, ...]:
        return (MEAN, LOGVAR)

    @property
    def decoder_outputs(self) -> tuple[str, ...]:
        return self.likelihood.outputs

    def networks(self) -> dict[str, str]:
        return {**super().networks(), **({"density": self.density} if self.density else {})}

    def figures(self) -> dict[str, bool]:
        # Its terms alone say nothing of a model: the KL divergence is least where it has collapsed.
        return {"elbo": True, "active_units": True, **super().figures()}

    def check_rest(
        self,
        checks: EncoderDecoderChecks,
        encoded: Mapping[str, TensorType],
        decoded: Mapping[str, TensorType],
    ) -> None:
        check_vae(self, checks, encoded, decoded)

    def training_problems(self, training: Training, context: Context) -> Iterator[Problem]:
        moving = self.beta if self.capacity is None else self.capacity.nats
        if moving.is_constant:
            return
        for path, figure in training.followed():
            if figure == "loss":
                yield Problem(
                    Code.O502,
                    f"`{following(path)}` expects a figure that means the same all the time, found "
                    f"`loss`, which moves with `{'beta' if self.capacity is None else 'capacity'}`",
                    path,
                    help="follow `elbo`",
                )

    # Programs

    def programs(self, context: Context) -> dict[str, Graph]:
        return {
            "encode": self.encode_program(context),
            "decode": self.decode_program(context),
            "reconstruct": self.reconstruct_program(context),
            "sample": self._sample(context),
            "interpolate": self.interpolate_program(context),
            "score": self._score(context),
        }

    def _sample(self, context: Context) -> Graph:
        b, graphs = ProgramBuilder("sample", context), context.graphs
        code = b.input(NOISE, self.code_type(graphs))
        if self.density:
            density = graphs[self.density]
            choice = b.input(CHOICE, TensorType(code.type.dtype, code.type.shape[:1]))
            given = {NOISE: code, CHOICE: choice}
            (code,) = b.call(density, [given[value.name] for value in density.inputs]).values()
        ready = self.ready(b, self.conditions(graphs))
        return b.graph({self.target: self.made(b, context, code, ready)})

    def _score(self, context: Context) -> Graph:
        """How likely samples are, and how far their reconstructions are off."""
        b, graphs = ProgramBuilder("score", context), context.graphs
        ready = self.ready(b, (*self.source_fields(graphs), self.target))
        found = self.encoded(b, graphs, ready)
        mean, logvar = found[MEAN], found[LOGVAR]
        noise = b.input(NOISE, mean.type)
        (z,) = b.apply("draw", DrawLatent(), mean, logvar, noise)
        (kl,) = b.apply("divergence", KlNormal(), mean, logvar)
        made = self.decoded(b, graphs, z, ready)
        graph, target = self.decoder_graph(graphs), ready[self.target]
        first, *more = self.decoder_outputs or (self.made_output(graph),)
        likely = self.likelihood.operator(context.fields[self.target])
        (log_p,) = b.apply("likelihood", likely, made[first], target, *(made[n] for n in more))
        (elbo,) = b.apply("bound", Sub(), log_p, kl)
        (reconstruction,) = b.apply("cost", Mul(value=-1.0), log_p)
        error = self.error(b, context, mean, ready)
        return b.graph({"elbo": elbo, "reconstruction": reconstruction, "kl": kl, "error": error})

    def own_names(self, graphs: Mapping[str, Graph]) -> set[str]:
        drawn = {NOISE, CHOICE} if self.density else {NOISE}
        return {*super().own_names(graphs), *drawn, "elbo", "kl", "reconstruction"}

    def noise_inputs(self, program: str) -> dict[str, Noise]:
        if program == "sample" and self.density:
            return {NOISE: "normal", CHOICE: "uniform"}
        return {NOISE: "normal"} if program in ("sample", "score") else {}
