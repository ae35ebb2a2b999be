"""Samples of different lengths: one array of all values, one of where samples begin. Torch-free.

Whether the offsets cut the values into samples is checked here: F601.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...compiler.diagnostics import Code, NetwrightError, failure
from .columns import Array, ArrayColumn, Column, Columns, Indices
from .padded import RaggedColumn


def ragged(values: Column, offsets: Column, field: str, name: str) -> RaggedColumn:
    """The samples of a field.

    Args:
        values: [total, ...]. offsets: i[N + 1]. name: what messages call these.
    Raises: NetwrightError: F601.
    """
    return RaggedColumn(values, checked_offsets(offsets, len(values), field, name))


def lengths_of(columns: Columns, holders: Mapping[str, str | None], file: str) -> dict[str, Column]:
    """The fields that hold the lengths of samples, as the offsets give them.

    Args:
        holders: field -> the one that holds its lengths.
    Raises: NetwrightError: F601: fields that share them have samples of other lengths.
    """
    found: dict[str, tuple[Indices, str]] = {}
    for name, column in columns.items():
        if not isinstance(column, RaggedColumn) or column.extent is None:
            continue
        lengths = column.extent.lengths
        known, owner = found.setdefault(holders[name] or "", (lengths, name))
        if not np.array_equal(known, lengths):
            raise _unequal(owner, known, name, lengths, file)
    return {name: ArrayColumn(lengths, file) for name, (lengths, _) in found.items()}


def _unequal(owner: str, known: Indices, name: str, lengths: Indices, file: str) -> NetwrightError:
    help_ = "give them the same offsets, or `lengths` of their own"
    if len(known) != len(lengths):
        found = f"{len(known):,} in `{owner}` and {len(lengths):,} in `{name}`"
        return failure(
            Code.F601, f"expected as many samples in both, found {found}, in `{file}`", help=help_
        )
    sample = int(np.flatnonzero(known != lengths)[0])
    return failure(
        Code.F601,
        f"expected the samples of `{owner}` and `{name}` to have the same lengths, found "
        f"{known[sample]} and {lengths[sample]} in sample {sample} of `{file}`",
        help=help_,
    )


def checked_offsets(column: Column, total: int, field: str, name: str) -> Indices:
    """Offsets that cut `total` elements into samples of one element at least, as i64[N + 1].

    Raises: NetwrightError: F601.
    """
    place = f"`{name}` of `{column.file}`" if column.file else f"`{name}`"
    if column.dtype.kind not in "iu" or len(column.shape) != 1 or len(column) < 2:
        shape = ", ".join(map(str, column.shape))
        raise _wrong(
            f"expected the offsets of `{field}`, integers [N + 1], in {place}, found "
            f"{column.dtype}[{shape}]"
        )
    offsets = column.whole().astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != total:
        raise _wrong(
            f"expected offsets from 0 to {total}, which `{field}` has elements, in {place}, found "
            f"{offsets[0]} to {offsets[-1]}"
        )
    _check_ascending(offsets, field, place)
    return offsets


def _check_ascending(offsets: Array, field: str, place: str) -> None:
    lengths = np.diff(offsets)
    wrong = np.flatnonzero(lengths < 1)
    if not wrong.size:
        return
    first, such = int(wrong[0]), f" ({wrong.size:,} such samples)" if wrong.size > 1 else ""
    if (lengths < 0).any():
        first = int(np.flatnonzero(lengths < 0)[0])
        raise _wrong(
            f"expected ascending offsets in {place}, found {offsets[first + 1]} after "
            f"{offsets[first]}, at {first + 1}"
        )
    raise failure(
        Code.F601,
        f"expected samples of one element at least in `{field}`, found sample {first} without any "
        f"by {place}{such}",
        help="leave empty samples out; there is nothing that a network could read",
    )


def _wrong(message: str) -> NetwrightError:
    return failure(
        Code.F601,
        message,
        help="sample i lies from `offsets[i]` to before `offsets[i + 1]`: "
        "`numpy.concatenate([[0], numpy.cumsum(lengths)])` makes them",
    )
