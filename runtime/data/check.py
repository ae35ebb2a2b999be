"""Whether the data holds what `fields` says: F601, every mistake at once, before training.

Values are looked at in chunks, once, and only where something could be wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...compiler.diagnostics import Code, Diagnostic
from ...compiler.ir.dims import Symbol
from ...compiler.objectives.base import Labels
from ...compiler.objectives.fields import Field
from .columns import Column, Columns, ConvertedColumn
from .extents import Extent, Lengths, extents_of, most, padded_size
from .padded import PaddedColumn, RaggedColumn
from .repairs import LENGTHS_HELP, finite_help, labels_help, stored_help
from .scan import Scan, Wrong, scan

CORRECT = "correct `fields` to what the file holds, or the file"


@dataclass(frozen=True)
class Allowed:
    """Where stored values may lie; None where all may.

    what: messages call them: labels, ids, lengths or values. ignored: those that may lie anywhere.
    """

    interval: tuple[float, float] | None
    what: str = "values"
    ignored: frozenset[int] = frozenset()

    def __str__(self) -> str:
        assert self.interval
        return f"{self.what} from {self.interval[0]:g} to {self.interval[1]:g}"

    @property
    def total(self) -> int:
        """How many labels or ids there are."""
        assert self.interval
        return int(self.interval[1]) + 1


class Checker:
    """Checks the parts of the data against their fields, and collects what is wrong.

    Args:
        fields: resolved fields. dims: the symbols that shapes name.
        labels: field -> what the losses that read it need.
        vocabularies: the fields whose classes need not all occur among the training samples.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        dims: Mapping[str, Symbol],
        labels: Mapping[str, Labels],
        vocabularies: frozenset[str] = frozenset(),
    ) -> None:
        self._fields, self._dims, self._labels = fields, dims, labels
        self._vocabularies = vocabularies
        self.problems: list[Diagnostic] = []

    def conform(self, columns: Columns, part: str, *, trains: bool = False) -> dict[str, Column]:
        """The columns of one part as their fields declare them.

        Axes of size 1 are added or dropped, integers are converted where every value fits; nothing
        else is changed. Mistakes are added to `problems`.

        Args:
            part: what messages call it: `the test samples`.
            trains: whether every class that has a name must occur, but for vocabularies.
        """
        before = len(self.problems)
        found: dict[str, Column] = {}
        lengths = real_lengths(columns, self._fields)
        for name, field in self._fields.items():
            if name not in columns:
                known = ", ".join(f"`{other}`" for other in columns)
                self._add(f"expected a field `{name}` in {part}, found {known}")
                continue
            stored = self._sized(name, columns[name], field, part)
            column = None if stored is None else self._shaped(name, stored, field, part)
            if stored is not None and column is not None:
                if name in lengths and column.shape == stored.shape:
                    stored = PaddedColumn(stored, Extent.of(lengths[name]))
                self._values(name, {**columns, name: stored}, field, part, trains)
                found[name] = column
        if len(self.problems) > before:
            return found
        self._relate(found, part)
        return found if len(self.problems) > before else self._padded(found, lengths)

    def _padded(
        self, columns: Mapping[str, Column], lengths: Mapping[str, Lengths]
    ) -> dict[str, Column]:
        """The columns with their extents, by which batches are cut."""
        sizes = {name: columns[name].shape[1] for name in lengths}
        extents = extents_of(self._fields, self._dims, lengths, sizes)
        return {
            name: PaddedColumn(column, extents[name]) if name in extents else column
            for name, column in columns.items()
        }

    def _add(self, message: str, help: str = CORRECT) -> None:  # noqa: A002 - as in Diagnostic
        self.problems.append(Diagnostic(Code.F601, message, help=help))

    def _sized(self, name: str, column: Column, field: Field, part: str) -> Column | None:
        """Samples of different lengths with the size that they are padded to; others as they are.

        None after telling that one is too long.
        """
        if not isinstance(column, RaggedColumn):
            return column
        assert field.shape is not None
        assert column.extent is not None
        declared, lengths = field.shape[1], column.extent.lengths
        limit = most(declared, self._dims)
        if limit is not None and column.extent.longest > limit:
            sample, such = int(lengths.argmax()), int((lengths > limit).sum())
            more = f" ({such:,} such samples)" if such > 1 else ""
            raised = "the size" if isinstance(declared, int) else f"the `max` of `{declared}`"
            self._add(
                f"expected samples of at most {limit} elements along axis 1 of `{name}`, found "
                f"{column.extent.longest} in {column.where(sample)}{more}, in {part}",
                f"raise {raised}, or cut such samples",
            )
            return None
        return column.resized(padded_size(column.extent.longest, declared, self._dims))

    def _shaped(self, name: str, column: Column, field: Field, part: str) -> Column | None:
        """The column with the declared rank and element type; None after telling why not."""
        assert field.shape is not None
        assert field.dtype is not None
        sample = self._sample(column, field.shape)
        dtype = np.dtype(field.dtype)
        if sample is None or not _convertible(column.dtype, dtype):
            wanted = f"{field.dtype}[{', '.join(map(str, field.shape))}]"
            found = f"{column.dtype}[{', '.join(map(str, column.shape))}]"
            place = f"{part} of `{column.file}`" if column.file else part
            step = None  # of samples of different lengths, no shape says how they are stored
            if not isinstance(column, RaggedColumn):
                step = stored_help(name, column.dtype, column.shape, field)
            self._add(f"expected `{name}` as {wanted}, found {found}, in {place}", step or CORRECT)
            return None
        if sample == column.shape[1:] and dtype == column.dtype:
            return column
        return ConvertedColumn(column, dtype, sample)

    def _sample(self, column: Column, shape: Sequence[int | str]) -> tuple[int, ...] | None:
        """The sizes of a sample with axes of size 1 as declared; None where they do not fit."""
        sizes = with_rank(column.shape, shape)
        if len(sizes) != len(shape):
            return None
        pairs = list(zip(sizes, shape, strict=True))[1:]
        fits = all(_size_fits(size, declared, self._dims) for size, declared in pairs)
        return tuple(sizes[1:]) if fits else None

    def _values(self, name: str, columns: Columns, field: Field, part: str, trains: bool) -> None:
        """Look at the values of a column of the right shape, as they are stored."""
        column = columns[name]
        if 0 in column.shape:
            message = f"expected samples in `{name}`, found none, in {part}"
            self._add(message, "add samples to the file, or name another one")
            return
        allowed = self._allowed(name, columns, field)
        counted = trains and name not in self._vocabularies
        named = len(field.classes or ()) if counted else 0
        if not named and allowed.interval is None and column.dtype.kind != "f":
            return
        seen = scan(column, allowed.interval, ignored=allowed.ignored, labels=named)
        if seen.infinite:
            first = _first(column, seen.infinite, part)
            self._add(f"expected finite numbers in `{name}`, {first}", finite_help(name, column))
        elif seen.outside:
            first = _first(column, seen.outside, part)
            self._add(f"expected {allowed} in `{name}`, {first}", self._step(name, allowed, seen))
        else:
            self._empty_classes(name, field, seen)

    def _allowed(self, name: str, columns: Columns, field: Field) -> Allowed:
        if longest := self._longest(name, columns):
            low, high = field.raw_range or (1, longest)
            return Allowed((max(1, low), min(longest, high)), "lengths")
        rules = self._labels.get(name, Labels())
        total = field.class_total or rules.count or rules.room
        if total is None:
            return Allowed(_interval(columns[name], field))
        what = "labels" if field.classes or self._is_judged(name) else "ids"
        return Allowed((0, total - 1), what, rules.ignored)

    def _longest(self, name: str, columns: Columns) -> int | None:
        """The most that a field may hold whose values are lengths; None where they are not.

        None too where the padded field has not the axes that it should have, which is told.
        """
        padded = [(n, f) for n, f in self._fields.items() if f.lengths == name and n in columns]
        shapes = [with_rank(columns[n].shape, f.shape or []) for n, f in padded]
        return min((shape[1] for shape in shapes if len(shape) > 1), default=0) or None

    def _step(self, name: str, allowed: Allowed, seen: Scan) -> str:
        """The next step for values beyond what is allowed."""
        if allowed.what == "lengths":
            return LENGTHS_HELP
        if allowed.what == "values":
            return CORRECT
        return labels_help(name, seen, allowed.total, allowed.what, self._is_judged(name))

    def _is_judged(self, name: str) -> bool:
        """Whether a loss of classes reads a field, not a layer that looks ids up alone."""
        rules = self._labels.get(name)
        return rules is not None and (rules.room is None or rules.count is not None)

    def _empty_classes(self, name: str, field: Field, seen: Scan) -> None:
        ignored = self._labels.get(name, Labels()).ignored
        empty = [int(i) for i in np.flatnonzero(seen.counts == 0) if int(i) not in ignored]
        if empty and field.classes:
            self._add(*no_samples(name, [field.classes[index] for index in empty]))

    def _relate(self, columns: Columns, part: str) -> None:
        """Mistakes between fields: unequal counts, sizes of one symbol."""
        counts = {name: len(column) for name, column in columns.items()}
        if len(set(counts.values())) > 1:
            text = ", ".join(f"`{name}` {count}" for name, count in counts.items())
            self._add(f"expected as many samples in every field, found {text}, in {part}")
            return
        for message in _symbol_clashes(columns, self._fields):
            self._add(f"{message}, in {part}")


