"""Learn a code from which the data can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph
from ..ir.shapes import TensorType
from .base import Context
from .code_metric_checks import has_ends
from .compared_decoder import ComparedDecoder
from .corruptions import CORRUPTIONS, Corruption, GaussianNoise
from .endings import last_change
from .numbers import IN_FLOAT32, Range
from .problem import Problem
from .schedules import Schedule
from .section import OneKey, Section

if TYPE_CHECKING:
    from .encoder_decoder_checks import EncoderDecoderChecks

RANGED = ("sigmoid", "hardsigmoid", "softmax")
"""Activations whose results lie between 0 and 1, as rates do."""


class Sparsity(Section):
    """A penalty that keeps most elements of the code at rest."""

    name: ClassVar[str]

    weight: Annotated[Schedule, Range(ge=0)] = Setting(
        default=Schedule.constant(1.0), description="The weight of the penalty in the loss."
    )


class L1Sparsity(Sparsity):
    """The mean absolute value of the code's elements."""

    name: ClassVar[str] = "l1"
    title: ClassVar[str] = "the sparsity `l1`"


class KlSparsity(Sparsity):
    """Hold the mean of each element over the batch at a small rate: sum KL(rate || mean).

    The code must lie in [0, 1], as behind a `sigmoid`. Source: Ng 2011, CS294A lecture notes.
    """

    name: ClassVar[str] = "kl"
    title: ClassVar[str] = "the sparsity `kl`"

    rate: Annotated[float, Setting(gt=0, lt=1), IN_FLOAT32] = Setting(
        default=0.05, description="The mean that each element is held at."
    )


SPARSITIES: dict[str, type[Sparsity]] = {cls.name: cls for cls in (L1Sparsity, KlSparsity)}


class Autoencoder(ComparedDecoder):
    """Make the difference between a sample and what the decoder makes of its code small.

    The encoder gives the code as its one output. With `noise` it reads a spoilt sample and the
    decoder is to make the sound one (denoising); with `sparsity` few elements of the code may be at
    work at once. Weights are tied by `tie` in the layers. A code as large as the sample needs one
    of these, or it learns to copy: L903.

    `mse` is the mean squared error, as the network sees data, in evaluation of spoilt samples too
    where there is `noise`.

    Programs: `encode` gives the code of raw samples; `decode` makes data of a code `z`;
    `reconstruct` does both; `interpolate` goes from one sample's code to another's on a line;
    `score` gives the mean squared `error` of each sample's reconstruction, which is large for
    samples unlike those of training. All take and give raw units.

    Source: Hinton and Salakhutdinov 2006; denoising: Vincent et al. 2010.
    """

    name: ClassVar[str] = "autoencoder"
    title: ClassVar[str] = "the objective `autoencoder`"
    program_names: ClassVar[tuple[str, ...]] = (
        "encode", "decode", "reconstruct", "interpolate", "score",
    )  # fmt: skip

    noise: Annotated[Corruption, OneKey(CORRUPTIONS, "noise")] | None = Setting(
        default=None, description="How what the encoder reads is spoilt."
    )
    sparsity: Annotated[Sparsity, OneKey(SPARSITIES, "sparsity")] | None = Setting(
        default=None, description="A penalty on the code."
    )

    @property
    def is_regularised(self) -> bool:
        """Whether copying the sample is not the best that it can learn."""
        weight = self.sparsity.weight if self.sparsity else Schedule.constant(0.0)
        return self.noise is not None or max(weight.start, weight.end) > 0

    def check_rest(
        self,
        checks: EncoderDecoderChecks,
        encoded: Mapping[str, TensorType],
        decoded: Mapping[str, TensorType],
    ) -> None:
        if self.noise is not None:
            self._check_noise(self.noise, checks)
        if isinstance(self.sparsity, KlSparsity):
            self._check_code(checks)

    def _check_noise(self, noise: Corruption, checks: EncoderDecoderChecks) -> None:
        if self.target not in self.encoder_fields(checks.graphs).values():
            message = f"`noise` spoils `{self.target}`, which the encoder does not read"
            step = "remove it, or let the encoder read the target"
            checks.excluded(Problem(Code.O502, message, ("noise",), help=step))
        elif not isinstance(noise, GaussianNoise) and not has_ends(checks.target_field):
            message = (
                f"`{noise.name}` needs the smallest and the largest value of `{self.target}`, "
                "which nothing tells"
            )
            step = f"give the field `{self.target}` a `range`, or choose `gaussian`"
            checks.excluded(Problem(Code.O502, message, ("noise",), help=step))

    def _check_code(self, checks: EncoderDecoderChecks) -> None:
        graph = self.encoder_graph(checks.graphs)
        node = last_change(graph, self.code_output(graph))
        if node is None or node.op.name not in RANGED:
            found = f"that of `{node.op.name}`" if node else "the input as it is"
            message = f"the sparsity `kl` expects a code in [0, 1], as of `sigmoid`, found {found}"
            step = "end the encoder with `sigmoid`, or choose `l1`"
            checks.excluded(Problem(Code.O502, message, ("sparsity",), help=step))

    def programs(self, context: Context) -> dict[str, Graph]:
        return {
            "encode": self.encode_program(context),
            "decode": self.decode_program(context),
            "reconstruct": self.reconstruct_program(context),
            "interpolate": self.interpolate_program(context),
            "score": self.error_program(context),
        }
