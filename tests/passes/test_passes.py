"""Each pass: what it leaves, and that it computes the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Poly, Symbol
from netwright.compiler.ir.graph import Graph, TensorRef, Value
from netwright.compiler.ir.printer import print_graph
from netwright.compiler.ir.structure import Call, Loop
from netwright.compiler.ir.verifier import InternalError, verify
from netwright.compiler.passes import pipeline
from netwright.compiler.passes.fold_batch_norm import fold_batch_norm
from netwright.compiler.passes.fold_spectral_norm import fold_spectral_norm
from netwright.compiler.passes.inline_calls import inline_calls
from netwright.compiler.passes.pipeline import PIPELINE, run_passes
from netwright.compiler.passes.prune_dead import prune_dead
from netwright.compiler.passes.remove_dropout import remove_dropout

from tests.onnx_tools import close, op, random_weights, run


def operators(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def image(seed: int = 0, *, batch: int = 2, channels: int = 3, size: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(batch, channels, size, size)).astype(np.float32)}


def chain(*layers: tuple[str, dict[str, Any]], x: str = "f32[B, 3, 6, 6]") -> Graph:
    """Layers one after the other, each named by its operator and its place."""
    b = GraphBuilder("net")
    value = b.input("x", x)
    for place, (name, arguments) in enumerate(layers):
        value = b.add(f"{name}_{place}", op(name, **arguments), value)
    return b.graph(y=value)


# fold_batch_norm

FOLDABLE = {
    "conv": [("conv2d", {"channels": 4, "kernel": 3})],
    "conv without bias": [("conv2d", {"channels": 4, "kernel": 3, "bias": False})],
    "grouped": [("conv2d", {"channels": 6, "kernel": 3, "groups": 3, "bias": False})],
    "transposed": [("conv_transpose2d", {"channels": 4, "kernel": 2, "stride": 2})],
    "transposed, grouped": [
        ("conv_transpose2d", {"channels": 6, "kernel": 2, "stride": 2, "groups": 3})
    ],
    "spectral": [("conv2d", {"channels": 4, "kernel": 3, "weight_norm": "spectral"})],
    "norm twice": [("conv2d", {"channels": 4, "kernel": 3}), ("batch_norm", {})],
    "norm without weights": [
        ("conv2d", {"channels": 4, "kernel": 3}),
        ("batch_norm", {"affine": False}),
    ],
    "linear": [("flatten", {}), ("linear", {"features": 5, "bias": False})],
}


@pytest.mark.parametrize("case", FOLDABLE)
def test_batch_norm_folds_into_the_layer_before(case: str) -> None:
    graph = chain(*FOLDABLE[case], ("batch_norm", {"eps": 0.01}), ("relu", {}))
    weights = random_weights(graph)
    folded, fewer = run_passes(graph, weights)
    assert "batch_norm" not in operators(folded)
    assert any(name.endswith(".weight.folded") or ".folded" in name for name in fewer)
    feeds = image()
    assert close(run(folded, fewer, feeds)["y"], run(graph, weights, feeds)["y"])


def test_folded_tensors_are_named_for_what_they_are() -> None:
    graph = chain(("conv2d", {"channels": 4, "kernel": 3, "bias": False}), ("batch_norm", {}))
    _, weights = run_passes(graph, random_weights(graph))
    assert set(weights) == {"conv2d_0.weight.folded", "conv2d_0.bias.folded"}


def test_a_layer_that_others_read_keeps_its_batch_norm() -> None:
    b = GraphBuilder("net")
    conv = b.add("conv", op("conv2d", channels=3, kernel=3), b.input("x", "f32[B, 3, 6, 6]"))
    norm = b.add("norm", op("batch_norm"), conv)
    for graph in (b.graph(y=b.add("sum", op("add"), conv, norm)), b.graph(y=norm, raw=conv)):
        assert fold_batch_norm(graph, random_weights(graph))[0] is graph


def test_a_linear_layer_over_a_sequence_keeps_its_batch_norm() -> None:
    graph = chain(("linear", {"features": 6}), ("batch_norm", {}), x="f32[B, 3, 6]")
    assert fold_batch_norm(graph, random_weights(graph))[0] is graph


def test_a_shared_weight_folds_separately_for_each_batch_norm() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 3, 6, 6]")
    own = b.add("own", op("conv2d", channels=3, kernel=3, bias=False), x)
    shared = {"weight": TensorRef("own.weight")}
    again = b.add("again", op("conv2d", channels=3, kernel=3, bias=False), x, weights=shared)
    plain = b.add("plain", op("conv2d", channels=3, kernel=3, bias=False), x, weights=shared)
    normed = [b.add(f"n{i}", op("batch_norm"), v) for i, v in enumerate((own, again))]
    graph = b.graph(y=b.add("sum", op("add"), *normed, plain))
    weights = random_weights(graph)
    folded, fewer = run_passes(graph, weights)
    assert {"own.weight", "own.weight.folded", "own.weight.folded2"} <= set(fewer)
    assert close(run(folded, fewer, image())["y"], run(graph, weights, image())["y"])


# fold_spectral_norm


@pytest.mark.parametrize(
    "layer",
    [
        ("conv2d", {"channels": 4, "kernel": 3}),
        ("conv_transpose2d", {"channels": 4, "kernel": 4, "stride": 2}),
        ("linear", {"features": 5}),
    ],
    ids=lambda layer: layer[0],
)
def test_spectral_norm_becomes_a_plain_weight(layer: tuple[str, dict[str, Any]]) -> None:
    name, arguments = layer
    graph = chain((name, {**arguments, "weight_norm": "spectral"}))
    weights = random_weights(graph)
    folded, more = fold_spectral_norm(graph, weights)
    assert folded.nodes[0].weights["weight"] == TensorRef(f"{name}_0.weight.normalized")
    assert {p.key for p in folded.nodes[0].declared()} == {"weight", "bias"}
    assert close(run(folded, more, image())["y"], run(graph, weights, image())["y"])


def test_a_normalised_table_of_classes_becomes_a_plain_one() -> None:
    b = GraphBuilder("net")
    x, label = b.input("x", "f32[B, 4]"), b.input("label", "i64[B]")
    made = op("class_projection", classes=3, weight_norm="spectral")
    graph = b.graph(y=b.add("fits", made, x, label))
    weights = random_weights(graph)
    folded, more = fold_spectral_norm(graph, weights)
    assert {p.key for p in folded.nodes[0].declared()} == {"weight"}
    given = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    feeds = {"x": given, "label": np.arange(5) % 3}
    assert close(run(folded, more, feeds)["y"], run(graph, weights, feeds)["y"])


# remove_dropout


def test_layers_that_do_nothing_outside_of_training_go() -> None:
    layers = [
        ("dropout", {"rate": 0.5}),
        ("relu", {}),
        ("drop_path", {"rate": 0.1}),
        ("identity", {}),
    ]
    graph = chain(*layers)
    left, _ = remove_dropout(graph, {})
    assert operators(left) == ["relu"]
    assert left.outputs["y"].name == "relu_1"


def test_a_network_that_is_nothing_but_dropout() -> None:
    graph, _ = run_passes(chain(("dropout", {"rate": 0.5})), {})
    assert np.array_equal(run(graph, {}, image())["y"], image()["x"])


# prune_dead


def test_what_no_output_needs_goes_with_its_tensors() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 4]")
    kept = b.add("kept", op("linear", features=2), x)
    b.add("aux", op("linear", features=3), x)
    graph = b.graph(y=kept)
    left, weights = prune_dead(graph, random_weights(graph))
    assert [node.path for node in left.nodes] == ["kept"]
    assert set(weights) == {"kept.weight", "kept.bias"}
    assert left.inputs == graph.inputs


# inline_calls


def network(*, batch: str = "B") -> Graph:
    b = GraphBuilder("net")
    x = b.input("x", f"f32[{batch}, T, 4]")
    hidden = b.add("block.fc", op("linear", features=4), x)
    to = (Poly.of(Symbol("T")) * 4,)
    flat = b.add("flat", op("reshape", to=[*to]), b.add("tanh_1", op("tanh"), hidden))
    back = b.add("back", op("reshape", to=[Poly.of(Symbol("T")), 4]), flat)
    return b.graph(y=back)


def twice() -> Graph:
    """The network applied to its own result, and to both halves of a doubled batch."""
    net = network(batch="M")
    b = GraphBuilder("program")
    x, z = b.input("x", "f32[B, L, 4]"), b.input("z", "f32[2*B, L, 4]")
    once = b.add("first", Call(net), x)
    again = b.add("second", Call(net), once)
    return b.graph(y=again, both=b.add("guided", Call(net), z), same=x)


def test_a_network_called_several_times_keeps_one_set_of_weights() -> None:
    program = twice()
    weights = random_weights(program)
    flat, _ = inline_calls(program, weights)
    verify(flat)
    assert [node.path for node in flat.nodes if node.op.name == "linear"] == [
        "first.block.fc",
        "second.block.fc",
        "guided.block.fc",
    ]
    assert {ref.stored for node in flat.nodes for ref in node.weights.values()} == set(weights)
    assert str(flat.outputs["both"].type) == "f32[2*B, L, 4]"
    rng = np.random.default_rng(1)
    feeds = {
        "x": rng.normal(size=(3, 5, 4)).astype(np.float32),
        "z": rng.normal(size=(6, 5, 4)).astype(np.float32),
    }
    got = run(*run_passes(program, weights), feeds)

    def reference(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ weights["net.block.fc.weight"].T + weights["net.block.fc.bias"])

    assert close(got["y"], reference(reference(feeds["x"])))
    assert close(got["both"], reference(feeds["z"]))
    assert np.array_equal(got["same"], feeds["x"])


def test_folding_a_network_called_twice_stores_one_folded_weight() -> None:
    net = chain(("conv2d", {"channels": 3, "kernel": 3, "bias": False}), ("batch_norm", {}))
    b = GraphBuilder("program")
    x = b.input("x", "f32[B, 3, 6, 6]")
    program = b.graph(y=b.add("second", Call(net), b.add("first", Call(net), x)))
    _, weights = run_passes(program, random_weights(program))
    assert set(weights) == {"net.conv2d_0.weight.folded", "net.conv2d_0.bias.folded"}


def test_a_call_inside_a_network_and_inside_a_loop_of_a_network() -> None:
    inner = network()
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    value = step.input("value", "f32[S, T, 4]")
    body = step.graph(value=step.add("net", Call(inner), value))
    b = GraphBuilder("outer")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[S, T, 4]")
    outer = b.graph(y=b.add("loop", Loop(body, 1, Poly.of(Symbol("N"))), n, x))
    p = GraphBuilder("program")
    n, x = p.input("n", "i64[]"), p.input("x", "f32[B, L, 4]")
    program = p.graph(y=p.add("outer", Call(outer), n, x))
    weights = {f"net.{name}": array for name, array in random_weights(inner).items()}
    flat, _ = inline_calls(program, weights)
    verify(flat)
    loop = flat.nodes[0].op
    assert isinstance(loop, Loop)
    assert loop.body.nodes[0].path == "net.block.fc"
    assert str(loop.body.nodes[0].outputs[0].type) == "f32[B, L, 4]"
    assert loop.body.nodes[0].weights["weight"].stored == "net.block.fc.weight"


# The pipeline


def example() -> Graph:
    net = chain(
        ("dropout", {"rate": 0.2}),
        ("conv2d", {"channels": 4, "kernel": 3, "bias": False, "weight_norm": "spectral"}),
        ("batch_norm", {}),
        ("relu", {}),
    )
    b = GraphBuilder("program")
    return b.graph(y=b.add("net", Call(net), b.input("x", "f32[B, 3, 6, 6]")))


@pytest.mark.parametrize("run_pass", [*dict.fromkeys(PIPELINE)], ids=lambda p: p.__name__)
def test_passes_are_idempotent_and_pure(run_pass: pipeline.Pass) -> None:
    program = example()
    weights = random_weights(program)
    graph, tensors = program, weights
    for earlier in PIPELINE:
        if earlier is run_pass:
            break
        graph, tensors = earlier(graph, tensors)
    before, names = print_graph(graph), list(tensors)
    once, once_tensors = run_pass(graph, tensors)
    again, again_tensors = run_pass(once, once_tensors)
    assert print_graph(again) == print_graph(once)
    assert again_tensors.keys() == once_tensors.keys()
    assert (print_graph(graph), list(tensors)) == (before, names)


def test_the_whole_pipeline_is_idempotent() -> None:
    graph, weights = run_passes(example(), random_weights(example()))
    again, same = run_passes(graph, weights)
    assert print_graph(again) == print_graph(graph)
    assert same.keys() == weights.keys()


def test_after_sees_each_pass() -> None:
    seen: list[str] = []
    run_passes(example(), random_weights(example()), after=lambda name, _: seen.append(name))
    assert seen == [run_pass.__name__ for run_pass in PIPELINE]


def test_a_pass_that_breaks_the_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_outputs(graph: Graph, weights: Any) -> tuple[Graph, Any]:
        gone = {port: Value("gone", value.type) for port, value in graph.outputs.items()}
        return graph.with_nodes(graph.nodes, gone), weights

    monkeypatch.setattr(pipeline, "PIPELINE", (lose_outputs,))
    with pytest.raises(InternalError, match=r"after `lose_outputs`.*reads %gone"):
        run_passes(example(), {})


def test_a_missing_tensor_is_an_internal_error() -> None:
    weights = random_weights(example())
    del weights["net.conv2d_1.weight_u"]
    with pytest.raises(InternalError, match=r"`net\.conv2d_1\.weight_u`"):
        run_passes(example(), weights)
