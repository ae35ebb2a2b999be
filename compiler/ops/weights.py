"""What operators with trained weights have in common: initialisation and spectral norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

InitKind = Literal[
    "zeros",
    "ones",
    "normal",
    "trunc_normal",
    "uniform",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
]

WITH_STD = ("normal", "trunc_normal")
KAIMING = ("kaiming_uniform", "kaiming_normal")

SETTINGS: dict[str, tuple[str, ...]] = {
    "normal": ("mean", "std"),
    "trunc_normal": ("std",),
    "uniform": ("bound",),
    "xavier_uniform": ("gain",),
    "xavier_normal": ("gain",),
    "orthogonal": ("gain",),
    "kaiming_uniform": ("mode",),
    "kaiming_normal": ("mode",),
}
"""What each kind takes; one that is not here takes nothing."""


@dataclass(frozen=True)
class Init:
    """How a weight starts: `init: zeros` or `init: {normal: {std: 0.02}}`.

    Without `init` an operator starts as torch's layer does. `zeros` zeroes the bias too, so that
    the layer starts with the output 0; every other kind leaves the bias as torch has it.

    mean: of `normal`, such as 1 for what scales. std: of `normal` and `trunc_normal`.
    bound: `uniform` draws from [-bound, bound].
    gain: a factor for xavier and orthogonal. mode: `fan_in` or `fan_out`, of the kaiming kinds,
    which assume a ReLU behind the layer.
    """

    kind: InitKind
    mean: float = 0.0
    std: float | None = None
    bound: float | None = None
    gain: float = 1.0
    mode: str = "fan_in"

    def __str__(self) -> str:
        """As a spec writes it."""
        standard = vars(Init(self.kind))
        given = {name: value for name, value in vars(self).items() if value != standard[name]}
        inner = ", ".join(f"{name}: {value}" for name, value in given.items())
        return f"{{{self.kind}: {{{inner}}}}}" if given else self.kind

    def statements(self, *, bias: bool, module: str = "{self}") -> tuple[str, ...]:
        """Python statements that apply it to a module's weight (and the bias for zeros)."""
        if self.kind == "zeros" and bias:
            return self.statement(f"{module}.weight"), f"nn.init.zeros_({module}.bias)"
        return (self.statement(f"{module}.weight"),)

    def statement(self, tensor: str) -> str:
        """A Python statement that applies it to a tensor."""
        return f"nn.init.{self.kind}_({tensor}{self._keywords()})"

    @property
    def needs_fans(self) -> bool:
        """Whether it is defined for tensors of two or more axes only."""
        return self.kind.startswith(("xavier", "kaiming", "orthogonal"))

    def _keywords(self) -> str:
        if self.kind in WITH_STD:
            mean = f", mean={self.mean!r}" if self.mean else ""
            return f"{mean}, std={self.std if self.std is not None else 0.02!r}"
        if self.kind == "uniform":
            bound = 0.1 if self.bound is None else self.bound
            return f", a={-bound!r}, b={bound!r}"
        if self.kind in KAIMING:
            return f', mode="{self.mode}", nonlinearity="relu"'
        if self.kind in ("xavier_uniform", "xavier_normal", "orthogonal"):
            return f", gain={self.gain!r}"
        return ""
