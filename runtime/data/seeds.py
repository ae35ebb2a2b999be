"""Seeds of the random streams of training: a cheap mix, since every step takes one. Torch-free."""

from __future__ import annotations

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15

ORDER, AUGMENTATION, STEP, REWIND, EVALUATION, STAGE = 0, 1, 2, 3, 4, 5
"""The streams: order by epoch, augmentation by step, what networks draw in a step, rewinds,
what networks draw where they are measured, and the new weights of a stage."""


def derive(seed: int, stream: int, index: int, rank: int = 0) -> int:
    """A seed of its own for each stream of random numbers, index of it and process, below 2^63.

    Source: SplitMix64's finalizer, Steele, Lea and Flood 2014, chained over the four numbers.
    """
    state = _mix(seed & WORD)
    for number in (stream, index, rank):
        state = _mix((state + GOLDEN + number) & WORD)
    return state >> 1


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)
