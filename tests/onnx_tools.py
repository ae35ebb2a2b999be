"""What tests of graphs share: random weights, and running a graph in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
from netwright.compiler import ops  # noqa: F401 - fills the registry
from netwright.compiler.backends.onnx_model import build_model
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.structure import Call
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Op
from netwright.compiler.passes.rewriting import every_node

NUMPY = {"f32": np.float32, "f64": np.float64, "i64": np.int64}


def op(name: str, **arguments: Any) -> Op:
    """An operator from the arguments that a spec would give."""
    return build(REGISTRY[name], arguments)


def random_weights(graph: Graph, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Values around 0 for every tensor that a program or network reads; variances around 1."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for node in every_node(graph):
        if isinstance(node.op, Call):
            inner = random_weights(node.op.graph, seed=seed + 1)
            found |= {f"{node.op.graph.name}.{name}": array for name, array in inner.items()}
        for parameter in node.declared():
            if node.owns(parameter):
                array = rng.normal(0, 0.5, parameter.shape)
                if parameter.key == "running_var":
                    array = 0.5 + np.abs(array)
                found[node.weights[parameter.key].stored] = array.astype(NUMPY[parameter.dtype])
    return found


def proto_of(graph: Graph, weights: Mapping[str, np.ndarray], **options: Any) -> onnx.ModelProto:
    """The model as protobuf, checked by onnx with its shape inference."""
    proto = onnx_ir.to_proto(build_model(graph, weights, **options))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def run(
    graph: Graph, weights: Mapping[str, np.ndarray], feeds: Mapping[str, Any], **options: Any
) -> dict[str, np.ndarray]:
    """The outputs of a graph in ONNX Runtime, by port."""
    proto = proto_of(graph, weights, **options)
    return run_proto(proto.SerializeToString(), feeds)


def run_proto(model: bytes | str, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(feeds)), strict=True))


def close(a: np.ndarray, b: np.ndarray, *, tolerance: float = 1e-5) -> bool:
    """Whether two results agree, relative to the largest number."""
    return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance * np.abs(b).max())
