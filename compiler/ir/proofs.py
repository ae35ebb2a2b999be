"""Questions about sizes that must hold for every value of their symbols.

They have three answers: True, False and None for "not known for every value of the symbols".
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

from .dims import Atom, Dim, FloorDiv, Poly, Symbol, collect, substitute, symbols, terms

Truth = bool | None


def _unit(symbol: Symbol) -> Dim:
    """A symbol in units of what it is a multiple of, so that divisions by it come out even."""
    step = symbol.multiple_of
    low = -(-symbol.min // step)
    high = None if symbol.max is None else symbol.max // step
    if low == high:
        return low * step
    if step == 1:
        return Poly.of(symbol)
    return Poly.of(Symbol(symbol.name, low, high)) * step


def bounds(dim: Dim) -> tuple[float, float]:
    """An interval that holds every value of a dim; infinities where there is no bound."""
    return _interval(substitute(dim, _unit))


def _interval(dim: Dim) -> tuple[float, float]:
    low = high = 0.0
    for monomial, coefficient in terms(dim):
        span = (float(coefficient), float(coefficient))
        for atom, power in monomial:
            for _ in range(power):
                span = _interval_product(span, _atom_interval(atom))
        low, high = low + span[0], high + span[1]
    return low, high


def _atom_interval(atom: Atom) -> tuple[float, float]:
    if isinstance(atom, Symbol):
        return float(atom.min), math.inf if atom.max is None else float(atom.max)
    low, high = (
        end if math.isinf(end) else end // atom.divisor for end in _interval(atom.numerator)
    )
    return low, high


def _interval_product(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    corners = [0.0 if x == 0 or y == 0 else x * y for x, y in product(a, b)]
    return min(corners), max(corners)


def equal(a: Dim, b: Dim) -> Truth:
    """Whether two dims are the same size for every value of their symbols."""
    if a == b or (isinstance(a, int) and isinstance(b, int)):
        return a == b
    difference = substitute(a, _unit) - substitute(b, _unit)
    if isinstance(difference, int):
        return difference == 0
    low, high = _interval(difference)
    if low > 0 or high < 0:
        return False
    constant = next((c for m, c in difference.terms if m == ()), 0)
    common = math.gcd(*(c for m, c in difference.terms if m != ()))
    return False if constant % common else None


def at_least(a: Dim, b: Dim) -> Truth:
    """Whether a >= b for every value of their symbols."""
    if isinstance(a, int) and isinstance(b, int):
        return a >= b
    difference = substitute(a, _unit) - substitute(b, _unit)
    low, high = _interval(difference)
    if low >= 0 or _without_floors(difference) >= 0:
        return True
    return False if high < 0 else None


def _without_floors(dim: Dim) -> float:
    """A lower bound by n/d - (d - 1)/d <= n // d <= n/d, which keeps `T - T // 2` correlated."""
    lone = [m[0][0] for m, _ in terms(dim) if len(m) == 1 and m[0][1] == 1]
    scale = math.lcm(*(atom.divisor for atom in lone if isinstance(atom, FloorDiv)))
    total: Dim = 0
    for monomial, coefficient in terms(dim):
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if isinstance(atom, FloorDiv):
            slack = atom.divisor - 1 if coefficient > 0 else 0
            total = total + (atom.numerator - slack) * (coefficient * scale // atom.divisor)
        else:
            total = total + collect({monomial: coefficient * scale})
    low = _interval(total)[0]
    return low if math.isinf(low) else math.ceil(low / scale)


def divisible(a: Dim, by: int) -> Truth:
    """Whether `by` divides a dim for every value of its symbols."""
    return equal(a % by, 0)


def settling_minimum(dim: Dim, least: int) -> tuple[str, int] | None:
    """The smallest `min` of the only symbol in `dim` that proves `dim >= least`, if any."""
    names = symbols(dim)
    if len(names) != 1:
        return None
    symbol = names.pop()

    def proves(minimum: int) -> bool:
        bounded = Poly.of(replace(symbol, min=minimum))
        return at_least(substitute(dim, lambda _: bounded), least) is True

    candidates = (symbol.min + 2**k for k in range(20))
    enough = next((c for c in candidates if proves(c)), None)
    if enough is None:
        return None
    low, high = symbol.min, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return symbol.name, high
