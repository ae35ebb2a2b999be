"""What tests of generated PyTorch share: from the text of a spec to modules."""

from __future__ import annotations

from pathlib import Path

import torch
from netwright.compiler.driver import Compilation, check_source
from netwright.compiler.source import SourceFile
from netwright.runtime.generated import build_networks
from torch import Tensor, nn

HEAD = "spec: v1\nname: test\n"


def compiled(text: str) -> Compilation:
    """The networks of a spec, which must have no errors. The head may be left out."""
    text = text if text.startswith("spec:") else HEAD + text
    compilation = check_source(SourceFile("test.yaml", text), Path(), networks_only=True)
    assert not compilation.has_errors, compilation.diagnostics
    return compilation


def networks(text: str) -> dict[str, nn.Module]:
    """The modules of a spec in evaluation mode; each keeps exactly the tensors of its graph."""
    torch.manual_seed(0)
    compilation = compiled(text)
    built = build_networks(compilation.source, compilation.graphs)
    for name, graph in compilation.graphs.items():
        assert shapes(built[name]) == {key: p.shape for key, p in graph.tensors().items()}
    return {name: network.eval() for name, network in built.items()}


def network(text: str) -> nn.Module:
    """The module of a spec with a single network."""
    (built,) = networks(text).values()
    return built


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def same(ours: nn.Module, theirs: nn.Module, *inputs: Tensor) -> bool:
    """Whether a module computes what another does that is given its weights."""
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        return torch.allclose(ours.eval()(*inputs), theirs.eval()(*inputs), atol=1e-6)
