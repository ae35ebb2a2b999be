"""Diagrams: valid XML that shows each layer once, whatever the names in it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from netwright.compiler.diagram import draw_svg
from netwright.compiler.diagram_flow import picture
from netwright.compiler.diagram_style import STYLE
from netwright.compiler.driver import check
from netwright.compiler.ir.builder import GraphBuilder

from tests.onnx_tools import op
from tests.torch_tools import compiled

SVG = "{http://www.w3.org/2000/svg}"
ZOO = sorted((Path(__file__).parents[1] / "specs").glob("*.yaml"))

TEXT = """
blocks:
  Residual:
    params: {channels: int}
    inputs: {x: {shape: [B, C, H, W]}}
    layers:
      - {id: main, conv2d: {channels: $channels, kernel: 3}}
      - {id: skip, from: x, conv2d: {channels: $channels, kernel: 1}, when: $(C != channels)}
      - {from: [main, skip], add: {}}
networks:
  net:
    inputs: {image: {shape: [B, 3, 8, 8]}}
    layers:
      - {conv2d: {channels: 4, kernel: 5, stride: 2}}
      - batch_norm
      - relu
      - {id: body, Residual: {channels: $(4 + 4 * index)}, repeat: 3}
      - {id: end, Residual: {channels: 12}}
      - {id: tail, layers: [global_avg_pool, {linear: 2}]}
    outputs: y
"""


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def drawn() -> str:
    (graph,) = compiled(TEXT).graphs.values()
    return draw_svg(graph)


def test_copies_are_one_box_with_a_count() -> None:
    (graph,) = compiled(TEXT).graphs.values()
    rows = picture(graph).main.rows
    assert [(r.kind, r.title, r.copies) for r in rows] == [
        ("input", "image", 1),
        ("layer", "conv2d", 1),
        ("light", "batch_norm", 1),
        ("light", "relu", 1),
        ("block", "Residual", 3),
        ("block", "Residual", 1),
        ("group", "tail", 1),
        ("output", "y", 1),
    ]
    assert rows[4].detail == "channels 4 → 12"


def test_a_block_is_drawn_once_with_its_optional_layers() -> None:
    (graph,) = compiled(TEXT).graphs.values()
    (flow,) = picture(graph).blocks.values()
    assert [row.title for row in flow.rows if row.optional] == ["conv2d"]
    assert drawn().count("optional") == STYLE.count("optional") + 2  # its box, and the remark


def test_shapes_stand_at_the_edges() -> None:
    found = texts(drawn())
    assert "[B, 3, 8, 8]" in found
    assert "[B, 4, 4, 4]" in found
    assert "conv2d4, kernel 5×5, stride 2" in found  # noqa: RUF001


def test_rounded_sizes_are_written_as_such() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 3, H, W]")
    y = builder.add("conv", op("conv2d", channels=4, kernel=3, stride=2), x)
    graph = builder.graph(y=builder.add("act", op("softplus"), y))
    assert "[B, 4, ⌈H/2⌉, ⌈W/2⌉]" in texts(draw_svg(graph))


def test_a_value_read_far_below_has_a_line_of_its_own() -> None:
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 4]")
    a = builder.add("a", op("linear", features=4), x)
    b = builder.add("b", op("linear", features=4), a)
    c = builder.add("c", op("add"), b, a)
    svg = draw_svg(builder.graph(y=builder.add("d", op("add"), c, x)))
    lines = re.findall(r'<path class="skip" d="[^"]*?H([\d.]+)q', svg)
    assert len(lines) == len(set(lines)) == 2


def test_text_is_escaped() -> None:
    builder = GraphBuilder("a<b>&c")
    x = builder.input("<script>", "f32[B, 4]")
    svg = draw_svg(builder.graph(y=builder.add("y", op("linear", features=2), x)))
    assert "<script>" not in svg
    assert "a<b>&c" in texts(svg)


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_the_zoo_can_be_drawn(path: Path) -> None:
    for graph in check(path).graphs.values():
        svg = draw_svg(graph)
        assert svg == draw_svg(graph)
        root = ElementTree.fromstring(svg)
        assert 300 < float(root.attrib["width"]) < 2400
        markers = Counter(re.findall(r"url\(#([\w-]+)\)", svg))
        assert markers.keys() <= {element.attrib["id"] for element in root.iter(f"{SVG}marker")}
