"""What the values of a part of the data are like: ranges, means, classes, samples that repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, Columns, Indices, as_columns, count, storage_of, take, total_bytes

MOST_BYTES, MOST_DECODED = 1 << 30, 1 << 28
"""How much of a part is looked at, and how much of one whose images are to be decoded; of more,
samples at even distances stand for all."""


@dataclass(frozen=True)
class Numbers:
    """Values as stored. mean, std: one number each, or [n] along one axis."""

    low: float
    high: float
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def whole(self) -> tuple[float, float]:
        """Mean and deviation of all values together."""
        mean, squares = self.mean.mean(), (self.std**2).mean() + self.mean.var()
        return float(mean), float(np.sqrt(squares))


def is_looked_at_whole(columns: Columns) -> bool:
    """Whether a part is small enough for every sample of it to be looked at."""
    return total_bytes(columns) <= _most(columns)


def looked_at(columns: Columns) -> Columns:
    """The samples that are looked at: all, or some of them at even distances.

    Images that would be decoded again for each look are decoded once.
    """
    total, size, most = count(columns), total_bytes(columns), _most(columns)
    decodes = storage_of(columns) == "files"
    if size > most:
        wanted = max(1, total * most // size)
        columns = take(columns, np.arange(wanted, dtype=np.int64) * total // wanted)
    return as_columns({n: c.whole() for n, c in columns.items()}) if decodes else columns


def _most(columns: Columns) -> int:
    return MOST_DECODED if storage_of(columns) == "files" else MOST_BYTES


def numbers(column: Column, *, axis: int | None = None) -> Numbers:
    """Range, mean and standard deviation (of all values, not of a sample of them; no padding).

    Args:
        axis: for each index of this one apart: channels of images, columns of a table. Not the
            one along which samples differ in length.
    Source: sums of chunks joined by the update of Chan, Golub and LeVeque 1983.
    """
    low, high, seen = np.inf, -np.inf, 0
    rank = len(column.shape)
    mean: NDArray[np.float64] = np.zeros(() if axis is None else column.shape[axis])
    squares = np.zeros_like(mean)
    # Elements of samples that differ in length have no axis 1: counted from the end, axes stay.
    last = None if axis is None else axis % rank - rank
    for _, values in column.elements():
        axes = tuple(i for i in range(values.ndim) if last is None or i != last + values.ndim)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        fine = values.astype(np.float64)
        size = fine.size // max(mean.size, 1)
        own = fine.mean(axis=axes)
        shift, total = own - mean, seen + size
        squares += fine.var(axis=axes) * size + shift**2 * seen * size / total
        mean += shift * size / total
        seen = total
    return Numbers(low, high, mean, np.sqrt(squares / max(seen, 1)))


def class_counts(column: Column, total: int) -> NDArray[np.int64]:
    """How often each label from 0 to below `total` occurs: [total]."""
    counts = np.zeros(total, np.int64)
    for _, values in column.elements():
        known = values[(values >= 0) & (values < total)].astype(np.int64)
        counts += np.bincount(known.ravel(), minlength=total)
    return counts


def fingerprints(columns: Columns) -> NDArray[np.bytes_]:
    """A mark for each sample, the same for the same values of all fields: S16[N]."""
    marks = np.zeros(count(columns), "S16")
    step = 1024
    for start in range(0, len(marks), step):
        indices = np.arange(start, min(start + step, len(marks)))
        rows = [(column.take(indices), _lengths(column, indices)) for column in columns.values()]
        for index in range(len(indices)):
            digest = blake2b(digest_size=16)
            for values, lengths in rows:
                real = values[index] if lengths is None else values[index, : lengths[index]]
                digest.update(real.tobytes())
            marks[start + index] = digest.digest()
    return marks


def _lengths(column: Column, indices: Indices) -> Indices | None:
    return None if column.extent is None else column.extent.lengths[indices]


@dataclass(frozen=True)
class Repeats:
    """Samples whose inputs occur before.

    within: in the training samples. conflicting: of these, how many have another label there.
    shared: part -> how many of its samples are training samples, too.
    """

    within: int
    conflicting: int
    shared: Mapping[str, int]


def repeats(
    train: Columns, others: Mapping[str, Columns], labels: str | None, inputs: list[str]
) -> Repeats:
    """Look for samples that repeat.

    Args:
        labels: the field with one label per sample. inputs: the fields that make a sample.
    """
    marks = fingerprints(_only(train, inputs))
    _, first, back = np.unique(marks, return_index=True, return_inverse=True)
    conflicting = 0
    if labels is not None:
        values = train[labels].whole()
        conflicting = int((values != values[first[back]]).sum())
    shared = {
        name: int(np.isin(fingerprints(_only(part, inputs)), marks).sum())
        for name, part in others.items()
        if count(part)
    }
    return Repeats(len(marks) - len(first), conflicting, shared)


def _only(columns: Columns, names: list[str]) -> Columns:
    return {name: columns[name] for name in names}


def of_each_class(labels: NDArray[Any], most: int) -> Indices:
    """Samples that show every class: of each in turn one more, drawn by chance, but always alike.

    Args: labels: [N]. most: how many samples at most.
    Returns: their indices, ordered by label.
    """
    drawn = np.random.Generator(np.random.PCG64(0)).permutation(len(labels))
    order = drawn[np.argsort(labels[drawn], kind="stable")]
    ordered = labels[order]
    turn = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    first = np.lexsort((ordered, turn))[:most]
    chosen: Indices = order[np.sort(first)]
    return chosen
