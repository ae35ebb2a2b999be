"""The proof of an export: each program in torch and in ONNX Runtime over a grid of sizes.

torch runs the generated source in evaluation mode and float32 on the CPU. ONNX Runtime runs the
very file that goes into the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, Diagnostic, NetwrightError
from ..compiler.ir.dims import evaluate
from ..compiler.ir.graph import Graph, Value
from ..compiler.objectives.fields import Field
from ..compiler.ops.rescale import Rescale
from .draws import Judge, draws
from .input_checks import numpy_dtype
from .session import make_session
from .signature import WORDS, size_grid

Arrays = dict[str, NDArray[Any]]
RunTorch = Callable[[Arrays], Arrays]
SEED = 20


@dataclass(frozen=True)
class Comparison:
    """One output of one case.

    relative: the largest difference, divided by the largest absolute value of torch's output in
        this case and in those that differ in the batch alone; for an output in raw units as the
        network gave it, since a large mean would hide anything.
    chunks: the steps of each chunk, where chunks are compared with what the whole gives.
    """

    program: str
    sizes: Mapping[str, int]
    output: str
    relative: float
    absolute: float
    chunks: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        sizes = ", ".join(f"{name}={size}" for name, size in self.sizes.items())
        return f"`{self.output}` of `{self.program}`" + (f" at {sizes}" if sizes else "")


def compare_program(
    graph: Graph,
    model: Path,
    run_torch: RunTorch,
    fields: Mapping[str, Field],
    judge: Judge | None = None,
) -> list[Comparison]:
    """Run a program both ways over the grid of its sizes.

    Args:
        model: the ONNX file. run_torch: inputs by name -> outputs by name.
        fields: which values the inputs of these names may take.
        judge: looks at tokens that were chosen differently.
    """
    session, units = make_session(model, "cpu"), raw_units(graph)
    generator = np.random.Generator(np.random.PCG64(SEED))
    runs: list[tuple[Mapping[str, int], Arrays, Arrays]] = []
    for sizes in size_grid(graph):
        inputs = sample_inputs(graph, sizes, fields, generator)
        expected = run_torch(inputs)
        actual = dict(zip(graph.outputs, session.run(list(graph.outputs), inputs), strict=True))
        if judge and draws(graph):
            actual = judge.settled(inputs, expected, actual)
        runs.append((sizes, expected, actual))
    return [
        Comparison(graph.name, sizes, name, *_of_run(runs, place, name, units.get(name)))
        for place, (sizes, _, _) in enumerate(runs)
        for name in graph.outputs
    ]


def _of_run(
    runs: list[tuple[Mapping[str, int], Arrays, Arrays]],
    place: int,
    name: str,
    units: RawUnits | None,
) -> tuple[float, float]:
    """The difference of one output in one run, relative to what batches of any size give.

    A single sample may have an output near 0 by chance, such as one score: what is large and what
    is small is then told by the runs that differ in the batch alone.
    """
    sizes, expected, actual = runs[place]
    alike = [made[name] for other, made, _ in runs if _but_batch(other) == _but_batch(sizes)]
    return measured(expected[name], actual[name], units, alike)


def _but_batch(sizes: Mapping[str, int]) -> dict[str, int]:
    return {symbol: size for symbol, size in sizes.items() if symbol != "B"}


def measured(
    expected: NDArray[Any],
    actual: NDArray[Any],
    units: RawUnits | None,
    alike: Sequence[NDArray[Any]] = (),
) -> tuple[float, float]:
    """The difference of an output, relative and absolute.

    Args:
        units: where it is in raw ones.
        alike: values of the same output, whose largest one counts as one of these.
    """
    relative, absolute = difference(expected, actual, alike=alike)
    if units and np.isfinite(relative):
        relative = units.relative(expected, actual, alike)
    return relative, absolute


@dataclass(frozen=True)
class RawUnits:
    """How an output came from what the network gave: raw = (network - shift) * factor."""

    shift: NDArray[np.float64]
    factor: NDArray[np.float64]

    def relative(
        self, expected: NDArray[Any], actual: NDArray[Any], alike: Sequence[NDArray[Any]] = ()
    ) -> float:
        """The difference of the network's numbers; rounding the raw ones to float32 is none."""
        rounding = 2 * float(np.finfo(np.float32).eps) * np.abs(self.shift)
        others = [self._network(values) for values in alike]
        return difference(self._network(expected), self._network(actual), rounding, others)[0]

    def _network(self, raw: NDArray[Any]) -> NDArray[np.float64]:
        numbers: NDArray[np.float64] = raw.astype(np.float64) / self.factor + self.shift
        return numbers


def raw_units(graph: Graph) -> dict[str, RawUnits]:
    """The outputs of a program that are given in raw units."""
    makers, found = graph.producers(), {}
    for name, value in graph.outputs.items():
        op = makers[value.name].op if value.name in makers else None
        if isinstance(op, Rescale):
            behind = (1,) * (value.type.rank - op.axis - 1)
            along_channels = (-1, *behind) if len(op.shift) > 1 else ()
            shift, factor = np.array(op.shift), np.array(op.factor)
            found[name] = RawUnits(shift.reshape(along_channels), factor.reshape(along_channels))
    return found


