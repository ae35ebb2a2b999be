"""G303: what a spec defines and nothing uses, also where other parts of it have mistakes."""

from __future__ import annotations

import pytest

from .small import check, codes, messages, network

UNUSED = "blocks:\n  Spare: {layers: [relu]}\n  Used: {layers: [tanh]}\n"
SPARE = "block `Spare` is never used"


@pytest.mark.parametrize(
    "layers",
    [
        "- Used\n- {from: nowhere, relu: }",
        "- Used\n- conv2d: {channels: 0, kernel: 1}",
        "- {layers: [Used], repeat: 5000}",
        "- {Used: , when: $(1 // 0)}",
    ],
)
def test_an_unused_block_is_told_where_a_network_cannot_be_expanded(layers: str) -> None:
    found = messages(UNUSED + network(layers))
    assert found.count(SPARE) == 1
    assert len(found) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [("params: {n: {vlaue: 1}}\n", ""), ("", "    inptus: 1\n")],
)
def test_an_unused_block_is_told_where_a_network_is_not_expanded(before: str, after: str) -> None:
    """A mistake in a parameter or beside the layers keeps the network from expanding."""
    found = check(before + UNUSED + network("- Used") + after).diagnostics
    assert sorted(d.code.name for d in found) == ["G303", "S101"]
    assert SPARE in [d.message for d in found]


def test_a_layer_with_a_mistake_may_be_the_one_that_uses_a_block() -> None:
    assert codes(UNUSED + network("- {Used: , frm: image}")) == ["S101"]
    assert codes(UNUSED + network("- Used").replace("layers:\n", "leyers:\n")) == ["S101"]


def test_mistakes_of_layers_are_told_where_the_parameters_have_some() -> None:
    text = "params: {n: {vlaue: 1}}\n" + network("- {conv2d: {chanels: $n, kernel: 1}}")
    assert codes(text) == ["S101", "S101"]


def test_a_layer_is_read_once() -> None:
    text = network("- relu\n- nosuch").replace("outputs: y", "outputs: y\n    more: 1")
    assert codes(text) == ["S103", "S101"]
