"""Symbolic sizes and tensor types.

A `Dim` is an int or a `Poly`: a polynomial with int coefficients whose atoms are symbols (`B`,
`H`) and floor divisions (`(H - 1) // 2`). Questions about dims have three answers: True, False and
None for "not known for every value of the symbols".
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import product

Truth = bool | None


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
        for monomial, coefficient in _terms(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return _collect(total)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + (-other)

    def __rsub__(self, other: Dim) -> Dim:
        return (-self) + other

    def __mul__(self, other: Dim) -> Dim:
        total: dict[Monomial, int] = {}
        for (left, a), (right, b) in product(self.terms, _terms(other)):
            monomial = _multiply(left, right)
            total[monomial] = total.get(monomial, 0) + a * b
        return _collect(total)

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
                return _collect(total)
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


def _terms(dim: Dim) -> Iterable[tuple[Monomial, int]]:
    return dim.terms if isinstance(dim, Poly) else (((), dim),)


def _collect(total: Mapping[Monomial, int]) -> Dim:
    terms = sorted(
        ((m, c) for m, c in total.items() if c),
        key=lambda term: (-sum(power for _, power in term[0]), str([str(a) for a, _ in term[0]])),
    )
    if not terms:
        return 0
    if terms[0][0] == ():
        return terms[0][1]
    return Poly(tuple(terms))


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
            whole = whole + _collect({monomial: coefficient // divisor})
            rest[()] = coefficient % divisor if monomial == () else rest.get((), 0)
        elif coefficient * _known_factor(monomial) % divisor == 0 and len(dim.terms) > 1:
            whole = whole + _collect({monomial: coefficient}) // divisor
        else:
            rest[monomial] = coefficient
    left = _collect(rest)
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


# Questions


def symbols(dim: Dim) -> set[Symbol]:
    """Every symbol that a dim depends on."""
    found: set[Symbol] = set()
    for monomial, _ in _terms(dim):
        for atom, _ in monomial:
            found |= {atom} if isinstance(atom, Symbol) else symbols(atom.numerator)
    return found


def substitute(dim: Dim, values: Callable[[Symbol], Dim]) -> Dim:
    """Replace every symbol by what `values` gives for it."""
    total: Dim = 0
    for monomial, coefficient in _terms(dim):
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
    for monomial, coefficient in _terms(dim):
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
    lone = [m[0][0] for m, _ in _terms(dim) if len(m) == 1 and m[0][1] == 1]
    scale = math.lcm(*(atom.divisor for atom in lone if isinstance(atom, FloorDiv)))
    total: Dim = 0
    for monomial, coefficient in _terms(dim):
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if isinstance(atom, FloorDiv):
            slack = atom.divisor - 1 if coefficient > 0 else 0
            total = total + (atom.numerator - slack) * (coefficient * scale // atom.divisor)
        else:
            total = total + _collect({monomial: coefficient * scale})
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


# Types


class DType(StrEnum):
    """Element types, named as messages print them."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I64 = "i64"
    I32 = "i32"
    U8 = "u8"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        return self in (DType.F64, DType.F32, DType.F16, DType.BF16)


SPEC_DTYPES = {
    "float64": DType.F64,
    "float32": DType.F32,
    "float16": DType.F16,
    "bfloat16": DType.BF16,
    "int64": DType.I64,
    "int32": DType.I32,
    "uint8": DType.U8,
    "bool": DType.BOOL,
}
"""The words of the spec language (numpy's and torch's names) for each element type."""


@dataclass(frozen=True)
class TensorType:
    """An element type and a shape: `f32[B, 64, 28, 28]`. Axis 0 is the batch where there is one."""

    dtype: DType
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_axis(self, axis: int, size: Dim) -> TensorType:
        """The same type with another size along one axis; a negative axis counts from the end."""
        shape = list(self.shape)
        shape[axis] = size
        return self.with_shape(shape)

    def symbols(self) -> set[Symbol]:
        return set().union(*map(symbols, self.shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def elements(shape: Iterable[Dim]) -> Dim:
    """The product of sizes: how many elements a tensor has."""
    count: Dim = 1
    for size in shape:
        count = count * size
    return count


def substitute_type(tensor: TensorType, values: Callable[[Symbol], Dim]) -> TensorType:
    return tensor.with_shape(substitute(size, values) for size in tensor.shape)


def parse_dim(text: str, known: Mapping[str, Symbol] | None = None) -> Dim:
    """Read a printed dim: `(H - 1) // 2 + 1`. Names not in `known` become unbounded symbols.

    Raises: ValueError: the text is not a dim.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"not a size: {text!r}") from error
    return _read(tree, known or {})


def _read(tree: ast.expr, known: Mapping[str, Symbol]) -> Dim:
    match tree:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return Poly.of(known.get(name) or Symbol(name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read(operand, known)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            return _read(left, known) ** power
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_read(left, known), _read(right, known))
    raise ValueError(f"not a size: {ast.unparse(tree)!r}")


_ARITHMETIC: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}


def parse_type(text: str, known: Mapping[str, Symbol] | None = None) -> TensorType:
    """Read a printed type: `f32[B, 3, H, W]`.

    Raises: ValueError: the text is not a type.
    """
    dtype, bracket, rest = text.strip().partition("[")
    if not bracket or not rest.endswith("]") or dtype not in set(DType):
        raise ValueError(f"not a tensor type: {text!r}")
    sizes = [part for part in rest[:-1].split(",") if part.strip()]
    return TensorType(DType(dtype), tuple(parse_dim(size, known) for size in sizes))


def shape_text(shape: Iterable[Dim]) -> str:
    return f"[{', '.join(map(str, shape))}]"
