"""Expressions: what they may say, what they evaluate to, and how they fail."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.diagnostics import Code
from netwright.compiler.ir.dims import Poly, Symbol, evaluate
from netwright.compiler.language.expressions import ExpressionError, is_expression, parse

T, H, E = Symbol("T", 1, 400), Symbol("H", 4), Symbol("E", 2, multiple_of=2)
ENV: dict[str, Any] = {
    "width": 64,
    "zero": 0,
    "rate": 0.5,
    "act": "relu",
    "mults": [1, 2, 4],
    "flag": True,
    "T": Poly.of(T),
    "H": Poly.of(H),
    "E": Poly.of(E),
    "C": 64,
    "channels": 64,
}


def value(text: str) -> Any:
    return parse(text).evaluate(ENV)


def failure(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    return caught.value


def test_what_is_an_expression() -> None:
    assert is_expression("$width")
    assert is_expression("$$")
    assert not is_expression("width $")
    assert not is_expression(3)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$width", 64),
        ("$mults", [1, 2, 4]),
        ("$act", "relu"),
        ("$(width * 2 + 1)", 129),
        ("$(width / 2)", 32.0),
        ("$(width // 5)", 12),
        ("$(-7 // 2)", -4),
        ("$(-7 % 3)", 2),
        ("$(2 ** 16)", 65536),
        ("$(2 ** -1)", 0.5),
        ("$(1e-3 * 2)", 0.002),
        ("$(C != channels or width == 64)", True),
        ("$(not flag)", False),
        ("$(1 < width <= 64)", True),
        ("$(width if flag else zero)", 64),
        ("$(zero != 0 and width / zero > 1)", False),
        ("$(act == act)", True),
        ("$(flag == 1)", False),
        ("$(true and not false)", True),
        ("$(T >= 1)", True),
        ("$(T > 400)", False),
        ("$(T <= 400)", True),
        ("$(H < 4)", False),
        ("$(H == H)", True),
        ("$(H != H + 1)", True),
        ("$(E % 2 == 0)", True),
        ("$(E == 2 * H + 1)", False),
        ("$(H // H)", 1),
    ],
)
def test_values(text: str, result: object) -> None:
    found = value(text)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize("text", ["$((H - 1) // 2 + 1)", "$(H * T % 3)", "$(H ** 2 - T)"])
@given(h=st.integers(4, 50), t=st.integers(1, 400))
def test_symbolic_arithmetic_is_that_of_numbers(text: str, h: int, t: int) -> None:
    symbolic = value(text)
    assert evaluate(symbolic, {"H": h, "T": t}) == parse(text).evaluate({"H": h, "T": t})


@pytest.mark.parametrize(
    ("text", "code", "message", "help_text"),
    [
        ("$widht", Code.E201, "`widht`", "`width`"),
        ("$(wdith * 2)", Code.E201, "`wdith` in `$(wdith * 2)`", "`width`"),
        ("$nothing_alike", Code.E201, "neither a parameter nor a dimension", "`channels`"),
        ("${width}", Code.E201, "`${width}`", "`$(width)`"),
        ("$width + 1", Code.E201, "over the whole scalar", "`$( ... )`"),
        ("$", Code.E201, "`$`", "name"),
        ("$$width", Code.E201, "`$$width`", ""),
        ("$()", Code.E201, "empty", ""),
        ("$(1) + (2)", Code.E201, "`$(1) + (2)`", ""),
        ("$((1)", Code.E201, "parentheses", "`)`"),
        ("$(min(1))", Code.E201, "no functions, found `min(`", ""),
        ("$(act.upper)", Code.E201, "no attributes", ""),
        ("$(mults[0])", Code.E201, "`[`", ""),
        ("$('a')", Code.E201, "no texts", ""),
        ("$(width = 3)", Code.E201, "`=`", "`==`"),
        ("$(!flag)", Code.E201, "`!`", "`not`"),
        ("$(flag & flag)", Code.E201, "`&`", "`and`"),
        ("$(width ^ 2)", Code.E201, "`^`", "`**`"),
        ("$(1_000)", Code.E201, "`1_000`", "decimal"),
        ("$(0b11)", Code.E201, "`0b11`", "decimal"),
        ("$(1j)", Code.E201, "`1j`", ""),
        ("$(width in mults)", Code.E201, "`width in mults`", ""),
        ("$(width is 3)", Code.E201, "`width is 3`", ""),
        ("$(lambda x)", Code.E201, "", ""),
        ("$(é)", Code.E201, "`é`", ""),
        ("$(" + "+" * 190 + "1)", Code.E201, "nesting", "params"),
        ("$(" + "1+" * 150 + "1)", Code.E201, "200 characters, found", "params"),
        ("$(width // zero)", Code.E202, "divides 64 by zero, where width = 64 and zero = 0", ""),
        ("$(width % zero)", Code.E202, "by zero", ""),
        ("$(zero ** -1)", Code.E202, "by zero", ""),
        ("$(H // zero)", Code.E202, "by zero", ""),
        ("$(2 ** 17)", Code.E202, "exponent", ""),
        ("$(width ** 6)", Code.E202, "2^31", "smaller"),
        ("$(1e999)", Code.E202, "2^31", ""),
        ("$(-1 * " + "9" * 150 + ")", Code.E202, "2^31", ""),
        ("$((0 - 8) ** rate)", Code.E202, "no real number", ""),
        ("$(mults + 1)", Code.E202, "[1, 2, 4]", ""),
        ("$(flag + 1)", Code.E202, "true", ""),
        ("$(act < 3)", Code.E202, "`relu`", ""),
        ("$(width if width else 1)", Code.E202, "true or false, found 64", "compare"),
        ("$(width and flag)", Code.E202, "found 64 for `width`", ""),
        ("$(not width)", Code.E202, "`not`", ""),
        ("$(H / 2)", Code.E202, "fraction", "`//`"),
        ("$(H * rate)", Code.E202, "whole numbers", ""),
        ("$(H == rate)", Code.E202, "whole numbers", ""),
        ("$(1 // H)", Code.E202, "symbolic size H", ""),
        ("$(H ** -1)", Code.E202, "whole powers", ""),
        ("$(2 ** H)", Code.E202, "exponent", ""),
        ("$((H + T + E + H*T + H*E) ** 9)", Code.E202, "too large", ""),
        ("$(H * 2147483647 * 2)", Code.E202, "2^31", ""),
        ("$(T > 7)", Code.E202, "`T` is at least 1 and at most 400", "`T: {min: 8}`"),
        ("$(7 < T)", Code.E202, "`T`", "`T: {min: 8}`"),
        ("$(H >= 9)", Code.E202, "`H` is at least 4", "`H: {min: 9}`"),
        ("$(H - 1 <= 9)", Code.E202, "`H`", "`H: {min: 11}`"),
        ("$(T == H)", Code.E202, "`T`", "number in place of `H` or `T`"),
    ],
)
def test_failures(text: str, code: Code, message: str, help_text: str) -> None:
    error = failure(text)
    assert error.code is code
    assert message in error.message
    assert help_text in error.help


def test_settling_constraints_do_settle() -> None:
    """What the help proposes decides the comparison."""
    for text, least in [("$(T > 7)", 8), ("$(T - 1 <= 9)", 11), ("$(T // 2 >= 5)", 10)]:
        assert f"`T: {{min: {least}}}`" in failure(text).help
        settled = {"T": Poly.of(Symbol("T", least, 400))}
        assert isinstance(parse(text).evaluate(settled), bool)


def test_names_are_what_evaluation_needs() -> None:
    assert parse("$(a + b if true else C)").names == {"a", "b", "C"}
    assert parse("$(1 + 2)").names == frozenset()


PIECES = st.sampled_from(
    [
        *("width", "zero", "H", "T", "flag", "mults", "1", "2.5", "1e9", "9" * 40),
        *("(", ")", "+", "-", "*", "/", "//", "%", "**", "==", "<", ">=", "!="),
        *(" and ", " or ", " not ", " if ", " else ", "lambda "),
        *(".", "[", "'", ",", ":", "=", "é", "\n", "#", "\x00", "~", "@", "{"),
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_gives_a_value_or_an_expression_error(text: str) -> None:
    start = time.process_time()
    result = outcome(f"$({text})")
    assert time.process_time() - start < 1.0
    if isinstance(result, ExpressionError):
        assert result.code in (Code.E201, Code.E202)
        assert result.message
        return
    assert isinstance(result, bool | int | float | str | list | Poly)
    assert not isinstance(result, int | float) or abs(result) <= 2**31


def outcome(text: str) -> Any:
    try:
        return value(text)
    except ExpressionError as error:
        return error
