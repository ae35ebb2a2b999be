"""The settings of optimizers; runtime/optimizers.py makes torch's from them.

Defaults are torch's.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .section import Section

Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[list[Beta], Field(min_length=2, max_length=2)]


class Optimizer(Section):
    """How the weights follow their gradients."""

    name: ClassVar[str]

    lr: float = Field(
        default=1e-3, gt=0, description="Learning rate; a schedule multiplies it with a factor."
    )

    def problem(self) -> str | None:
        """Why the settings do not go together, or None."""
        return None


class AdamW(Optimizer):
    """Adam with weight decay apart from the gradient. Source: Loshchilov & Hutter 2019."""

    name: ClassVar[str] = "adamw"
    title: ClassVar[str] = "the optimizer `adamw`"

    betas: Betas = Field(
        default=[0.9, 0.999], description="Decay of the averages of gradient and squared gradient."
    )
    eps: float = Field(default=1e-8, ge=0, description="Added to the denominator.")
    weight_decay: float = Field(
        default=0.01, ge=0, description="The part of each weight that lr times this takes away."
    )


class Adam(Optimizer):
    """Gradients scaled by running averages. Source: Kingma & Ba 2015."""

    name: ClassVar[str] = "adam"
    title: ClassVar[str] = "the optimizer `adam`"

    betas: Betas = Field(
        default=[0.9, 0.999], description="Decay of the averages of gradient and squared gradient."
    )
    eps: float = Field(default=1e-8, ge=0, description="Added to the denominator.")
    weight_decay: float = Field(
        default=0.0, ge=0, description="L2 penalty, added to the gradient; see adamw."
    )


class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum if wanted."""

    name: ClassVar[str] = "sgd"
    title: ClassVar[str] = "the optimizer `sgd`"

    momentum: float = Field(default=0.0, ge=0, lt=1, description="Decay of the velocity.")
    nesterov: bool = Field(default=False, description="Nesterov's momentum.")
    weight_decay: float = Field(default=0.0, ge=0, description="L2 penalty.")

    def problem(self) -> str | None:
        if self.nesterov and not self.momentum:
            return "`nesterov` needs a `momentum` above 0, found 0"
        return None


class RmsProp(Optimizer):
    """Gradients scaled by a running average of their squares. Source: Hinton's lecture 6e."""

    name: ClassVar[str] = "rmsprop"
    title: ClassVar[str] = "the optimizer `rmsprop`"

    lr: float = Field(
        default=1e-2, gt=0, description="Learning rate; a schedule multiplies it with a factor."
    )
    alpha: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the average of the squared gradient."
    )
    eps: float = Field(default=1e-8, ge=0, description="Added to the denominator.")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="Decay of the velocity.")
    centered: bool = Field(
        default=False, description="Subtract the gradient's mean before squaring."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="L2 penalty.")


OPTIMIZERS: dict[str, type[Optimizer]] = {cls.name: cls for cls in (AdamW, Adam, Sgd, RmsProp)}
