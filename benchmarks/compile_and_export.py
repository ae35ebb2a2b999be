"""How long the compiler's commands take, and export against `torch.onnx.export(dynamo=True)`.

Usage: python benchmarks/compile_and_export.py [ROUNDS]
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import median

from measure import interleaved, machine, speed_ratio
from netwright.compiler.backends.onnx_model import build_model, save_model
from netwright.compiler.driver import compile_spec
from netwright.compiler.passes.pipeline import run_passes

SPECS = Path(__file__).resolve().parents[1] / "specs"


def command(*arguments: str) -> Callable[[], None]:
    """A netwright command as a process of its own."""
    line = [sys.executable, "-m", "netwright", *arguments]

    def call() -> None:
        subprocess.run(line, check=True, capture_output=True)

    return call


def seconds(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def networks_and_weights(name: str):
    """A compiled zoo spec, its module and the arrays that its programs are exported with."""
    from netwright.runtime.generated import build_networks

    compilation = compile_spec(SPECS / f"{name}.yaml")
    module = build_networks(compilation.source, list(compilation.graphs))["classifier"].eval()
    settle(module)
    weights = {f"classifier.{k}": v.numpy() for k, v in module.state_dict().items()}
    return compilation, module, weights


def settle(module) -> None:
    """Statistics and offsets as training leaves them: a fresh network's are zeros and ones, and
    what is done with zeros tells nothing about a trained network."""
    import torch

    generator = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.bias.data):
                tensor.normal_(0, 0.1, generator=generator)
            for tensor in (layer.running_var, layer.weight.data):
                tensor.uniform_(0.8, 1.2, generator=generator)


def ours(compilation, weights, folder: Path) -> Callable[[], None]:
    def call() -> None:
        graph, used = run_passes(compilation.programs["predict"], weights)
        save_model(build_model(graph, used), folder / "ours.onnx")

    return call


def theirs(module, shape: tuple[int, ...], open_axes: list[int], folder: Path):
    """torch's exporter with the axes open that are open in ours."""
    import logging

    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # what it says of torchvision
    example = torch.randn(shape)

    def call() -> None:
        dynamic = dict.fromkeys(open_axes, torch.export.Dim.DYNAMIC)
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (example,),
                folder / "theirs.onnx",
                dynamo=True,
                dynamic_shapes=(dynamic,),
                opset_version=20,
                verbose=False,
            )

    return call


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(machine())
    print("\n| what | median | at most |\n|---|---|---|")
    resnet = str(SPECS / "resnet50.yaml")

    def row(what: str, call: Callable[[], object], limit: str) -> None:
        print(f"| {what} | {seconds(call, rounds):.2f} s | {limit} |")

    row("`netwright --help`, whole process", command("--help"), "0.3 s")
    row("`netwright check specs/resnet50.yaml`, whole process", command("check", resnet), "0.5 s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = command("compile", resnet, "-o", str(folder / "out"))
        row("`netwright compile specs/resnet50.yaml`, whole process, no torch", written, "1 s")
        compilation, _, weights = networks_and_weights("resnet50")
        export = ours(compilation, weights, folder)
        export()
        row("resnet50's program to an ONNX file", export, "2 s")
        compilation, module, weights = networks_and_weights("fashion_cnn")
        sides = {
            "torch": theirs(module, (2, 1, 28, 28), [0], folder),
            "netwright": ours(compilation, weights, folder),
        }
        found = interleaved(sides, rounds, warmup=1)
    ratio = speed_ratio(found["torch"], found["netwright"])
    print("\n| fashion_cnn to an ONNX file | median | times as fast (95%) | at least |")
    print("|---|---|---|---|")
    print(f"| torch.onnx.export(dynamo=True) | {median(found['torch']):.3f} s | 1 | |")
    print(f"| netwright | {median(found['netwright']):.3f} s | {ratio} | 10 |")


if __name__ == "__main__":
    main()
