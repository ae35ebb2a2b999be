"""The section `training`: how a run goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .averaging import Averaging
from .growing import Grow
from .initial_weights import InitFrom
from .numbers import Positive
from .optimizers import OPTIMIZERS, AdamW, Optimizer
from .parameter_rules import ParameterRule
from .planning import Planning
from .problem import Problem
from .run_length import length_problems
from .schedules import LR_SCHEDULES, Constant, LearningRateSchedule
from .section import OneKey, Section
from .watching import Checkpoint, EarlyStopping, Gate, OnDivergence, Validation

EPOCHS = 10
"""The length of a run that says neither `epochs` nor `steps`."""


class Training(Section):
    """How a run goes."""

    title: ClassVar[str] = "`training`"

    seed: int = Setting(
        default=0, ge=0, lt=2**63, description="Draws initial weights, order and augmentation."
    )
    batch: int = Setting(
        default=32,
        ge=1,
        description="Samples per optimizer step, over all processes and micro-batches together.",
    )
    accumulate: int = Setting(
        default=1,
        ge=1,
        description="Micro-batches per optimizer step, whose gradients are averaged: each takes "
        "`batch / accumulate` samples of memory.",
    )
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
    parameters: list[ParameterRule] = Setting(
        default=[],
        description="What differs for some parameters; of rules that agree on a key, "
        "the last one holds.",
    )
    init_from: InitFrom | None = Setting(
        default=None, description="Stored weights that the run begins with."
    )
    clip_norm: Positive | None = Setting(
        default=None, description="Shrink the gradient to at most this norm."
    )
    clip_value: Positive | None = Setting(
        default=None, description="Cut each number of the gradient to at most this size."
    )
    ema: Averaging | None = Setting(
        default=None, description="Keep a moving average of the weights: `ema: 0.999`."
    )
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = Setting(
        default="auto",
        description="auto: tf32 on a GPU that has it, else fp32. tf32: fp32 with products rounded "
        "to 10 bits. bf16, fp16: matrix products and convolutions in 16 bits; the weights stay "
        "fp32, and fp16 scales the loss.",
    )
    deterministic: bool = Setting(
        default=False,
        description="On a GPU, use only kernels that give the same bits each time; slower. On a "
        "CPU they always do.",
    )
    device: Literal["auto", "cpu", "cuda"] = Setting(
        default="auto", description="auto: the GPU where there is one, else the CPU."
    )
    plan: Planning = Setting(
        default=Planning(), description="How steps are executed; decided where it is not given."
    )
    validation: Validation = Setting(
        default=Validation(), description="How often the validation samples are measured."
    )
    checkpoint: Checkpoint = Setting(
        default=Checkpoint(), description="When the run is saved, and which state is exported."
    )
    early_stopping: EarlyStopping | None = Setting(
        default=None, description="End when a figure no longer gets better: `early_stopping: 5`."
    )
    stop_if: dict[str, Gate] = Setting(
        default={},
        description="Figure of the validation samples -> where the run ends with an error: "
        "`stop_if: {coverage: {below: 0.2, after: 5000}}`.",
    )
    on_divergence: OnDivergence = Setting(
        default=OnDivergence(), description="What to do when a loss is NaN or infinite."
    )
    grow: Grow | None = Setting(
        default=None, description="Train the networks of several values of a parameter in turn."
    )

    def followed(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The figures of validation samples that settings follow: where one stands -> figure."""
        if self.checkpoint.best is not None:
            yield ("checkpoint", "best"), self.checkpoint.best
        if self.early_stopping is not None:
            yield ("early_stopping",), self.early_stopping.figure
        for figure in self.stop_if:
            yield ("stop_if", figure), figure

    def total_steps(self, samples: int) -> int:
        """Optimizer steps of the whole run over this many training samples; at least 1."""
        if self.steps is not None:
            return self.steps
        return self.total_epochs * self.steps_per_epoch(samples)

    @property
    def total_epochs(self) -> int:
        """Passes over the training samples, of a run that is not counted in steps."""
        return self.epochs or EPOCHS

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
        for path, optimizer in self.all_optimizers():
            if optimizer.problem():
                yield Problem(Code.O502, str(optimizer.problem()), (*path, optimizer.name))
        if self.batch % self.accumulate:
            yield Problem(
                Code.O502,
                f"`accumulate` expects a divisor of `batch`, found {self.accumulate} and a batch "
                f"of {self.batch}",
                ("accumulate",),
                help=f"choose from {', '.join(map(str, self._divisors()))}",
            )
        yield from self.validation.problems()
        yield from self.on_divergence.problems()
        for figure, gate in self.stop_if.items():
            for problem in gate.problems():
                yield replace(problem, path=("stop_if", figure, *problem.path))
        for problem in self.grow.problems(self) if self.grow else ():
            yield replace(problem, path=("grow", *problem.path))
        yield from length_problems(self)

    def _divisors(self) -> list[int]:
        """Numbers of micro-batches that the batch can be cut into, those nearest to the given."""
        fitting = [n for n in range(1, self.batch + 1) if self.batch % n == 0]
        return sorted(sorted(fitting, key=lambda n: abs(n - self.accumulate))[:4])

    def all_optimizers(self) -> Iterator[tuple[tuple[str, ...], Optimizer]]:
        """Every optimizer with the path that leads to it."""
        yield ("optimizer",), self.optimizer
        for role, optimizer in self.optimizers.items():
            yield ("optimizers", role), optimizer
