from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from netwright.compiler.backends.onnx_model import IR_VERSIONS, build_model, save_model
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Dim, Poly, Symbol
from netwright.compiler.ir.graph import Graph, TensorRef
from netwright.compiler.ir.shapes import TensorType, parse_dim, parse_type
from netwright.compiler.ir.structure import Call
from netwright.compiler.ir.verifier import InternalError
from netwright.compiler.ops.base import Emitter, Handle, Op, Refusal
from netwright.compiler.source import SourceFile, Span

from tests.onnx_tools import close, op, proto_of, random_weights, run, run_proto


def classifier() -> Graph:
    b = GraphBuilder("classifier")
    x = b.input("image", "f32[B, 3, H, W]")
    hidden = b.add("features.conv", op("conv2d", channels=4, kernel=3, stride=2), x)
    hidden = b.add("features.relu", op("relu"), hidden)
    pooled = b.add("pool", op("global_avg_pool"), hidden)
    return b.graph(logits=b.add("fc", op("linear", features=5), pooled), features=hidden)


def images(batch: int = 2, height: int = 9, width: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"image": rng.normal(size=(batch, 3, height, width)).astype(np.float32)}


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


# The model


@pytest.mark.parametrize("opset", IR_VERSIONS)
def test_every_opset_runs_at_any_size(opset: int) -> None:
    graph = classifier()
    proto = proto_of(graph, random_weights(graph), opset=opset)
    assert proto.opset_import[0].version == opset
    assert proto.ir_version == IR_VERSIONS[opset] <= 10
    for batch, height, width in ((1, 5, 6), (3, 9, 4)):
        got = run_proto(proto.SerializeToString(), images(batch, height, width))
        assert got["logits"].shape == (batch, 5)
        assert got["features"].shape == (batch, 4, (height - 1) // 2 + 1, (width - 1) // 2 + 1)


def test_exactly_the_symbolic_axes_are_dynamic() -> None:
    graph = classifier()
    proto = proto_of(graph, random_weights(graph))
    assert shape_of(proto.graph.input[0]) == ["B", 3, "H", "W"]
    outputs = {output.name: shape_of(output) for output in proto.graph.output}
    assert outputs == {
        "logits": ["B", 5],
        "features": ["B", 4, "(H + 1) // 2", "(W + 1) // 2"],
    }


def test_nodes_are_layers_and_initializers_are_tensors() -> None:
    graph = classifier()
    proto = proto_of(graph, random_weights(graph))
    names = [node.name for node in proto.graph.node]
    assert {node.path for node in graph.nodes} <= set(names)
    assert len(set(names)) == len(names)
    assert all(name.split("/")[0] in {node.path for node in graph.nodes} for name in names)
    stored = {tensor.name for tensor in proto.graph.initializer}
    assert {"features.conv.weight", "features.conv.bias", "fc.weight", "fc.bias"} <= stored


def test_metadata_and_names() -> None:
    graph = classifier()
    metadata = {"name": "digits", "labels": '["a", "b"]'}
    proto = proto_of(graph, random_weights(graph), metadata=metadata, name="predict")
    assert {entry.key: entry.value for entry in proto.metadata_props} == metadata
    assert (proto.graph.name, proto.producer_name) == ("predict", "netwright")


def test_the_same_graph_gives_the_same_bytes() -> None:
    graph = classifier()
    weights = random_weights(graph)
    first, second = (proto_of(graph, weights).SerializeToString() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("opset", [17, 19, 21, 23])
def test_another_opset_is_refused(opset: int) -> None:
    with pytest.raises(NetwrightError, match=f"18, 20 or 22, found {opset}") as caught:
        build_model(classifier(), {}, opset=opset)
    assert caught.value.diagnostics[0].code is Code.X701


def test_weights_must_fit() -> None:
    graph = classifier()
    weights = random_weights(graph)
    with pytest.raises(InternalError, match=r"no values are given for the tensor `fc\.bias`"):
        build_model(graph, {k: v for k, v in weights.items() if k != "fc.bias"})
    with pytest.raises(InternalError, match=r"`fc\.bias` has the shape \(4,\), not \(5,\)"):
        build_model(graph, weights | {"fc.bias": np.zeros(4, np.float32)})


def test_a_call_must_have_been_inlined() -> None:
    b = GraphBuilder("program")
    inner = classifier()
    outputs = b.add_n("net", Call(inner), b.input("image", "f32[B, 3, H, W]"))
    with pytest.raises(InternalError, match="`net` is a call"):
        build_model(b.graph(y=outputs[0]), {})


# Inputs, outputs and constants


def test_outputs_that_are_inputs_or_one_value_twice() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 4]")
    y = b.add("logits", op("relu"), x)
    graph = b.graph(same=x, logits=y, again=y)
    got = run(graph, {}, {"x": np.array([[-1, 2, -3, 4]], np.float32)})
    assert got["same"].tolist() == [[-1, 2, -3, 4]]
    assert got["logits"].tolist() == got["again"].tolist() == [[0, 2, 0, 4]]


def test_an_input_and_an_output_of_one_name_are_refused() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 4]")
    with pytest.raises(NetwrightError, match="the input `x` and an output of `net`") as caught:
        build_model(b.graph(x=b.add("relu_1", op("relu"), x)), {})
    assert caught.value.diagnostics[0].code is Code.X702


