"""What `from`, `else`, `share` and `outputs` may name, and what is told where they cannot."""

from __future__ import annotations

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic

from .small import check, codes, graph, network, paths, quoted

DOWN = "- {id: down, relu: , repeat: 3}\n"


def found(layers: str, outputs: str = "y") -> list[Diagnostic]:
    return list(check(network(layers, outputs=outputs)).diagnostics)


# A map that names one copy: {of, at, port}


@pytest.mark.parametrize(
    ("source", "key", "meant"),
    [
        ("{of: down, at: 0, prt: y}", "prt", "port"),
        ("{of: down, att: 0}", "att", "at"),
        ("{oof: down, at: 0}", "oof", "of"),
        ("{fo: down, at: $(1 - 1)}", "fo", "of"),
        ("{of: down, at: 0, x: image}", "x", "port"),
    ],
)
def test_a_misspelt_key_of_a_copy_is_an_unknown_key(source: str, key: str, meant: str) -> None:
    for written in (
        f"- {{from: {source}, tanh: }}",
        f"- {{from: [{source}, image], add: {{}}}}",
        f"- {{from: {{x: {source}}}, tanh: }}",
        f"- {{from: image, tanh: , when: false, else: {source}}}",
    ):
        (diagnostic,) = found(DOWN + written)
        assert diagnostic.code is Code.S101
        assert quoted(diagnostic) == key
        assert f"`{meant}`" in str(diagnostic.help)


def test_the_message_about_a_misspelt_key() -> None:
    (diagnostic,) = found(DOWN + "- {from: {of: down, at: 0, prt: y}, tanh: }")
    assert diagnostic.message == "unknown key `prt` in a source of the form `{of, at, port}`"
    assert diagnostic.help == "a key with a similar name exists: `port`"


@pytest.mark.parametrize(
    ("source", "missing"), [("{of: down}", "at"), ("{at: 0}", "of"), ("{of: down, port: y}", "at")]
)
def test_a_copy_needs_both_its_layer_and_its_number(source: str, missing: str) -> None:
    (diagnostic,) = found(DOWN + f"- {{from: {source}, tanh: }}")
    assert diagnostic.code is Code.S102
    assert f"needs `{missing}`" in diagnostic.message


def test_ports_may_be_called_like_the_keys_of_a_copy() -> None:
    block = """\
blocks:
  Both:
    inputs: {of: {shape: [B, C, H, W]}, port: {shape: [B, C, H, W]}}
    layers: [{from: [of, port], add: {}}]
"""
    text = block + network("- {Both: , from: {of: image, port: image}}")
    assert codes(text) == []
    assert codes(text.replace("port: image", "prt: image")) == ["S102", "G301"]


def test_a_map_of_ports_is_still_one() -> None:
    layers = "- {id: t, global_avg_pool: }\n- {from: {t: image, x: t}, expand: }"
    assert codes(network(layers)) == ["G301", "D401"]
    (diagnostic,) = found("- {from: {a: image}, relu: }")
    assert diagnostic.message == "`relu` has no input `a`"


@pytest.mark.parametrize("source", ["{a: image}", "{}", "3"])
def test_other_maps_are_no_sources(source: str) -> None:
    (diagnostic,) = found(f"- {{from: [{source}, image], add: {{}}}}")
    assert diagnostic.code is Code.S102
    assert "a source expects the name of a layer" in diagnostic.message


@pytest.mark.parametrize("of", ["[down]", "3", "{a: 1}", "null"])
def test_the_layer_of_a_copy_is_a_name(of: str) -> None:
    (diagnostic,) = found(DOWN + f"- {{from: {{of: {of}, at: 0}}, tanh: }}")
    assert diagnostic.code is Code.S102
    assert diagnostic.message.startswith("`of` expects the id of a repeated layer")
    assert quoted(diagnostic) == of


# Whole numbers as ids


NUMBERED = "- {id: 0, relu: }\n- {id: 1, tanh: }\n"


