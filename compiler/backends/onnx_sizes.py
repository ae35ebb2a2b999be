"""Symbolic sizes at run time: i64 arithmetic over the shapes of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import onnx_ir as ir

from ..diagnostics import Code, failure
from ..ir.dims import Atom, Dim, Monomial, Poly, Symbol, symbols
from ..ir.proofs import bounds
from .onnx_scope import Scope


def sizes(scope: Scope, dims: Sequence[Dim]) -> ir.Value:
    """i64[N] of sizes: a constant where all are known, else computed once per model.

    What a loop's body needs is computed outside of the loop where it can be.

    Raises: NetwrightError: X702: no tensor at hand has the size of a symbol.
    """
    parts: list[ir.Value] = []
    for fixed, group in groupby(dims, lambda dim: isinstance(dim, int)):
        run = list(group)
        parts += [_numbers(scope, run)] if fixed else [_size(scope, dim) for dim in run]
    if not parts:
        return _numbers(scope, [])
    if len(parts) == 1:
        return parts[0]
    return _once(scope, f"[{', '.join(map(str, dims))}]", parts)


def _once(scope: Scope, text: str, parts: list[ir.Value]) -> ir.Value:
    if text not in scope.computed:
        scope.computed[text] = _op(scope, "Concat", *parts, axis=0)
    return scope.computed[text]


def _numbers(scope: Scope, values: Sequence[Dim]) -> ir.Value:
    return scope.tensors.array(np.array(values, np.int64), f"{scope.prefix}sizes/numbers")


def _op(scope: Scope, op_type: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
    return scope.named(f"{scope.prefix}sizes/{op_type}", op_type, *inputs, **attributes)


def _size(scope: Scope, dim: Dim) -> ir.Value:
    """i64[1] of one symbolic size, in the outermost graph that knows it or its symbols."""
    for home in scope.chain():
        if str(dim) not in home.computed and (_knows(home, dim) or str(dim) in home.axes):
            home.computed[str(dim)] = _compute(home, dim)
        if str(dim) in home.computed:
            return home.computed[str(dim)]
    raise failure(
        Code.X702,
        f"the size `{dim}` cannot be computed in ONNX: no input has the axis "
        + " or ".join(f"`{symbol}`" for symbol in sorted(map(str, symbols(dim)))),
        help="give the program an input that has this size as an axis of its own",
    )


def _knows(home: Scope, dim: Dim) -> bool:
    """Whether every symbol of a size can be read off some value."""
    return all(str(s) in home.axes or str(s) in home.multiples for s in symbols(dim))


def _compute(home: Scope, dim: Dim) -> ir.Value:
    assert isinstance(dim, Poly)
    return _sum(home, dim) if _knows(home, dim) else _shape(home, str(dim))


def _shape(home: Scope, size: str) -> ir.Value:
    value, axis = home.axes[size]
    return _op(home, "Shape", value, start=axis, end=axis + 1)


def _symbol(home: Scope, symbol: str) -> ir.Value:
    """i64[1]: an axis of that size, or solved from one that is a multiple and an offset of it."""
    if symbol in home.axes:
        return _shape(home, symbol)
    size, factor, offset = home.multiples[symbol]
    rest = _shape(home, size)
    if offset:
        rest = _op(home, "Sub", rest, _numbers(home, [offset]))
    return _op(home, "Div", rest, _numbers(home, [factor])) if factor != 1 else rest


def _sum(home: Scope, dim: Poly) -> ir.Value:
    first, *rest = (_term(home, monomial, factor) for monomial, factor in dim.terms)
    for term in rest:
        first = _op(home, "Add", first, term)
    return first


def _term(home: Scope, monomial: Monomial, factor: int) -> ir.Value:
    atoms = [_atom(home, atom) for atom, power in monomial for _ in range(power)]
    if factor != 1 or not atoms:
        atoms.append(_numbers(home, [factor]))
    first, *rest = atoms
    for value in rest:
        first = _op(home, "Mul", first, value)
    return first


def _atom(home: Scope, atom: Atom) -> ir.Value:
    if str(atom) in home.computed:
        return home.computed[str(atom)]
    if isinstance(atom, Symbol):
        made = _symbol(home, str(atom))
    else:
        made = _floor_division(home, atom.numerator, atom.divisor)
    home.computed[str(atom)] = made
    return made


def _floor_division(home: Scope, numerator: Poly, divisor: int) -> ir.Value:
    """ONNX's Div rounds towards zero; its Mod has the sign of the divisor, as Python's."""
    top, bottom = _size(home, numerator), _numbers(home, [divisor])
    if bounds(numerator)[0] < 0:
        top = _op(home, "Sub", top, _op(home, "Mod", top, bottom))
    return _op(home, "Div", top, bottom)
