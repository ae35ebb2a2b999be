"""Whole networks in chunks: what the operators' rules give together, and what stands in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Poly, Symbol
from netwright.compiler.ir.graph import Graph, Value
from netwright.compiler.ir.shapes import DType, TensorType, parse_type
from netwright.compiler.ir.structure import Call, Loop
from netwright.compiler.ir.verifier import verify
from netwright.compiler.passes.pipeline import run_passes
from netwright.compiler.streaming.stepped import NotStreamable
from netwright.compiler.streaming.stream_network import stream_network
from netwright.runtime.generated import build_networks

from tests.backends.test_torch_source import assert_formatted
from tests.onnx_tools import op, proto_of, run_proto
from tests.streaming_tools import Chunks, agree
from tests.torch_tools import compiled

LSTM = """
dims: {T: {min: 3}}
networks:
  net:
    inputs: {x: {shape: [B, T, 3]}}
    layers:
      - {id: states, lstm: {hidden: 5, layers: 2, dropout: 0.3}}
      - {id: tags, from: states.sequence, linear: 4}
      - {id: head, from: states.last, layers: [{linear: 6}, relu, dropout, {linear: 2}]}
    outputs: {tags: tags, logits: head, state: states.hidden}
"""
GRU = """
dims: {T: {min: 1}}
networks:
  net:
    inputs: {ids: {shape: [B, T], dtype: int64}}
    layers:
      - {id: table, embedding: {size: 7, dim: 5}}
      - {id: a, gru: 5}
      - {id: b, from: a.sequence, share: a}
      - {id: mixed, from: [table, b.sequence], add: {}}
      - {id: last, last_step: {}}
      - {id: head, from: mixed, linear: 7, tie: {weight: table.weight}}
    outputs: {logits: head, last: last}
"""
RNN = """
dims: {T: {min: 1}}
blocks:
  Squares:
    inputs: {x: {shape: [B, T, 4]}}
    layers: [{reshape: [$T, 2, 2]}]
networks:
  net:
    inputs: {x: {shape: [B, T, 3]}, gain: {shape: [B, 1, 4]}}
    layers:
      - {id: states, from: x, rnn: {hidden: 4, nonlinearity: relu, recurrent_init: identity}}
      - {from: [states.sequence, gain], mul: {broadcast: true}}
      - layer_norm
      - Squares
      - {flatten: 2}
    outputs: y
"""
TCN = """
dims: {T: {min: 4, max: 40}}
blocks:
  Causal:
    params: {channels: int, dilation: int}
    inputs: {x: {shape: [B, C, T]}}
    layers:
      - {conv1d: {channels: $channels, kernel: 3, dilation: $dilation, causal: true}}
      - batch_norm
      - relu
      - {id: out, conv1d: {channels: $channels, kernel: 2, dilation: $dilation, causal: true,
                           weight_norm: spectral}}
      - {id: skip, from: x, conv1d: {channels: $channels, kernel: 1}, when: $(C != channels)}
      - {from: [out, skip], add: {}}
networks:
  net:
    inputs: {x: {shape: [B, 3, T]}}
    layers:
      - {id: stack, repeat: {over: {d: [1, 2, 4]}}, Causal: {channels: 4, dilation: $d}}
      - {transpose: [1, 2]}
      - {id: steps, linear: 2}
      - {id: last, select: -1}
    outputs: {steps: steps, last: last}
"""
TRANSFORMER = """
dims: {T: {max: 16}}
blocks:
  Layer:
    inputs: {x: {shape: [B, T, C]}}
    layers:
      - {id: norm1, layer_norm: {}}
      - {id: attend, self_attention: {heads: 2, causal: true}}
      - {id: middle, from: [x, attend], add: {}}
      - {id: mlp, layers: [layer_norm, {linear: 12}, gelu, {linear: $C}]}
      - {from: [middle, mlp], add: {}}
networks:
  net:
    inputs: {ids: {shape: [B, T], dtype: int64}}
    layers:
      - {embedding: {size: 7, dim: 6}}
      - {position_embedding: 16}
      - {Layer: {}, repeat: 2}
      - {linear: 7}
    outputs: logits
"""
NESTED = """
dims: {T: {min: 1, max: 20}}
blocks:
  Layer:
    params: {width: int, attend: bool}
    inputs: {x: {shape: [B, T, C]}}
    layers:
      - {id: norm, rms_norm: {}}
      - {id: attend, self_attention: {heads: 2, causal: true}, when: $attend}
      - {id: mlp, layers: [{linear: $width}, gelu, dropout, {linear: $C}]}
      - {from: [x, mlp], add: {}}