@pytest.mark.parametrize(
    "layer",
    [
        '- {from: "0", sigmoid: }',
        '- {from: ["0", prev], add: {}}',
        '- {from: {x: "0"}, sigmoid: }',
        '- {from: "0.y", sigmoid: }',
        '- {from: {of: "0", at: 0}, sigmoid: }',
        '- {share: "0"}',
        '- {sigmoid: , when: false, else: "0"}',
    ],
)
def test_a_whole_number_is_no_name_to_read(layer: str) -> None:
    (diagnostic,) = found(NUMBERED + layer)
    assert diagnostic.code is Code.G301
    assert "`0` is a number" in diagnostic.message
    assert diagnostic.help == "give that layer a word as its `id`"


def test_a_number_is_never_suggested() -> None:
    assert all("`0`" not in str(d.help) for d in found(NUMBERED + "- {from: a, sigmoid: }"))


def test_paths_with_numbers_stay() -> None:
    layers = "- {id: 0, linear: 8}\n- {linear: 8, tie: {weight: 0.weight}}"
    assert codes(network(layers, shape="[B, 8]")) == []


# Names of outputs


@pytest.mark.parametrize("name", ['"0"', "a-b", '""'])
def test_an_output_that_is_no_identifier_is_pointed_at_by_its_key(name: str) -> None:
    (diagnostic,) = found("- relu", outputs=f"{{y: prev, {name}: image}}")
    assert diagnostic.code is Code.S102
    assert quoted(diagnostic) == name


@pytest.mark.parametrize("name", ['"0"', "a-b", "a.b"])
def test_the_label_of_the_last_layer_is_an_identifier(name: str) -> None:
    (diagnostic,) = found("- relu", outputs=name)
    assert diagnostic.code is Code.S102
    assert "an output expects an identifier" in diagnostic.message
    assert quoted(diagnostic) == name


# No copies at all


@pytest.mark.parametrize(
    "layer",
    [
        "- {tanh: , repeat: 0}",
        "- {tanh: , repeat: {over: {k: []}}}",
        "- {from: {x: stem}, tanh: , repeat: 0}",
        "- {from: {of: down, at: 2}, tanh: , repeat: 0}",
    ],
)
def test_no_copies_pass_the_first_input_through(layer: str) -> None:
    layers = "- {id: stem, relu: }\n" + DOWN + layer + "\n- {id: last, sigmoid: }"
    read = graph(network(layers, outputs="{y: last, s: stem}")).nodes[-1].reads()
    assert [value.name for value in read] == ["stem" if "x: stem" in layer else "down.2"]


@pytest.mark.parametrize(
    "layer",
    [
        "{from: {of: down, at: $k}, tanh: , repeat: {over: {k: []}}}",
        "{from: {of: down, at: $k, port: y}, tanh: , repeat: {over: {k: [], j: []}}}",
        "{from: {of: down, at: $(count - 1 - index)}, tanh: , repeat: 0}",
        "{from: [prev, {of: down, at: $k}], add: {}, repeat: {over: {k: []}}}",
        "{from: {x: prev, like: {of: down, at: $k}}, expand: , repeat: {over: {k: []}}}",
        "{from: {like: {of: down, at: $(count - 1)}}, expand: , repeat: 0}",
        "{parameter: [1, 8], repeat: 0}",
    ],
)
def test_no_copies_have_no_complaints(layer: str) -> None:
    layers = DOWN + "- {id: here, sigmoid: }\n- " + layer + "\n- {id: last, sigmoid: }"
    (value,) = graph(network(layers, outputs="{y: last, d: down}")).nodes[-1].reads()
    assert value.name == "here"


def test_copies_of_copies_that_are_not_there() -> None:
    """A U-Net without levels is its middle alone."""
    layers = """
        - {id: down, relu: , repeat: 0}
        - {id: middle, tanh: }
        - {id: up, from: {like: {of: down, at: $(count - 1 - index)}}, expand: , repeat: 0}
    """
    assert paths(graph(network(layers))) == ["middle"]


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        ("{from: nowhere, tanh: , repeat: 0}", "G301"),
        ("{from: {of: nowhere, at: $index}, tanh: , repeat: 0}", "G301"),
        ("{from: {of: down, at: $nowhere}, tanh: , repeat: 0}", "E201"),
        ("{from: {of: down, at: $index, prt: y}, tanh: , repeat: 0}", "S101"),
        ("{from: {lik: prev}, expand: , repeat: 0}", "G301"),
    ],
)
def test_names_are_checked_even_if_there_are_no_copies(layer: str, code: str) -> None:
    assert codes(network(DOWN + "- " + layer)) == [code]
