"""G303 for an input that a block declares and nothing in it reads."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code

from .small import check, network, quoted

TWO = "{x: {shape: [B, C, H, W]}, other: {shape: [B, D, G, G]}}"


def unused(inputs: str, layers: str, outputs: str = "") -> list[str]:
    """The inputs of a block that are told to be unused."""
    body = textwrap.indent(textwrap.dedent(layers).strip("\n"), " " * 6)
    text = f"blocks:\n  A:\n    inputs: {inputs}\n    layers:\n{body}\n{outputs}"
    ports = "{x: image, other: image}" if "other" in inputs else "image"
    found = check(text + network(f"- {{A: , from: {ports}}}")).diagnostics
    assert {d.code for d in found} <= {Code.G303}, found
    return [quoted(d) for d in found if "of block `A`" in d.message]


@pytest.mark.parametrize(
    "layers",
    [
        "- {from: x, relu: }",
        "- {from: x, relu: }\n- tanh\n- {from: [prev, x], add: {}}",
        "- {id: others, from: x, relu: }",
        "- {from: x, layers: [relu, {from: prev, tanh: }]}",
        "- {from: {x: x}, relu: }",
    ],
)
def test_an_input_that_nothing_reads_is_told(layers: str) -> None:
    assert unused(TWO, layers) == ["other"]


def test_it_is_told_as_the_input_of_a_network_is() -> None:
    text = f"blocks:\n  A: {{inputs: {TWO}, layers: [{{from: x, relu: }}]}}\n"
    found = check(text + network("- {A: , from: {x: image, other: image}}")).diagnostics
    assert [d.message for d in found] == ["input `other` of block `A` is never used"]
    assert found[0].help == "remove it, or read it with `from`"


@pytest.mark.parametrize(
    "layers",
    [
        "- {from: other, relu: }\n- {from: [prev, x], concat: 1}",
        "- {from: [x, other], concat: 1}",
        "- {from: x, relu: }\n- layers: [{layers: [{from: [prev, other], concat: 1}]}]",
        "- {from: x, relu: , when: false, else: other}",
        "- {from: x, tanh: , when: true, else: {y: other}}",
        "- {from: {x: x, like: other}, expand: }",
    ],
)
def test_an_input_that_is_read_is_not(layers: str) -> None:
    assert unused(TWO, layers) == []


def test_an_output_reads() -> None:
    outputs = "    outputs: {y: prev, passed: other}\n"
    assert unused(TWO, "- {from: x, relu: }", outputs) == []
    assert unused(TWO, "- {from: x, relu: }", "    outputs: {other: prev}\n") == ["other"]


def test_an_input_may_be_there_for_its_size() -> None:
    assert unused(TWO, "- {from: x, conv2d: {channels: $D, kernel: 1}}") == []
    assert unused(TWO, "- {from: x, conv2d: {channels: $C, kernel: 1}}") == ["other"]
    same = "{x: {shape: [B, C, H, W]}, other: {shape: [B, C, H, W]}}"
    assert unused(same, "- {from: x, conv2d: {channels: $C, kernel: 1}}") == ["other"]


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ("- relu", []),
        ("- {from: prev, relu: }", []),
        ("- {layers: [relu]}", []),
        ("- {relu: , repeat: 2}", []),
        ("- {from: {x: image}, relu: }", []),
        ("- {parameter: [1, 8]}", ["image"]),
        ("- {id: p, parameter: [1, 8]}\n- relu\n- {from: [prev, p], add: {}}", ["image"]),
        ("- {parameter: [1, 8], when: false, else: none}\n- relu", []),
        ("- {parameter: [1, 8]}\n- {from: image, relu: }", []),
    ],
)
def test_the_only_input_is_what_the_first_layer_reads(layers: str, told: list[str]) -> None:
    assert unused("{image: {shape: [B, C, H, W]}}", layers) == told


def test_a_layer_with_a_mistake_may_be_the_one_that_reads_it() -> None:
    text = (
        f"blocks:\n  A: {{inputs: {TWO}, layers: [{{from: x, relu: }}, {{frm: other, relu: }}]}}\n"
    )
    found = check(text + network("- {A: , from: {x: image, other: image}}")).diagnostics
    assert [d.code for d in found] == [Code.S101]


def test_a_library_is_told_of_in_its_own_file(tmp_path: Path) -> None:
    library = (
        f"spec: v1\nname: lib\nblocks: {{A: {{inputs: {TWO}, layers: [{{from: x, relu: }}]}}}}\n"
    )
    (tmp_path / "lib.yaml").write_text(library)
    text = "imports: {lib: lib.yaml}\n" + network("- {lib.A: , from: {x: image, other: image}}")
    (found,) = check(text, folder=tmp_path).diagnostics
    assert found.span
    assert found.span.file.name.endswith("lib.yaml")