def sample_inputs(
    graph: Graph,
    sizes: Mapping[str, int],
    fields: Mapping[str, Field],
    generator: np.random.Generator,
) -> Arrays:
    """Random inputs of a program, within what their fields allow.

    An input that no field describes is a standard normal number, or an integer of 0 or 1. Numbers
    that are normalized lie where the network sees standard normal ones.
    """
    arrays = {v.name: _sample(v, sizes, fields.get(v.name), generator) for v in graph.inputs}
    for value in (v for v in graph.inputs if v.name in graph.states and not v.type.shape):
        room = _longest(graph) - sizes[graph.time]
        arrays[value.name] = np.asarray(generator.integers(0, room + 1))
    for name, field in fields.items():
        if name in arrays and field.lengths in arrays:
            longest = arrays[name].shape[1]
            drawn = generator.integers(1, longest + 1, arrays[field.lengths].shape)
            arrays[field.lengths] = drawn.astype(arrays[field.lengths].dtype)
    return arrays


def _longest(graph: Graph) -> int:
    """The most steps that a program in chunks may count; it counts where there is a maximum."""
    symbols = (symbol for value in graph.inputs for symbol in value.type.symbols())
    (most,) = {symbol.max for symbol in symbols if symbol.name == graph.time}
    assert most is not None, f"`{graph.name}` counts steps without a maximum"
    return most


def _sample(
    value: Value, sizes: Mapping[str, int], field: Field | None, generator: np.random.Generator
) -> NDArray[Any]:
    shape = tuple(evaluate(size, sizes) for size in value.type.shape)
    dtype = numpy_dtype(WORDS[value.type.dtype])
    limits = field.raw_range if field else None
    if dtype.kind in "iub":
        low, high = (int(limit) for limit in limits) if limits else (0, 1)
        total = field.class_total if field else None
        return generator.integers(low, total or high + 1, shape).astype(dtype)
    if limits:
        return generator.uniform(limits[0], limits[1], shape).astype(dtype)
    numbers = generator.standard_normal(shape)
    if field and field.normalize:
        shift, factor = (np.array(c).reshape(field.along_channels(c)) for c in field.inverse())
        numbers = (numbers - shift) * factor
    return numbers.astype(dtype)


def difference(
    expected: NDArray[Any],
    actual: NDArray[Any],
    rounding: NDArray[Any] | float = 0.0,
    alike: Sequence[NDArray[Any]] = (),
) -> tuple[float, float]:
    """The largest difference, relative to the largest expected value and absolute.

    Of integers, such as tokens, both are absolute: a large one hides no other that is wrong.
    rounding: how much of a difference is none. alike: see `measured`.
    Infinite where shapes or element types differ or a value is not finite in one of them alone.
    """
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return float("inf"), float("inf")
    if expected.size == 0:
        return 0.0, 0.0
    left, right = expected.astype(np.float64), actual.astype(np.float64)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return float("inf"), float("inf")
    absolute = float(np.maximum(np.abs(left - right) - rounding, 0).max())
    if expected.dtype.kind != "f":
        return absolute, absolute
    largest = max(float(_sizes(values).max(initial=0)) for values in (left, *alike))
    return (absolute / largest if largest else absolute), absolute


def _sizes(values: NDArray[Any]) -> NDArray[Any]:
    """The absolute values of numbers that are finite."""
    found: NDArray[Any] = np.abs(values[np.isfinite(values)])
    return found


def check_parity(comparisons: Iterable[Comparison], tolerance: float) -> dict[str, Any]:
    """The record of the proof for the manifest.

    Raises: NetwrightError: X701: outputs differ beyond the tolerance, or are not finite.
    """
    found = list(comparisons)
    wrong = [c for c in found if not c.relative <= tolerance]
    if wrong:
        raise NetwrightError(*[_mismatch(c, tolerance) for c in _worst_per_output(wrong)])
    return {
        "tolerance": tolerance,
        "largest": max((c.relative for c in found), default=0.0),
        "cases": [
            {
                "program": c.program,
                "sizes": dict(c.sizes),
                "output": c.output,
                "relative": c.relative,
                "absolute": c.absolute,
                **({"chunks": list(c.chunks)} if c.chunks else {}),
            }
            for c in found
        ],
    }


def _worst_per_output(wrong: list[Comparison]) -> list[Comparison]:
    worst: dict[tuple[str, str], Comparison] = {}
    for comparison in wrong:
        key = (comparison.program, comparison.output)
        if key not in worst or comparison.relative > worst[key].relative:
            worst[key] = comparison
    return list(worst.values())


def _mismatch(comparison: Comparison, tolerance: float) -> Diagnostic:
    if np.isinf(comparison.relative):
        found = "another shape, element type, or values that are not finite"
    else:
        found = f"a difference of {comparison.relative:.2g} ({comparison.absolute:.2g} absolute)"
    return Diagnostic(
        Code.X701,
        f"expected {_what(comparison)} within {tolerance:g} of the largest output, "
        f"found {found} in {comparison.place}",
        notes=("no bundle was written",),
        help="raise `export.tolerance` if this is precise enough; large activations lose digits",
    )


def _what(comparison: Comparison) -> str:
    if comparison.chunks:
        return f"`{comparison.program}`, chunk by chunk, to give what `predict` gives on the whole"
    return "torch and ONNX Runtime to agree"
