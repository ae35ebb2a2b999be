"""What samples are made for: the inputs of `sample` beside its noise. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.suggest import did_you_mean, listing
from .bundle import Bounds, Port
from .input_checks import Arrays, check_inputs, numpy_dtype, quoted
from .noise import given_ports

Given = ArrayLike
"""A value for all samples, or an array along the batch; a text is one as on the command line."""


def read_conditions(inputs: Mapping[str, Port], given: Mapping[str, Given]) -> Arrays:
    """Input -> its values along the batch, as many as were given.

    Raises: NetwrightError: B802: one is missing or unknown, or words are no values of it.
    """
    ports = given_ports(inputs)
    if unknown := given.keys() - ports.keys():
        raise _drawn(min(unknown)) if min(unknown) in inputs else _unknown(min(unknown), ports)
    if missing := [name for name in ports if name not in given]:
        raise _missing(missing, ports)
    return {name: _values(name, given[name], port) for name, port in ports.items()}


def repeated(
    values: Arrays, count: int, inputs: Mapping[str, Port], symbols: Mapping[str, Bounds]
) -> Arrays:
    """The same for so many samples, one after the other and again from the first.

    Raises: NetwrightError: B802: they do not fit their inputs.
    """
    most = max((len(x) for x in values.values() if x.ndim), default=1)
    ports = {name: inputs[name] for name in values}
    checked = check_inputs(_in_turn(values, most), ports, symbols)  # each value once: as given
    return _in_turn(checked, count)


def _in_turn(values: Arrays, count: int) -> Arrays:
    return {n: x[np.arange(count) % len(x)] if x.ndim else x for n, x in values.items()}


def _values(name: str, value: Given, port: Port) -> NDArray[Any]:
    """What was given, with the axis of the batch."""
    try:
        found = np.asarray(_split(value, port) if isinstance(value, str) else value)
    except ValueError as error:
        raise failure(Code.B802, f"expected `{name}` as {port}, found no array: {error}") from error
    if found.dtype.kind == "U":
        numbers = [_number(name, str(word), port) for word in found.reshape(-1)]
        found = np.asarray(numbers).reshape(found.shape)
    if found.dtype.kind in "iu" and numpy_dtype(port.dtype).kind not in "iub":
        found = found.astype(np.float64)  # 3 is a number of any kind
    if found.ndim == len(port.shape) - 1:
        found = found[None]
    if not found.size:
        raise failure(Code.B802, f"expected values of `{name}` {port}, found none")
    return found


def _split(text: str, port: Port) -> list[str] | str:
    """The words of a text; a name of a class may have commas in it."""
    words = [word.strip() for word in text.split(",")]
    return text if len(words) == 1 or text in (port.classes or ()) else words


def _number(name: str, word: str, port: Port) -> float:
    """The number of a class that is called so, or the number that is written there."""
    if port.classes and word in port.classes:
        return port.classes.index(word)
    kind = numpy_dtype(port.dtype).kind
    try:
        if kind == "b":
            return {"false": False, "true": True}[word.lower()]
        return int(word) if kind in "iu" else float(word)
    except (KeyError, ValueError):
        raise _no_value(name, word, port) from None


def _no_value(name: str, word: str, port: Port) -> NetwrightError:
    words = {"b": "`true` or `false`", "i": "a whole number", "u": "a whole number"}
    wanted = words.get(numpy_dtype(port.dtype).kind, "a number")
    return failure(
        Code.B802,
        f"expected {'the name of a class' if port.classes else wanted} for `{name}`, found "
        f"{word!r}",
        help=did_you_mean(word, port.classes, "class") if port.classes else None,
    )


def _drawn(name: str) -> NetwrightError:
    return failure(
        Code.B802,
        f"expected `{name}` to be left to the seed, found it among what is given",
        help=f'to choose it, run the program from Python: `bundle.program("sample")({name}=...)`',
    )


def _unknown(name: str, ports: Mapping[str, Port]) -> NetwrightError:
    if not ports:
        return failure(
            Code.B802,
            f"expected nothing to be given to `sample`, which takes noise alone, found `{name}`",
            help=f"leave out `--given {name}=...`",
        )
    return failure(
        Code.B802,
        f"expected {quoted(ports)} to be given to `sample`, found `{name}`",
        help=did_you_mean(name, ports, "input"),
    )


def _missing(names: list[str], ports: Mapping[str, Port]) -> NetwrightError:
    examples = " ".join(f"--given {name}={_example(ports[name])}" for name in names)
    return failure(
        Code.B802,
        f"expected {quoted(names)} to be given to `sample`, found no such value",
        notes=[f"`{name}` is {ports[name]}{_among(ports[name])}" for name in names],
        help=f"add `{examples}`; values with commas between them take turns",
    )


def _among(port: Port) -> str:
    """The values that there are: `, one of `cat`, `dog``."""
    if port.classes:
        return f", one of {listing(port.classes)}"
    if port.below:
        return f", from 0 to {port.below - 1}"
    return f", from {port.range[0]:g} to {port.range[1]:g}" if port.range else ""


def _example(port: Port) -> str:
    if port.classes:
        return port.classes[-1]
    if port.below:
        return str(min(3, port.below - 1))
    return f"{port.range[1]:g}" if port.range else "1"
