"""How samples that a network makes are judged beside real ones; runtime/judging/ computes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from .problem import Problem
from .section import Section

FIGURES: dict[str, bool] = {
    "coverage": True,
    "recall": True,
    "precision": True,
    "density": True,
    "frechet_distance": False,
    "kernel_distance": False,
}
"""What is measured with validation samples: name -> whether higher is better."""

OF_CLASSES: dict[str, bool] = {"classes_covered": True, "class_distance": False}
"""What a classifier adds."""

CLOSING: dict[str, bool] = {"duplicates": False, "memorised": False}
"""What is measured at the end alone, with all training samples."""


class Judge(Section):
    """Judge samples that are made beside as many real ones: `judge: runs/fashion_cnn-1/bundle`.

    Both are taken as a classifier sees them: by the numbers that its last linear layer reads. Its
    bundle is one of this project, whose program `predict` takes such samples. Without a classifier
    the samples themselves are compared, as networks see them, which says little of images.

    `precision` is the share of made samples that lie where real ones are, and `recall` the share of
    real ones that lie where made ones are; `density` and `coverage` are the same two with fewer
    outliers, and `coverage` is what tells that modes are missing. All are of the k nearest
    neighbours, near 1 where both are alike, and move with `samples` and `k`. `frechet_distance` and
    `kernel_distance` are 0 where the features have the same distribution. They are no FID or KID,
    which are of one network that saw ImageNet: compare them with those of the same classifier.

    A classifier also tells classes: `classes_covered` counts those that have at least a fifth of
    their share among real samples, and `class_distance` is the total variation of both histograms,
    from 0 to 1. At the end, `duplicates` is the share of made samples that are as near to another
    one, and `memorised` the share of those as near to a training sample, as 1% of real ones are:
    0.01 is what to expect.

    Real samples are taken at even distances from the part that is measured, validation or test, all
    of them where there are fewer than `samples`; the made ones have their conditions.

    Source: Kynkäänniemi et al. 2019; Naeem et al. 2020; Heusel et al. 2017; Bińkowski et al. 2018.
    """

    title: ClassVar[str] = "`judge`"
    expects: ClassVar[str] = "the path of a bundle or a map"

    classifier: str | None = Setting(
        default=None,
        min_length=1,
        description="The bundle of a classifier; relative to the data's folder.",
    )
    samples: int = Setting(
        default=5000,
        ge=10,
        le=100_000,
        description="How many samples of each are compared.",
    )
    k: int = Setting(
        default=5, ge=1, le=1000, description="Which nearest neighbour tells how near is near."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"classifier": data} if isinstance(data, str) else super().desugar(data)

    def figures(self) -> dict[str, bool]:
        """What is measured with validation samples: name -> whether higher is better."""
        return FIGURES if self.classifier is None else {**FIGURES, **OF_CLASSES}

    def closing_figures(self) -> dict[str, bool]:
        """What is measured at the end alone."""
        return CLOSING

    def problems(self) -> Iterator[Problem]:
        if self.k >= self.samples:
            yield Problem(
                Code.O502,
                f"`k` expects fewer neighbours than there are samples, found {self.k} of "
                f"{self.samples}",
                ("k",),
                help="raise `samples`, or lower `k`; 5 is usual",
            )
