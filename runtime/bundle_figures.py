"""The figures of an exported program: its outputs judged as those of the network in torch."""

from __future__ import annotations

import torch

from ..compiler.driver import Compilation
from .data.batches import Batches
from .data.dataset import Dataset, Part
from .metrics import Figures
from .objectives.supervised import Judge
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
    judge, figures = Judge(settings, CPU), Figures(settings, CPU)
    batches = Batches(dataset.parts[part], dataset.fields, CPU, torch.contiguous_format)
    for batch in batches.in_order(2 * compilation.spec.training.batch):
        results = session(**{name: batch.raw[name].numpy() for name in session.inputs})
        outputs = {name: torch.from_numpy(array) for name, array in results.items()}
        figures.update(outputs, judge(outputs, batch, step), batch)
    return figures.compute()
