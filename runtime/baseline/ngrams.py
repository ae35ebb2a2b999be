"""What a language model has to beat: counts of n-grams, interpolated. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.text_sources import NEXT, TOKENS
from ..data.columns import Columns

Tokens = NDArray[np.integer]
Numbers = NDArray[np.int64]
Chances = NDArray[np.float64]


def witten_bell(train: Tokens, test: Tokens, vocabulary: int, n: int) -> float:
    """How many bits a token of a text takes by the n-grams of another one.

    Args:
        train, test: [N] and [M], tokens from 0 to below `vocabulary`; M >= 1.
        n: the longest sequence that is counted, n >= 1: a token and the n - 1 before it.
    Returns: the mean of -log2 p over all tokens of `test`, where p is as in `chances`.
    """
    *_, last = chances(train, test, vocabulary, n)
    return bits(last)


def bits(found: Chances) -> float:
    """The mean of -log2 p."""
    return float(-np.log2(found).mean())


def chances(train: Tokens, test: Tokens, vocabulary: int, n: int) -> Iterator[Chances]:
    """The probability of each token of a text, given those before it, by the k-grams of another.

    With c(h x) the times that x follows h in `train`, c(h) their sum over x, t(h) the number of
    different x, and h' the history h without its first token,

        p(x | h) = (c(h x) + t(h) p(x | h')) / (c(h) + t(h)),

    and 1 / vocabulary in place of p(x | h') where h is empty. A history that `train` does not have
    says nothing: p(x | h) is p(x | h') there. The first tokens of `test` have shorter histories.

    Args: as of `witten_bell`.
    Returns: for each k from 1 to n, [M].
    Source: Witten and Bell 1991, method C; interpolated as in Chen and Goodman 1998, eq. 2.14.
    """
    text = np.concatenate([train, test]).astype(np.int64)
    size = len(train)
    found = np.full(len(test), 1 / vocabulary)
    history = np.zeros(len(text), np.int64)
    for k in range(1, n + 1):
        gram = _numbered(history * vocabulary + text)
        mixed = found.copy()
        start = min(k - 1, len(test))
        mixed[start:] = _mixed(
            found[start:],
            (gram[min(k - 1, size) : size], history[min(k - 1, size) : size]),
            (gram[size + start :], history[size + start :]),
        )
        yield mixed
        found = mixed
        history = np.concatenate([gram[:1], gram[:-1]])


def _numbered(keys: Numbers) -> Numbers:
    """Equal keys as equal numbers, from 0 on without gaps."""
    numbers: Numbers = np.unique(keys, return_inverse=True)[1]
    return numbers


def _mixed(
    shorter: Chances, train: tuple[Numbers, Numbers], test: tuple[Numbers, Numbers]
) -> Chances:
    """The probabilities with one more token of history.

    Args:
        shorter: [M], those without. train, test: the k-grams of a text and their histories, by
            numbers: [N] each, and [M].
    """
    grams, histories = train
    gram, history = test
    if not len(grams) or not len(gram):
        return shorter
    most_grams, most_histories = (
        int(max(a.max(), b.max())) + 1 for a, b in zip(train, test, strict=True)
    )
    followed = np.bincount(grams, minlength=most_grams)[gram]
    seen = np.bincount(histories, minlength=most_histories)[history]
    _, first = np.unique(grams, return_index=True)
    types = np.bincount(histories[first], minlength=most_histories)[history]
    total = seen + types
    return np.where(total > 0, (followed + types * shorter) / np.maximum(total, 1), shorter)


def text_of(columns: Columns) -> Tokens:
    """The tokens of a part of a text, joined from its windows: [N * window + 1]."""
    windows, after = columns[TOKENS].whole(), columns[NEXT].whole()
    return np.append(windows.ravel(), after[-1, -1])
