"""What tests of networks in chunks share: running one chunk after the other in both backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime
import torch
from netwright.compiler.backends.torch_source import generate
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Symbol, evaluate
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.structure import Call
from netwright.compiler.ir.verifier import verify
from netwright.compiler.passes.pipeline import run_passes
from netwright.compiler.streaming.stream_network import stream_network
from netwright.runtime.generated import build_program

from tests.onnx_tools import proto_of

Arrays = dict[str, np.ndarray]
UNEVEN = (1, 3, 2, 1, 5, 4)
"""Sizes of chunks, in turn."""

NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i64": np.int64}


class Chunks:
    """A network that runs one chunk at a time, as a program that calls the derived graph.

    weights: `<network>.<tensor>` -> array. module: the network in evaluation mode.
    """

    def __init__(
        self, graph: Graph, time: Symbol, module: torch.nn.Module, weights: Mapping[str, Any]
    ) -> None:
        self.graph, self.time, self.module, self.weights = graph, time, module, weights
        self.stepped = stream_network(graph, time)
        verify(self.stepped.graph)

    @cached_property
    def program(self) -> Graph:
        b, inner = GraphBuilder("step"), self.stepped.graph
        made = b.add_n("run", Call(inner), *(b.input(v.name, v.type) for v in inner.inputs))
        program = b.graph(**dict(zip(inner.outputs, made, strict=True)))
        verify(program)
        return program

    @cached_property
    def source(self) -> str:
        graphs = {self.graph.name: self.graph}
        return generate(graphs, {"step": self.program}, title="A test.", origin="test.yaml")

    @cached_property
    def in_torch(self) -> Callable[[Arrays], Arrays]:
        program = build_program(self.source, "step", {self.graph.name: self.module}).eval()

        def run(inputs: Arrays) -> Arrays:
            with torch.no_grad():
                results = program(*(torch.from_numpy(np.asarray(a)) for a in inputs.values()))
            found = results if isinstance(results, tuple) else (results,)
            return {n: t.numpy() for n, t in zip(self.program.outputs, found, strict=True)}

        return run

    @cached_property
    def in_onnx(self) -> Callable[[Arrays], Arrays]:
        proto = proto_of(*run_passes(self.program, self.weights))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        taken = {value.name for value in session.get_inputs()}

        def run(inputs: Arrays) -> Arrays:
            given = {name: array for name, array in inputs.items() if name in taken}
            return dict(zip(self.program.outputs, session.run(None, given), strict=True))

        return run

    def beginning(self, inputs: Arrays, sizes: Mapping[str, int]) -> Arrays:
        """The states before the first chunk: zeros but for those that are inputs."""
        return {
            state.input: inputs[state.input]
            if state.given
            else np.zeros(
                [evaluate(size, sizes) for size in state.type.shape], NUMPY[state.type.dtype]
            )
            for state in self.stepped.states
        }

    def run(self, step: Callable[[Arrays], Arrays], inputs: Arrays, sizes: Any) -> Arrays:
        """The outputs of all chunks, joined along time; those without time of the last chunk."""
        states, parts = self.beginning(inputs, sizes), list[Arrays]()
        for chunk in self.cut({n: a for n, a in inputs.items() if n not in states}):
            found = step({**chunk, **states})
            states = {state.input: found[state.output] for state in self.stepped.states}
            parts.append(found)
        return {port: self._joined(port, parts) for port in self.graph.outputs}

    def _joined(self, port: str, parts: list[Arrays]) -> np.ndarray:
        axis = self._axis(self.stepped.graph.outputs[port].type.shape)
        every = [part[port] for part in parts]
        return every[-1] if axis is None else np.concatenate(every, axis)

    def _axis(self, shape: Any) -> int | None:
        return next((a for a, size in enumerate(shape) if str(size) == self.time.name), None)

    def cut(self, inputs: Arrays) -> Iterator[Arrays]:
        """The inputs in chunks of uneven sizes."""
        axes = {v.name: self._axis(v.type.shape) for v in self.graph.inputs}
        whole = next(inputs[name].shape[axis] for name, axis in axes.items() if axis is not None)
        start = 0
        for size in UNEVEN * whole:
            if start >= whole:
                return
            places = range(start, min(start + size, whole))
            yield {
                name: array if axes[name] is None else array.take(places, axes[name])
                for name, array in inputs.items()
            }
            start += size

    def sizes(self, inputs: Arrays) -> dict[str, int]:
        """The size of each symbol that stands alone in a shape."""
        return {
            str(size): inputs[value.name].shape[axis]
            for value in self.graph.inputs
            for axis, size in enumerate(value.type.shape)
        }


def agree(chunks: Chunks, inputs: Arrays, whole: Arrays, tolerance: float) -> None:
    """Compare the chunks in torch and in ONNX Runtime with what the whole gives."""
    for step in (chunks.in_torch, chunks.in_onnx):
        found = chunks.run(step, inputs, chunks.sizes(inputs))
        for port, expected in whole.items():
            assert found[port].shape == expected.shape, port
            assert found[port].dtype == expected.dtype, port
            largest = np.abs(expected.astype(np.float64)).max(initial=0)
            difference = np.abs(found[port].astype(np.float64) - expected).max(initial=0)
            assert difference <= tolerance * largest, f"{port} differs by {difference}"
