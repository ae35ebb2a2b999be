"""Evaluates the nodes that expressions.py lets through.

Arithmetic is Python's: `/` gives a float, `//` and `%` round down, `**` takes exponents from -16 to
16. `and`, `or`, `not` and conditions take true or false alone. Numbers stay within 2^31. Sizes may
be symbolic; a comparison of symbolic sizes must come out the same for every size.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim, Poly, Symbol, symbols
from ..ir.proofs import at_least, equal, settling_minimum
from .scalars import clip

Result = int | float | bool | str | list[Any] | Dim

EXPONENT_LIMIT = 16
SIZE_LIMIT = 2**31
TERM_LIMIT = 256
"""How many products one multiplication of symbolic sizes may take."""

TRUTH = {"true": True, "false": False}


class ExpressionError(Exception):
    """A bad expression (E201) or a bad result (E202)."""

    def __init__(self, code: Code, message: str, help: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


def _bad(message: str, help: str = "") -> ExpressionError:  # noqa: A002
    return ExpressionError(Code.E202, message, help)


def evaluate(tree: ast.expr, env: Mapping[str, Any]) -> Any:
    match tree:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return TRUTH[name] if name in TRUTH else env[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(tree, type(op), evaluate(left, env), evaluate(right, env))
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(tree, op, evaluate(operand, env))
        case ast.BoolOp(op=op, values=values):
            return _logic(isinstance(op, ast.And), values, env)
        case ast.Compare():
            return _compare(tree, env)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return evaluate(body if _truth(test, env) else orelse, env)
    raise AssertionError(f"parse let {tree} through")


def _truth(tree: ast.expr, env: Mapping[str, Any]) -> bool:
    value = evaluate(tree, env)
    if isinstance(value, bool):
        return value
    raise _bad(
        f"a condition is true or false, found {show(value)} for `{ast.unparse(tree)}`",
        "compare it with something, as in `stride != 1`",
    )


def _logic(conjunction: bool, values: list[ast.expr], env: Mapping[str, Any]) -> bool:
    for value in values:
        if _truth(value, env) is not conjunction:
            return not conjunction
    return conjunction


def _unary(tree: ast.UnaryOp, op: ast.unaryop, value: Any) -> Any:
    if isinstance(op, ast.Not):
        if isinstance(value, bool):
            return not value
        raise _bad(f"`not` takes true or false, found {show(value)} in `{ast.unparse(tree)}`")
    _require_number(tree, value)
    return -value if isinstance(op, ast.USub) else value


def _require_number(tree: ast.expr, *values: Any) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | Poly):
            raise _bad(f"arithmetic takes numbers, found {show(value)} in `{ast.unparse(tree)}`")


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def _arithmetic(tree: ast.BinOp, op: type[ast.operator], left: Any, right: Any) -> Any:
    _require_number(tree, left, right)
    if op is ast.Pow:
        _check_exponent(tree, left, right)
    if isinstance(left, Poly) or isinstance(right, Poly):
        return _symbolic(tree, op, left, right)
    try:
        result = ARITHMETIC[op](left, right)
    except ZeroDivisionError:
        raise _bad(f"`{ast.unparse(tree)}` divides {show(left)} by zero") from None
    except OverflowError:
        raise _too_large(tree, "a number") from None
    check_limits(result, tree)
    return result


def _check_exponent(tree: ast.BinOp, base: Any, exponent: Any) -> None:
    limit = EXPONENT_LIMIT
    if isinstance(exponent, Poly) or abs(exponent) > limit:
        raise _bad(
            f"an exponent is a number from -{limit} to {limit}, found {show(exponent)} in "
            f"`{ast.unparse(tree)}`",
            "use a smaller exponent, or write the number out",
        )
    if isinstance(base, Poly) and (not isinstance(exponent, int) or exponent < 0):
        raise _bad(f"a symbolic size takes whole powers, found {show(exponent)}")


def _symbolic(tree: ast.BinOp, op: type[ast.operator], left: Dim, right: Dim) -> Dim:
    """Arithmetic with sizes that are known only when the network runs."""
    text = ast.unparse(tree)
    if op is ast.Div:
        raise _bad(
            f"`/` gives a fraction, and sizes are whole: `{text}` with {show(left)} and "
            f"{show(right)}",
            "write `//`",
        )
    if not isinstance(left, int | Poly) or not isinstance(right, int | Poly):
        raise _bad(f"sizes are whole numbers, found `{text}` with {show(left)} and {show(right)}")
    if op is ast.Pow:
        assert isinstance(right, int)
        return _power(tree, left, right)
    _check_terms(tree, left, right)
    try:
        result: Dim = ARITHMETIC[op](left, right)
    except ZeroDivisionError:
        raise _bad(f"`{text}` divides {show(left)} by zero") from None
    except ValueError as error:
        raise _bad(f"`{text}` is no size: {error}") from None
    check_limits(result, tree)
    return result


def _power(tree: ast.BinOp, base: Dim, exponent: int) -> Dim:
    result: Dim = 1
    for _ in range(exponent):
        _check_terms(tree, result, base)
        result = result * base
        check_limits(result, tree)
    return result


def _check_terms(tree: ast.expr, left: Dim, right: Dim) -> None:
    def count(dim: Dim) -> int:
        return len(dim.terms) if isinstance(dim, Poly) else 1

    if count(left) * count(right) > TERM_LIMIT:
        raise _bad(
            f"`{ast.unparse(tree)}` is too large a product of symbolic sizes",
            "fix one of the sizes in the network's inputs",
        )


def check_limits(value: Any, tree: ast.expr, text: str | None = None) -> None:
    """Numbers of a spec stay within 2^31, so that no size ever overflows an index."""
    shown = text or ast.unparse(tree)
    if isinstance(value, complex):
        raise _bad(f"`{shown}` is no real number")
    if isinstance(value, Poly):
        if any(abs(factor) > SIZE_LIMIT for _, factor in value.terms):
            raise _too_large(tree, clip(str(value)))
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value) or abs(value) > SIZE_LIMIT:
        raise _bad(
            f"results stay within 2^31 = {SIZE_LIMIT}, found {clip(show(value))} for "
            f"`{clip(shown, 80)}`",
            "use smaller numbers",
        )


def _too_large(tree: ast.expr, what: str) -> ExpressionError:
    return _bad(
        f"results stay within 2^31 = {SIZE_LIMIT}, found {what} for `{ast.unparse(tree)}`",
        "use smaller numbers",
    )


# Comparisons


COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def _compare(tree: ast.Compare, env: Mapping[str, Any]) -> bool:
    left = evaluate(tree.left, env)
    for op, comparator in zip(tree.ops, tree.comparators, strict=True):
        right = evaluate(comparator, env)
        if not _holds(tree, COMPARISONS[type(op)], left, right):
            return False
        left = right
    return True


def _holds(tree: ast.Compare, sign: str, left: Any, right: Any) -> bool:
    if isinstance(left, Poly) or isinstance(right, Poly):
        return _holds_for_sizes(tree, sign, left, right)
    if sign in ("==", "!="):
        return _same(left, right) is (sign == "==")
    _require_number(tree, left, right)
    result: bool = _ORDER[sign](left, right)
    return result


_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _same(left: Any, right: Any) -> bool:
    """Equality that keeps `true` and 1 apart."""
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def _holds_for_sizes(tree: ast.Compare, sign: str, left: Any, right: Any) -> bool:
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | Poly):
            raise _bad(
                f"a size is compared with whole numbers, found {show(value)} in "
                f"`{ast.unparse(tree)}`"
            )
    if sign in ("==", "!="):
        truth = equal(left, right)
        decided = truth if sign == "==" or truth is None else not truth
    else:
        more, less = (left, right) if sign in (">=", "<") else (right, left)
        truth = at_least(more, less)
        decided = truth if sign in (">=", "<=") or truth is None else not truth
    if decided is None:
        raise _undecided(tree, sign, left, right)
    return decided


def _undecided(tree: ast.Compare, sign: str, left: Dim, right: Dim) -> ExpressionError:
    """`T > 7` where some lengths are longer and some are not."""
    names = sorted(symbols(left) | symbols(right), key=str)
    known = ", ".join(_bounds(symbol) for symbol in names)
    return _bad(
        f"`{ast.unparse(tree)}` is decided before the network runs, found {left} {sign} {right}, "
        f"which holds for some sizes only ({known})",
        _settling(sign, left, right, names),
    )


def _bounds(symbol: Symbol) -> str:
    most = "" if symbol.max is None else f" and at most {symbol.max}"
    multiple = "" if symbol.multiple_of == 1 else f" and a multiple of {symbol.multiple_of}"
    return f"`{symbol}` is at least {symbol.min}{most}{multiple}"


def _settling(sign: str, left: Dim, right: Dim, names: list[Symbol]) -> str:
    """The constraint that would decide a comparison."""
    fix = " or ".join(f"`{name}`" for name in names)
    fix = f"put a number in place of {fix} in the network's inputs"
    if sign in ("==", "!="):
        return fix
    more, less, strict = (left, right, 0) if sign == ">=" else (left, right, 1)
    if sign in ("<=", "<"):
        more, less, strict = right, left, int(sign == "<")
    for difference, least in ((more - less, strict), (less - more, 1 - strict)):
        minimum = settling_minimum(difference, least)
        if minimum:
            return f"state `{minimum[0]}: {{min: {minimum[1]}}}` under `dims`, or {fix}"
    return f"bound the sizes under `dims`, or {fix}"


def show(value: Any) -> str:
    """A value as a spec writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return clip(f"[{', '.join(map(show, value))}]", 60)
    return f"`{clip(value)}`" if isinstance(value, str) else clip(str(value), 60)
