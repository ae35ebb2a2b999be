"""What can be measured of encoders and decoders; runtime/codes/ computes it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from .section import OneKey, Section
from .source import Source
from .sources import SOURCES


class CodeMetric(Section):
    """A figure that people read; nothing is trained on it."""

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    at_end: ClassVar[bool] = False
    """Whether it takes so long that it is measured after training and by `evaluate` alone."""

    needs_images: ClassVar[bool] = False
    """Whether it is of samples [C, H, W] with 1 or 3 channels."""

    needs_density: ClassVar[bool] = False
    """Whether it is of an objective that says how likely samples are."""

    @property
    def label(self) -> str:
        """Its name in tables and logs."""
        return self.name

    @property
    def reads(self) -> tuple[str, ...]:
        """The data fields that it reads beside those of the networks."""
        return ()


class Psnr(CodeMetric):
    """The peak signal-to-noise ratio of reconstructed images, averaged over images, in decibels.

    10 log10(peak^2 / mse), where the peak is the whole range of the target; at most 100.
    """

    name: ClassVar[str] = "psnr"
    title: ClassVar[str] = "the metric `psnr`"
    needs_images: ClassVar[bool] = True


class Ssim(CodeMetric):
    """The structural similarity of reconstructed images and the originals, at most 1.

    Source: Wang et al. 2004, with a normal window of deviation 1.5, 11 pixels wide.
    """

    name: ClassVar[str] = "ssim"
    title: ClassVar[str] = "the metric `ssim`"
    needs_images: ClassVar[bool] = True


class Nll(CodeMetric):
    """The negative log-likelihood, in nats, by importance sampling: an upper bound.

    -log 1/k sum_i p(x, z_i) / q(z_i | x), averaged over samples; it falls with k towards the truth.
    Source: Burda et al. 2016, equation 8, with k = 5000 in its tables.
    """

    name: ClassVar[str] = "nll"
    title: ClassVar[str] = "the metric `nll`"
    expects: ClassVar[str] = "a whole number or a map"
    higher_is_better: ClassVar[bool] = False
    at_end: ClassVar[bool] = True
    needs_density: ClassVar[bool] = True

    samples: int = Setting(default=100, ge=1, le=100_000, description="How many codes are drawn.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        return {"samples": data} if is_number else super().desugar(data)

    @property
    def label(self) -> str:
        return f"nll_{self.samples}"


class Probe(CodeMetric):
    """The accuracy of a logistic regression that tells a label from the code.

    It learns from the codes of training samples, as the encoder gives them, each element brought to
    mean 0 and deviation 1; the network is not trained with it.
    Source: Alain and Bengio 2016.
    """

    name: ClassVar[str] = "probe"
    title: ClassVar[str] = "the metric `probe`"
    expects: ClassVar[str] = "the name of a data field or a map"
    at_end: ClassVar[bool] = True

    field: str = Setting(description="The data field with the label [B].")
    samples: int = Setting(
        default=10_000, ge=10, description="From how many training samples it learns at most."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"field": data} if isinstance(data, str) else super().desugar(data)

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.field,)


class Auroc(CodeMetric):
    """How well `score` tells samples from those of another data source: 0.5 by chance, at most 1.

    The chance that a sample of the other source has the higher score, which is its anomaly score:
    the negative ELBO where there is one, else the reconstruction error.
    """

    name: ClassVar[str] = "auroc"
    title: ClassVar[str] = "the metric `auroc`"
    at_end: ClassVar[bool] = True

    source: Annotated[Source, OneKey(SOURCES, "source")] = Setting(
        description="Where the other samples come from, with the same fields."
    )


CODE_METRICS: dict[str, type[CodeMetric]] = {
    cls.name: cls for cls in (Psnr, Ssim, Nll, Probe, Auroc)
}
