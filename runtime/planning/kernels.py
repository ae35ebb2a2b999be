"""Which of a GPU's kernels torch may take: set for a run, and put back after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ...compiler.diagnostics import Code, failure
from ..plan import Plan

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = ":4096:8"
"""What cuBLAS needs to give the same bits each time: eight buffers of 4 MiB. Source: NVIDIA's page
on the reproducibility of cuBLAS."""

NO_SUCH_KERNEL = "does not have a deterministic implementation"
"""How torch refuses an operation in deterministic mode."""


@dataclass(frozen=True)
class Flags:
    """torch's switches.

    tf32: for matrix products, and for cuDNN's convolutions. deterministic: torch's mode: 0 takes
    any kernel, 1 warns of those that are not deterministic, 2 refuses them.

    These are the older names of the switches for TF32: setting them keeps the newer ones
    (`fp32_precision`) in agreement, while the other way round torch refuses to read the older.
    """

    tf32: tuple[bool, bool]
    deterministic: int
    cudnn_deterministic: bool
    benchmark: bool

    @classmethod
    def now(cls) -> Flags:
        """What is set; by the newer names, since reading those never fails."""
        backends = torch.backends
        products = backends.cuda.matmul.fp32_precision == "tf32"
        convolutions = backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
        return cls(
            (products, convolutions),
            torch.get_deterministic_debug_mode(),
            backends.cudnn.deterministic,
            backends.cudnn.benchmark,
        )

    @classmethod
    def of(cls, plan: Plan) -> Flags:
        """What a plan asks for. cuDNN tries its kernels where they need not be the same ones."""
        tf32 = plan.precision != "fp32"
        same = plan.deterministic
        return cls((tf32, tf32), 2 if same else 0, same, not same)

    def set(self) -> None:
        backends = torch.backends
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = self.tf32
        torch.set_deterministic_debug_mode(self.deterministic)
        backends.cudnn.deterministic = self.cudnn_deterministic
        backends.cudnn.benchmark = self.benchmark


@contextmanager
def kernels(plan: Plan) -> Iterator[None]:
    """Within, torch takes the kernels that the plan allows; on a CPU nothing is to be set.

    Raises: NetwrightError: R905: an operation has no deterministic kernel, and the plan wants it.
    """
    if plan.device == "cpu":
        yield
        return
    before = Flags.now()
    if plan.deterministic:
        os.environ.setdefault(WORKSPACE, WORKSPACES)
    Flags.of(plan).set()
    try:
        yield
    except RuntimeError as error:
        if NO_SUCH_KERNEL not in str(error):
            raise
        raise _without_kernel(error) from error
    finally:
        before.set()


def _without_kernel(error: RuntimeError) -> Exception:
    operation = str(error).partition(" ")[0]
    return failure(
        Code.R905,
        f"expected deterministic kernels, found that torch has none for `{operation}` on a GPU",
        help="set `training: {deterministic: false}`, or use another layer",
    )
