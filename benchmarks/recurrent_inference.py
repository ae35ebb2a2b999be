"""An exported LSTM classifier in ONNX Runtime, against the same network in torch, on a CPU.

Usage: python benchmarks/recurrent_inference.py [ROUNDS]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from compile_and_export import networks_and_weights
from measure import interleaved, machine, speed_ratio
from netwright.compiler.backends.onnx_model import build_model, save_model
from netwright.compiler.passes.pipeline import run_passes

NAME = "lstm_fashion_rows"
BATCHES = {1: 3.0, 16: 1.0}
"""Batch -> how many times as fast as torch the file must be at least."""


def in_torch(module: torch.nn.Module, rows: np.ndarray, threads: int) -> Callable[[], torch.Tensor]:
    given = torch.from_numpy(rows)

    def call() -> torch.Tensor:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return module(given)

    return call


def in_onnxruntime(path: Path, rows: np.ndarray) -> Callable[[], list[np.ndarray]]:
    """On one thread: more of them only wait for each other over a state of this size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"rows": rows})


def compare(batch: int, rounds: int, folder: Path) -> None:
    compilation, module, weights = networks_and_weights(NAME)
    bare = {key.removeprefix("classifier."): value for key, value in weights.items()}
    rows = np.random.default_rng(0).normal(size=(batch, 28, 28)).astype(np.float32)
    save_model(build_model(*run_passes(compilation.graphs["classifier"], bare)), folder / "it.onnx")
    sides = {
        "file": in_onnxruntime(folder / "it.onnx", rows),
        "torch": in_torch(module, rows, torch.get_num_threads()),
        "one thread": in_torch(module, rows, 1),
    }
    assert np.abs(sides["file"]()[0] - sides["torch"]().numpy()).max() < 1e-4
    found = interleaved(sides, rounds, warmup=20)
    times = " | ".join(f"{np.median(seconds) * 1000:.2f}" for seconds in found.values())
    ratios = " | ".join(str(speed_ratio(found[s], found["file"])) for s in ("torch", "one thread"))
    print(f"| {NAME}, batch {batch} | {times} | {ratios} | {BATCHES[batch]} |")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 401
    print(machine())
    print(
        "\n| what | ONNX Runtime, ms | torch, ms | torch on 1 thread, ms | times as fast as torch "
        "(95%) | as torch on 1 thread | at least |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for batch in BATCHES:
            compare(batch, rounds, Path(folder))


if __name__ == "__main__":
    main()
