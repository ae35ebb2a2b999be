"""The section `training`: how a run goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .optimizers import OPTIMIZERS, AdamW, Optimizer
from .problem import Problem
from .schedules import LR_SCHEDULES, Constant, LearningRateSchedule
from .section import OneKey, Section

EPOCHS = 10
"""The length of a run that says neither `epochs` nor `steps`."""


class Checkpoint(Section):
    """When the state of a run is saved, and which one is exported."""

    title: ClassVar[str] = "`checkpoint`"

    every: int = Setting(default=1, ge=1, description="Epochs between two checkpoints.")
    best: str | None = Setting(
        default=None,
        description="Keep the epoch with the best value of this metric, or of `loss`, on the "
        "validation samples, and test and export it instead of the last one.",
    )


class Training(Section):
    """How a run goes."""

    title: ClassVar[str] = "`training`"

    seed: int = Setting(
        default=0, ge=0, lt=2**63, description="Draws initial weights, order and augmentation."
    )
    batch: int = Setting(default=32, ge=1, description="Samples per optimizer step.")
    epochs: int | None = Setting(
        default=None, ge=1, description="Passes over the training samples; 10 unless given."
    )
    steps: int | None = Setting(
        default=None, ge=1, description="Optimizer steps, instead of `epochs`."
    )
    optimizer: Annotated[Optimizer, OneKey(OPTIMIZERS, "optimizer")] = Setting(
        default=AdamW(), description="How the weights follow their gradients."
    )
    optimizers: dict[str, Annotated[Optimizer, OneKey(OPTIMIZERS, "optimizer")]] = Setting(
        default={}, description="For an objective with several: one for each of its roles."
    )
    schedule: Annotated[LearningRateSchedule, OneKey(LR_SCHEDULES, "schedule")] = Setting(
        default=Constant(), description="How the learning rate changes during the run."
    )
    clip_norm: float | None = Setting(
        default=None, gt=0, description="Shrink the gradient to at most this norm."
    )
    precision: Literal["fp32", "bf16"] = Setting(
        default="fp32",
        description="bf16: matrix products and convolutions in bfloat16; the weights stay fp32.",
    )
    device: Literal["auto", "cpu", "cuda"] = Setting(
        default="auto", description="auto: the GPU where there is one, else the CPU."
    )
    checkpoint: Checkpoint = Setting(
        default=Checkpoint(), description="When the run is saved, and which state is exported."
    )

    def total_steps(self, samples: int) -> int:
        """Optimizer steps of the whole run over this many training samples; at least 1."""
        if self.steps is not None:
            return self.steps
        return (self.epochs or EPOCHS) * self.steps_per_epoch(samples)

    def steps_per_epoch(self, samples: int) -> int:
        """Optimizer steps of one pass, at least 1.

        The samples that would make a smaller last batch are left out of the pass (others in each,
        since each has an order of its own): batch norm can't train on a batch of one.
        """
        return max(1, samples // self.batch)

    def problems(self) -> Iterator[Problem]:
        """Settings that exclude each other."""
        if self.epochs is not None and self.steps is not None:
            yield Problem(
                Code.O502,
                f"`epochs` and `steps` exclude each other, found {self.epochs} epochs and "
                f"{self.steps} steps",
                ("steps",),
                help="keep one of them",
            )
        if self.optimizers and "optimizer" in self.model_fields_set:
            yield Problem(
                Code.O502,
                "`optimizer` and `optimizers` exclude each other, found both",
                ("optimizers",),
            )
        for path, optimizer in self._all_optimizers():
            if optimizer.problem():
                yield Problem(Code.O502, str(optimizer.problem()), (*path, optimizer.name))
        warmup = getattr(self.schedule, "warmup", 0)
        if self.steps is not None and warmup >= self.steps:
            yield Problem(
                Code.O502,
                f"`warmup` expects less than the {self.steps} steps of the run, found {warmup}",
                ("schedule", self.schedule.name, "warmup"),
            )

    def _all_optimizers(self) -> Iterator[tuple[tuple[str, ...], Optimizer]]:
        yield ("optimizer",), self.optimizer
        for role, optimizer in self.optimizers.items():
            yield ("optimizers", role), optimizer
