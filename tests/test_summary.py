"""The summary table: what each layer costs, by part."""

from __future__ import annotations

from pathlib import Path

import pytest
from netwright.compiler.driver import check
from netwright.compiler.ir.graph import Graph
from netwright.compiler.summary import (
    Row,
    reference_sizes,
    short_number,
    summarize,
    summary_table,
    totals,
)

from tests.conftest import Golden
from tests.torch_tools import compiled

TEXT = """
dims: {H: {min: 8, multiple_of: 8}, W: {min: 8, max: 100}}
blocks:
  Down:
    params: {channels: int}
    inputs: {x: {shape: [B, C, H, W]}}
    layers:
      - conv2d: {channels: $channels, kernel: 3}
      - batch_norm
      - max_pool2d: 2
networks:
  net:
    inputs: {image: {shape: [B, 3, H, W]}}
    layers:
      - {id: down, Down: {channels: 8}, repeat: 2}
      - {id: tail, layers: [global_avg_pool, {linear: 5}]}
      - {id: again, from: tail, linear: {features: 5, bias: false}}
    outputs: y
"""


def graph() -> Graph:
    (network,) = compiled(TEXT).graphs.values()
    return network


def row(path: str, depth: int) -> Row:
    return next(r for r in summarize(graph()) if (r.path, r.depth) == (path, depth))


def test_the_table(golden: Golden) -> None:
    golden(Path(__file__).with_name("summary.txt"), summary_table(graph()))


def test_a_part_is_the_sum_of_its_layers() -> None:
    rows = summarize(graph())
    tops = [r for r in rows if r.depth == 0]
    sums = totals(graph())
    assert [r.path for r in tops] == ["down", "tail", "again"]
    assert sum(r.parameters for r in tops) == sums.parameters == graph().parameter_count()
    assert sum(r.flops for r in tops) == sums.flops
    assert row("down", 0).flops == row("0", 1).flops + row("1", 1).flops


def test_flops_are_those_of_one_sample_at_the_reference_sizes() -> None:
    assert reference_sizes(graph()) == {"B": 1, "H": 224, "W": 100}
    size = 224 * 100
    first = next(r for r in summarize(graph()) if r.operator == "conv2d")
    assert first.flops == 2 * 27 * 8 * size
    small = next(r for r in summarize(graph(), {"H": 8, "W": 8}) if r.operator == "conv2d")
    assert small.flops == first.flops * 64 // size


def test_the_receptive_field_grows_to_everything() -> None:
    assert [row(path, 1).field for path in ("0", "1")] == ["4", "10"]
    assert row("again", 0).field == "all"


def test_buffers_and_activations() -> None:
    sums = totals(graph(), {"H": 8, "W": 8})
    assert sums.buffers == 2 * (8 + 8 + 1)
    places = 8 * (2 * 64 + 16) + 8 * (2 * 16 + 4)
    assert sums.activations == 4 * (places + 8 + 5 + 5)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 "), (999, "999 "), (1000, "1 k"), (11_689_512, "11.7 M"), (4.1e9, "4.1 G")],
)
def test_numbers_are_short(number: int, text: str) -> None:
    assert short_number(int(number)) == text


def test_resnet50() -> None:
    path = Path(__file__).parents[1] / "specs" / "resnet50.yaml"
    sums = totals(check(path).graphs["classifier"])
    assert sums.parameters == 25_557_032
    assert 8.1e9 < sums.flops < 8.4e9  # 4.1 G multiply-adds, and norms, activations and sums
