"""Rules for single parameters: what they choose, and which of them wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.driver import check_source
from netwright.compiler.objectives.parameter_rules import (
    Freeze,
    ParameterRule,
    Treatment,
    is_matrix,
    tensors_of,
    trained_count,
    treatments,
)
from netwright.compiler.source import SourceFile

TEXT = """\
spec: v1
name: example
networks:
  net:
    inputs: {x: {shape: [B, T], dtype: int64}}
    layers:
      - {id: words, embedding: {size: 7, dim: 8}}
      - {id: places, position_embedding: 4}
      - {id: attention, self_attention: 2}
      - {id: norm, layer_norm: {}}
      - {id: factors, scale: {axis: 2}}
      - {id: token, parameter: [8]}
      - {id: sum, from: [factors, token], add: {broadcast: true}}
      - {id: swap, transpose: [1, 2]}
      - {id: bn, batch_norm: {}}
      - {id: slope, prelu: {}}
      - {id: pool, global_avg_pool: {}}
      - {id: fc, linear: 3}
    outputs: y
dims: {T: {min: 1, max: 4}}
"""


@pytest.fixture(scope="module")
def graphs():
    compilation = check_source(SourceFile("spec.yaml", TEXT), Path())
    assert not compilation.has_errors, compilation.diagnostics
    return compilation.graphs


def rule(**settings) -> ParameterRule:
    return ParameterRule(**ParameterRule.desugar(settings))


def treated(rules, graphs) -> dict[str, Treatment]:
    return {tensor.name: treatment for tensor, treatment in treatments(rules, graphs)}


def test_kinds(graphs):
    kinds = {tensor.name: sorted(tensor.kinds) for tensor in tensors_of(graphs)}
    assert kinds == {
        "net.words.weight": ["embedding"],
        "net.places": ["embedding"],
        "net.attention.in_proj_weight": ["weight"],
        "net.attention.in_proj_bias": ["bias"],
        "net.attention.out_proj.weight": ["weight"],
        "net.attention.out_proj.bias": ["bias"],
        "net.norm.weight": ["norm"],
        "net.norm.bias": ["bias", "norm"],
        "net.factors": ["scale"],
        "net.token": ["weight"],
        "net.bn.weight": ["norm"],
        "net.bn.bias": ["bias", "norm"],
        "net.bn.running_mean": ["norm"],
        "net.bn.running_var": ["norm"],
        "net.bn.num_batches_tracked": ["norm"],
        "net.slope.weight": ["scale"],
        "net.fc.weight": ["weight"],
        "net.fc.bias": ["bias"],
    }


def test_muon_takes_matrices_that_are_no_tables(graphs):
    chosen = [tensor.name for tensor in tensors_of(graphs) if is_matrix(tensor, ["net.fc.*"])]
    assert chosen == ["net.attention.in_proj_weight", "net.attention.out_proj.weight"]


def test_the_last_rule_wins_key_by_key(graphs):
    found = treated(
        [
            rule(match="net.**", lr_factor=0.1, weight_decay=0.5, freeze=Freeze()),
            rule(match=["net.fc.*", "net.bn.**"], freeze=Freeze(until=0)),
            rule(kind=["bias", "norm"], weight_decay=0.0),
            rule(match="net.norm.**", kind="bias", freeze=Freeze(until=7), lr_factor=2.0),
        ],
        graphs,
    )
    assert found["net.words.weight"] == Treatment(0.1, 0.5, None)
    assert found["net.fc.weight"] == Treatment(0.1, 0.5, 0)
    assert found["net.fc.bias"] == Treatment(0.1, 0.0, 0)
    assert found["net.norm.weight"] == Treatment(0.1, 0.0, None)
    assert found["net.norm.bias"] == Treatment(2.0, 0.0, 7)
    assert found["net.bn.running_mean"].frozen_until == 0


def test_how_many_numbers_are_trained(graphs):
    total = graphs["net"].parameter_count()
    assert trained_count([], graphs) == total
    frozen = [rule(match=["net.words.**", "net.bn.**"], freeze=Freeze())]
    assert trained_count(frozen, graphs) == total - 7 * 8 - 2 * 8
    assert trained_count([*frozen, rule(match="net.bn.**", freeze=Freeze(until=5))], graphs) == (
        total - 7 * 8
    )
    assert trained_count([rule(match="**", freeze=Freeze())], graphs) == 0


def test_statistics_are_chosen_by_their_own_names(graphs):
    whole = treated([rule(match="net.bn.**", freeze=Freeze())], graphs)
    weights = treated([rule(match="net.bn.weight", freeze=Freeze())], graphs)
    matrices = treated([rule(kind="weight", freeze=Freeze())], graphs)
    assert whole["net.bn.running_mean"].frozen_until is None
    assert weights["net.bn.running_mean"].frozen_until == 0
    assert matrices["net.bn.running_mean"].frozen_until == 0


def test_without_rules_everything_trains(graphs):
    assert set(treated([], graphs).values()) == {Treatment()}


@pytest.mark.parametrize(
    ("written", "until"), [(True, None), (False, 0), ({"until": 500}, 500), ({}, None)]
)
def test_ways_to_freeze(written, until):
    assert Freeze(**Freeze.desugar(written)).until == until


def test_patterns_times_parameters_are_limited(found):
    patterns = ", ".join(["a"] * 10_001)
    rules = f"epochs: 2\n  parameters: [{{match: [{patterns}], lr_factor: 2}}]"
    (diagnostic,) = found(("epochs: 2", rules))
    assert diagnostic.code is Code.Y004
    assert "10,001 patterns and 10 parameters" in diagnostic.message
