"""The tensors of networks by their names: out of modules, into modules, and for ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.ir.graph import Graph

if TYPE_CHECKING:
    import torch

Weights = dict[str, dict[str, "torch.Tensor"]]
"""Network -> tensor's name in its state dict -> tensor."""


def collect(graphs: Mapping[str, Graph], networks: Mapping[str, torch.nn.Module]) -> Weights:
    """The tensors that each network owns; one that is shared appears under its owner alone."""
    found: Weights = {}
    for name, network in networks.items():
        state = network.state_dict()
        found[name] = {tensor: state[tensor].detach() for tensor in graphs[name].tensors()}
    return found


def restore(
    graphs: Mapping[str, Graph],
    networks: Mapping[str, torch.nn.Module],
    weights: Mapping[str, Mapping[str, torch.Tensor]],
    folder: Path,
) -> None:
    """Copy stored tensors into the networks, keeping the networks' memory format.

    Raises: NetwrightError: R902: names, shapes or element types are not those of the networks.
    """
    import torch

    check_weights({name: graphs[name] for name in networks}, weights, folder)
    with torch.no_grad():
        for name, network in networks.items():
            state = network.state_dict()
            for tensor in graphs[name].tensors():
                own, stored = state[tensor], weights[name][tensor]
                if stored.dtype != own.dtype:
                    raise _other(folder, f"`{name}.{tensor}` of {stored.dtype}")
                own.copy_(stored)


def check_weights(
    graphs: Mapping[str, Graph],
    weights: Mapping[str, Mapping[str, torch.Tensor]],
    folder: Path,
) -> None:
    """Raises: NetwrightError: R902: names or shapes are not those that the graphs declare."""
    for name, graph in graphs.items():
        stored = weights.get(name, {})
        for tensor, declared in graph.tensors().items():
            if tensor not in stored:
                raise _other(folder, f"no `{name}.{tensor}`")
            if stored[tensor].shape != declared.shape:
                raise _other(folder, f"`{name}.{tensor}` {list(stored[tensor].shape)}")


def _other(folder: Path, found: str) -> NetwrightError:
    return failure(
        Code.R902,
        f"expected the weights of this spec in `{folder}`, found {found}",
        help="use the spec that the checkpoint was made with",
    )


def for_onnx(
    weights: Mapping[str, Mapping[str, Any]],
) -> dict[str, NDArray[Any]]:
    """`<network>.<tensor>` -> numpy array, as the ONNX backend wants them."""
    return {
        f"{network}.{name}": tensor.detach().cpu().contiguous().numpy()
        for network, tensors in weights.items()
        for name, tensor in tensors.items()
    }
