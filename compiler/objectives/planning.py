"""The part of `training` that says how a step is executed; runtime/plan.py decides the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .problem import Problem
from .section import Section

MEASURED = ("workers", "memory_format", "optimizer", "graphs", "compile")
"""What `plan: measured` tries; runtime/planning/measured.py knows how."""

LAYOUT_AXES = {"channels_last": 4, "channels_last_3d": 5}
"""Memory format -> how many axes the tensors have that it is for."""


class Planning(Section):
    """How steps are executed. What is not given is decided from spec, data and device.

    None of it changes what is computed, except by the rounding of other kernels.
    """

    title: ClassVar[str] = "`plan`"
    expects: ClassVar[str] = "`rules`, `measured` or a map"

    choose: Literal["rules", "measured"] = Setting(
        default="rules",
        description="rules: decide at once; measured: take some steps with each candidate, on "
        "copies, and keep what is faster by 3% or more.",
    )
    data: Literal["device", "loader"] | None = Setting(
        default=None,
        description="device: all samples lie on the device; loader: batches are brought there.",
    )
    workers: int | None = Setting(
        default=None,
        ge=0,
        le=256,
        description="Processes of the loader, which read ahead; 0 reads in line. It asks for a "
        "loader.",
    )
    memory_format: Literal["contiguous", "channels_last", "channels_last_3d"] | None = Setting(
        default=None,
        description="How images [B, C, H, W] lie in memory, and volumes [B, C, D, H, W] with "
        "channels_last_3d.",
    )
    optimizer: Literal["fused", "foreach", "plain"] | None = Setting(
        default=None, description="fused: one kernel; foreach: a few; plain: one per tensor."
    )
    compile: bool | None = Setting(
        default=None,
        description="Run the step through torch.compile, which needs a C++ compiler on a CPU and "
        "Triton on a GPU; never recurrent layers.",
    )
    graphs: bool | None = Setting(
        default=None,
        description="On a GPU, record the step once as a CUDA graph and replay it. Not with "
        "`compile`, `fp16`, several processes, recurrent layers with lengths or dropout, or "
        "numbers that move; learning rates and the weights of losses may.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"choose": data} if isinstance(data, str) else super().desugar(data)

    def problems(self) -> Iterator[Problem]:
        """Settings that exclude each other, and a request to choose where nothing is left open."""
        if self.choose == "measured" and not self._left_open():
            yield Problem(
                Code.O502,
                "`choose: measured` has nothing to choose from: `plan` says everything itself",
                ("plan", "choose"),
                help="remove `choose`, or what shall be measured",
            )
        if self.data == "device" and self.workers is not None:
            yield Problem(
                Code.O502,
                f"`workers` belongs to `data: loader`, found {self.workers} and `data: device`",
                ("plan", "workers"),
                help="remove one of them",
            )

    def _left_open(self) -> list[str]:
        """What could be measured; a recorded step allows no other optimizer and no compiling."""
        decided = {"workers"} if self.data == "device" else set()
        decided |= {"optimizer", "compile"} if self.graphs else set()
        return [key for key in MEASURED if key not in decided and getattr(self, key) is None]
