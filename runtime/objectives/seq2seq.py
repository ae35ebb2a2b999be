"""The training step of `seq2seq`: the cross-entropy of each token of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...compiler.backends.torch_source import generate
from ...compiler.driver import Compilation
from ...compiler.objectives.fields import Field
from ...compiler.objectives.schedules import Schedule
from ...compiler.objectives.seq2seq import Seq2Seq as Settings
from ...compiler.objectives.translation import step_program
from ...compiler.ops.generation import NO_TOKEN
from ..data.batches import Batch, Batches
from ..data.dataset import Dataset, Part
from ..data.homes import choose_home
from ..distributed.world import ALONE, World
from ..generated import build_program, by_name
from ..numbers import Number
from .base import NO_MASSES, Losses, Masses, Meter, Numbers, Objective, Outputs, Turn
from .tokens import Sums, zero_states

FORCING = "teacher_forcing"
"""The schedule of how often the true token is read."""

WEIGHT = "cross_entropy"
"""The weight of the loss, by which micro-batches and processes count their tokens."""

ANSWERS = "translate.tokens"
"""Among the outputs, what `translate` answers; no output of a network has a dot in its name."""


ROWS = 64
"""How many samples are answered at once, to be read by people."""


class Seq2Seq(Objective):
    """See compiler/objectives/seq2seq.py for the settings."""

    def __init__(
        self,
        settings: Settings,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        rows: int,
    ) -> None:
        names, graphs = settings.networks().values(), compilation.graphs
        self.networks = {name: networks[name] for name in names}
        self.turns = (Turn("", tuple(names)),)
        self.answers = Answers(settings, compilation)
        self._settings, self._device = settings, device
        self._encoder, self._decoder = (networks[name] for name in names)
        self._encoder_ports = tuple(graphs[settings.encoder.network].outputs)
        self._decoder_ports = tuple(graphs[settings.decoder.network].outputs)
        self._encoder_fields = tuple(settings.encoder_fields(graphs).values())
        self._sources = settings.decoder_sources(graphs)
        self._tokens = settings.tokens(graphs)
        self._scores = settings.scores(graphs[settings.decoder.network])
        self._translate = build_program(compilation.source, "translate", networks)
        self._asked = [value.name for value in compilation.programs["translate"].inputs]
        always = settings.teacher_forcing.is_constant and settings.teacher_forcing.start == 1
        forcing = {} if always else {FORCING: settings.teacher_forcing}
        self.schedules = {WEIGHT: Schedule.constant(1.0), **forcing}
        self._sampler = None if always else Sampler(settings, compilation, networks)

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return AnswerMeter(self.answers, self._scores, self._device, world)

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        given = self._given(batch)
        if self._sampler is None:
            scores = self._forced(given)
        else:
            scores = self._sampler(given, numbers[FORCING])
        return self.losses({self._scores: scores}, batch, numbers)

    def outputs(self, batch: Batch) -> Outputs:
        """The scores of the true answer's tokens, and what `translate` answers."""
        scores = self._forced(self._given(batch))
        answers, _ = self._translate(*[batch.raw[name] for name in self._asked])
        return {self._scores: scores, ANSWERS: answers}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        loss = self.answers.losses(outputs[self._scores], batch)["loss"]
        return {"loss": loss * numbers[WEIGHT]}

    def masses(self, batch: Batch) -> Masses:
        return {WEIGHT: self.answers.count(batch)}

    def _given(self, batch: Batch) -> dict[str, Tensor]:
        """Input of the decoder -> tensor, the true answer among them."""
        made = self._encoder(*[batch.values[name] for name in self._encoder_fields])
        encoded = by_name(made, self._encoder_ports)
        given = {}
        for port, source in self._sources.items():
            output = self._settings.encoded(source)
            if port == self._tokens:
                given[port] = self.answers.read(batch)
            else:
                given[port] = batch.values[source] if output is None else encoded[output]
        return given

    def _forced(self, given: Mapping[str, Tensor]) -> Tensor:
        """[B, T + 1, K]: the scores where each step reads the true token before it."""
        results = self._decoder(*given.values())
        return by_name(results, self._decoder_ports)[self._scores]


