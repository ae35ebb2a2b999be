"""What a program answers, as a line of text for each sample. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.suggest import visible
from .bundle import Manifest
from .input_checks import Arrays

Array = NDArray[Any]

BEST = 3
"""How many classes a line names."""

NOTHING: Mapping[str, Array] = {}

SHOWN = 8
"""Up to this many numbers of an output are shown one by one."""


def answer_lines(
    results: Arrays, manifest: Manifest, lengths: Mapping[str, Array] = NOTHING
) -> Iterator[str]:
    """A line for each sample, such as `cat 0.970, dog 0.030; age 4.2`.

    Scores are left out where their probabilities are there too. Classes without names are called
    by their numbers, and outputs by their names, unless classes alone are shown. Where each output
    is one number, commas are enough between them: `elbo -25.1, kl 2.1`.

    Args:
        results: output -> array [N, ...].
        lengths: output -> how many elements along axis 1 are real, [N]; others are left out.
    """
    shown = shown_outputs(results, manifest)
    between = ", " if all(values.ndim == 1 for values in shown.values()) else "; "
    for index in range(len(next(iter(results.values())))):
        told = (
            _answer(name, _real(values, lengths.get(name), index), manifest, alone=len(shown) == 1)
            for name, values in shown.items()
        )
        yield between.join(told)


def _real(values: Array, lengths: Array | None, index: int) -> Array:
    """A sample without its padding."""
    sample: Array = values[index]
    return sample if lengths is None else sample[: int(lengths[index])]


def shown_outputs(results: Arrays, manifest: Manifest) -> Arrays:
    """The outputs without those scores whose probabilities are among them."""
    chances = manifest.probabilities
    hidden = {chances[name].scores for name in results if name in chances}
    return {name: values for name, values in results.items() if name not in hidden}


def _answer(name: str, values: Array, manifest: Manifest, *, alone: bool) -> str:
    """One output of a sample [...]."""
    found = manifest.probabilities.get(name)
    if found is None or not values.size:
        return f"{name} {_numbers(values)}"
    title = "" if alone else f"{found.scores} "
    if not found.exclusive:
        return title + _questions(values)
    values = np.moveaxis(values, -1, 0) if found.axis == -1 else values
    names = class_names(manifest.labels, name, len(values))
    return title + (_classes(values, names) if values.ndim == 1 else _places(values, names))


def class_names(labels: Mapping[str, Sequence[str]], output: str, count: int) -> Sequence[str]:
    """The names of an output's classes; without names, or other than so many, their numbers."""
    known = labels.get(output, ())
    return known if len(known) == count else [f"class {index}" for index in range(count)]


def _classes(chances: Array, names: Sequence[str]) -> str:
    """The best classes of [K]: `7 0.991, 1 0.006, 9 0.002`."""
    best = np.argsort(-chances, kind="stable")[:BEST]
    return ", ".join(f"{visible(names[i])} {chances[i]:.3f}" for i in best)


def _places(chances: Array, names: Sequence[str]) -> str:
    """How much of a sample each class takes, of [K, ...]: `road 61.0%, sky 39.0% of 4,096 places`.

    As with single classes, only the first few are named.
    """
    counts = np.bincount(chances.argmax(axis=0).reshape(-1), minlength=len(names))
    largest = [i for i in np.argsort(-counts, kind="stable")[:BEST] if counts[i]]
    shares = ", ".join(f"{visible(names[i])} {counts[i] / counts.sum():.1%}" for i in largest)
    return f"{shares} of {counts.sum():,} places"


def _questions(chances: Array) -> str:
    """Answers of yes or no: `probability 0.930`, `probabilities 0.930, 0.002`."""
    if chances.size > SHOWN:
        share = float(np.mean(chances > 0.5))
        return f"probability above 0.5 in {share:.1%} of {chances.size:,} places"
    word = "probability" if chances.size == 1 else "probabilities"
    return f"{word} {', '.join(f'{chance:.3f}' for chance in chances.reshape(-1))}"


def _numbers(values: Array) -> str:
    """`12.35`, `0.5, 1.2`; of many the shape and the limits: `float32[9, 9] from 0 to 0.98`."""
    if 0 < values.size <= SHOWN:
        return ", ".join(map(_number, values.reshape(-1).tolist()))
    kind = f"{values.dtype}[{', '.join(map(str, values.shape))}]"
    if not values.size:
        return kind
    return f"{kind} from {_number(values.min().item())} to {_number(values.max().item())}"


def _number(value: float) -> str:
    """Four digits that count, `0.5`, `1235`; separators would look like those between numbers."""
    if isinstance(value, int):  # bools too
        return str(value)
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.4g}"
