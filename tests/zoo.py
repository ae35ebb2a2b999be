"""What tests of the zoo share: its specs, and weights that are a function of names and shapes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import netwright
import numpy as np
from netwright.compiler.driver import Compilation, check
from netwright.compiler.ir.graph import Graph
from netwright.compiler.language.params import Choices
from netwright.compiler.ops.recurrent import Recurrent
from netwright.compiler.passes.rewriting import every_node
from netwright.compiler.render import render

ZOO = Path(netwright.__file__).parent / "specs"
SPECS = sorted(ZOO.glob("*.yaml"))
LIBRARIES = sorted(ZOO.glob("blocks/*.yaml"))
FIXTURES = Path(__file__).parent / "fixtures"
TORCHVISION = FIXTURES / "torchvision"

LARGE = ("alexnet", "vgg16_bn")
"""Specs with hundreds of megabytes of weights, which take seconds to make and to load."""

Shapes = Mapping[str, list[int]]
Arrays = dict[str, np.ndarray]

COLUMNS = 4096


def compiled(path: Path | str, variant: str | None = None) -> Compilation:
    """A spec of the zoo (by its path or name), which must have no errors."""
    path = path if isinstance(path, Path) else ZOO / f"{path}.yaml"
    compilation = check(path, Choices(variant))
    assert not compilation.has_errors, render(compilation.diagnostics, "text")
    return compilation


def is_recurrent(graph: Graph) -> bool:
    """Whether a layer of it, or of its loops, is recurrent."""
    return any(isinstance(node.op, Recurrent) for node in every_node(graph))


def borrows(graph: Graph) -> bool:
    """Whether a layer uses tensors of another network, as tied ones do."""
    return any(ref.network for node in graph.nodes for ref in node.weights.values())


def torchvision_shapes(name: str) -> dict[str, list[int]]:
    """State-dict name -> shape of one of torchvision's networks, in its order."""
    shapes: dict[str, list[int]] = json.loads((TORCHVISION / f"{name}.json").read_text())
    return shapes


def waves(count: int, step: float, start: float = 0.0) -> np.ndarray:
    """sin(step k + start) for k = 0 .. count - 1 as f32[count].

    By the sine of a sum, which is exact to 1e-15 and many times as fast for 100 million elements.
    """
    rows = -(-count // COLUMNS)
    high = step * COLUMNS * np.arange(rows) + start
    low = step * np.arange(COLUMNS)
    found = np.empty((rows, COLUMNS), np.float32)
    for first in range(0, rows, 1024):
        part = high[first : first + 1024, None]
        found[first : first + 1024] = np.sin(part) * np.cos(low) + np.cos(part) * np.sin(low)
    return found.reshape(-1)[:count]


def filled(shapes: Shapes) -> Arrays:
    """Weights for a state dict: the rule that torchvision's recorded outputs were made by.

    With s = sin(0.37 k + i) for element k of the i-th tensor: running_var is 1 + 0.1 s, tensors of
    two or more axes are s sqrt(2 / fan_in), other weights 1 + 0.1 s, all else 0.1 s.
    """
    return {name: _filled(name, shape, i) for i, (name, shape) in enumerate(shapes.items())}


def _filled(name: str, shape: list[int], index: int) -> np.ndarray:
    key = name.rpartition(".")[2]
    if key in ("num_batches_tracked", "initialised"):
        return np.zeros(shape, np.int64)
    count = math.prod(shape)
    wave = waves(count, 0.37, index).reshape(shape)
    if key == "running_var":
        return np.float32(1) + np.float32(0.1) * wave
    if len(shape) >= 2:
        return wave * np.float32(math.sqrt(2 * shape[0] / count))
    if key == "weight":
        return np.float32(1) + np.float32(0.1) * wave
    return np.float32(0.1) * wave
