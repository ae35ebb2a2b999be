"""What keeps a step from being compiled or recorded, by settings and operators alone."""

from __future__ import annotations

from typing import Any

import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.objectives.obstacles import (
    Layers,
    compile_obstacle,
    graphs_obstacle,
    layers_of,
    recordable_form,
)
from netwright.compiler.objectives.optimizers import Adagrad, AdamW, Muon, RmsProp, Sgd
from netwright.compiler.objectives.planning import Planning
from netwright.compiler.objectives.schedules import Schedule
from netwright.compiler.objectives.training import Training

from tests.torch_tools import compiled

from .conftest import compile_text

NETWORK = """
networks:
  net:
    inputs: {{x: {{shape: [B, 5, 4]}}, n: {{shape: [B], dtype: int64}}}}
    layers: [{{{layer}}}]
    outputs: y
"""
HEAD = """\
spec: v1
name: states
data:
  source: {npz: {path: data.npz}}
  fields:
    x: {shape: [B, 5, 4], dtype: float32, lengths: n}
    n: {shape: [B], dtype: int64}
    y: {shape: [B, 5, 4], dtype: float32}
"""
TRAINING = """\
objective: {supervised: {network: net, losses: [mse: {output: y, target: y}]}}
training: {epochs: 1, plan: {compile: true, graphs: true}}
"""
MOVING = Schedule(start=1.0, end=0.1, steps=10)
PLAIN, LSTM = Layers(), frozenset({"lstm"})
CASES: list[tuple[dict[str, Any], Layers, str | None]] = [
    ({}, PLAIN, None),
    ({"optimizer": AdamW(lr=MOVING)}, PLAIN, None),
    ({"clip_norm": Schedule.constant(1.0), "accumulate": 4}, PLAIN, None),
    ({"clip_norm": MOVING}, PLAIN, "`clip_norm` changes"),
    ({"clip_value": MOVING}, PLAIN, "`clip_value` changes"),
    ({"precision": "bf16"}, PLAIN, None),
    ({"precision": "fp16"}, PLAIN, "loss scaling"),
    ({"plan": Planning(compile=True)}, PLAIN, "exclude each other"),
    ({}, Layers(recurrent=LSTM), None),
    ({}, Layers(recurrent=LSTM, reading=LSTM), "`lstm` reads lengths"),
    ({}, Layers(recurrent=LSTM, drawing=LSTM), "`lstm` draws dropout"),
    ({"optimizer": Adagrad()}, PLAIN, "`adagrad` keeps numbers on the host"),
    ({"optimizer": Muon()}, PLAIN, "`muon` keeps numbers on the host"),
    ({"optimizer": AdamW(weight_decay=MOVING)}, PLAIN, "`weight_decay` of `adamw` changes"),
    ({"optimizer": RmsProp()}, PLAIN, None),
    ({"optimizer": RmsProp(), "plan": Planning(optimizer="plain")}, PLAIN, "`foreach` only"),
    ({"optimizers": {"a": AdamW(), "b": Adagrad()}}, PLAIN, "`adagrad`"),
]


@pytest.mark.parametrize(("settings", "layers", "words"), CASES)
def test_recording(settings: dict[str, Any], layers: Layers, words: str | None) -> None:
    found = graphs_obstacle(Training(**settings), layers)
    assert (words is None) if found is None else (words is not None and words in found)


def test_compiling() -> None:
    assert compile_obstacle(PLAIN) is None
    assert "(`gru`, `lstm`)" in str(compile_obstacle(Layers(recurrent=frozenset({"lstm", "gru"}))))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("linear: 4", {}),
        ("gru: 4", {"recurrent": {"gru"}}),
        ("gru: {hidden: 4, layers: 2, dropout: 0.1}", {"recurrent": {"gru"}, "drawing": {"gru"}}),
        ("from: {x: x, lengths: n}, rnn: 4", {"recurrent": {"rnn"}, "reading": {"rnn"}}),
        ("from: {x: x, lengths: n}, self_attention: 2", {}),
        ("from: {x: x, lengths: n}, masked_mean: {}", {}),
    ],
)
def test_what_layers_have(layer: str, expected: dict[str, set[str]]) -> None:
    source = "" if layer.startswith("from") else "from: x, "
    graphs = compiled(NETWORK.format(layer=f"{source}{layer}")).graphs
    assert layers_of(graphs.values()) == Layers(**{k: frozenset(v) for k, v in expected.items()})


def test_a_plan_that_a_layer_makes_impossible() -> None:
    text = HEAD + NETWORK.format(layer="from: {x: x, lengths: n}, gru: 4") + TRAINING
    found = {d.message for d in compile_text(text).diagnostics if d.code is Code.O502}
    assert found == {
        "`compile: true` is not possible: it leaves recurrent layers (`gru`) as they are",
        "`graphs: true` is not possible: `compile` and `graphs` exclude each other",
    }
    (alone,) = compile_text(text.replace("compile: true, ", "")).diagnostics
    assert alone.message == (
        "`graphs: true` is not possible: `gru` reads lengths or other numbers on the CPU"
    )


def test_the_form_that_can_be_recorded() -> None:
    assert recordable_form(Training()) == "fused"
    assert recordable_form(Training(optimizer=Sgd())) == "fused"
    assert recordable_form(Training(optimizers={"a": AdamW(), "b": RmsProp()})) == "foreach"
    assert recordable_form(Training(optimizer=Adagrad())) is None
