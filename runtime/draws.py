"""Whether torch and ONNX Runtime may rightly have drawn different tokens. Torch-free.

A token that is drawn is the one into whose part of the distribution a random number falls. Where
the number lies at the border of two parts, the last digits of the scores decide, and these differ.
So they do where a token is the likeliest one and another is as likely.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.ir.graph import Graph
from ..compiler.ir.structure import Loop
from ..compiler.ops.base import Op
from ..compiler.ops.generation import NO_TOKEN, DrawToken
from ..compiler.ops.reduce import Argmax

Arrays = dict[str, NDArray[Any]]
Ids = NDArray[np.int64]
RunTorch = Callable[[Arrays], Arrays]

BORDER = 1e-5
"""How far a random number may be from a token's part of the distribution; and two scores from each
other, relative to the largest one."""


def draws(graph: Graph) -> bool:
    """Whether a program chooses tokens."""
    return _chooses(graph, DrawToken) or _chooses(graph, Argmax)


def _chooses(graph: Graph, kind: type[Op]) -> bool:
    """Whether a loop of a program chooses tokens in this way."""
    bodies = [node.op.body for node in graph.nodes if isinstance(node.op, Loop)]
    return any(isinstance(node.op, kind) for body in bodies for node in body.nodes)


class Judge(ABC):
    """Judges which tokens a program chose.

    predict: the program of the same networks that gives the scores of a whole sequence.
    scores: its output. tokens: the output of the program that is judged.
    """

    def __init__(self, predict: RunTorch, scores: str, tokens: str) -> None:
        self._predict, self._scores, self._tokens = predict, scores, tokens

    def settled(self, inputs: Arrays, expected: Arrays, actual: Arrays) -> Arrays:
        """What was found, with samples that differ rightly as they were expected.

        Args:
            inputs: of the program. expected, actual: its outputs, tokens i64[B, N] among them.
        """
        wanted, found = expected[self._tokens], actual[self._tokens]
        if wanted.shape != found.shape:
            return actual
        rightly = [
            row
            for row in np.flatnonzero((wanted != found).any(axis=1)).tolist()
            if self._rightly(inputs, row, wanted[row], found[row])
        ]
        made = {name: array.copy() for name, array in actual.items()}
        for name, array in made.items():
            array[rightly] = expected[name][rightly]
        return made

    def _rightly(self, inputs: Arrays, row: int, one: Ids, other: Ids) -> bool:
        step = int((one != other).argmax())
        if NO_TOKEN in (one[step], other[step]):
            return False  # one of them had ended, which no scores decide
        return self._may_differ(inputs, row, one[: step + 1], int(other[step]))

    @abstractmethod
    def _may_differ(self, inputs: Arrays, row: int, one: Ids, other: int) -> bool:
        """Whether the last of these tokens could as well have been the other one."""


class Draws(Judge):
    """Of tokens that are drawn behind a prompt. read: the input of `predict`."""

    def __init__(self, predict: RunTorch, read: str, scores: str) -> None:
        super().__init__(predict, scores, "tokens")
        self._read = read

    def _may_differ(self, inputs: Arrays, row: int, one: Ids, other: int) -> bool:
        before = np.concatenate([inputs["prompt"][row], one[:-1]])
        scores = self._predict({self._read: before[None]})[self._scores][0, -1]
        borders = cumulative(scores, float(inputs["temperature"]), int(inputs["top_k"]))
        number = float(inputs["random"][len(one) - 1, row])
        return all(_falls_to(borders, token, number) for token in (int(one[-1]), other))


def _falls_to(borders: NDArray[np.float64], token: int, number: float) -> bool:
    """Whether a random number lies in a token's part of the distribution, or at its border."""
    low = borders[token - 1] if token else 0.0
    return bool(low - BORDER < number < borders[token] + BORDER)


class Choices(Judge):
    """Of the likeliest tokens of an answer. target: the input of `predict` for the answer."""

    def __init__(self, predict: RunTorch, target: str, scores: str, tokens: str) -> None:
        super().__init__(predict, scores, tokens)
        self._target = target

    def _may_differ(self, inputs: Arrays, row: int, one: Ids, other: int) -> bool:
        source = {name: array[row : row + 1] for name, array in inputs.items()}
        before = one[: max(1, len(one) - 1)]  # one at least: `predict` takes no empty answers
        found = self._predict({**source, self._target: before[None]})
        scores = found[self._scores][0, len(one) - 1]
        return as_likely(scores, int(one[-1]), other)


def as_likely(scores: NDArray[Any], one: int, other: int) -> bool:
    """Whether the scores [K] of two tokens are equal but for their last digits."""
    exact = scores.astype(np.float64)
    return bool(abs(exact[one] - exact[other]) <= BORDER * np.abs(exact).max())


def cumulative(scores: NDArray[Any], temperature: float, top_k: int) -> NDArray[np.float64]:
    """The cumulative distribution that tokens are drawn from, [K], in float64.

    Args: scores: [K]. temperature, top_k: see `DrawToken`.
    """
    exact = scores.astype(np.float64)
    count = min(top_k, len(exact)) if top_k > 0 else len(exact)
    kept = exact >= np.sort(exact)[-count]
    odds = np.where(kept, np.exp((exact - exact.max()) / max(temperature, 1e-8)), 0.0)
    summed: NDArray[np.float64] = np.cumsum(odds / odds.sum())
    return summed


def judge_of(programs: Mapping[str, Graph], run: Mapping[str, RunTorch]) -> Judge | None:
    """What judges the tokens of an objective's programs; None where none of them chooses any."""
    predict = programs.get("predict")
    if predict is None:
        return None
    scores = next(iter(predict.outputs))
    for graph in programs.values():
        if _chooses(graph, DrawToken):
            return Draws(run["predict"], predict.inputs[0].name, scores)
        if _chooses(graph, Argmax):
            asked = {value.name for value in graph.inputs}
            (target,) = (value.name for value in predict.inputs if value.name not in asked)
            return Choices(run["predict"], target, scores, next(iter(graph.outputs)))
    return None
