"""Tasks that are drawn from a seed: what recurrent networks can and cannot remember. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.mixture_sources import Ring
from ...compiler.objectives.sequence_sources import (
    CLOSE,
    COPIED,
    FIRST_SYMBOL,
    LETTERS,
    OPEN,
    TAGS,
    TOKENS,
    Drawn,
    Reverse,
)
from .columns import Column, as_columns
from .padded import RaggedColumn
from .raw import RawData

Arrays = dict[str, NDArray[Any]]
Draw = Callable[[np.random.Generator, int], Arrays]
"""(generator, samples) -> the fields."""

TRAIN, TEST = 0, 1
"""The streams that both parts are drawn from."""


def draw_task(settings: Drawn, draw: Draw) -> RawData:
    """The samples of both parts."""
    counts = {TRAIN: settings.samples, TEST: settings.test_samples}
    parts = {
        part: draw(np.random.default_rng([settings.seed, part]), count)
        for part, count in counts.items()
    }
    return RawData(_columns(parts[TRAIN]), _columns(parts[TEST]))


def _columns(arrays: Arrays) -> dict[str, Column]:
    """The fields; where there are lengths `n`, the others hold one sample after the other."""
    columns = as_columns(arrays)
    if "n" not in arrays:
        return columns
    offsets = np.concatenate([[0], np.cumsum(arrays["n"])])
    return {n: c if n == "n" else RaggedColumn(c, offsets) for n, c in columns.items()}


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


BRACKET = 0.15
"""How likely a step opens a bracket, and how likely it closes one."""


def brackets(rng: np.random.Generator, samples: int, length: int) -> Arrays:
    """`tokens` and `tags`, i64[total], one sample after the other, and their lengths `n` i64[N]."""
    n = rng.integers(2, length + 1, samples)
    tokens = rng.integers(CLOSE + 1, TOKENS, (samples, length))
    drawn = rng.random((samples, length))
    tokens[drawn < 2 * BRACKET] = CLOSE
    tokens[drawn < BRACKET] = OPEN
    real = np.arange(length) < n[:, None]
    tokens[~real] = TOKENS  # no bracket, for those that count them from the end
    return {"tokens": tokens[real], "tags": tags_of(tokens)[real], "n": n}


def tags_of(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tags of sequences of tokens, both [N, T]."""
    before = _waiting(tokens, OPEN, CLOSE) > 0
    behind = _waiting(tokens[:, ::-1], CLOSE, OPEN)[:, ::-1] > 0
    outside, inside, matched, unmatched = range(len(TAGS))
    letters = np.where(before & behind, inside, outside)
    has_partner = np.where(tokens == OPEN, behind, before)
    is_bracket = (tokens == OPEN) | (tokens == CLOSE)
    return np.where(is_bracket, np.where(has_partner, matched, unmatched), letters)


def _waiting(tokens: NDArray[np.int64], begins: int, ends: int) -> NDArray[np.int64]:
    """How many brackets before each step wait for a partner there: [N, T]."""
    found = np.zeros_like(tokens)
    count = np.zeros(len(tokens), np.int64)
    for step in range(tokens.shape[1]):
        found[:, step] = count
        token = tokens[:, step]
        count = np.maximum(count + (token == begins) - (token == ends), 0)
    return found


def reverse(rng: np.random.Generator, samples: int, settings: Reverse) -> Arrays:
    """`source` and `target`, i64[N, longest], and their lengths, i64[N]: see the settings."""
    lengths = rng.integers(settings.shortest, settings.longest + 1, samples)
    symbols = (FIRST_SYMBOL, FIRST_SYMBOL + settings.symbols)
    drawn = rng.integers(*symbols, (samples, settings.longest))
    steps = np.arange(settings.longest)
    real = steps < lengths[:, None]
    source = np.where(real, drawn, 0)
    backwards = np.where(real, lengths[:, None] - 1 - steps, steps)
    target = np.take_along_axis(source, backwards, axis=1)
    return {
        "source": source,
        "source_lengths": lengths,
        "target": target,
        "target_lengths": lengths.copy(),
    }


def ring(rng: np.random.Generator, samples: int, settings: Ring) -> Arrays:
    """`point` f32[N, 2] and `mode` i64[N]: see the settings in mixture_sources.py."""
    mode = rng.integers(0, settings.modes, samples)
    noise = settings.std * rng.standard_normal((samples, 2))
    points = ring_means(settings)[mode] + noise
    return {"point": points.astype(np.float32), "mode": mode}


def ring_means(settings: Ring) -> NDArray[np.float64]:
    """Where the distributions lie: [modes, 2]."""
    angles = 2 * np.pi * np.arange(settings.modes) / settings.modes
    return settings.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
