"""How long samples are where they differ along axis 1, and how far batches are padded. Torch-free.

A batch is padded to its own longest sample, not to the longest of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...compiler.ir.dims import Symbol
from ...compiler.objectives.fields import Field

Lengths = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Extent:
    """The lengths of a field's samples, each at least 1.

    lengths: i64[N], how many elements along axis 1 are real.
    reach: i64[N], the longest of each sample among the fields whose axis 1 has the same size.
    step, least: batches are padded to a multiple of `step`, and to `least` or more.
    group: the same for fields whose lengths and sizes are the same.
    """

    lengths: Lengths
    reach: Lengths
    step: int = 1
    least: int = 1
    group: tuple[str, str] = ("", "")

    @staticmethod
    def of(lengths: Lengths) -> Extent:
        """Of a field that shares its size with no other one."""
        return Extent(lengths, lengths)

    @property
    def longest(self) -> int:
        return int(self.lengths.max(initial=0))

    @property
    def varies(self) -> bool:
        """Whether batches differ in size."""
        sizes = {self._padded(int(reach)) for reach in np.unique(self.reach)}
        return len(sizes) > 1

    def size(self, indices: Lengths) -> int:
        """How many elements a batch of these samples has along axis 1."""
        return self._padded(int(self.reach[indices].max()))

    def _padded(self, longest: int) -> int:
        return max(self.least, -(-longest // self.step) * self.step)

    def take(self, indices: Lengths) -> Extent:
        return replace(self, lengths=self.lengths[indices], reach=self.reach[indices])


def extents_of(
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
    lengths: Mapping[str, Lengths],
    sizes: Mapping[str, int],
) -> dict[str, Extent]:
    """The extent of each field that has `lengths`.

    Batches are cut along a size only where that is safe: each field that names it does so on axis 1
    and has `lengths`. Others are padded to the whole size.

    Args:
        lengths: field -> those of its samples. sizes: the same fields -> the whole axis 1.
    """
    found = {}
    for name, own in lengths.items():
        declared = (fields[name].shape or [])[1]
        group = (fields[name].lengths or "", str(declared))
        if isinstance(declared, str) and _is_cut(declared, fields):
            symbol = dims[declared]
            step, sharing = symbol.multiple_of, _sharing(declared, fields)
            reach = np.maximum.reduce([lengths[other] for other in sharing])
            found[name] = Extent(own, reach, step, least(symbol), group)
        else:
            found[name] = Extent(own, own, 1, sizes[name], group)
    return found


def least(symbol: Symbol) -> int:
    """The smallest size that a symbol may have."""
    step = symbol.multiple_of
    return -(-symbol.min // step) * step


def padded_size(longest: int, declared: int | str, dims: Mapping[str, Symbol]) -> int:
    """The size of an axis that takes so many elements; the symbol's limit is not looked at.

    declared: a number, or the name of a size.
    """
    if isinstance(declared, int):
        return declared
    step = dims[declared].multiple_of
    return max(least(dims[declared]), -(-longest // step) * step)


def most(declared: int | str, dims: Mapping[str, Symbol]) -> int | None:
    """The largest size that an axis may have; None where there is no limit."""
    if isinstance(declared, int):
        return declared
    limit, step = dims[declared].max, dims[declared].multiple_of
    return None if limit is None else limit // step * step


def _is_cut(symbol: str, fields: Mapping[str, Field]) -> bool:
    return all(
        axis == 1 and field.lengths is not None
        for field in fields.values()
        for axis, size in enumerate(field.shape or [])
        if size == symbol
    )


def _sharing(symbol: str, fields: Mapping[str, Field]) -> list[str]:
    return [name for name, field in fields.items() if symbol in (field.shape or [])]
