"""What a plan depends on, as values: the work that is asked for, and the machine."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch

from ...compiler.driver import Compilation
from ...compiler.objectives.obstacles import Layers, layers_of
from ...compiler.objectives.planning import Planning
from ...compiler.objectives.training import Training
from ...compiler.source import Key, Span
from ..data.columns import Storage, storage_of, vary
from ..data.dataset import Dataset
from ..data.homes import Home, choose_home, choose_workers
from ..device import has_tf32
from ..distributed.world import World
from ..plan import Kind, Precision
from .layout import kernel_weights, operators_of


@dataclass(frozen=True)
class Work:
    """What is to be trained.

    operators: those of the networks. layers: what else matters of them. steps: of the whole run.
    spans: where the spec asks for a decision, by its key.
    home: where the training samples can live. storage: where they are now.
    workers: how many processes of a loader would pay for reading them.
    kernels: how many weights its 2D convolutions have. varies: whether batches differ in length.
    """

    operators: frozenset[str]
    settings: Training
    steps: int
    layers: Layers = field(default_factory=Layers)
    home: Home = "device"
    storage: Storage = "memory"
    workers: int = 0
    kernels: int = 0
    varies: bool = False
    spans: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """Where it is trained.

    name: of the device, as messages call it. precisions: those that it computes.
    processes: how many train together. no_compiler: what torch.compile lacks here; None where it
    lacks nothing.
    """

    device: Kind
    name: str
    precisions: frozenset[Precision]
    processes: int = 1
    no_compiler: str | None = None


def work_of(compilation: Compilation, dataset: Dataset, device: torch.device) -> Work:
    """The work of a spec on its data."""
    settings, train = compilation.spec.training, dataset.parts["train"]
    given: dict[str, Key] = {key: ("training", "plan", key) for key in Planning.model_fields}
    given["precision"] = ("training", "precision")
    found = {key: compilation.located.span(path) for key, path in given.items()}
    return Work(
        operators=operators_of(compilation.graphs.values()),
        settings=settings,
        steps=settings.total_steps(dataset.size("train")),
        layers=layers_of(compilation.graphs.values(), compilation.spec.objective),
        home=choose_home(train, device),
        storage=storage_of(train),
        workers=choose_workers(train),
        kernels=kernel_weights(compilation.graphs.values()),
        varies=vary(train),
        spans={key: span for key, span in found.items() if span},
    )


def machine_of(device: torch.device, world: World) -> Machine:
    """The machine that a device belongs to."""
    if device.type != "cuda":
        every: frozenset[Precision] = frozenset({"fp32", "bf16", "fp16"})
        return Machine("cpu", "a CPU", every, world.size, _no_cpu_compiler())
    name = torch.cuda.get_device_name(device)
    return Machine("cuda", name, _precisions(device), world.size, _no_gpu_compiler(device))


def _precisions(device: torch.device) -> frozenset[Precision]:
    found: set[Precision] = {"fp32", "fp16"}
    if has_tf32(device):
        found.add("tf32")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        found.add("bf16")
    return frozenset(found)


def _no_cpu_compiler() -> str | None:
    """What torch.compile lacks to make kernels for a CPU."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(name) is None:
        return f"there is no C++ compiler `{name}`"
    return _no_headers()


def _no_gpu_compiler(device: torch.device) -> str | None:
    """What torch.compile lacks to make kernels for a GPU."""
    if find_spec("triton") is None:
        return "the package `triton` is not installed"
    if torch.cuda.get_device_capability(device) < (7, 0):
        return "`triton` needs a GPU of compute capability 7.0 or above"
    if not any(shutil.which(name) for name in (os.environ.get("CC", "gcc"), "clang", "cc")):
        return "there is no C compiler, which `triton` needs"
    return _no_headers()


def _no_headers() -> str | None:
    header = Path(sysconfig.get_path("include"), "Python.h")
    if header.is_file():
        return None
    return f"Python's headers are not installed: there is no `{header}`"
