"""Figures of codes that take too long to be measured while training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.objectives.code_metrics import Auroc, CodeMetric, Nll, Probe
from ..data.batches import Batch, Batches, Share
from ..objectives.base import Parts

Array = NDArray[Any]

ROUNDS = 2000
"""Steps that the logistic regression takes at most."""


class Coder(Protocol):
    """Makes codes of samples, in torch or as a bundle."""

    def code_of(self, batch: Batch) -> Tensor:
        """The code of each sample [B, ...], nothing of it drawn."""

    def scores(self, batch: Batch) -> Tensor:
        """How unlike those of training each sample is [B]: the higher, the more."""


@runtime_checkable
class Model(Protocol):
    """Tells how likely samples are."""

    def log_evidence(self, batch: Batch, count: int) -> Tensor:
        """log p(x) of each sample by so many codes, in nats, a lower bound: [B]."""


def closing_figures(metrics: Sequence[CodeMetric], coder: Coder, parts: Parts) -> dict[str, float]:
    """The metrics that are measured at the end, by their labels."""
    found: dict[str, float] = {}
    for metric in metrics:
        if isinstance(metric, Nll):
            assert isinstance(coder, Model), "the settings are checked"
            found[metric.label] = _nll(metric, coder, parts)
        elif isinstance(metric, Probe):
            found[metric.label] = parts.world.lead(partial(_probe, metric, coder, parts))
        elif isinstance(metric, Auroc):
            found[metric.label] = parts.world.lead(partial(_auroc, metric, coder, parts))
    return found


def _nll(metric: Nll, model: Model, parts: Parts) -> float:
    """Each process takes its part of the samples: it is the figure that takes longest."""
    sums = torch.zeros(2, dtype=torch.float64, device=parts.judged.device)
    for batch in parts.judged.in_order(parts.size, Share(parts.world.rank, parts.world.size)):
        cost = -model.log_evidence(batch, metric.samples).double().sum()
        sums += torch.stack([cost, torch.full_like(cost, batch.size)])
    total, count = parts.world.total(sums).tolist()
    return float(total / count)


def _auroc(metric: Auroc, coder: Coder, parts: Parts) -> float:
    normal = _scores(coder, parts.judged, parts.size)
    return auroc(normal, _scores(coder, parts.other(metric.source), parts.size))


def _scores(coder: Coder, batches: Batches, size: int) -> Array:
    """How unlike those of training each sample is."""
    found = [coder.scores(batch).double().cpu().numpy() for batch in batches.in_order(size)]
    return np.concatenate(found)


def _probe(metric: Probe, coder: Coder, parts: Parts) -> float:
    learnt = _codes(metric, coder, parts.train, parts.size, metric.samples)
    return probe_accuracy(*learnt, *_codes(metric, coder, parts.judged, parts.size))


def _codes(
    metric: Probe,
    coder: Coder,
    batches: Batches,
    size: int,
    most: int | None = None,
) -> tuple[Array, Array]:
    """The codes [N, D] of samples, at most so many at even distances, and their labels [N]."""
    codes, labels = [], []
    for batch in batches.spread(batches.size if most is None else most, size):
        codes.append(torch.nan_to_num(coder.code_of(batch).flatten(1)).cpu())
        labels.append(batch.raw[metric.field].long().cpu())
    return torch.cat(codes).numpy(), torch.cat(labels).numpy()


def probe_accuracy(codes: Array, labels: Array, judged: Array, true: Array) -> float:
    """How often a logistic regression on codes [N, D] is right about others.

    Each element is brought to mean 0 and deviation 1 by the codes that it learns from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(labels)) < 2:
        return float((true == labels[0]).mean())
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ROUNDS))
    return float(probe.fit(codes, labels).score(judged, true))


def auroc(normal: Array, other: Array) -> float:
    """The chance that one of the other samples has the higher score; ties count half.

    A score that is no number counts as the highest: what overflows is unlike any training sample.
    """
    from sklearn.metrics import roc_auc_score

    answers = np.concatenate([np.zeros(len(normal)), np.ones(len(other))])
    scores = np.nan_to_num(np.concatenate([normal, other]), nan=np.inf, posinf=np.inf)
    _, ranks = np.unique(scores, return_inverse=True)
    return float(roc_auc_score(answers, ranks))
