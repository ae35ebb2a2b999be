"""Tasks that are drawn from a seed: what recurrent networks can and cannot remember. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.sequence_sources import COPIED, LETTERS, Task
from .columns import as_columns
from .raw import RawData

Arrays = dict[str, NDArray[Any]]
Draw = Callable[[np.random.Generator, int, int], Arrays]
"""(generator, samples, length) -> the fields."""

TRAIN, TEST = 0, 1
"""The streams that both parts are drawn from."""


def draw_task(settings: Task, draw: Draw) -> RawData:
    """The samples of both parts."""
    counts = {TRAIN: settings.samples, TEST: settings.test_samples}
    parts = {
        part: draw(np.random.default_rng([settings.seed, part]), count, settings.length)
        for part, count in counts.items()
    }
    return RawData(as_columns(parts[TRAIN]), as_columns(parts[TEST]))


def adding(rng: np.random.Generator, samples: int, length: int) -> Arrays:
    """`sequence` f32[N, T, 2] and `total` f32[N, 1]: see the settings in sequence_sources.py."""
    numbers = rng.random((samples, length), np.float32)
    half, every = length // 2, np.arange(samples)
    places = [rng.integers(0, half, samples), rng.integers(half, length, samples)]
    marks = np.zeros_like(numbers)
    for place in places:
        marks[every, place] = 1
    total = sum(numbers[every, place] for place in places)
    return {"sequence": np.stack([numbers, marks], axis=2), "total": np.asarray(total)[:, None]}


def copy_memory(rng: np.random.Generator, samples: int, length: int) -> Arrays:
    """`tokens` and `target`, i64[N, T + 20]: see the settings in sequence_sources.py."""
    letters = rng.integers(1, LETTERS + 1, (samples, COPIED))
    tokens = np.zeros((samples, length + 2 * COPIED), np.int64)
    tokens[:, :COPIED] = letters
    tokens[:, -COPIED - 1] = LETTERS + 1
    target = np.zeros_like(tokens)
    target[:, -COPIED:] = letters
    return {"tokens": tokens, "target": target}
