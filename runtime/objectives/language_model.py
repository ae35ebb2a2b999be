"""The training step of `language_model`: the cross-entropy of each next token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation
from ...compiler.ir.shapes import TensorType
from ...compiler.objectives.fields import Field
from ...compiler.objectives.language_model import LanguageModel as Settings
from ...compiler.objectives.language_model import Sample
from ...compiler.ops.generation import NO_TOKEN
from ..data.batches import Batch
from ..distributed.world import ALONE, World
from ..generated import build_program, by_name
from ..measure import evaluating
from ..spoken import Ids, Vocabulary
from .base import NO_MASSES, Losses, Masses, Meter, Numbers, Objective, Outputs, Turn
from .tokens import Sums, zero_states


class LanguageModel(Objective):
    """See compiler/objectives/language_model.py for the settings.

    Where the state is carried over, the network runs as the program `step` does: `state` holds
    what it begins the next batch with, cut off from the gradients of the batches before.
    """

    def __init__(
        self,
        settings: Settings,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        rows: int,
    ) -> None:
        name, graphs = settings.network.network, compilation.graphs
        self.networks = {name: networks[name]}
        self.turns = (Turn("", (name,)),)
        self._tokens, self._target = settings.tokens(graphs), settings.target
        self._output, self._device = settings.scores(graphs[name]), device
        data = compilation.spec.data
        self.continues = settings.carries(graphs, data.source if data else None)
        self._network, self._ports = networks[name], tuple(graphs[name].outputs)
        self._step = build_program(compilation.source, "step", networks)
        self._graph = compilation.programs["step"]
        self.state = self._zeros(rows) if self.continues else {}
        self._measured: Mapping[str, Tensor] = {}
        self._sampler = _sampler(settings, compilation, networks, self._tokens, device)

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return TokenMeter(self._target, self._output, self._device, world)

    def begin(self) -> None:
        for tensor in self.state.values():
            tensor.zero_()

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        # Copies, since the backward pass needs what the step begins with, and `state` moves on.
        outputs, behind = self._run(batch, {n: x.clone() for n, x in self.state.items()})
        for name, tensor in self.state.items():
            tensor.copy_(behind[name].detach())
        return self.losses(outputs, batch, numbers)

    def outputs(self, batch: Batch) -> Outputs:
        if not self.continues:
            return self._run(batch, {})[0]
        if batch.begins:
            self._measured = self._zeros(batch.size)
        # The last batches of a part may have fewer rows: those that end first are the last ones.
        state = {n: _rows(x, self._type(n), batch.size) for n, x in self._measured.items()}
        outputs, self._measured = self._run(batch, state)
        return outputs

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        return token_losses(outputs[self._output], batch.raw[self._target])

    def samples(self, step: int) -> list[str]:
        return [self._sampler(step)] if self._sampler else []

    def _run(
        self, batch: Batch, state: Mapping[str, Tensor]
    ) -> tuple[Outputs, Mapping[str, Tensor]]:
        """The outputs, and the state behind the batch where there is one before it."""
        tokens = batch.values[self._tokens]
        if not self.continues:
            return by_name(self._network(tokens), self._ports), {}
        found = by_name(self._step(tokens, *state.values()), self._graph.outputs)
        states = self._graph.states
        behind = {given: found[made] for given, made in states.items()}
        return {self._output: found[self._output]}, behind

    def _zeros(self, rows: int) -> dict[str, Tensor]:
        """What every row of a batch begins with."""
        kinds = {name: self._type(name) for name in self._graph.states}
        return zero_states(kinds, rows, self._device)

    def _type(self, state: str) -> TensorType:
        return next(value.type for value in self._graph.inputs if value.name == state)


def token_losses(scores: Tensor, target: Tensor) -> Losses:
    """scores: [B, T, K]. target: integers [B, T]. Returns: `loss`, averaged over all tokens."""
    return {"loss": F.cross_entropy(scores.float().flatten(0, 1), target.long().flatten())}


def _rows(state: Tensor, kind: TensorType, rows: int) -> Tensor:
    """The first rows of a batch's state."""
    axes = [axis for axis, size in enumerate(kind.shape) if not isinstance(size, int)]
    return state.narrow(axes[0], 0, rows) if axes else state


class Sampler:
    """Generates text with the network that is trained, as its exported program will."""

    def __init__(
        self, settings: Sample, program: nn.Module, vocabulary: Vocabulary, device: torch.device
    ) -> None:
        self._settings, self._program, self._vocabulary = settings, program, vocabulary
        self._prompt = torch.from_numpy(_prompt(settings, vocabulary))[None].to(device)
        self._device = device

    def __call__(self, step: int) -> str:
        """The text, prompt included; the step is the seed of its random numbers."""
        settings, device = self._settings, self._device
        random = np.random.default_rng(step).random((settings.length, 1), np.float32)
        with evaluating([self._program]), torch.inference_mode():
            tokens, lengths = self._program(
                self._prompt,
                torch.from_numpy(random).to(device),
                torch.tensor(settings.temperature, device=device),
                torch.tensor(settings.top_k or 0, device=device),
                torch.tensor(NO_TOKEN, device=device),
            )
        said = tokens[0, : int(lengths[0])].tolist()
        return settings.prompt + self._vocabulary.decode(said)


def _prompt(settings: Sample, vocabulary: Vocabulary) -> Ids:
    try:
        return vocabulary.encode(settings.prompt)
    except NetwrightError as error:
        note = "it stands in `prompt` of `sample`"
        told = (replace(problem, notes=(*problem.notes, note)) for problem in error.diagnostics)
        raise NetwrightError(*told) from error


def _sampler(
    settings: Settings,
    compilation: Compilation,
    networks: Mapping[str, nn.Module],
    tokens: str,
    device: torch.device,
) -> Sampler | None:
    if settings.sample is None:
        return None
    program = build_program(compilation.source, "generate", networks)
    vocabulary = Vocabulary(compilation.fields[tokens].classes)
    return Sampler(settings.sample, program, vocabulary, device)


class TokenMeter(Sums):
    """`loss` in nats, `bits` and `accuracy`, averaged over tokens.

    target: the field, and output: the scores, that are compared.
    """

    def __init__(self, target: str, output: str, device: torch.device, world: World = ALONE):
        super().__init__(3, device, world)
        self._target, self._output = target, output

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Take in one batch, all of whose tokens count alike."""
        target, loss = b.raw[self._target], losses["loss"].double()
        hits = (outputs[self._output].argmax(-1) == target).sum()
        self.add([loss * target.numel(), hits, torch.full_like(loss, target.numel())])

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        """There is one loss, of weight 1."""
        return self.means()[0]
