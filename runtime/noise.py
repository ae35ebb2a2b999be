"""Inputs of programs that are drawn and not given: noise, by a seed. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, failure
from ..compiler.ir.dims import evaluate
from ..compiler.ir.shapes import parse_dim
from .bundle import Port
from .input_checks import Arrays


def given_ports(inputs: Mapping[str, Port]) -> dict[str, Port]:
    """The inputs that are not drawn."""
    return {name: port for name, port in inputs.items() if port.noise is None}


class NoiseSource:
    """Draws the noise that a program takes.

    Those of its first such input are `Generator(PCG64(seed)).standard_normal(shape, float32)`, of
    numpy, or `.random(shape, float32)` for the uniform distribution. Samples get the same numbers
    however many of them come at a time.
    """

    def __init__(self, inputs: Mapping[str, Port], seed: int) -> None:
        """Raises: NetwrightError: B802: the seed is negative."""
        if seed < 0:
            raise failure(Code.B802, f"expected `seed` of 0 or more, found {seed}")
        self.ports = {name: port for name, port in inputs.items() if port.noise is not None}
        self._generators = {
            name: np.random.Generator(np.random.PCG64([seed, place] if place else seed))
            for place, name in enumerate(self.ports)
        }

    def draw(self, sizes: Mapping[str, int]) -> Arrays:
        """Noise for the next samples.

        Args: sizes: what each symbolic size is, the batch included.
        Raises: NetwrightError: B802: one has a size that is not among them.
        """
        shapes = {name: _shape(name, port, sizes) for name, port in self.ports.items()}
        return {name: self._drawn(name, shape) for name, shape in shapes.items()}

    def _drawn(self, name: str, shape: Sequence[int]) -> NDArray[np.float32]:
        generator = self._generators[name]
        if self.ports[name].noise == "uniform":
            return generator.random(shape, np.float32)
        return generator.standard_normal(shape, np.float32)


def _shape(name: str, port: Port, sizes: Mapping[str, int]) -> list[int]:
    try:
        return [_size(size, sizes) for size in port.shape]
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise failure(
            Code.B801,
            f"expected the sizes of `{name}` in the manifest, found {port}, which has none",
            help="export the run again",
        ) from error
    except KeyError as unknown:
        raise failure(
            Code.B802,
            f"expected noise whose size the other inputs tell, found `{name}` {port}, of which "
            f"nothing tells `{unknown.args[0]}`",
            help="draw it yourself, and give it from Python: "
            f"`bundle.program(...)({name}=..., ...)`",
        ) from unknown


def _size(size: int | str, sizes: Mapping[str, int]) -> int:
    found = evaluate(parse_dim(str(size)), sizes)
    if found < 0:
        raise ValueError(f"{size} is below 0")
    return found


def sizes_in(arrays: Arrays, ports: Mapping[str, Port]) -> dict[str, int]:
    """Each symbolic size of inputs that have been checked."""
    return {
        size: arrays[name].shape[axis]
        for name, port in ports.items()
        for axis, size in enumerate(port.shape)
        if isinstance(size, str)
    }
