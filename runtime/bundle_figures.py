"""The figures of an exported program: its outputs judged as those of the network in torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..compiler.driver import Compilation
from ..compiler.objectives.fields import Field
from ..compiler.objectives.supervised import Supervised
from ..compiler.objectives.units import raw_field
from .data.batches import Batches
from .data.dataset import Dataset, Part
from .data.homes import choose_home
from .data.preprocess import Preprocess
from .metrics import Figures
from .numbers import numbers_at
from .objectives.supervised import Judge, weights_of
from .opening import settings_of
from .session import Session

CPU = torch.device("cpu")


def bundle_figures(
    compilation: Compilation, session: Session, dataset: Dataset, part: Part, step: int
) -> dict[str, float]:
    """Losses and metrics of a session of `predict` over one part of the data.

    step: of the exported checkpoint, for losses whose weights change over time.
    """
    settings = settings_of(compilation)
    judge, figures = Judge(settings, CPU), Figures(settings, compilation.fields, CPU)
    scaled, numbers = _Scaled(settings, compilation.fields), numbers_at(weights_of(settings), step)
    columns, layout = dataset.parts[part], torch.contiguous_format
    home = choose_home(columns, CPU)
    batches = Batches(columns, dataset.fields, CPU, layout, home=home)
    for batch in batches.in_order(2 * compilation.spec.training.batch):
        results = session(**{name: batch.raw[name].numpy() for name in session.inputs})
        outputs = {name: scaled(name, torch.from_numpy(x)) for name, x in results.items()}
        figures.update(outputs, judge(outputs, batch, numbers), batch)
    return figures.compute()


class _Scaled:
    """Outputs of the program as the network gave them: losses compare scaled numbers."""

    def __init__(self, settings: Supervised, fields: Mapping[str, Field]) -> None:
        losses = [item.loss for item in settings.losses]
        found = {loss.output: raw_field(loss, fields) for loss in losses}
        self._rules = {name: Preprocess(field, CPU) for name, field in found.items() if field}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        return self._rules[name](x) if name in self._rules else x
