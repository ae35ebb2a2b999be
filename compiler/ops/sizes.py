"""Sizes that may be symbolic, as Python text and as ONNX values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..ir.dims import Dim, FloorDiv, Poly, Symbol, substitute
from ..ir.proofs import equal
from ..ir.shapes import TensorType
from .base import Emitter, Handle, Op

Sources = Mapping[str, TensorType]
"""Port name -> type: the tensors whose sizes an expression may ask for."""


def size_text(dim: Dim, sources: Sources) -> str | None:
    """A Python expression for a size, with the ports' placeholders: `{x}.shape[2] // 2`.

    Returns: None where the sources' sizes don't determine it.
    """
    if isinstance(dim, int):
        return str(dim)
    for port, x in sources.items():
        for axis, size in enumerate(x.shape):
            if equal(size, dim) is True:
                return f"{{{port}}}.shape[{axis}]"
    return _sum_text(dim, sources)


def _sum_text(dim: Poly, sources: Sources) -> str | None:
    text = ""
    for monomial, coefficient in dim.terms:
        atoms = [_atom_text(atom, sources) for atom, power in monomial for _ in range(power)]
        if None in atoms:
            return None
        factors = [] if abs(coefficient) == 1 and atoms else [str(abs(coefficient))]
        term = " * ".join([*factors, *map(str, atoms)])
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} {term}" if text else term if sign == "+" else f"-{term}"
    return text


def _atom_text(atom: Symbol | FloorDiv, sources: Sources) -> str | None:
    if isinstance(atom, Symbol):
        return _symbol_text(atom, sources)
    numerator = size_text(atom.numerator, sources)
    if numerator is None:
        return None
    grouped = f"({numerator})" if " " in numerator else numerator
    return f"({grouped} // {atom.divisor})"


def _symbol_text(symbol: Symbol, sources: Sources) -> str | None:
    """Solve `a * symbol + b = size` for an axis of that form."""
    for port, x in sources.items():
        for axis, size in enumerate(x.shape):
            found = _linear(size, symbol)
            if found:
                return _solved(f"{{{port}}}.shape[{axis}]", *found)
    return None


def _linear(dim: Dim, symbol: Symbol) -> tuple[int, int] | None:
    """(a, b) where dim is a * symbol + b."""
    if isinstance(dim, int):
        return None
    terms = dict(dim.terms)
    factor, offset = terms.pop(((symbol, 1),), 0), terms.pop((), 0)
    return (factor, offset) if factor > 0 and not terms else None


def _solved(size: str, factor: int, offset: int) -> str:
    if offset:
        size = f"({size} {'-' if offset > 0 else '+'} {abs(offset)})"
    return size if factor == 1 else f"({size} // {factor})"


def reshaped(e: Emitter, x: Handle, old: TensorType, shape: Sequence[Dim]) -> Handle:
    """ONNX Reshape to sizes of which several may be symbolic.

    What stays in its place is written as 0 and one more as -1, which need no computation.
    """
    sizes: list[Dim] = [_kept(old, axis, size) for axis, size in enumerate(shape)]
    unknown = [axis for axis, size in enumerate(sizes) if isinstance(size, Poly)]
    if unknown:
        sizes[unknown.pop()] = -1
    constant = [size for size in sizes if isinstance(size, int)]
    target = e.sizes(sizes) if unknown else e.ints(constant)
    return e.op("Reshape", x, target)


def _kept(old: TensorType, axis: int, size: Dim) -> Dim:
    same = axis < old.rank and isinstance(size, Poly) and equal(old.shape[axis], size) is True
    return 0 if same else size


def resized(op: Op, sizes: Callable[[Symbol], Dim]) -> Op:
    """The operator with the symbolic sizes in its arguments replaced; itself if it has none."""
    changed = {name: _argument(getattr(op, name), sizes) for name in op.attributes}
    same = all(value is getattr(op, name) for name, value in changed.items())
    return op if same else type(op)(**changed)


def _argument(value: Any, sizes: Callable[[Symbol], Dim]) -> Any:
    """An argument with its symbolic sizes replaced (`reshape: [T, 8]`); itself if it has none."""
    if isinstance(value, Poly):
        return substitute(value, sizes)
    if isinstance(value, tuple | list):
        items = [_argument(item, sizes) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if isinstance(value, dict):
        changed = {key: _argument(item, sizes) for key, item in value.items()}
        return value if all(changed[key] is value[key] for key in value) else changed
    return value
