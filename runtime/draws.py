"""Whether torch and ONNX Runtime may rightly have drawn different tokens. Torch-free.

A token is the one into whose part of the distribution a random number falls. Where the number lies
at the border of two parts, the last digits of the scores decide, and these differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.ir.graph import Graph
from ..compiler.ir.structure import Loop
from ..compiler.ops.generation import NO_TOKEN, DrawToken

Arrays = dict[str, NDArray[Any]]
RunTorch = Callable[[Arrays], Arrays]

BORDER = 1e-5
"""How far a random number may be from a token's part of the distribution."""


def draws(graph: Graph) -> bool:
    """Whether a program draws tokens."""
    bodies = [node.op.body for node in graph.nodes if isinstance(node.op, Loop)]
    return any(isinstance(node.op, DrawToken) for body in bodies for node in body.nodes)


class Draws:
    """Judges what a program drew.

    predict: the program of the same network that gives the scores of a whole sequence.
    tokens, scores: its input and output.
    """

    def __init__(self, predict: RunTorch, tokens: str, scores: str) -> None:
        self._predict, self._tokens, self._scores = predict, tokens, scores

    def settled(self, inputs: Arrays, expected: Arrays, actual: Arrays) -> Arrays:
        """What was found, with samples that differ rightly as they were expected.

        Args:
            inputs: of the program. expected, actual: its outputs, `tokens` i64[B, N] among them.
        """
        wanted, found = expected["tokens"], actual["tokens"]
        if wanted.shape != found.shape:
            return actual
        rightly = [
            row
            for row in np.flatnonzero((wanted != found).any(axis=1)).tolist()
            if self._at_border(inputs, row, wanted[row], found[row])
        ]
        made = {name: array.copy() for name, array in actual.items()}
        for name, array in made.items():
            array[rightly] = expected[name][rightly]
        return made

    def _at_border(self, inputs: Arrays, row: int, one: NDArray[Any], other: NDArray[Any]) -> bool:
        step = int((one != other).argmax())
        if NO_TOKEN in (one[step], other[step]):
            return False  # one of them had ended, which no random number decides
        before = np.concatenate([inputs["prompt"][row], one[:step]])
        scores = self._predict({self._tokens: before[None]})[self._scores][0, -1]
        borders = cumulative(scores, float(inputs["temperature"]), int(inputs["top_k"]))
        number = float(inputs["random"][step, row])
        return all(_falls_to(borders, int(token), number) for token in (one[step], other[step]))


def _falls_to(borders: NDArray[np.float64], token: int, number: float) -> bool:
    """Whether a random number lies in a token's part of the distribution, or at its border."""
    low = borders[token - 1] if token else 0.0
    return bool(low - BORDER < number < borders[token] + BORDER)


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


def judge_of(programs: Mapping[str, Graph], run: Mapping[str, RunTorch]) -> Draws | None:
    """What judges the draws of an objective's programs; None where none of them draws."""
    if not any(draws(graph) for graph in programs.values()):
        return None
    predict = programs["predict"]
    return Draws(run["predict"], predict.inputs[0].name, next(iter(predict.outputs)))
