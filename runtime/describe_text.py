"""What a text holds, in words: its size, its most frequent tokens, how it begins. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..compiler.objectives.fields import Field
from ..compiler.objectives.text_sources import NEXT, TOKENS, Text
from ..compiler.suggest import visible
from .data.columns import Columns
from .data.statistics import class_counts

FREQUENT = 12
"""So many of the most frequent tokens are shown."""

SHOWN = 300
"""So many tokens of the beginning are."""

ASCII = 128

ACROSS = 96
"""Letters in a line of it."""


def text_lines(source: Text, field: Field, train: Columns) -> Iterator[str]:
    """Lines about a text.

    Args:
        field: of its tokens. train: the training samples that are looked at.
    """
    tokens, total = train[TOKENS], field.class_total or 0
    counts = class_counts(tokens, total)
    names = [token_name(field, index) for index in range(total)]
    size, kinds = int(counts.sum()), int((counts > 0).sum())
    unit = source.unit
    yield f"{TOKENS}: {field.dtype} [B, {source.window}]; {NEXT}: the same one {unit} later"
    yield f"  {size:,} {unit}s, {kinds:,} different ones, of a vocabulary of {total:,}"
    yield from _frequent(names, counts)
    yield (
        f"  guessing each {unit} by these shares alone takes {entropy(counts):.2f} bits, knowing "
        f"nothing {np.log2(total):.2f}"
    )
    yield "  it begins:"
    first = np.arange(min(len(tokens), 1 + SHOWN // source.window))
    yield from (f"    {line}" for line in _beginning(tokens.take(first), names))


def token_name(field: Field, token: int) -> str:
    """A token as lines show it; a byte by the character that it is in ASCII."""
    if field.classes:
        return visible(field.classes[token])
    return visible(chr(token)) if token < ASCII else f"\\x{token:02x}"


def entropy(counts: NDArray[np.int64]) -> float:
    """Of one token drawn by its share, in bits. counts: [K], one above 0 at least."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _frequent(names: Sequence[str], counts: NDArray[np.int64]) -> Iterator[str]:
    order = np.argsort(-counts, kind="stable")[:FREQUENT].tolist()
    shown = [f"`{names[i]}` {counts[i] / counts.sum():.1%}" for i in order if counts[i]]
    yield f"  the most frequent: {', '.join(shown)}"


def _beginning(windows: NDArray[np.int64], names: Sequence[str]) -> Iterator[str]:
    """The first tokens, in lines that are not too long. windows: [N, window]."""
    line = ""
    for token in windows.ravel()[:SHOWN].tolist():
        name = names[token]
        if name == "\\n" or len(line) + len(name) > ACROSS:
            yield line
            line = ""
        line += "" if name == "\\n" else name
    yield line
