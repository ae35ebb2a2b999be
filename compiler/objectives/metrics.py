"""The settings of metrics; runtime/metrics.py computes them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ..ir.shapes import TensorType
from .losses import Kind
from .section import Section


class Metric(Section):
    """A figure that people read; nothing is trained on it.

    It judges the output and target of the first loss it fits, unless both are named.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    higher_is_better: ClassVar[bool] = True

    output: str | None = Field(default=None, description="The network's output that is judged.")
    target: str | None = Field(default=None, description="The data field to compare with.")

    @property
    def label(self) -> str:
        """Its name in tables and logs: `accuracy`, `top_5`, `mae(age)`."""
        return f"{self.figure}({self.output})" if self.output else self.figure

    @property
    def figure(self) -> str:
        return self.name

    def misfit(self, output: TensorType, classes: int | None) -> str | None:
        """Why it cannot judge an output of a fitting kind, or None.

        classes: how many there are; None where that is not a fixed number, or there are none.
        """
        return None


class Accuracy(Metric):
    """The fraction of samples, pixels or steps whose highest score is their label's.

    For `bce_logits`: the fraction of answers on the right side of probability 0.5.
    """

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "the metric `accuracy`"
    kinds: ClassVar[tuple[Kind, ...]] = ("classes", "binary")


class TopK(Metric):
    """The fraction of samples whose label is among the k highest scores."""

    name: ClassVar[str] = "top_k"
    title: ClassVar[str] = "the metric `top_k`"
    expects: ClassVar[str] = "a whole number or a map"
    kinds: ClassVar[tuple[Kind, ...]] = ("classes",)

    k: int = Field(default=5, ge=1, description="How many of the highest scores count.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        return {"k": data} if is_number else super().desugar(data)

    @property
    def figure(self) -> str:
        return f"top_{self.k}"

    def misfit(self, output: TensorType, classes: int | None) -> str | None:
        if classes is None or self.k < classes:
            return None
        return f"`k` expects less than the {classes} classes of the output, found {self.k}"


class F1(Metric):
    """The harmonic mean of precision and recall."""

    name: ClassVar[str] = "f1"
    title: ClassVar[str] = "the metric `f1`"
    kinds: ClassVar[tuple[Kind, ...]] = ("classes", "binary")

    average: Literal["macro", "micro", "weighted"] = Field(
        default="macro",
        description="macro: the mean over classes; micro: over all answers; weighted: by support.",
    )

    @property
    def figure(self) -> str:
        return self.name if self.average == "macro" else f"{self.name}_{self.average}"


class Mae(Metric):
    """The mean absolute error, in the raw units of the target."""

    name: ClassVar[str] = "mae"
    title: ClassVar[str] = "the metric `mae`"
    kinds: ClassVar[tuple[Kind, ...]] = ("values",)
    higher_is_better: ClassVar[bool] = False


class Rmse(Metric):
    """The root of the mean squared error, in the raw units of the target."""

    name: ClassVar[str] = "rmse"
    title: ClassVar[str] = "the metric `rmse`"
    kinds: ClassVar[tuple[Kind, ...]] = ("values",)
    higher_is_better: ClassVar[bool] = False


class MeanIou(Metric):
    """Intersection over union of predicted and true pixels, averaged over the classes."""

    name: ClassVar[str] = "mean_iou"
    title: ClassVar[str] = "the metric `mean_iou`"
    kinds: ClassVar[tuple[Kind, ...]] = ("classes",)

    def misfit(self, output: TensorType, classes: int | None) -> str | None:
        if output.rank > 2:
            return None
        return f"expects class scores per pixel f32[B, K, H, W], found {output}"


METRICS: dict[str, type[Metric]] = {
    cls.name: cls for cls in (Accuracy, TopK, F1, Mae, Rmse, MeanIou)
}
