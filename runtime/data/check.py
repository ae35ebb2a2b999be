"""Whether the data holds what `fields` says: F601, every mistake at once, before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError
from ...compiler.ir.dims import Symbol
from ...compiler.objectives.fields import Field

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Labels:
    """What a loss needs of the labels it reads, beside what their field says.

    count: how many scores there are; None where the network does not fix it.
    ignored: labels that the loss leaves out, such as 255 for unlabelled pixels.
    """

    count: int | None = None
    ignored: frozenset[int] = frozenset()


def conform(
    arrays: Mapping[str, NDArray[Any]],
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
    part: str,
    labels: Mapping[str, Labels],
) -> Arrays:
    """The arrays of one part of the data as their fields declare them.

    Axes of size 1 are added or dropped, integers are converted where every value fits; nothing
    else is changed.

    Args:
        fields: resolved fields. dims: the symbols that shapes name.
        part: what messages call it: `the test samples`.
        labels: field -> what the losses that read it need.
    Raises: NetwrightError: F601, one diagnostic for each mistake.
    """
    found: Arrays = {}
    problems: list[Diagnostic] = []
    for name, field in fields.items():
        if name not in arrays:
            known = ", ".join(f"`{other}`" for other in arrays)
            problems.append(_problem(f"expected a field `{name}` in {part}, found {known}"))
            continue
        array, reason = _shaped(name, arrays[name], field, dims)
        if reason is None:
            reason = next(_wrong_values(name, array, field, labels.get(name, Labels())), None)
        if reason:
            problems.append(_problem(f"{reason}, in {part}"))
        found[name] = array
    problems += _relations(found, fields, part) if not problems else []
    if problems:
        raise NetwrightError(*problems)
    return found


def _problem(message: str) -> Diagnostic:
    return Diagnostic(
        Code.F601, message, help="correct `fields` to what the file holds, or the file"
    )


def _shaped(
    name: str, array: NDArray[Any], field: Field, dims: Mapping[str, Symbol]
) -> tuple[NDArray[Any], str | None]:
    """The array with the declared rank and element type, or why it can't have them."""
    assert field.shape is not None
    assert field.dtype is not None
    wanted = f"{field.dtype}[{', '.join(map(str, field.shape))}]"
    found = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
    mismatch = f"expected `{name}` as {wanted}, found {found}"
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        return array, mismatch
    array = _with_rank(array, field.shape)
    if array.ndim != len(field.shape):
        return array, mismatch
    for size, declared in list(zip(array.shape, field.shape, strict=True))[1:]:
        if not _size_fits(size, declared, dims):
            return array, mismatch
    converted = _converted(array, np.dtype(field.dtype))
    return (array, mismatch) if converted is None else (converted, None)


def _with_rank(array: NDArray[Any], shape: list[int | str]) -> NDArray[Any]:
    """Add or drop axes of size 1 where that gives the declared sizes."""
    if array.ndim == len(shape) or not all(isinstance(size, int) for size in shape[1:]):
        return array
    sample = tuple(int(size) for size in shape[1:])
    if [s for s in array.shape[1:] if s != 1] != [s for s in sample if s != 1]:
        return array
    return array.reshape(len(array), *sample)


def _size_fits(size: int, declared: int | str, dims: Mapping[str, Symbol]) -> bool:
    if isinstance(declared, int):
        return size == declared
    symbol = dims[declared]
    fits_above = symbol.max is None or size <= symbol.max
    return symbol.min <= size and fits_above and size % symbol.multiple_of == 0


def _converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    if array.dtype == dtype:
        return array
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = array.size == 0 or (array.min() >= limits.min and array.max() <= limits.max)
        return array.astype(dtype) if fits else None
    return array.astype(dtype) if np.can_cast(array.dtype, dtype, "safe") else None


def _wrong_values(name: str, array: NDArray[Any], field: Field, labels: Labels) -> Iterator[str]:
    """What is wrong with the values of an array of the right shape."""
    if array.size == 0:
        yield f"expected samples in `{name}`, found none"
        return
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0]
        value = array[tuple(place)]
        yield f"expected finite numbers in `{name}`, found {value} in sample {place[0]}"
        return
    total = field.class_total or labels.count
    if total is not None:
        yield from _outside(name, array, (0, total - 1), "labels", labels.ignored)
    elif field.range is not None:
        yield from _outside(name, array, (field.range[0], field.range[1]), "values", frozenset())


def _outside(
    name: str,
    array: NDArray[Any],
    interval: tuple[float, float],
    what: str,
    ignored: frozenset[int],
) -> Iterator[str]:
    low, high = interval
    if array.min() >= low and array.max() <= high:
        return
    wrong = (array < low) | (array > high)
    for label in ignored:
        wrong &= array != label
    if wrong.any():
        place = np.argwhere(wrong)[0]
        value = array[tuple(place)]
        yield (
            f"expected {what} from {low:g} to {high:g} in `{name}`, found {value:g} "
            f"in sample {place[0]} ({int(wrong.sum())} such values)"
        )


def _relations(arrays: Arrays, fields: Mapping[str, Field], part: str) -> list[Diagnostic]:
    """Mistakes between fields: unequal counts, sizes of one symbol, impossible lengths."""
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        text = ", ".join(f"`{name}` {count}" for name, count in counts.items())
        return [_problem(f"expected as many samples in every field, found {text}, in {part}")]
    return [*_symbol_clashes(arrays, fields, part), *_wrong_lengths(arrays, fields, part)]


def _symbol_clashes(arrays: Arrays, fields: Mapping[str, Field], part: str) -> Iterator[Diagnostic]:
    seen: dict[str, tuple[int, str]] = {}
    for name, field in fields.items():
        for size, declared in list(zip(arrays[name].shape, field.shape or [], strict=True))[1:]:
            if isinstance(declared, int):
                continue
            known, owner = seen.setdefault(declared, (size, name))
            if known != size:
                yield _problem(
                    f"expected one size {declared}, found {known} in `{owner}` and {size} in "
                    f"`{name}`, in {part}"
                )


def _wrong_lengths(arrays: Arrays, fields: Mapping[str, Field], part: str) -> Iterator[Diagnostic]:
    for name, field in fields.items():
        if field.lengths is None:
            continue
        longest = arrays[name].shape[1]
        lengths = arrays[field.lengths]
        if lengths.min() < 1 or lengths.max() > longest:
            yield _problem(
                f"expected lengths from 1 to {longest} in `{field.lengths}`, found "
                f"{lengths.min()} to {lengths.max()}, in {part}"
            )
