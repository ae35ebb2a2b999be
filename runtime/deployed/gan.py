"""`gan`: how the exported discriminator judges real samples and generated ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ...compiler.driver import Compilation
from ...compiler.objectives.gan import TRUNCATION, Gan
from ..data.batches import Batch
from ..data.dataset import Dataset, Part
from ..data.restore import as_stored
from ..judging.opening import open_judge
from ..measure import seeded
from ..noise import NoiseSource
from ..numbers import numbers_at
from ..objectives.adversarial_losses import game
from ..objectives.gan import FAKE, REAL, losses_of
from ..objectives.means import Means
from ..opening import objective_of
from ..session import Bundle
from .parts import CPU, batches_of, need_programs

SHOWN = 3
"""How many samples are made to show how it is done."""


class Deployed:
    """A generator and a discriminator as their bundle runs them, batch by batch."""

    def __init__(self, settings: Gan, compilation: Compilation, bundle: Bundle) -> None:
        self._settings, self._field = settings, compilation.fields[settings.real]
        self._generate, self._discriminate = map(bundle.program, settings.program_names)

    def made(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """As many new samples as a batch has and with its conditions, as data would hold them."""
        return self.generated(dict(batch.raw), generator)

    def scored(self, raw: dict[str, Tensor]) -> Tensor:
        """The discriminator's scores of raw samples."""
        given = {name: raw[name].numpy() for name in self._discriminate.inputs}
        (scores,) = self._discriminate(**given).values()
        return torch.from_numpy(scores)

    def generated(self, raw: dict[str, Tensor], generator: torch.Generator | None = None) -> Tensor:
        """As many samples, of the same conditions, as data would hold them.

        generator: of the noise; torch's own unless given.
        """
        count = len(next(iter(raw.values())))
        ports = self._generate.inputs.items()
        shapes = {n: [count, *map(int, p.shape[1:])] for n, p in ports if p.noise}
        draw = torch.randn if self._settings.latent == "normal" else torch.rand
        noise = {name: draw(shape, generator=generator) for name, shape in shapes.items()}
        whole = {**raw, **noise, TRUNCATION: torch.ones(count)}
        given = {name: whole[name].numpy() for name in self._generate.inputs}
        (made,) = self._generate(**given).values()
        return as_stored(torch.from_numpy(made), self._field)


def figures(
    compilation: Compilation, bundle: Bundle, dataset: Dataset, part: Part
) -> dict[str, float]:
    """What training measures, over one part of the data."""
    settings = objective_of(compilation)
    assert isinstance(settings, Gan)
    need_programs(bundle, settings.program_names, "samples are judged")
    deployed = Deployed(settings, compilation, bundle)
    batches = batches_of(dataset.parts[part], dataset.fields)
    meter, played = Means(CPU), game(settings.loss)
    numbers = numbers_at(settings.schedules(), bundle.manifest.step)
    seeded(CPU)
    for batch in batches.in_order(2 * compilation.spec.training.batch):
        raw = dict(batch.raw)
        real, made = deployed.scored(raw), deployed.generated(raw)
        outputs = {REAL: real, FAKE: deployed.scored({**raw, settings.real: made})}
        meter.update(outputs, losses_of(played, outputs, numbers), batch)
    return {**meter.compute(), **_judged(compilation, deployed, dataset, part)}


def _judged(
    compilation: Compilation, deployed: Deployed, dataset: Dataset, part: Part
) -> dict[str, float]:
    """The figures of the judge, where the spec has one."""
    judge, size = open_judge(compilation, dataset, CPU), 2 * compilation.spec.training.batch
    if judge is None:
        return {}
    parts = {name: batches_of(dataset.parts[name], dataset.fields) for name in {part, "train"}}
    return judge.closing(deployed, parts[part], parts["train"], size).figures


def demonstrate(compilation: Compilation, bundle: Bundle, dataset: Dataset) -> Iterator[str]:
    """The shape of samples that ONNX Runtime makes."""
    if "generate" not in bundle.programs:
        return
    session, first = bundle.program("generate"), np.arange(min(SHOWN, dataset.size("test")))
    samples = {name: column.batch(first) for name, column in dataset.parts["test"].items()}
    whole = np.ones(len(first), np.float32)
    noise = NoiseSource(session.inputs, 0).draw({"B": len(first)})
    given = {**samples, **noise, TRUNCATION: whole}
    ((name, made),) = session(**{port: given[port] for port in session.inputs}).items()
    yield f"made by the ONNX file: {name} {made.dtype} {list(made.shape)}"
