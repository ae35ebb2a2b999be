"""The generated module against the same network by hand, and its ONNX file against torch's.

Usage: python benchmarks/generated_module.py [ROUNDS]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from compile_and_export import networks_and_weights, theirs
from hand_written import FashionCnn, ResNet18
from measure import interleaved, machine, speed_ratio, twice
from torch import Tensor, nn

BATCH = 64


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def training_step(module: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(module.parameters())
    module.train()

    def call() -> None:
        optimizer.zero_grad()
        F.cross_entropy(module(images), labels).backward()
        optimizer.step()

    return call


def compare_modules(
    name: str, hand: Callable[[], nn.Module], shape: tuple[int, ...], rounds: int
) -> None:
    images, labels = torch.randn(shape), torch.randint(0, 10, (shape[0],))

    def generated() -> nn.Module:
        return networks_and_weights(name)[1]

    assert size(generated()) == size(hand())
    left, right = twice(
        lambda: training_step(hand(), images, labels),
        lambda: training_step(generated(), images, labels),
    )
    found = interleaved({"hand": left, "generated": right}, rounds)
    ratio = speed_ratio(found["hand"], found["generated"])
    print(f"| {name}, training step, batch {shape[0]} | {ratio} | 0.98 |")


def run_file(path: Path, image: np.ndarray) -> Callable[[], list[np.ndarray]]:
    options = onnxruntime.SessionOptions()
    # Idle threads of one side's session must not spin while the other side is timed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0].name
    return lambda: session.run(None, {port: image})


def compare_files(name: str, shape: tuple[int, ...], rounds: int) -> None:
    """The bare network on both sides: torch's exporter has no preprocessing to write."""
    from netwright.compiler.backends.onnx_model import build_model, save_model
    from netwright.compiler.passes.pipeline import run_passes

    compilation, module, weights = networks_and_weights(name)
    bare = {key.removeprefix("classifier."): value for key, value in weights.items()}
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        sizes = compilation.graphs["classifier"].inputs[0].type.shape
        open_axes = [axis for axis, size in enumerate(sizes) if not isinstance(size, int)]
        example = (max(2, shape[0]), *shape[1:])  # a batch of 1 would be taken for a constant
        theirs(module, example, open_axes, folder)()
        graph, used = run_passes(compilation.graphs["classifier"], bare)
        save_model(build_model(graph, used), folder / "ours.onnx")
        files = [folder / "theirs.onnx", folder / "ours.onnx"]
        (expected,), (result,) = (run_file(path, image)() for path in files)
        assert np.abs(result - expected).max() < 1e-4 * np.abs(expected).max()
        left, right = twice(*(partial(run_file, path, image) for path in files))
        found = interleaved({"torch": left, "netwright": right}, rounds)
    ratio = speed_ratio(found["torch"], found["netwright"])
    print(f"| {name}, ONNX Runtime, batch {shape[0]} | {ratio} | 1.0 |")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 41
    print(machine())
    print("\n| what | times as fast as the other side (95%) | at least |\n|---|---|---|")
    compare_modules("fashion_cnn", FashionCnn, (BATCH, 1, 28, 28), 4 * rounds)
    compare_modules("resnet18", ResNet18, (4, 3, 128, 128), 2 * rounds)
    compare_files("fashion_cnn", (1, 1, 28, 28), 10 * rounds)
    compare_files("fashion_cnn", (BATCH, 1, 28, 28), 3 * rounds)
    compare_files("resnet18", (1, 3, 224, 224), 3 * rounds)


if __name__ == "__main__":
    main()
