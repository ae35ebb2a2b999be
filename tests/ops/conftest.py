"""One operator as a network of its own, in PyTorch and in ONNX Runtime."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
import torch
from netwright.compiler.backends.onnx_model import build_model
from netwright.compiler.backends.torch_source import generate
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.graph import Ema, Graph, Parameter, Scope
from netwright.compiler.ir.shapes import TensorType, parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops import base as ops


@dataclass(frozen=True)
class Layer:
    """A network whose only layer is `layer`, with tensors away from their special values."""

    op: ops.Op
    types: tuple[TensorType | None, ...]

    @cached_property
    def names(self) -> list[str]:
        """A name for every input that is wired."""
        ports = self.op.ports
        if ports and ports[0].variadic:
            return [f"{ports[0].name}{index}" for index in range(len(self.types))]
        return [port.name for port, t in zip(ports, self.types, strict=False) if t]

    @cached_property
    def graph(self) -> Graph:
        b, names = GraphBuilder("net"), iter(self.names)
        values = [b.input(next(names), t) if t else None for t in self.types]
        made = b.add_n("layer", self.op, *values)
        ports = (f"out_{port}" for port in self.op.output_ports())
        graph = b.graph(**dict(zip(ports, made, strict=True)))
        inputs = {value.name: value for value in graph.inputs}
        return replace(graph, root=Scope("network", "", graph.nodes, inputs, graph.outputs))

    def fresh(self) -> torch.nn.Module:
        """A new module as its initialisation leaves it."""
        torch.manual_seed(0)
        source = generate({"net": self.graph}, title="A test.", origin="test.yaml")
        namespace: dict[str, Any] = {"__name__": "generated"}
        exec(compile(source, "<generated>", "exec"), namespace)
        return namespace["NETWORKS"]["net"]()

    @cached_property
    def module(self) -> torch.nn.Module:
        """In evaluation mode."""
        module, rng = self.fresh().eval(), self.rng()
        state = module.state_dict()
        for name, parameter in self.graph.tensors().items():
            state[name] = state[name] + torch.from_numpy(np.asarray(_shift(parameter, rng)))
        module.load_state_dict(state)
        return module

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(repr((self.op, self.types)).encode()))

    def torch(self, *arrays: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            results = self.module(*(torch.from_numpy(array) for array in arrays))
        return [result.detach().numpy() for result in as_list(results)]

    def session(self, opset: int = 20) -> onnxruntime.InferenceSession:
        """The checked model in ONNX Runtime."""
        weights = {name: tensor.numpy() for name, tensor in self.module.state_dict().items()}
        proto = onnx_ir.to_proto(build_model(self.graph, weights, opset=opset))
        onnx.checker.check_model(proto, full_check=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # threads that wait for work would slow small models
        return onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def onnx(self, session: onnxruntime.InferenceSession, *arrays: np.ndarray) -> list[np.ndarray]:
        read = {value.name for value in session.get_inputs()}
        given = zip(self.names, arrays, strict=True)
        return session.run(None, {name: array for name, array in given if name in read})

    def agree(self, *arrays: np.ndarray, session: onnxruntime.InferenceSession) -> list[np.ndarray]:
        """Run both, compare the values, and give those of ONNX Runtime."""
        found = self.onnx(session, *arrays)
        for y, expected in zip(found, self.torch(*arrays), strict=True):
            assert y.dtype == expected.dtype
            assert y.shape == expected.shape
            _assert_close(y, expected, self.op.tolerance)
        return found


def _shift(parameter: Parameter, rng: np.random.Generator) -> Any:
    """What to add to a fresh tensor; tables, counters and singular vectors stay as they are."""
    if parameter.trainable:
        return 0.3 * rng.standard_normal(parameter.shape, dtype=np.float32)
    if parameter.ema is Ema.AVERAGE:  # running statistics; a variance stays positive
        return rng.uniform(0, 0.5, parameter.shape).astype(np.float32)
    return np.zeros(parameter.shape, bool)


def _assert_close(y: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Relative to the largest output; what is not a float must be equal."""
    if not np.issubdtype(y.dtype, np.floating):
        np.testing.assert_array_equal(y, expected)
        return
    assert np.isfinite(expected).all()
    largest = np.abs(expected).max(initial=0)
    difference = np.abs(y.astype(np.float64) - expected).max(initial=0)
    assert difference <= tolerance * largest, f"differ by {difference}, largest {largest}"


def as_list(results: Any) -> list[torch.Tensor]:
    """What a network returns, as a list."""
    if isinstance(results, dict):
        return list(results.values())
    return list(results) if isinstance(results, tuple) else [results]


@cache
def _lower(op: ops.Op, types: tuple[TensorType | None, ...]) -> Layer:
    return Layer(op, types)


@pytest.fixture(scope="session")
def lower() -> Callable[..., Layer]:
    """`lower("conv2d", {"channels": 3, "kernel": 3}, "f32[B, 3, H, W]")`, or with an operator."""

    def lowered(op: ops.Op | str, arguments: Any = None, *types: Any) -> Layer:
        if isinstance(op, str):
            op = build(ops.REGISTRY[op], arguments)
        return _lower(op, tuple(parse_type(t) if isinstance(t, str) else t for t in types))

    return lowered