def real_lengths(columns: Columns, fields: Mapping[str, Field]) -> dict[str, Lengths]:
    """Field with `lengths` -> those of its samples, i64[N], where they are good.

    Of others, `Checker` tells what is wrong with them.
    """
    found = {}
    for name, field in fields.items():
        own, counted = columns.get(name), columns.get(field.lengths or "")
        if own is None or counted is None or counted.dtype.kind not in "iu":
            continue
        lengths, shape = counted.whole(), with_rank(own.shape, field.shape or [])
        fits = len(shape) > 1 and lengths.size == len(own) and lengths.size > 0
        if fits and lengths.min() >= 1 and lengths.max() <= shape[1]:
            found[name] = lengths.reshape(-1).astype(np.int64)
    return found


def _first(column: Column, wrong: Wrong, part: str) -> str:
    """Where the first of some wrong values is, and how many there are."""
    such = f" ({wrong.count:,} such values)" if wrong.count > 1 else ""
    several = not column.in_table and prod(column.shape[1:]) > 1
    place = f" at {list(wrong.place)}" if several else ""
    return f"found {wrong.value:g} in {column.where(wrong.index)}{place}{such}, in {part}"


def no_samples(name: str, classes: Sequence[str]) -> tuple[str, str]:
    """The message for classes that nothing can be learnt of, and the next step."""
    shown = ", ".join(f"`{label}`" for label in classes[:5])
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return (
        f"expected training samples of every class of `{name}`, found none of {shown}{more}",
        "add samples, or take the name out of `classes`; where a class may stay empty, write "
        "`below:` with the number of classes in place of `classes`",
    )