networks:
  net:
    inputs: {x: {shape: [B, T, 4]}}
    layers:
      - {id: enc, layers: [{linear: 4}, relu, {linear: 4}]}
      - {Layer: {width: 8, attend: true}, repeat: 2}
      - {id: other, Layer: {width: 6, attend: false}}
      - {id: tied, linear: 4, tie: {weight: {of: enc.0.weight, transpose: true}}}
      - {id: group, from: tied, share: enc}
      - {id: block, share: other}
      - {id: r, gru: 4}
      - {id: r2, gru: 4, tie: {weight_ih_l0: r.weight_ih_l0}}
      - {id: channels, transpose: [1, 2]}
      - {id: c1, conv1d: {channels: 4, kernel: 2, causal: true}}
      - id: c2
        conv1d: {channels: 4, kernel: 2, causal: true, dilation: 3}
        tie: {weight: c1.weight}
      - {id: c3, from: c2, share: c1}
    outputs: y
"""
"""Groups, blocks and copies of them, the same layers twice, and tensors that layers share."""

STACKS = {
    "nested": NESTED,
    "lstm": LSTM,
    "gru": GRU,
    "rnn": RNN,
    "tcn": TCN,
    "transformer": TRANSFORMER,
}


def chunks_of(text: str) -> Chunks:
    torch.manual_seed(0)
    compilation = compiled(text)
    module = build_networks(compilation.source, ["net"])["net"].eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    weights = {f"net.{name}": tensor.numpy() for name, tensor in module.state_dict().items()}
    graph = compilation.graphs["net"]
    return Chunks(graph, time_of(graph), module, weights)


def time_of(graph: Graph) -> Symbol:
    symbols = {s for value in graph.inputs for s in value.type.symbols()}
    return next(symbol for symbol in symbols if symbol.name == "T")


def inputs_of(chunks: Chunks, batch: int, steps: int) -> dict[str, np.ndarray]:
    rng, sizes = np.random.default_rng(steps), {"B": batch, "T": steps}
    found = {}
    for value in chunks.graph.inputs:
        shape = [sizes.get(str(size), size) for size in value.type.shape]
        is_ids = value.type.dtype == "i64"
        drawn = rng.integers(0, 7, shape) if is_ids else rng.standard_normal(shape)
        found[value.name] = drawn.astype(np.int64 if is_ids else np.float32)
    return found


def whole_of(chunks: Chunks, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        results = chunks.module(*map(torch.from_numpy, inputs.values()))
    found = results if isinstance(results, tuple) else (results,)
    return {name: t.numpy() for name, t in zip(chunks.graph.outputs, found, strict=True)}


@pytest.mark.parametrize("name", STACKS)
def test_a_network_in_chunks_gives_what_it_gives_on_the_whole(name: str) -> None:
    chunks = chunks_of(STACKS[name])
    for batch, steps in ((1, 5), (3, 16)):
        inputs = inputs_of(chunks, batch, steps)
        agree(chunks, inputs, whole_of(chunks, inputs), 2e-6)


def test_the_class_of_a_step_is_laid_out_as_ruff_does(tmp_path: Path) -> None:
    assert_formatted(*(chunks_of(text).source for text in STACKS.values()), folder=tmp_path)


def test_a_step_reads_as_if_hand_written() -> None:
    body = """
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, states_hidden: Tensor, states_cell: Tensor) -> NetStepOutput:
        sequence, last, states_hidden_next, states_cell_next = self.net.states(
            x, None, states_hidden, states_cell
        )  # line 9
        tags = self.net.tags(sequence)  # line 10
        x = self.net.head[0](last)  # line 11
