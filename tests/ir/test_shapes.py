"""Symbolic sizes: arithmetic agrees with numbers, and answers hold for every value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netwright.compiler.ir.dims import Dim, Poly, Symbol, evaluate
from netwright.compiler.ir.proofs import at_least, bounds, divisible, equal, settling_minimum
from netwright.compiler.ir.shapes import TensorType, parse_dim, parse_type

H = Symbol("H", min=8, max=64, multiple_of=4)
W = Symbol("W", min=1, max=30)
B = Symbol("B")
KNOWN = {"H": H, "W": W, "B": B}
SIZES = st.fixed_dictionaries(
    {
        "H": st.integers(2, 16).map(lambda n: 4 * n),
        "W": st.integers(1, 30),
        "B": st.integers(1, 1000),
    }
)


def dims() -> st.SearchStrategy[Dim]:
    leaves = st.integers(-9, 9) | st.sampled_from([Poly.of(H), Poly.of(W), Poly.of(B)])
    return st.recursive(leaves, _combined, max_leaves=6)


def _combined(inner: st.SearchStrategy[Dim]) -> st.SearchStrategy[Dim]:
    pairs = st.tuples(inner, inner)
    return (
        pairs.map(lambda p: p[0] + p[1])
        | pairs.map(lambda p: p[0] - p[1])
        | pairs.map(lambda p: p[0] * p[1])
        | st.tuples(inner, st.integers(1, 9)).map(lambda p: p[0] // p[1])
        | st.tuples(inner, st.integers(1, 9)).map(lambda p: p[0] % p[1])
    )


@given(dims(), dims(), st.integers(1, 9), SIZES)
def test_arithmetic_agrees_with_numbers(a: Dim, b: Dim, n: int, sizes: dict[str, int]) -> None:
    x, y = evaluate(a, sizes), evaluate(b, sizes)
    assert evaluate(a + b, sizes) == x + y
    assert evaluate(a - b, sizes) == x - y
    assert evaluate(a * b, sizes) == x * y
    assert evaluate(a // n, sizes) == x // n
    assert evaluate(a % n, sizes) == x % n


@given(dims(), dims(), SIZES)
def test_answers_hold_for_every_value(a: Dim, b: Dim, sizes: dict[str, int]) -> None:
    x, y = evaluate(a, sizes), evaluate(b, sizes)
    assert equal(a, b) in (None, x == y)
    assert at_least(a, b) in (None, x >= y)
    low, high = bounds(a)
    assert low <= x <= high


@given(dims(), st.integers(1, 9), SIZES)
def test_divisibility_holds_for_every_value(a: Dim, n: int, sizes: dict[str, int]) -> None:
    assert divisible(a, n) in (None, evaluate(a, sizes) % n == 0)


@settings(max_examples=200)
@given(dims())
def test_printed_sizes_read_back(a: Dim) -> None:
    assert parse_dim(str(a), KNOWN) == a


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("(H - 1) // 2 + 1", "H // 2"),
        ("(W - 1) // 2 + 1", "(W + 1) // 2"),
        ("(W // 2) // 3", "W // 6"),
        ("2 * W - W", "W"),
        ("W * H + 3 - W * H", "3"),
        ("W ** 2 * 2", "2*W**2"),
        ("(4 * W) // 2", "2*W"),
    ],
)
def test_canonical_form(text: str, printed: str) -> None:
    assert str(parse_dim(text, KNOWN)) == printed


@pytest.mark.parametrize(
    ("left", "right", "answer"),
    [
        ("2 * ((H - 1) // 2 + 1)", "H", True),
        ("2 * (W // 2)", "W", None),
        ("W", "W + 1", False),
        ("2 * W", "2 * B + 1", False),
        ("W", "31", False),
        ("W", "B", None),
    ],
)
def test_equality_has_three_answers(left: str, right: str, answer: bool | None) -> None:
    assert equal(parse_dim(left, KNOWN), parse_dim(right, KNOWN)) is answer


@pytest.mark.parametrize(
    ("left", "right", "answer"),
    [
        ("W - W // 2", "1", True),
        ("(W + 1) // 2", "1", True),
        ("W // 2", "1", None),
        ("H // 8", "1", True),
        ("W", "31", False),
        ("B * W", "1", True),
    ],
)
def test_order_has_three_answers(left: str, right: str, answer: bool | None) -> None:
    assert at_least(parse_dim(left, KNOWN), parse_dim(right, KNOWN)) is answer


def test_the_constraint_that_settles_a_size() -> None:
    assert settling_minimum(parse_dim("(W - 7) // 2 - 4", KNOWN), 1) == ("W", 17)
    assert settling_minimum(parse_dim("W - B", KNOWN), 1) is None


def test_types_print_and_parse() -> None:
    text = "f32[B, 64, (W + 1) // 2, H // 2]"
    found = parse_type(text, KNOWN)
    assert str(found) == text
    assert isinstance(found, TensorType)
    assert found.symbols() == {B, H, W}


@pytest.mark.parametrize("text", ["f31[B]", "f32[B", "f32", "f32[B - ]", "f32[f(x)]", "f32['a']"])
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_type(text)


def test_division_by_a_symbol_is_exact_or_refused() -> None:
    w, h = Poly.of(W), Poly.of(H)
    assert w * h // w == h
    assert (2 * w * h) // (2 * h) == w
    with pytest.raises(ValueError, match="cannot divide"):
        h // w
    with pytest.raises(ZeroDivisionError):
        h // 0