def with_rank(sizes: tuple[int, ...], shape: Sequence[int | str]) -> tuple[int, ...]:
    """Add or drop axes of size 1 where that gives the declared sizes."""
    if len(sizes) in (0, len(shape)) or not all(isinstance(size, int) for size in shape[1:]):
        return sizes
    sample = tuple(int(size) for size in shape[1:])
    if [s for s in sizes[1:] if s != 1] != [s for s in sample if s != 1]:
        return sizes
    return (sizes[0], *sample)


def _size_fits(size: int, declared: int | str, dims: Mapping[str, Symbol]) -> bool:
    if isinstance(declared, int):
        return size == declared
    symbol = dims[declared]
    fits_above = symbol.max is None or size <= symbol.max
    return symbol.min <= size and fits_above and size % symbol.multiple_of == 0


def _convertible(stored: np.dtype[Any], declared: np.dtype[Any]) -> bool:
    """Whether values of one type may become the other; of integers, `_interval` says which."""
    if stored.kind not in "biuf":
        return False
    whole = stored.kind in "iu" and declared.kind in "iub"
    return whole or np.can_cast(stored, declared, "safe")


def _interval(column: Column, field: Field) -> tuple[float, float] | None:
    """Where stored values may lie that are no labels; None where all may."""
    limits = _type_limits(column.dtype)
    allowed = field.range or _type_limits(np.dtype(field.dtype or ""))
    if allowed is None or (limits and allowed[0] <= limits[0] and limits[1] <= allowed[1]):
        return None
    return allowed[0], allowed[1]


def _type_limits(dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """What an integer type can hold; None for others."""
    if dtype.kind not in "iu":
        return (0, 1) if dtype.kind == "b" else None
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _symbol_clashes(columns: Columns, fields: Mapping[str, Field]) -> Iterator[str]:
    seen: dict[str, tuple[int, str]] = {}
    for name, field in fields.items():
        for size, declared in list(zip(columns[name].shape, field.shape or [], strict=True))[1:]:
            if isinstance(declared, int):
                continue
            known, owner = seen.setdefault(declared, (size, name))
            if known != size:
                yield (
                    f"expected one size {declared}, found {known} in `{owner}` and {size} in "
                    f"`{name}`"
                )
