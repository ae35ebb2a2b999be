"""Arithmetic with sizes, known and symbolic.

A `Dim` is an int or a `Poly`: a polynomial with int coefficients whose atoms are symbols (`B`,
`H`) and floor divisions (`(H - 1) // 2`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product


@dataclass(frozen=True)
class Symbol:
    """A size fixed only when the network runs: min <= size <= max, a multiple of something."""

    name: str
    min: int = 1
    max: int | None = None
    multiple_of: int = 1

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FloorDiv:
    """The atom `numerator // divisor` that could not be divided out; divisor >= 2."""

    numerator: Poly
    divisor: int

    def __str__(self) -> str:
        return f"{_parenthesised(self.numerator)} // {self.divisor}"


Atom = Symbol | FloorDiv
Monomial = tuple[tuple[Atom, int], ...]
"""Atoms with their powers, sorted by their text; () is the constant term."""


@dataclass(frozen=True)
class Poly:
    """A sum of terms, at least one of them not constant. Made by arithmetic, not by hand."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def of(symbol: Symbol) -> Poly:
        return Poly(((((symbol, 1),), 1),))

    def __add__(self, other: Dim) -> Dim:
        total = dict(self.terms)
        for monomial, coefficient in terms(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return collect(total)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + (-other)

    def __rsub__(self, other: Dim) -> Dim:
        return (-self) + other

    def __mul__(self, other: Dim) -> Dim:
        total: dict[Monomial, int] = {}
        for (left, a), (right, b) in product(self.terms, terms(other)):
            monomial = _multiply(left, right)
            total[monomial] = total.get(monomial, 0) + a * b
        return collect(total)

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Dim:
        power: Dim = 1
        for _ in range(exponent):
            power = power * self
        return power

    def __floordiv__(self, divisor: Dim) -> Dim:
        if isinstance(divisor, Poly):
            return self._exact_division(divisor)
        if divisor == 0:
            raise ZeroDivisionError("division by zero")
        if divisor < 0:
            return (-self) // -divisor
        return _floor_divide(self, divisor)

    def __rfloordiv__(self, other: int) -> Dim:
        raise ValueError(f"cannot divide {other} by the symbolic size {self}")

    def _exact_division(self, divisor: Poly) -> Dim:
        if self == divisor:
            return 1
        if len(divisor.terms) == 1:
            (factors, scale), total = divisor.terms[0], {}
            for monomial, coefficient in self.terms:
                rest = _divide(monomial, factors)
                if rest is None or coefficient % scale:
                    break
                total[rest] = coefficient // scale
            else:
                return collect(total)
        raise ValueError(f"cannot divide {self} by the symbolic size {divisor}")

    def __mod__(self, divisor: Dim) -> Dim:
        return self - divisor * (self // divisor)

    def __rmod__(self, other: int) -> Dim:
        return other - self * (other // self)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    @cached_property
    def _text(self) -> str:
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            text = _term_text(monomial, abs(coefficient))
            sign = "-" if coefficient < 0 else "+"
            if not parts and coefficient == -1 and _is_division(monomial):
                text = f"({text})"  # -N // 2 would read as (-N) // 2
            parts.append(f" {sign} {text}" if parts else text if sign == "+" else f"-{text}")
        return "".join(parts)


Dim = int | Poly


def terms(dim: Dim) -> Iterable[tuple[Monomial, int]]:
    """The monomials of a dim with their coefficients; a number is one constant term."""
    return dim.terms if isinstance(dim, Poly) else (((), dim),)


def collect(total: Mapping[Monomial, int]) -> Dim:
    """The dim with these terms; those with coefficient 0 fall out."""
    kept = sorted(
        ((m, c) for m, c in total.items() if c),
        key=lambda term: (-sum(power for _, power in term[0]), str([str(a) for a, _ in term[0]])),
    )
    if not kept:
        return 0
    if kept[0][0] == ():
        return kept[0][1]
    return Poly(tuple(kept))


def _multiply(left: Monomial, right: Monomial) -> Monomial:
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _divide(monomial: Monomial, factors: Monomial) -> Monomial | None:
    powers = dict(monomial)
    for atom, power in factors:
        powers[atom] = powers.get(atom, 0) - power
    if any(power < 0 for power in powers.values()):
        return None
    return tuple((atom, power) for atom, power in powers.items() if power)


def _floor_divide(dim: Poly, divisor: int) -> Dim:
    """Divide out every term that comes out even; what is left becomes one floor division."""
    whole: Dim = 0
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in dim.terms:
        if monomial == () or coefficient % divisor == 0:
            whole = whole + collect({monomial: coefficient // divisor})
            rest[()] = coefficient % divisor if monomial == () else rest.get((), 0)
        elif coefficient * _known_factor(monomial) % divisor == 0 and len(dim.terms) > 1:
            whole = whole + collect({monomial: coefficient}) // divisor
        else:
            rest[monomial] = coefficient
    left = collect(rest)
    if isinstance(left, int):  # 0 <= left < divisor
        return whole
    return whole + _nested(left, divisor)


def _known_factor(monomial: Monomial) -> int:
    """A number that divides a product of symbols, by what they are multiples of."""
    factor = 1
    for atom, power in monomial:
        if isinstance(atom, Symbol):
            factor *= atom.multiple_of**power
    return factor


def _nested(dim: Poly, divisor: int) -> Dim:
    """`(a // b + k) // c` is `(a + k*b) // (b*c)`; anything else becomes an atom."""
    constant = next((c for m, c in dim.terms if m == ()), 0)
    others = [(m, c) for m, c in dim.terms if m != ()]
    if len(others) == 1 and others[0][1] == 1 and len(others[0][0]) == 1:
        atom, power = others[0][0][0]
        if isinstance(atom, FloorDiv) and power == 1:
            return (atom.numerator + constant * atom.divisor) // (atom.divisor * divisor)
    return Poly(((((FloorDiv(dim, divisor), 1),), 1),)) if divisor > 1 else dim


def _is_division(monomial: Monomial) -> bool:
    return len(monomial) == 1 and isinstance(monomial[0][0], FloorDiv) and monomial[0][1] == 1


def _parenthesised(dim: Dim) -> str:
    text = str(dim)
    return f"({text})" if " " in text or "*" in text else text


def _term_text(monomial: Monomial, coefficient: int) -> str:
    if not monomial:
        return str(coefficient)
    alone = len(monomial) == 1 and coefficient == 1 and monomial[0][1] == 1
    factors = [] if coefficient == 1 else [str(coefficient)]
    for atom, power in monomial:
        text = str(atom)
        wrapped = f"({text})" if isinstance(atom, FloorDiv) and not alone else text
        factors.append(wrapped if power == 1 else f"{wrapped}**{power}")
    return "*".join(factors)


def symbols(dim: Dim) -> set[Symbol]:
    """Every symbol that a dim depends on."""
    found: set[Symbol] = set()
    for monomial, _ in terms(dim):
        for atom, _ in monomial:
            found |= {atom} if isinstance(atom, Symbol) else symbols(atom.numerator)
    return found


def symbol_of(dim: object) -> Symbol | None:
    """The symbol that a size is, if it is nothing else."""
    if not isinstance(dim, Poly) or len(symbols(dim)) != 1:
        return None
    (symbol,) = symbols(dim)
    return symbol if dim == Poly.of(symbol) else None


def substitute(dim: Dim, values: Callable[[Symbol], Dim]) -> Dim:
    """Replace every symbol by what `values` gives for it."""
    total: Dim = 0
    for monomial, coefficient in terms(dim):
        term: Dim = coefficient
        for atom, power in monomial:
            if isinstance(atom, Symbol):
                base = values(atom)
            else:
                base = substitute(atom.numerator, values) // atom.divisor
            term = term * base**power
        total = total + term
    return total


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The number that a dim stands for when every symbol has the given size.

    Raises: KeyError: a symbol has no size.
    """
    value = substitute(dim, lambda symbol: sizes[symbol.name])
    assert isinstance(value, int)
    return value
