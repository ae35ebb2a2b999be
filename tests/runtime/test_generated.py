"""Executing generated source."""

from __future__ import annotations

import copy
import inspect
import linecache
import traceback

import pytest
import torch
from netwright.runtime.generated import build_networks, build_program, load_source

from tests.torch_tools import compiled

TEXT = """
networks:
  encoder:
    inputs: {x: {shape: [B, 6]}}
    layers: [{id: fc, linear: {features: 4, bias: false}}]
    outputs: code
  decoder:
    inputs: {code: {shape: [B, 4]}}
    layers:
      - linear: {features: 6, bias: false}
        tie: {weight: {of: encoder.fc.weight, transpose: true}}
    outputs: y
"""


def test_a_traceback_shows_the_generated_line() -> None:
    network = build_networks(compiled(TEXT).source, ["encoder"])["encoder"]
    with pytest.raises(RuntimeError) as caught:
        network(torch.zeros(2, 5))
    shown = "".join(traceback.format_tb(caught.value.__traceback__))
    assert "return self.fc(x)" in shown
    assert "model.py" in shown


def test_the_source_of_a_class_can_be_read() -> None:
    module = load_source(compiled(TEXT).source)
    assert inspect.getsource(module.Encoder).startswith("class Encoder(nn.Module):")
    linecache.checkcache()
    assert linecache.getline(str(module.__file__), 1).startswith('"""')


def test_the_same_text_is_executed_once() -> None:
    source = compiled(TEXT).source
    assert load_source(source) is load_source(source)
    assert load_source(source) is not load_source(source + "\n")


def test_networks_are_built_in_order_with_those_that_they_are_tied_to() -> None:
    built = build_networks(compiled(TEXT).source, ["decoder", "encoder"])
    assert built["decoder"].encoder[0] is built["encoder"]
    both = copy.deepcopy(torch.nn.ModuleDict(built))
    assert both["decoder"].encoder[0] is both["encoder"]


def test_an_unknown_name_is_a_key_error() -> None:
    source = compiled(TEXT).source
    with pytest.raises(KeyError):
        build_networks(source, ["nobody"])
    with pytest.raises(KeyError):
        build_program(source + "PROGRAMS = {}\n", "nobody", {})


def test_a_seed_decides_the_weights() -> None:
    source = compiled(TEXT).source

    def weights() -> torch.Tensor:
        torch.manual_seed(3)
        return build_networks(source, ["encoder"])["encoder"].state_dict()["fc.weight"]

    assert torch.equal(weights(), weights())