def test_a_bare_tensor_and_the_value_at_its_path_get_names_of_their_own() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 4]")
    graph = b.graph(y=b.add("gain", op("scale", axis=1), b.add("gain.weight", op("relu"), x)))
    weights = {"gain": np.arange(4, dtype=np.float32)}
    got = run(graph, weights, {"x": np.ones((2, 4), np.float32)})
    assert got["y"].tolist() == [[0, 1, 2, 3]] * 2


def test_transposed_weights_are_stored_transposed() -> None:
    b = GraphBuilder("net")
    graph = b.graph(y=b.add("fc", op("linear", features=2), b.input("x", "f32[B, T, 3]")))
    proto = proto_of(graph, random_weights(graph))
    assert "Transpose" not in {node.op_type for node in proto.graph.node}
    assert {t.name for t in proto.graph.initializer} == {"fc.weight.transposed", "fc.bias"}


def autoencoder(x: str) -> Graph:
    b = GraphBuilder("auto")
    code = b.add("fc", op("linear", features=2, bias=False), b.input("x", x))
    tied = {"weight": TensorRef("fc.weight", transpose=True)}
    return b.graph(y=b.add("out", op("linear", features=3, bias=False), code, weights=tied))


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3)])
def test_a_tie_with_transpose(shape: tuple[int, ...]) -> None:
    graph = autoencoder("f32[B, 3]" if len(shape) == 2 else "f32[B, T, 3]")
    weights = random_weights(graph)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    matrix = weights["fc.weight"]
    assert close(run(graph, weights, {"x": x})["y"], x @ matrix.T @ matrix)


def test_a_table_tied_to_a_linear_layer_is_stored_once() -> None:
    b = GraphBuilder("model")
    tokens = b.input("tokens", "i64[B, T]")
    hidden = b.add("tokens_table", op("embedding", size=7, dim=4), tokens)
    tied = {"weight": TensorRef("tokens_table.weight")}
    graph = b.graph(y=b.add("head", op("linear", features=7, bias=False), hidden, weights=tied))
    weights = random_weights(graph)
    proto = proto_of(graph, weights)
    assert [tensor.name for tensor in proto.graph.initializer if len(tensor.dims) == 2] == [
        "tokens_table.weight"
    ]
    ids = np.array([[0, 3, 6]])
    table = weights["tokens_table.weight"]
    got = run_proto(proto.SerializeToString(), {"tokens": ids})
    assert close(got["y"], table[ids] @ table.T)


# Sizes


class Sized(Op):
    """Gives sizes as numbers, to test what `sizes` computes."""

    def __init__(self, *dims: Dim) -> None:
        self.__dict__["dims"] = dims

    name = "sized"

    def arguments(self) -> dict[str, Any]:
        return {}

    def infer(self, x: TensorType) -> TensorType:
        return parse_type(f"i64[{len(self.dims)}]")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Identity", e.sizes(self.dims))


SIZES = {
    "B": 2,
    "B, 3, H": [2, 3, 7],
    "B*H": 14,
    "H**2*W": 49 * 4,
    "2*H - 3*W + 1": 3,
    "(H - 1) // 2 + 1": 4,
    "(W - H) // 2": -2,
    "4, 5": [4, 5],
    "(2*H + W) // 3, 1, (2*H + W) // 3": [6, 1, 6],
}


@pytest.mark.parametrize("text", SIZES)
def test_sizes_follow_the_inputs(text: str) -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, H, W]")
    graph = b.graph(y=b.add("sized", Sized(*map(parse_dim, text.split(", "))), x))
    got = run(graph, {}, {"x": np.zeros((2, 7, 4), np.float32)})["y"]
    assert got.tolist() == np.atleast_1d(SIZES[text]).tolist()


def test_a_size_is_computed_once() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, H, W]")
    dims = [parse_dim(text) for text in ("B*H", "W", "B*H", "2*B*H")]
    first, second = b.add("a", Sized(*dims), x), b.add("b", Sized(*dims), x)
    proto = proto_of(b.graph(y=first, z=second), {})
    kinds = [node.op_type for node in proto.graph.node]
    assert (kinds.count("Shape"), kinds.count("Concat")) == (3, 1)


@pytest.mark.parametrize(("size", "axis"), [("2*H", 6), ("3*H + 1", 10), ("H - 1", 2)])
def test_a_symbol_is_solved_from_a_multiple(size: str, axis: int) -> None:
    b = GraphBuilder("net")
    x = b.input("x", f"f32[B, {size}]")
    graph = b.graph(y=b.add("sized", Sized(parse_dim("H")), x))
    assert run(graph, {}, {"x": np.zeros((2, axis), np.float32)})["y"].tolist() == [3]


