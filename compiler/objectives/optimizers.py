"""The settings of optimizers; runtime/optimizers.py makes torch's from them.

Names and defaults are torch's. A number that torch reads anew at each step may be a schedule.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .numbers import Decay, NonNegative, Range, Rate
from .schedules import Schedule
from .section import Section, listed

Betas = Annotated[list[Decay], Field(min_length=2, max_length=2)]
Value = float | tuple[float, ...]
"""What torch keeps in a parameter group: a number, or two of them for `betas`."""

Implementation = Literal["fused", "foreach", "plain"]
"""fused: one kernel for all parameters. foreach: one for each operation. plain: one by one."""

LR = "Learning rate; the run's `schedule` multiplies it with a factor."
EPS = "Added to the denominator."
BETAS = "Decay of the averages of gradient and squared gradient."
PENALTY = "L2 penalty, added to the gradient."
DECOUPLED = "Take the weight decay off the weights, as `adamw` does, and not by the gradient."


def _constant(value: float) -> Schedule:
    return Schedule.constant(value)


def _averages() -> list[Schedule]:
    return [_constant(0.9), _constant(0.999)]


class Optimizer(Section):
    """How the weights follow their gradients."""

    name: ClassVar[str]
    implementations: ClassVar[tuple[Implementation, ...]] = ("fused", "foreach", "plain")
    """What torch has of it, the fastest first."""

    recordable: ClassVar[tuple[Implementation, ...]] = ("fused", "foreach")
    """Which of them a CUDA graph can hold: they read the step and the rate on the device."""

    lr: Rate = Field(default=_constant(1e-3), description=LR)
    weight_decay: NonNegative = Field(default=_constant(0.0), description=PENALTY)

    def problem(self) -> str | None:
        """Why the settings do not go together, or None."""
        return None

    def parts(self) -> tuple[Optimizer, ...]:
        """The optimizers that it consists of: itself, and one for the tensors that it leaves."""
        return (self,)

    def schedules(self) -> dict[str, Schedule | list[Schedule]]:
        """The numbers that may change, by torch's names; `betas` is a pair of them."""
        return {name: value for name, value in self if _is_number(value)}

    def words(self) -> dict[str, Any]:
        """Every other setting, by torch's names."""
        return {name: value for name, value in self if not _is_number(value)}

    def moving(self) -> dict[str, Schedule | list[Schedule]]:
        """Those of `schedules` that are no constants."""
        return {name: value for name, value in self.schedules().items() if _moves(value)}

    def numbers_at(self, step: int) -> dict[str, Value]:
        """The values of `schedules` at an optimizer step; the first is 0."""
        return {name: value_at(schedule, step) for name, schedule in self.schedules().items()}


def value_at(schedule: Schedule | list[Schedule], step: int) -> Value:
    """The value, or pair of values, of one number at an optimizer step; the first is 0."""
    if isinstance(schedule, Schedule):
        return schedule.at(step)
    return tuple(item.at(step) for item in schedule)


def _is_number(value: object) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, Schedule)


def _moves(value: Schedule | list[Schedule]) -> bool:
    items = [value] if isinstance(value, Schedule) else value
    return not all(item.is_constant for item in items)


class AdamW(Optimizer):
    """Adam with weight decay apart from the gradient. Source: Loshchilov & Hutter 2019."""

    name: ClassVar[str] = "adamw"
    title: ClassVar[str] = "the optimizer `adamw`"

    betas: Betas = Field(default=_averages(), description=BETAS)
    eps: NonNegative = Field(default=_constant(1e-8), description=EPS)
    weight_decay: NonNegative = Field(
        default=_constant(0.01),
        description="The part of each weight that lr times this takes away.",
    )
    amsgrad: bool = Field(default=False, description="Divide by the largest average so far.")


class Adam(Optimizer):
    """Gradients scaled by running averages. Source: Kingma & Ba 2015."""

    name: ClassVar[str] = "adam"
    title: ClassVar[str] = "the optimizer `adam`"

    betas: Betas = Field(default=_averages(), description=BETAS)
    eps: NonNegative = Field(default=_constant(1e-8), description=EPS)
    weight_decay: NonNegative = Field(
        default=_constant(0.0), description="L2 penalty, added to the gradient; see adamw."
    )
    amsgrad: bool = Field(default=False, description="Divide by the largest average so far.")


class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum if wanted."""

    name: ClassVar[str] = "sgd"
    title: ClassVar[str] = "the optimizer `sgd`"
    recordable: ClassVar[tuple[Implementation, ...]] = ("fused",)

    momentum: Decay = Field(default=_constant(0.0), description="Decay of the velocity.")
    dampening: Annotated[Schedule, Range(ge=0, le=1)] = Field(
        default=_constant(0.0), description="The part of the gradient that the velocity leaves out."
    )
    nesterov: bool = Field(default=False, description="Nesterov's momentum.")

    def problem(self) -> str | None:
        dampening = max(self.dampening.start, self.dampening.end)
        if dampening and not max(self.momentum.start, self.momentum.end):
            return "`dampening` needs a `momentum` above 0, found 0"
        if not self.nesterov:
            return None
        if not min(self.momentum.start, self.momentum.end):
            return "`nesterov` needs a `momentum` above 0, found 0"
        return f"`nesterov` needs a `dampening` of 0, found {dampening:g}" if dampening else None


class RmsProp(Optimizer):
    """Gradients scaled by a running average of their squares. Source: Hinton's lecture 6e."""

    name: ClassVar[str] = "rmsprop"
    title: ClassVar[str] = "the optimizer `rmsprop`"
    implementations: ClassVar[tuple[Implementation, ...]] = ("foreach", "plain")
    recordable: ClassVar[tuple[Implementation, ...]] = ("foreach",)

    lr: Rate = Field(default=_constant(1e-2), description=LR)
    alpha: Decay = Field(
        default=_constant(0.99), description="Decay of the average of the squared gradient."
    )
    eps: NonNegative = Field(default=_constant(1e-8), description=EPS)
    momentum: Decay = Field(default=_constant(0.0), description="Decay of the velocity.")
    centered: bool = Field(
        default=False, description="Subtract the gradient's mean before squaring."
    )

    def problem(self) -> str | None:
        if self.momentum.is_constant or self.momentum.start:
            return None
        return (  # torch keeps a velocity only where the first step has one
            "a `momentum` that moves expects a `start` above 0, found 0"
        )


