"""Where training runs, and in what precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from ..compiler.diagnostics import Code, failure

if TYPE_CHECKING:
    import torch


def choose_device(word: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` stands for.

    Raises: NetwrightError: R905: CUDA is asked for and torch can't use it.
    """
    import torch

    available = torch.cuda.is_available()
    if word == "cuda" and not available:
        build = torch.version.cuda
        found = f"a build for CUDA {build} and no usable GPU" if build else "a build without CUDA"
        raise failure(
            Code.R905,
            f"expected a CUDA device, found torch {torch.__version__}, {found}",
            help="use `--device cpu`, or install a torch that fits the GPU's driver",
        )
    return torch.device("cuda" if available and word != "cpu" else "cpu")


def has_tf32(device: torch.device) -> bool:
    """Whether the device rounds float32 products to 10 bits when asked: Ampere and later."""
    import torch

    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context of a forward pass: 16 bits where they are safe, f32 elsewhere."""
    import torch

    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in dtypes:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtypes[precision])


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators that layers draw from: the CPU's, and the device's own."""
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
