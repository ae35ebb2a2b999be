"""Programs in torch, from the generated source and stored weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from ..compiler.driver import Compilation
from .generated import build_networks, build_program, by_name

Arrays = dict[str, NDArray[Any]]


def torch_programs(
    compilation: Compilation, weights: Mapping[str, NDArray[Any]]
) -> dict[str, Callable[[Arrays], Arrays]]:
    """Every program as a function of numpy arrays, in evaluation mode and float32 on the CPU.

    weights: `<network>.<tensor>` -> array.
    """
    source = compilation.source
    networks = build_networks(source, list(compilation.graphs))
    for name, network in networks.items():
        _fill(network, compilation.graphs[name].tensors(), name, weights)
    found: dict[str, Callable[[Arrays], Arrays]] = {}
    for name, graph in compilation.programs.items():
        module = build_program(source, name, networks).eval()
        found[name] = _function(module, [v.name for v in graph.inputs], list(graph.outputs))
    return found


def _fill(
    network: nn.Module, tensors: Mapping[str, Any], name: str, weights: Mapping[str, NDArray[Any]]
) -> None:
    state = network.state_dict()
    with torch.no_grad():
        for tensor in tensors:
            state[tensor].copy_(torch.from_numpy(weights[f"{name}.{tensor}"]))


def _function(
    module: nn.Module, inputs: list[str], outputs: list[str]
) -> Callable[[Arrays], Arrays]:
    def run(arrays: Arrays) -> Arrays:
        with torch.inference_mode():
            results = module(*[torch.from_numpy(arrays[name]) for name in inputs])
        return {name: tensor.numpy() for name, tensor in by_name(results, outputs).items()}

    return run
