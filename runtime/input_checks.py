"""Whether arrays fit the inputs of a program, before ONNX Runtime gets them: B802. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.suggest import listing
from .bundle import Bounds, Port

Arrays = dict[str, NDArray[Any]]
"""Input or output -> [N, ...]."""


def check_inputs(
    given: Mapping[str, ArrayLike], ports: Mapping[str, Port], symbols: Mapping[str, Bounds]
) -> Arrays:
    """Inputs as arrays of the declared types and shapes.

    Raises: NetwrightError: B802.
    """
    _check_names(given, ports)
    real = _without_padding({n: _array(n, given[n], port) for n, port in ports.items()}, ports)
    sizes: dict[str, tuple[int, str]] = {}
    return {n: _checked(n, real[n], port, symbols, sizes) for n, port in ports.items()}


def _check_names(given: Mapping[str, ArrayLike], ports: Mapping[str, Port]) -> None:
    missing, unknown = ports.keys() - given.keys(), given.keys() - ports.keys()
    if missing or unknown:
        raise failure(
            Code.B802,
            f"expected the inputs {quoted(ports)}, found {quoted(given) or 'none'}",
            notes=[f"`{name}` is {port}" for name, port in ports.items()],
        )


def _array(name: str, value: ArrayLike, port: Port) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise failure(Code.B802, f"expected `{name}` as {port}, found no array: {error}") from error


def _without_padding(given: Arrays, ports: Mapping[str, Port]) -> Arrays:
    """Inputs with 0 beyond the lengths of their samples, where anything may stand.

    Raises: NetwrightError: B802: impossible lengths.
    """
    found = dict(given)
    for name, port in ports.items():
        if port.lengths is None:
            continue
        array, lengths = given[name], given[port.lengths]
        fits = array.ndim > 1 and lengths.ndim == 1 and len(lengths) == len(array)
        if not fits or lengths.dtype.kind not in "biu":
            continue  # what is wrong with it is told of each by itself
        _check_lengths(name, port.lengths, given)
        real = real_steps(array, lengths)
        if not real.all():
            found[name] = array = array.copy()
            array[~real] = 0
    return found


def real_steps(array: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.bool_]:
    """Which elements along axis 1 are real: [N, T] of an array [N, T, ...]."""
    steps: NDArray[np.bool_] = np.arange(array.shape[1]) < lengths[:, None]
    return steps


def _checked(
    name: str,
    given: NDArray[Any],
    port: Port,
    symbols: Mapping[str, Bounds],
    sizes: dict[str, tuple[int, str]],
) -> NDArray[Any]:
    array = _converted(name, given, port)
    if array.ndim != len(port.shape):
        raise _unfit(name, port, array, help=_batch_help(port, array))
    for axis, (wanted, size) in enumerate(zip(port.shape, array.shape, strict=True)):
        if isinstance(wanted, int):
            if size != wanted:
                raise _unfit(name, port, array, f"axis {axis} is {size}, not {wanted}")
        else:
            _check_symbol(name, port, array, axis, symbols.get(wanted, Bounds()), sizes)
    if port.dtype.startswith(("float", "bfloat")):
        _check_finite(name, given, array, port)
    if port.below is not None:
        _check_ids(name, array, port)
    return np.asarray(array, order="C")


def _check_symbol(
    name: str,
    port: Port,
    array: NDArray[Any],
    axis: int,
    bounds: Bounds,
    sizes: dict[str, tuple[int, str]],
) -> None:
    symbol, size = str(port.shape[axis]), array.shape[axis]
    reason = bounds.refuse(size)
    if reason:
        raise _unfit(name, port, array, f"{symbol} must be {reason}")
    known, owner = sizes.setdefault(symbol, (size, name))
    if known != size:
        raise _unfit(name, port, array, f"{symbol} is {known} in `{owner}`")


def _check_finite(name: str, given: NDArray[Any], array: NDArray[Any], port: Port) -> None:
    """Training refuses what is no number, and networks pass it on to every answer.

    given: before it was converted to `array`, in which large numbers are infinite.
    """
    wrong = ~np.isfinite(array)
    if wrong.any():
        raise failure(
            Code.B802,
            f"expected finite {port.dtype} numbers in `{name}`, found {_first(name, given, wrong)}",
            help="leave such samples out, or put numbers there as in the training data"
            if array.ndim
            else "give a finite number",
        )


def _check_ids(name: str, array: NDArray[Any], port: Port) -> None:
    """ONNX Runtime stops at some unknown ids, and takes others for known ones."""
    assert port.below is not None
    wrong = (array < 0) | (array >= port.below)
    if wrong.any():
        raise failure(
            Code.B802,
            f"expected numbers from 0 to {port.below - 1} in `{name}`, as in training, found "
            f"{_first(name, array, wrong)}",
            notes=[f"they stand for {listing(port.classes)}"] if port.classes else [],
            help="give the number of a class or a token that the network has learnt",
        )


def _check_lengths(name: str, ends: str, arrays: Arrays) -> None:
    """Beyond them, what a layer answers is of no sample, and depends on who runs it.

    name, ends: the padded input and the one that holds its lengths.
    """
    longest, lengths = arrays[name].shape[1], arrays[ends]
    wrong = (lengths < 1) | (lengths > longest)
    if wrong.any():
        raise failure(
            Code.B802,
            f"expected lengths from 1 to {longest} in `{ends}`, found "
            f"{_first(ends, lengths, wrong)}",
            notes=[f"they count the elements of `{name}` that are real, along axis 1"],
            help="leave out samples without any, and count none that the array does not hold",
        )


def _first(name: str, array: NDArray[Any], wrong: NDArray[np.bool_]) -> str:
    """The first wrong value, where it is, and how many there are."""
    place = tuple(np.argwhere(wrong)[0].tolist())
    value, total = array[place].item(), int(wrong.sum())
    such = f" ({total:,} such values)" if total > 1 else ""
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"{shown} at `{name}[{', '.join(map(str, place))}]`{such}"


def _converted(name: str, array: NDArray[Any], port: Port) -> NDArray[Any]:
    wanted = numpy_dtype(port.dtype)
    if array.dtype == wanted:
        return array
    both_floats = array.dtype.kind == "f" and port.dtype.startswith(("float", "bfloat"))
    if both_floats or (array.dtype.kind in "biuf" and np.can_cast(array.dtype, wanted, "safe")):
        with np.errstate(over="ignore"):  # what is too large is told as it was given
            return array.astype(wanted)
    if array.dtype.kind in "iu" and wanted.kind in "iu" and _fits(array, wanted):
        return array.astype(wanted)
    raise _unfit(name, port, array, help=f"convert it: `{name}.astype({port.dtype!r})`")


def _fits(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return array.size == 0 or bool(array.min() >= limits.min and array.max() <= limits.max)


def numpy_dtype(word: str) -> np.dtype[Any]:
    """numpy's dtype; bfloat16 comes from ml_dtypes, which onnx brings."""
    if word == "bfloat16":
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(word)


def _batch_help(port: Port, array: NDArray[Any]) -> str | None:
    if array.ndim + 1 == len(port.shape):
        return "axis 0 is the batch: add it with `array[None]`"
    return None


def _unfit(
    name: str,
    port: Port,
    array: NDArray[Any],
    note: str = "",
    *,
    help: str | None = None,  # noqa: A002 - the word of the field it fills
) -> NetwrightError:
    shape = ", ".join(map(str, array.shape))
    return failure(
        Code.B802,
        f"expected `{name}` as {port}, found {array.dtype}[{shape}]",
        notes=[note] if note else [],
        help=help,
    )


def quoted(names: Iterable[str]) -> str:
    """Names as messages list them: "`a`, `b`"."""
    return ", ".join(f"`{name}`" for name in names)