"""
    assert body in chunks_of(LSTM).source


def test_states_are_named_by_their_layers() -> None:
    states = {name: chunks_of(STACKS[name]).stepped.graph.states for name in ("lstm", "tcn")}
    assert states["lstm"] == {
        "states_hidden": "states_hidden_next",
        "states_cell": "states_cell_next",
    }
    assert "stack_0_conv1d_0_past" in states["tcn"]


def test_names_that_are_taken_get_an_underscore() -> None:
    text = LSTM.replace("{id: tags,", "{id: states_hidden,").replace(
        "tags: tags", "states_hidden_next: states_hidden"
    )
    assert chunks_of(text).stepped.graph.states["states_hidden_"] == "states_hidden_next_"


def test_a_chunk_has_one_step_at_least_whatever_the_whole_has() -> None:
    (time,) = {s for s in chunks_of(LSTM).stepped.graph.inputs[0].type.symbols() if s.name == "T"}
    assert (time.min, time.max) == (1, None)


def test_layers_that_no_output_needs_keep_no_state() -> None:
    whole = compiled(LSTM).graphs["net"]
    first = Graph("net", whole.inputs, whole.nodes, {"x": whole.inputs[0]})
    assert stream_network(first, time_of(whole)).states == ()


def test_a_step_can_run_in_a_loop() -> None:
    """The transformer's step, one token at a time over a table of tokens."""
    chunks = chunks_of(TRANSFORMER)
    inner = chunks.stepped.graph
    body = GraphBuilder("body")
    body.input("i", "i64[]")
    states = [body.input(state.input, state.type) for state in chunks.stepped.states]
    ids = body.input("ids", parse_type("i64[B, 1]"))
    logits, *behind = body.add_n("step", Call(inner), ids, *states)
    names = [state.output for state in chunks.stepped.states]
    loop_body = body.graph(**dict(zip(names, behind, strict=True)), logits=logits)
    steps = Poly.of(Symbol("N"))
    b = GraphBuilder("run")
    count = b.input("count", "i64[]")
    begin: list[Value] = [b.input(state.input, state.type) for state in chunks.stepped.states]
    table = b.input("table", TensorType(ids.type.dtype, (steps, *ids.type.shape)))
    made = b.add_n("loop", Loop(loop_body, len(begin), steps), count, *begin, table)
    program = b.graph(logits=made[-1])
    verify(program)
    inputs = inputs_of(chunks, 2, 6)
    model = proto_of(*run_passes(program, chunks.weights)).SerializeToString()
    feeds = {
        "count": np.array(6),
        "table": inputs["ids"].T[:, :, None],
        **chunks.beginning({}, {"B": 2}),
    }
    expected = whole_of(chunks, inputs)["logits"]
    found = run_proto(model, feeds)["logits"]
    assert np.abs(found[:, :, 0].transpose(1, 0, 2) - expected).max() < 1e-5
    in_torch = module_of(program, chunks)
    with torch.no_grad():
        found = in_torch(*(torch.from_numpy(feeds[value.name]) for value in program.inputs)).numpy()
    assert np.abs(found[:, :, 0].transpose(1, 0, 2) - expected).max() < 1e-5


def module_of(program: Graph, chunks: Chunks) -> torch.nn.Module:
    from netwright.compiler.backends.torch_source import generate
    from netwright.runtime.generated import build_program

    source = generate({"net": chunks.graph}, {"run": program}, title="", origin="test.yaml")
    return build_program(source, "run", {"net": chunks.module}).eval()


def test_a_place_beyond_the_cache_is_an_error() -> None:
    chunks = chunks_of(TRANSFORMER.replace("position_embedding: 16", "identity: {}"))
    for step, kinds in ((chunks.in_torch, IndexError), (chunks.in_onnx, Exception)):
        states = chunks.beginning({}, {"B": 1})
        states["steps_seen"] = np.array(15)
        with pytest.raises(kinds, match=r"(?i)ind(ex|ices)"):
            step({"ids": np.zeros((1, 2), np.int64), **states})


REFUSED = {
    "bidirectional": ("gru: {hidden: 4, bidirectional: true}", "the end of the sequence"),
    "attention": ("self_attention: 2", "looks at later steps"),
    "no maximum": ("self_attention: {heads: 2, causal: true}", "has no maximum"),
    "mean": ("masked_mean: {}", "needs all steps"),
    "attention pool": ("attention_pool: {}", "needs all steps"),
    "softmax": ("softmax: 1", "works over all steps"),
    "slice": ("slice: {axis: 1, start: 1}", "takes a part of all steps"),
    "first": ("select: 0", "counts all steps"),
    "flatten": ("flatten: {}", "merges all steps"),
    "reshape": ("reshape: [-1, 2]", "mixes the steps"),
}


def obstacles(layers: str, time: str = "{min: 2}") -> dict[str, str]:
    text = f"dims: {{T: {time}}}\nnetworks:\n  net:\n"
    text += f"    inputs: {{x: {{shape: [B, T, 4]}}}}\n    layers: [{layers}]\n    outputs: y\n"
    graph = compiled(text).graphs["net"]
    with pytest.raises(NotStreamable) as refused:
        stream_network(graph, time_of(graph))
    return {obstacle.name: obstacle.reason for obstacle in refused.value.obstacles}