def test_a_size_that_no_value_has_is_refused() -> None:
    b = GraphBuilder("net")
    graph = b.graph(y=b.add("sized", Sized(Poly.of(Symbol("Q"))), b.input("x", "f32[B, 4]")))
    with pytest.raises(NetwrightError, match=r"layer `sized`.*`Q` cannot be computed") as caught:
        build_model(graph, {})
    assert caught.value.diagnostics[0].code is Code.X702


# Operators that cannot be exported


class Silent(Op):
    """A plug-in without an ONNX rule."""

    name = "silent"

    def infer(self, x: TensorType) -> TensorType:
        return x


class TooMany(Silent):
    def onnx(self, e: Emitter, x: Handle) -> tuple[Handle, ...]:
        return x, x


class Newer(Silent):
    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Gelu", x)


class Misspelt(Silent):
    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Softmax", x, axes=1)


class Refusing(Silent):
    def onnx(self, e: Emitter, x: Handle) -> Handle:
        raise Refusal(Code.X702, "`refusing` needs a fixed size", help="fix it")


@pytest.mark.parametrize(
    ("layer", "message", "advice"),
    [
        (Silent(), "`silent` has no ONNX rule, so layer `odd` cannot", "class `Silent`"),
        (TooMany(), "returns 2 values at layer `odd`, expected 1", "`TooMany.onnx`"),
        (Newer(), r"layer `odd` \(silent\): ONNX opset 18 has no operator `Gelu`", "newer opset"),
        (Misspelt(), "ONNX `Softmax` has no attribute `axes`", "it has axis"),
        (Refusing(), "layer `odd`: `refusing` needs a fixed size", "fix it"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_what_cannot_be_exported_is_said_with_its_layer(
    layer: Op, message: str, advice: str
) -> None:
    b = GraphBuilder("net")
    graph = b.graph(y=b.add("odd", layer, b.input("x", "f32[B, 4]")))
    span = Span(SourceFile("spec.yaml", "- silent"), 1, 3, 1, 9)
    graph = replace(graph, nodes=(replace(graph.nodes[0], span=span),))
    with pytest.raises(NetwrightError, match=message) as caught:
        build_model(graph, {}, opset=18)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span) == (Code.X702, span)
    assert advice in (diagnostic.help or "")


# Files


def test_one_file_or_tensors_beside_it(tmp_path: Path) -> None:
    graph = classifier()
    weights = random_weights(graph)
    expected = run(graph, weights, images())["logits"]
    model = build_model(graph, weights)
    (single,) = save_model(model, tmp_path / "single.onnx")
    large = save_model(model, tmp_path / "large.onnx", limit=100)
    assert [path.name for path in large] == ["large.onnx", "large.onnx.data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "large.onnx",
        "large.onnx.data",
        "single.onnx",
    ]
    for path in (single, large[0]):
        onnx.checker.check_model(str(path), full_check=True)
        assert close(run_proto(str(path), images())["logits"], expected)


@pytest.mark.parametrize("features", [1, 200, 20_000])
def test_the_file_is_the_model(tmp_path: Path, features: int) -> None:
    b = GraphBuilder("net")
    x = b.add("fc", op("linear", features=features), b.input("x", "f32[B, T, 3]"))
    graph = b.graph(y=b.add("back", op("linear", features=2, bias=False), x))
    model = build_model(graph, random_weights(graph), metadata={"name": "net"})
    (path,) = save_model(model, tmp_path / "m.onnx")
    expected = onnx_ir.to_proto(model)
    stored = {tensor.name for tensor in expected.graph.initializer}
    values = [value for value in expected.graph.value_info if value.name not in stored]
    del expected.graph.value_info[:]  # onnx-ir repeats the type of each tensor here
    expected.graph.value_info.extend(values)
    assert onnx.load(path) == expected


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    model = build_model(classifier(), random_weights(classifier()))
    with pytest.raises(FileNotFoundError):
        save_model(model, tmp_path / "absent" / "model.onnx")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_reported_with_the_system_s_words(tmp_path: Path) -> None:
    model = build_model(classifier(), random_weights(classifier()))
    (tmp_path / ".m.onnx.draft").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        save_model(model, tmp_path / "m.onnx")
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_saving_twice_replaces(tmp_path: Path) -> None:
    graph = classifier()
    for seed in (0, 1):
        save_model(build_model(graph, random_weights(graph, seed=seed)), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    expected = run(graph, random_weights(graph, seed=1), images())["logits"]
    assert close(session.run(["logits"], images())[0], expected)


def test_zeros_padded_before_a_max_pool_stay_zeros() -> None:
    """ONNX Runtime's Pad fusion would turn them into minus infinity."""
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 3, 6, 6]")
    graph = b.graph(
        y=b.add("pool", op("max_pool2d", kernel=2), b.add("pad", op("pad", before=1), x))
    )
    found = run(graph, {}, {"x": -np.ones((1, 3, 6, 6), np.float32)})["y"]
    assert found[0, 0, 0].tolist() == [0, 0, 0, 0]
