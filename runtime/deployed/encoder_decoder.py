"""`autoencoder`, `vae`, `vq_vae`: what their ONNX files give, judged as networks in torch are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.driver import Compilation
from ...compiler.objectives.autoencoder import Autoencoder
from ...compiler.objectives.density import NOISE
from ...compiler.objectives.encoder_decoder import EncoderDecoder
from ...compiler.objectives.likelihoods import LOGVAR, MEAN
from ...compiler.objectives.source import Source
from ...compiler.objectives.vae import Vae
from ...compiler.objectives.vq_vae import COMMITMENT, INDICES, QUANTIZED, VqVae
from ..codes.closing import closing_figures
from ..codes.meter import MADE, CodeMeter, Reconstructions, VaeMeter, VqVaeMeter
from ..data.batches import Batch, Batches
from ..data.dataset import Dataset, Part, open_source
from ..data.preprocess import Preprocess
from ..measure import seeded
from ..noise import NoiseSource
from ..numbers import Number, numbers_at
from ..objectives.autoencoder import SPARSITY, sparsity
from ..objectives.base import Losses, Meter, Outputs, Parts
from ..objectives.corruptions import Spoiler
from ..objectives.vae import BETA, CAPACITY, CODES, LOG_P, Bound, elements_of, log_evidence
from ..opening import objective_of
from ..session import Bundle
from .parts import CPU, batches_of, need_programs

SHOWN = 3
"""How many samples are scored to show how it is done."""

Raw = Mapping[str, Tensor]


class Coded(ABC):
    """An encoder and a decoder as their bundle runs them, batch by batch."""

    def __init__(self, settings: Any, compilation: Compilation, bundle: Bundle) -> None:
        self._bundle, self._step = bundle, bundle.manifest.step
        self._target: str = settings.target
        self.field = compilation.fields[settings.target]
        self._seen = Preprocess(self.field.unbinarized, CPU)
        self.reconstructions = Reconstructions(settings.metrics, self.field, settings.target, CPU)

    @property
    def numbers(self) -> Mapping[str, Number]:
        """The scheduled settings at the exported step."""
        return {}

    def run(self, program: str, raw: Raw) -> dict[str, Tensor]:
        """What a program gives. raw: its inputs by name, among others."""
        session = self._bundle.program(program)
        found = session(**{name: raw[name].numpy() for name in session.inputs})
        return {name: torch.from_numpy(array) for name, array in found.items()}

    def made(self, raw: Raw) -> Tensor:
        """The reconstruction, as networks see data."""
        (made,) = self.run("reconstruct", raw).values()
        return self._seen(made)

    def meter(self) -> Meter:
        return CodeMeter(self.reconstructions, CPU)

    @abstractmethod
    def measured(self, batch: Batch) -> tuple[Outputs, Losses]:
        """What a meter takes in."""

    def code_of(self, batch: Batch) -> Tensor:
        """The code of each sample."""
        return next(iter(self.run("encode", batch.raw).values()))

    def scores(self, batch: Batch) -> Tensor:
        """The error of each reconstruction."""
        return self.run("score", batch.raw)["error"]


class CodedVae(Coded):
    """The ELBO by the programs `encode` and `score`, with the noise that torch draws."""

    def __init__(self, settings: Vae, compilation: Compilation, bundle: Bundle) -> None:
        super().__init__(settings, compilation, bundle)
        self._samples, self._bound = settings.samples, Bound(settings, elements_of(self.field))
        schedule = settings.capacity.nats if settings.capacity else settings.beta
        name = CAPACITY if settings.capacity else BETA
        self._numbers: Mapping[str, Number] = numbers_at({name: schedule}, self._step)

    @property
    def numbers(self) -> Mapping[str, Number]:
        return self._numbers

    def meter(self) -> Meter:
        return VaeMeter(self.reconstructions, self._bound.of_means, CPU)

    def measured(self, batch: Batch) -> tuple[Outputs, Losses]:
        outputs = self._drawn(batch, self._samples)
        return {**outputs, MADE: self.made(batch.raw)}, self._bound(outputs, self._numbers)

    def _drawn(self, batch: Batch, count: int) -> dict[str, Tensor]:
        found = self.run("encode", batch.raw)
        mean, logvar = found[MEAN], found[LOGVAR]
        noise = torch.randn((count, *mean.shape))
        costs = [self.run("score", {**batch.raw, NOISE: one})["reconstruction"] for one in noise]
        z = mean + (0.5 * logvar).exp() * noise
        return {MEAN: mean, LOGVAR: logvar, CODES: z, LOG_P: -torch.stack(costs)}

    def scores(self, batch: Batch) -> Tensor:
        noise = torch.randn((1, *self.code_of(batch).shape))
        return -self.run("score", {**batch.raw, NOISE: noise[0]})["elbo"]

    def log_evidence(self, batch: Batch, count: int) -> Tensor:
        return log_evidence(partial(self._drawn, batch), count)


class CodedAutoencoder(Coded):
    """Losses of what `reconstruct` gives; spoilt samples are those that data would hold."""

    def __init__(self, settings: Autoencoder, compilation: Compilation, bundle: Bundle) -> None:
        super().__init__(settings, compilation, bundle)
        self._settings = settings
        self._spoiler = Spoiler(settings.noise, self.field, CPU) if settings.noise else None

    def measured(self, batch: Batch) -> tuple[Outputs, Losses]:
        raw = dict(batch.raw)
        if self._spoiler:
            raw[self._target] = self._spoiler.stored(batch.values[self._target])[0]
        made = self.made(raw)
        loss = COMPARED[self._settings.loss](made, batch.values[self._target].float())
        if self._settings.sparsity is None:
            return {MADE: made}, {"loss": loss}
        (code,) = self.run("encode", raw).values()
        weight = self._settings.sparsity.weight.at(self._step)
        penalty = sparsity(self._settings.sparsity, code)
        return {MADE: made}, {
            "loss": loss + weight * penalty,
            "reconstruction": loss,
            SPARSITY: penalty,
        }


class CodedVqVae(Coded):
    """Losses of what `reconstruct` and `score` give, and the use of the codebook by `encode`."""

    def __init__(self, settings: VqVae, compilation: Compilation, bundle: Bundle) -> None:
        super().__init__(settings, compilation, bundle)
        self._compare = COMPARED[settings.loss]
        self._codes = settings.layer(compilation.graphs)[1].codes

    def meter(self) -> Meter:
        return VqVaeMeter(self.reconstructions, self._codes, CPU)

    def measured(self, batch: Batch) -> tuple[Outputs, Losses]:
        made, indices = self.made(batch.raw), self.run("encode", batch.raw)[INDICES]
        error = self._compare(made, batch.values[self._target].float())
        commitment = self.run("score", batch.raw)[COMMITMENT].mean()
        losses = {"loss": error + commitment, "reconstruction": error, COMMITMENT: commitment}
        return {MADE: made, INDICES: indices}, losses

    def code_of(self, batch: Batch) -> Tensor:
        return self.run("encode", batch.raw)[QUANTIZED]


COMPARED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    # Rounding of raw units may lead out of [0, 1], where torch refuses to compute it.
    "bce_logits": lambda made, target: F.binary_cross_entropy(made.clamp(0, 1), target),
}
"""What compares samples that programs made with the target, by the loss of training."""

CODED: Mapping[str, Callable[[Any, Compilation, Bundle], Coded]] = {
    "autoencoder": CodedAutoencoder,
    "vae": CodedVae,
    "vq_vae": CodedVqVae,
}


def figures(
    compilation: Compilation, bundle: Bundle, dataset: Dataset, part: Part
) -> dict[str, float]:
    """What training measures, over one part of the data."""
    settings = objective_of(compilation)
    assert isinstance(settings, EncoderDecoder)
    need_programs(bundle, MEASURED, "codes are measured")
    coded = CODED[settings.name](settings, compilation, bundle)
    meter, size = coded.meter(), 2 * compilation.spec.training.batch
    judged = batches_of(dataset.parts[part], dataset.fields)
    seeded(CPU)
    for batch in judged.in_order(size):
        outputs, losses = coded.measured(batch)
        meter.update(outputs, losses, batch)

    def other(source: Source) -> Batches:
        columns = open_source(source, dataset.fields, compilation.spec.dims, dataset.folder)
        return batches_of(columns, dataset.fields)

    train = batches_of(dataset.parts["train"], dataset.fields)
    seeded(CPU)
    closing = closing_figures(settings.metrics, coded, Parts(judged, train, size, other))
    return {**meter.compute(coded.numbers), **closing}


MEASURED = ("encode", "reconstruct", "score")
"""The programs that figures are made of."""


def demonstrate(compilation: Compilation, bundle: Bundle, dataset: Dataset) -> Iterator[str]:
    """The scores of the first test samples, by ONNX Runtime."""
    first = np.arange(min(SHOWN, dataset.size("test")))
    samples = {name: column.batch(first) for name, column in dataset.parts["test"].items()}
    if "score" in bundle.programs:
        session = bundle.program("score")
        given = {**samples, **NoiseSource(session.inputs, 0).draw({"B": len(first)})}
        found = session(**{name: given[name] for name in session.inputs})
        name = "elbo" if "elbo" in found else "error"
        told = ", ".join(f"{value:.4g}" for value in found[name].tolist())
        yield f"scored by the ONNX file: {name} {told}"