@pytest.mark.parametrize("case", REFUSED)
def test_a_layer_that_stands_in_the_way_is_named(case: str) -> None:
    layer, reason = REFUSED[case]
    (found,) = obstacles(f"relu, {{id: culprit, {layer}}}").items()
    assert found[0] == "culprit"
    assert reason in found[1]


def test_every_obstacle_is_told_once() -> None:
    found = obstacles(
        "{id: a, lstm: {hidden: 4, bidirectional: true}}, {id: b, self_attention: 2},"
        "{id: t, transpose: [1, 2]}, {id: c, conv1d: {channels: 4, kernel: 3}}, relu,"
        "{id: d, max_pool1d: 2}, sigmoid"
    )
    assert list(found) == ["a", "b", "c", "d"]


def test_what_is_known_at_the_end_cannot_be_read_before() -> None:
    """A state of all steps so far, added to each step."""
    found = obstacles(
        "{id: g, gru: 4}, {id: wide, from: g.last, unsqueeze: 1},"
        "{id: mixed, from: [g.sequence, wide], add: {broadcast: true}}"
    )
    assert found == {"mixed": "needs the end of the sequence at every step"}


def test_layers_whose_weights_are_tied_are_refused_where_they_need_their_own() -> None:
    found = obstacles(
        "{id: a, self_attention: {heads: 2, causal: true}},"
        "{id: b, self_attention: {heads: 2, causal: true},"
        " tie: {in_proj_weight: a.in_proj_weight}},"
        "{id: t, transpose: [1, 2]},"
        "{id: c, conv1d: {channels: 4, kernel: 2, causal: true}},"
        "{id: d, conv1d: {channels: 4, kernel: 2, causal: true, weight_norm: spectral},"
        " tie: {weight: c.weight}}",
        "{max: 9}",
    )
    assert found == {
        "b": "has weights that are tied to another layer's",
        "d": "has a normalised weight that is tied to another layer's",
    }


def test_a_state_that_another_layer_gives_is_refused() -> None:
    found = obstacles("{id: a, gru: 4}, {id: b, from: {x: a.sequence, hidden: a.hidden}, gru: 4}")
    assert found == {"b": "begins with a state that another layer gives"}


def test_an_input_that_something_else_reads_is_no_state() -> None:
    """Of two layers that begin with one input, each would need it for itself."""
    b, time = GraphBuilder("net"), Poly.of(Symbol("T"))
    x = b.input("x", TensorType(DType.F32, (Poly.of(Symbol("B")), time, 4)))
    begin = b.input("begin", TensorType(DType.F32, (1, Poly.of(Symbol("B")), 4)))
    first, *_ = b.add_n("first", op("gru", hidden=4), x, None, begin)
    second, *_ = b.add_n("second", op("gru", hidden=4), first, None, begin)
    with pytest.raises(NotStreamable) as refused:
        stream_network(b.graph(y=second), Symbol("T"))
    reason = "begins with `begin`, which something else reads too"
    assert [(o.name, o.reason) for o in refused.value.obstacles] == [
        ("first", reason),
        ("second", reason),
    ]


def test_an_argument_that_depends_on_the_length_is_refused() -> None:
    b, time = GraphBuilder("net"), Poly.of(Symbol("T", max=4))
    x = b.input("x", TensorType(DType.F32, (Poly.of(Symbol("B")), time, 9)))
    table = b.input("table", parse_type("f32[B, 9, 3]"))
    rows = b.add("rows", op("slice", stop=time), table)
    columns = b.add("columns", op("slice", axis=2, start=time, stop=time + 2), x)
    with pytest.raises(NotStreamable) as refused:
        stream_network(b.graph(x=columns, y=rows), Symbol("T", max=4))
    assert [(o.name, o.reason) for o in refused.value.obstacles] == [
        ("rows", "has arguments that depend on `T`"),
        ("columns", "has arguments that depend on `T`"),
    ]


def test_an_input_needs_time_as_one_axis() -> None:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, T, T]")
    graph = b.graph(y=b.add("act", op("relu"), x))
    with pytest.raises(NotStreamable, match="one axis behind the batch"):
        stream_network(graph, Symbol("T"))
    with pytest.raises(NotStreamable, match="no input with the size `S`"):
        stream_network(graph, Symbol("S"))
