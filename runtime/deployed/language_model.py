"""`language_model`: what tokens cost by the ONNX files, and text that they generate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.language_model import LanguageModel
from ...compiler.suggest import listing
from ..chunks import zeros
from ..data.batches import Batches
from ..data.dataset import Dataset, Part
from ..data.homes import choose_home
from ..data.orders import SHUFFLED, Streams
from ..generate import PROGRAM, PROMPT, draw, generate, vocabulary_of
from ..objectives.language_model import TokenMeter, token_losses
from ..opening import objective_of
from ..session import Bundle
from ..spoken import Ids

CPU = torch.device("cpu")

READ, SHOWN = 40, 200
"""How many tokens a prompt has, and how many are generated, to show how it is done."""

Arrays = dict[str, NDArray[Any]]


def figures(
    compilation: Compilation, bundle: Bundle, dataset: Dataset, part: Part
) -> dict[str, float]:
    """`loss`, `bits` and `accuracy` over one part of the data, as in training.

    Where the state was carried from batch to batch, `step` carries it; else `predict` reads each
    window anew.
    """
    settings = _settings(compilation)
    graph = compilation.graphs[settings.network.network]
    data, output = compilation.spec.data, settings.scores(graph)
    carries = settings.carries(compilation.graphs, data.source if data else None)
    tokens = settings.tokens(compilation.graphs)
    states = compilation.programs["step"].states if carries else {}
    run = _Run(bundle, tokens, states)
    meter, columns = TokenMeter(settings.target, output, CPU), dataset.parts[part]
    batches = Batches(
        columns,
        dataset.fields,
        CPU,
        torch.contiguous_format,
        home=choose_home(columns, CPU),
        order=Streams() if carries else SHUFFLED,
    )
    for batch in batches.in_order(2 * compilation.spec.training.batch):
        given = batch.raw[tokens].numpy()
        outputs = {output: torch.from_numpy(run(given, begins=batch.begins)[output])}
        meter.update(outputs, token_losses(outputs[output], batch.raw[settings.target]), batch)
    return meter.compute()


class _Run:
    """A bundle that reads batches of tokens, and goes on where the rows before ended.

    states: input of `step` -> the output that it becomes.
    """

    def __init__(self, bundle: Bundle, tokens: str, states: Mapping[str, str]) -> None:
        """Raises: NetwrightError: B802: the bundle lacks the program that reads as training did."""
        program = "step" if states else "predict"
        if program not in bundle.programs:
            raise failure(
                Code.B802,
                f"expected a bundle with the program `{program}`, which reads as training did, "
                f"found {listing(bundle.programs)}",
                help=f"name `{program}` in `export: {{programs: [...]}}` and export the run again",
            )
        self._session = bundle.program(program)
        self._tokens, self._states = tokens, states
        self._behind: Arrays = {}

    def __call__(self, tokens: NDArray[Any], *, begins: bool) -> Arrays:
        rows = len(tokens)
        if begins:
            self._behind = zeros({"B": rows}, self._session.signature) if self._states else {}
        given = {n: x.take(np.arange(rows), self._batch_axis(n)) for n, x in self._behind.items()}
        found = self._session(**{self._tokens: tokens, **given})
        self._behind = {name: found[made] for name, made in self._states.items()}
        return found

    def _batch_axis(self, state: str) -> int:
        return self._session.inputs[state].shape.index("B")


def demonstrate(compilation: Compilation, bundle: Bundle, dataset: Dataset) -> Iterator[str]:
    """What the model says behind the beginning of the test samples."""
    if "generate" not in bundle.programs:
        return
    settings = _settings(compilation)
    sample, tokens = settings.sample, settings.tokens(compilation.graphs)
    first = _beginning(bundle, dataset.parts["test"][tokens].take(np.arange(1))[0])
    if bundle.manifest.reading.source == "text":
        prompt = sample.prompt if sample else vocabulary_of(bundle).decode(first)
        text = generate(bundle, prompt, SHOWN, temperature=sample.temperature if sample else 0.8)
        yield f"generated from the ONNX file behind {prompt!r}:"
        yield from (f"  {line}" for line in text.splitlines())
        return
    drawn = draw(bundle.program("generate"), first, 20, 1.0, 0, -1, 0)
    yield f"generated from the ONNX file: {drawn.tolist()}"


def _beginning(bundle: Bundle, tokens: Ids) -> Ids:
    """The first tokens of a sample: half of what the network can see at most, so that more fit."""
    program = bundle.program(PROGRAM)
    most = program.symbols[str(program.inputs[PROMPT].shape[1])].max
    return tokens[: READ if most is None else min(READ, (most + 1) // 2)]


def _settings(compilation: Compilation) -> LanguageModel:
    settings = objective_of(compilation)
    assert isinstance(settings, LanguageModel)
    return settings