class Answers:
    """What the decoder reads of the true answers, and what it is compared with."""

    def __init__(self, settings: Settings, compilation: Compilation) -> None:
        lengths = compilation.fields[settings.target].lengths
        assert lengths, "a checked target has lengths"
        self._target, self._lengths = settings.target, lengths
        self._begin, self._end = settings.begin, settings.end

    def read(self, batch: Batch) -> Tensor:
        """i64[B, T + 1]: `begin`, the answer, and behind it `end` in place of padding."""
        target = batch.raw[self._target].long()
        first = torch.full_like(target[:, :1], self._begin)
        return torch.cat([first, torch.where(self._real(batch), target, self._end)], 1)

    def wanted(self, batch: Batch) -> Tensor:
        """i64[B, T + 1]: the answer, `end`, and behind it -1."""
        target, real = batch.raw[self._target].long(), self._real(batch)
        told = torch.where(real, target, NO_TOKEN)
        told = torch.cat([told, torch.full_like(target[:, :1], NO_TOKEN)], 1)
        return told.scatter(1, batch.raw[self._lengths].long()[:, None], self._end)

    def losses(self, scores: Tensor, batch: Batch) -> Losses:
        """`loss`, averaged over the real tokens of the batch and their ends."""
        flat, wanted = scores.float().flatten(0, 1), self.wanted(batch).flatten()
        return {"loss": F.cross_entropy(flat, wanted, ignore_index=NO_TOKEN)}

    def count(self, batch: Batch) -> Tensor:
        """How many tokens are compared."""
        return (self.wanted(batch) != NO_TOKEN).sum()

    def _real(self, batch: Batch) -> Tensor:
        """bool[B, T]: which tokens are no padding."""
        lengths, size = batch.raw[self._lengths], batch.raw[self._target].shape[1]
        return torch.arange(size, device=lengths.device) < lengths[:, None]


class Sampler:
    """Runs the decoder step by step, where each step may read what it scored highest before."""

    def __init__(
        self, settings: Settings, compilation: Compilation, networks: Mapping[str, nn.Module]
    ) -> None:
        graphs = compilation.graphs
        self._stepped, self._tokens = settings.stepped(graphs), settings.tokens(graphs)
        self._scores = settings.scores(graphs[settings.decoder.network])
        programs = {"step": step_program(self._stepped)}
        origin = compilation.file.name
        source = generate(graphs, programs, title="The decoder's step.", origin=origin)
        self._step = build_program(source, "step", networks)

    def __call__(self, given: Mapping[str, Tensor], forcing: Number) -> Tensor:
        """The scores [B, T + 1, K].

        Args:
            given: input of the decoder -> tensor, the true tokens among them.
            forcing: with which probability a step reads the true token before it.
        """
        true = given[self._tokens]
        reads_true = torch.rand(true.shape, device=true.device) < forcing
        values = {**self._zeros(true), **given}
        token, scores = true[:, :1], list[Tensor]()
        for step in range(true.shape[1]):
            found = self._run({**values, self._tokens: token})
            scores.append(found[self._scores])
            values |= {state.input: found[state.output] for state in self._stepped.states}
            behind = slice(step + 1, step + 2)
            own = scores[-1].detach().argmax(-1)[:, : true[:, behind].shape[1]]
            token = torch.where(reads_true[:, behind], true[:, behind], own)
        return torch.cat(scores, 1)

    def _run(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        graph = self._stepped.graph
        made = self._step(*[values[value.name] for value in graph.inputs])
        return by_name(made, graph.outputs)

    def _zeros(self, like: Tensor) -> dict[str, Tensor]:
        """What the states begin with that the encoder does not give."""
        kinds = {state.input: state.type for state in self._stepped.states}
        return zero_states(kinds, len(like), like.device)


class AnswerMeter(Sums):
    """`loss` in nats, `bits` and `accuracy` by tokens, and `exact`, the share of right answers."""

    def __init__(self, answers: Answers, scores: str, device: torch.device, world: World = ALONE):
        super().__init__(5, device, world)
        self._answers, self._scores = answers, scores

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Take in one batch."""
        wanted = self._answers.wanted(b)
        real = wanted != NO_TOKEN
        hits = (outputs[self._scores].argmax(-1) == wanted) & real
        right = are_exact(outputs[ANSWERS], wanted)
        loss = losses["loss"]
        count = torch.full_like(real.sum(), b.size)
        self.add([loss * real.sum(), hits.sum(), real.sum(), right.sum(), count])

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        figures, (right, samples) = self.means()
        return {**figures, "exact": right / max(samples, 1)}


def are_exact(answers: Tensor, wanted: Tensor) -> Tensor:
    """bool[B]: whether tokens i64[B, N] are those wanted i64[B, M], both -1 behind their ends."""
    size = max(answers.shape[1], wanted.shape[1])
    both = (F.pad(x, (0, size - x.shape[1]), value=NO_TOKEN) for x in (answers, wanted))
    return torch.eq(*both).all(1)


def answered(
    objective: Objective, dataset: Dataset, part: Part, device: torch.device, count: int
) -> NDArray[np.int64]:
    """What networks answer to the first samples of a part: tokens i64[count, N], -1 behind ends.

    objective: of this kind, with its networks in evaluation mode.
    """
    columns = dataset.parts[part]
    home = choose_home(columns, device)
    batches = Batches(columns, dataset.fields, device, torch.contiguous_format, home=home)
    found: list[Tensor] = []
    with torch.inference_mode(), closing(batches):
        for batch in batches.in_order(min(count, ROWS)):
            found.append(objective.outputs(batch)[ANSWERS].cpu())
            if sum(map(len, found)) >= count:
                break
    tokens: NDArray[np.int64] = torch.cat(found)[:count].numpy()
    return tokens
