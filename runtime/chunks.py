"""Sequences in chunks: the states that a program begins with, and its room. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..compiler.diagnostics import Code, failure
from ..compiler.ir.dims import evaluate
from ..compiler.ir.shapes import parse_dim
from .bundle import Bounds, Program
from .input_checks import Arrays, numpy_dtype


def need_states(signature: Program, name: str) -> None:
    """Raises: NetwrightError: B802: the program runs on whole inputs, not in chunks."""
    if not signature.time:
        raise failure(
            Code.B802,
            f"expected a program that runs in chunks, found `{name}`, which takes whole inputs",
            help="call it with `bundle.program`; `stream` in the spec's objective adds `step`",
        )


def need_whole(signature: Program, name: str) -> None:
    """Raises: NetwrightError: B802: the program runs in chunks, not on whole inputs."""
    if signature.time:
        raise failure(
            Code.B802,
            f"expected a program that takes whole inputs, found `{name}`, which runs one chunk of "
            f"`{signature.time}` at a time",
            help="run it from Python with `netwright.load(...).stream()`, or leave `--program` out",
        )


def sizes_of(arrays: Arrays, signature: Program) -> dict[str, int]:
    """Each symbolic size besides time of inputs that have been checked."""
    return {
        size: arrays[name].shape[axis]
        for name, port in signature.own_inputs().items()
        for axis, size in enumerate(port.shape)
        if isinstance(size, str) and size != signature.time
    }


def check_same(before: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Raises: NetwrightError: B802: a chunk has another batch than those before it."""
    for name, size in sizes.items():
        if before.get(name, size) != size:
            raise failure(
                Code.B802,
                f"expected {name} = {before[name]} in each chunk, as in those before, found {size}",
                help="`reset()` begins new sequences",
            )


def zeros(sizes: Mapping[str, int], signature: Program) -> Arrays:
    """What each state is before the first chunk."""
    ports = {name: signature.inputs[name] for name in signature.states}
    return {
        name: np.zeros(
            [evaluate(parse_dim(str(size)), sizes) for size in port.shape], numpy_dtype(port.dtype)
        )
        for name, port in ports.items()
    }


def check_room(arrays: Arrays, signature: Program, symbols: Mapping[str, Bounds]) -> None:
    """Raises: NetwrightError: B802: a sequence gets longer than the program has room for."""
    most = symbols.get(signature.time, Bounds()).max
    for counter in counters(signature):
        seen, steps = int(arrays[counter]), chunk_steps(arrays, signature)
        if seen < 0 or (most is not None and seen + steps > most):
            raise failure(
                Code.B802,
                f"expected a sequence of at most {most} steps, found {seen} before this chunk of "
                f"{steps}",
                help="begin a new sequence with states of zeros, or raise the maximum of "
                f"`{signature.time}` in the spec",
            )


def counters(signature: Program) -> Iterator[str]:
    """The states that count steps: integers without axes."""
    for name in signature.states:
        port = signature.inputs[name]
        if not port.shape and port.dtype == "int64":
            yield name


def chunk_steps(arrays: Arrays, signature: Program) -> int:
    """How many steps a chunk has."""
    timed = ((name, port.shape) for name, port in signature.own_inputs().items())
    name, shape = next((name, shape) for name, shape in timed if signature.time in shape)
    return int(arrays[name].shape[shape.index(signature.time)])