class Adagrad(Optimizer):
    """Gradients scaled by the sum of all their squares. Source: Duchi et al. 2011.

    torch's fused form is left out: not every release that we support has it on a GPU.
    """

    name: ClassVar[str] = "adagrad"
    title: ClassVar[str] = "the optimizer `adagrad`"
    implementations: ClassVar[tuple[Implementation, ...]] = ("foreach", "plain")
    recordable: ClassVar[tuple[Implementation, ...]] = ()

    lr: Rate = Field(default=_constant(1e-2), description=LR)
    lr_decay: NonNegative = Field(
        default=_constant(0.0), description="The rate is divided by 1 + (step - 1) * lr_decay."
    )
    eps: NonNegative = Field(default=_constant(1e-10), description=EPS)
    initial_accumulator_value: float = Field(
        default=0.0, ge=0, description="What the sums of squares begin with."
    )


class NAdam(Optimizer):
    """Adam with Nesterov's momentum. Source: Dozat 2016."""

    name: ClassVar[str] = "nadam"
    title: ClassVar[str] = "the optimizer `nadam`"
    implementations: ClassVar[tuple[Implementation, ...]] = ("foreach", "plain")
    recordable: ClassVar[tuple[Implementation, ...]] = ("foreach",)

    lr: Rate = Field(default=_constant(2e-3), description=LR)
    betas: Betas = Field(default=_averages(), description=BETAS)
    eps: NonNegative = Field(default=_constant(1e-8), description=EPS)
    momentum_decay: NonNegative = Field(
        default=_constant(4e-3), description="How fast the momentum warms up: Dozat's psi."
    )
    decoupled_weight_decay: bool = Field(default=False, description=DECOUPLED)


class RAdam(Optimizer):
    """Adam whose first steps wait for a reliable average. Source: Liu et al. 2020."""

    name: ClassVar[str] = "radam"
    title: ClassVar[str] = "the optimizer `radam`"
    implementations: ClassVar[tuple[Implementation, ...]] = ("foreach", "plain")
    recordable: ClassVar[tuple[Implementation, ...]] = ("foreach",)

    betas: Betas = Field(default=_averages(), description=BETAS)
    eps: NonNegative = Field(default=_constant(1e-8), description=EPS)
    decoupled_weight_decay: bool = Field(default=False, description=DECOUPLED)


class Muon(Optimizer):
    """Momentum made orthogonal by Newton-Schulz steps, for the matrices of hidden layers.

    It moves weights of two axes, embeddings and the patterns of `exclude` left out. `adamw` moves
    all else: kernels of convolutions, biases, weights of normalisation.
    Source: Jordan et al. 2024; Liu et al. 2025 for `match_rms_adamw`; torch.optim.Muon.
    """

    name: ClassVar[str] = "muon"
    title: ClassVar[str] = "the optimizer `muon`"
    recordable: ClassVar[tuple[Implementation, ...]] = ()

    momentum: Decay = Field(default=_constant(0.95), description="Decay of the velocity.")
    nesterov: bool = Field(default=True, description="Nesterov's momentum.")
    weight_decay: NonNegative = Field(
        default=_constant(0.1), description="The part of each weight that lr times this takes away."
    )
    eps: NonNegative = Field(
        default=_constant(1e-7), description="The least norm that a velocity is divided by."
    )
    ns_steps: int = Field(default=5, ge=1, lt=100, description="Newton-Schulz steps.")
    adjust_lr: Literal["original", "match_rms_adamw"] = Field(
        default="original",
        description="How the rate follows a matrix's shape; `match_rms_adamw` makes updates as "
        "large as AdamW's, so that its `lr` and `weight_decay` serve.",
    )
    exclude: list[str] = Field(
        default=[],
        description="Patterns of matrices that `adamw` moves, such as the last layer's.",
    )
    adamw: AdamW = Field(default=AdamW(), description="The settings for all other tensors.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return listed(data, "exclude")

    def parts(self) -> tuple[Optimizer, ...]:
        return self, self.adamw

    def words(self) -> dict[str, Any]:
        return {
            "nesterov": self.nesterov,
            "ns_steps": self.ns_steps,
            "adjust_lr_fn": self.adjust_lr,
        }


OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.name: cls for cls in (AdamW, Adam, Sgd, RmsProp, Adagrad, NAdam, RAdam, Muon)
}
