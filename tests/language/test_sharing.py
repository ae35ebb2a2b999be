"""`share`: which layers and copies may be used again, and what is told of the others."""

from __future__ import annotations

import textwrap

import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.ir.graph import Graph

from .small import check, codes, graph, network, quoted

BLOCK = """\
blocks:
  Unit: {params: {n: int}, layers: [{id: fc, linear: $n}, relu]}
"""


def owners(found: Graph) -> dict[str, str]:
    """The weight of every layer that shares one."""
    return {n.path: n.weights["weight"].name for n in found.nodes if n.shares and n.weights}


def shared(layers: str) -> Graph:
    return graph(BLOCK + network(layers, shape="[B, 8]"))


@pytest.mark.parametrize(
    ("layer", "weights"),
    [
        ("{id: a, linear: 8, repeat: 3}", {"b": "a.1.weight"}),
        ("{id: a, Unit: {n: 8}, repeat: 3}", {"b.fc": "a.1.fc.weight"}),
        ("{id: a, layers: [{id: fc, linear: 8}, tanh], repeat: 3}", {"b.fc": "a.1.fc.weight"}),
        (
            "{id: a, linear: $n, repeat: {over: {n: [8, 8, 8]}}}",
            {"b": "a.1.weight"},
        ),
    ],
)
def test_one_copy_of_a_repeat_is_shared(layer: str, weights: dict[str, str]) -> None:
    found = shared(f"- {layer}\n- {{id: b, share: a.1}}")
    assert owners(found) == weights
    assert found.parameter_count() == 3 * 72


def test_a_shared_copy_has_the_values_of_that_copy() -> None:
    layers = """
        - {id: a, linear: $n, repeat: {over: {n: [8, 4, 8]}}}
        - {id: b, from: a.0, share: a.1}
        - {id: c, from: b, share: a.2}
    """
    found = shared(layers)
    assert [str(n.outputs[0].type) for n in found.nodes[3:]] == ["f32[B, 4]", "f32[B, 8]"]
    assert owners(found) == {"b": "a.1.weight", "c": "a.2.weight"}


def test_a_shared_copy_may_be_repeated_and_shared_again() -> None:
    layers = """
        - {id: a, linear: 8, repeat: 2}
        - {id: b, share: a.1, repeat: 2}
        - {id: c, share: b.0}
        - {id: d, share: a}
        - {id: e, share: d.1}
        - {id: f, share: b}
        - {id: g, share: f.1}
    """
    found = shared(layers)
    assert owners(found) == {
        "b.0": "a.1.weight",
        "b.1": "a.1.weight",
        "c": "a.1.weight",
        "d.0": "a.0.weight",
        "d.1": "a.1.weight",
        "e": "a.1.weight",
        "f.0": "a.1.weight",
        "f.1": "a.1.weight",
        "g": "a.1.weight",
    }
    assert found.parameter_count() == 2 * 72


def test_a_copy_is_not_repeated_again() -> None:
    found = shared("- {id: a, linear: 8, repeat: 3}\n- {id: b, from: image, share: a.2}")
    assert [node.path for node in found.nodes] == ["a.0", "a.1", "a.2", "b"]


INSIDE = """
- {id: enc, layers: [{id: fc, linear: 8}, tanh]}
- {id: rep, layers: [{id: fc, linear: 8}, tanh], repeat: 2}
- {id: unit, Unit: {n: 8}}
- {id: halves, split: {axis: 1, into: {left: 4, right: 4}}}
- {id: cat, from: [halves.left, halves.right], concat: 1}
"""


@pytest.mark.parametrize(
    ("share", "message", "help_text"),
    [
        (
            "enc.fc",
            "`share` names a layer that is visible here, `enc.fc` is inside the group `enc`",
            "write `share: enc` for the whole group, or move the layer out of it",
        ),
        (
            "unit.fc",
            "`share` names a layer that is visible here, `unit.fc` is inside the block `unit`",
            "write `share: unit` for the whole block, or move the layer out of it",
        ),
        (
            "rep.1.fc",
            "`share` names a layer that is visible here, `rep.1.fc` is inside the group `rep.1`",
            "write `share: rep.1` for the whole group, or move the layer out of it",
        ),
        (
            "halves.left",
            "`share` names a layer, `halves.left` is one of its results",
            "write `share: halves`",
        ),
        (
            "halves.0",
            "`share` names a layer, found `halves.0`; `halves` is one operator",
            "write `share: halves`",
        ),
        ("rep.2", "`rep` has the copies 0 to 1, found `2`", "copies are counted from 0"),
        ("rep.-1", "`rep` has the copies 0 to 1, found `-1`", "copies are counted from 0"),
        (
            "rep.fc",
            "`share` names a layer or a copy of one, found `rep.fc`; `rep` has the copies 0 to 1",
            "write `share: rep` for all copies, or `share: rep.0` for one",
        ),
        (
            "image",
            "`image` is not a layer whose weights can be shared",
            "share a layer above this one that `when` keeps",
        ),
    ],
)
def test_what_cannot_be_shared_says_why_not(share: str, message: str, help_text: str) -> None:
    text = BLOCK + network(INSIDE + f"- {{share: {share}}}", shape="[B, 8]")
    found = check(text).diagnostics
    assert [(d.code, d.message, d.help) for d in found] == [(Code.G301, message, help_text)]
    assert quoted(found[0]) == share


@pytest.mark.parametrize("share", ["nowhere.1", "nowhere.fc.x", "cat.a.b.c", "enc..", ".fc"])
def test_other_paths_are_unknown(share: str) -> None:
    text = BLOCK + network(INSIDE + f"- {{share: {share}}}", shape="[B, 8]")
    assert codes(text) == ["G301"]


def test_a_layer_without_copies_has_nothing_to_share() -> None:
    layers = "- {id: a, linear: 8, repeat: 0}\n- {id: b, share: a.0}"
    (found,) = check(network(layers, shape="[B, 8]")).diagnostics
    assert found.message == "`a` has no copies here, found `0`"


def test_a_shared_copy_needs_an_input_that_fits() -> None:
    layers = "- {id: a, linear: $n, repeat: {over: {n: [8, 4]}}}\n- {id: b, share: a.1}"
    (found,) = check(network(layers, shape="[B, 8]")).diagnostics
    assert found.code is Code.D402
    assert "`a.1`" in found.message


def test_a_copy_of_a_left_out_layer_is_told() -> None:
    layers = textwrap.dedent("""
        - {id: a, linear: 8, repeat: 2, when: false}
        - {id: b, share: a.1}
    """)
    assert codes(network(layers, shape="[B, 8]")) == ["G301"]


@pytest.mark.parametrize("share", ["a", "a.1", "a.5", "a.fc"])
@pytest.mark.parametrize("modifier", ["", ", repeat: 2"])
def test_a_failed_layer_is_silently_shared(share: str, modifier: str) -> None:
    layers = f"- {{id: a, layers: [{{linear: 0}}]{modifier}}}\n- {{id: b, share: {share}}}"
    assert codes(network(layers, shape="[B, 8]")) == ["S102"]
