"""What operators with several inputs say when shapes don't fit."""

from __future__ import annotations

from typing import Any

import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Refusal

SYMBOLS = {
    "E": Symbol("E", min=8, max=64, multiple_of=2),
    "H": Symbol("H"),
}


def refused(name: str, arguments: dict[str, Any] | None, *types: str) -> Refusal:
    with pytest.raises(Refusal) as found:
        build(REGISTRY[name], arguments).inferred(tuple(parse_type(t, SYMBOLS) for t in types))
    return found.value


def test_every_axis_that_differs_is_listed() -> None:
    refusal = refused("add", {}, "f32[B, 64, 16, 16]", "f32[B, 64, 32, 32]")
    assert refusal.code is Code.D402
    assert refusal.message == (
        "`add` needs equal shapes, found f32[B, 64, 16, 16] and f32[B, 64, 32, 32]"
    )
    assert refusal.label == "axis 2: 16 and 32; axis 3: 16 and 32"
    assert refusal.help == ""


def test_three_inputs_are_all_named() -> None:
    refusal = refused("add", {}, "f32[B, 4]", "f32[B, 4]", "f32[B, 5]")
    assert refusal.message.endswith("found f32[B, 4], f32[B, 4] and f32[B, 5]")
    assert refusal.label == "axis 1: 4 and 5"


def test_broadcast_is_offered_where_it_fits() -> None:
    assert "`mul: {broadcast: true}`" in refused("mul", {}, "f32[B, 4, 8]", "f32[B, 4, 1]").help
    refusal = refused("mul", {}, "f32[B, 4, 8]", "f32[4, 1]")
    assert refusal.label == "3 and 2 axes"
    assert "broadcast: true" in refusal.help
    assert "broadcast" not in refused("mul", {}, "f32[B, 4, 8]", "f32[B, 4, 2]").help


def test_axes_of_a_broadcast_are_counted_in_the_result() -> None:
    refusal = refused("add", {"broadcast": True}, "f32[B, 4, 8, 8]", "f32[B, 1, 7]")
    assert refusal.code is Code.D402
    assert refusal.label == "axis 1: 4 and B; axis 3: 8 and 7"


@pytest.mark.parametrize(
    ("left", "right", "help_text"),
    [
        ("f32[B, (H // 4) * 4]", "f32[B, H]", "declare `dims: {H: {multiple_of: 4}}`"),
        ("f32[B, (E // 6) * 6]", "f32[B, E]", "declare `dims: {E: {multiple_of: 6}}`"),
        ("f32[B, H]", "f32[B, 28]", "give `H` a fixed size for which they are equal"),
        ("f32[B, H]", "f32[B, W]", "give H and W one size, or both the same name"),
        ("f32[B, H]", "f32[B, H + 1]", ""),
    ],
)
def test_help_is_the_constraint_that_settles_it(left: str, right: str, help_text: str) -> None:
    assert refused("sub", {}, left, right).help == help_text


def test_concat_ignores_its_own_axis() -> None:
    refusal = refused("concat", {"axis": -1}, "f32[B, 3, 8]", "f32[B, 4, 9]")
    assert refusal.label == "axis 1: 3 and 4"
    assert "along axis 2" in refusal.message


def test_bare_arithmetic_says_what_it_takes() -> None:
    refusal = refused("mul", {}, "f32[B, 3]")
    assert refusal.code is Code.D401
    assert "`from: [main, skip]`" in refusal.help
    assert "`mul: 2`" in refusal.help


def test_matmul_names_the_inner_sizes() -> None:
    refusal = refused("matmul", {}, "f32[B, 3, 4]", "f32[B, 5, 6]")
    assert refusal.label == "4 columns and 5 rows"
