"""Figures of codes that take too long to be measured while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.objectives.code_metrics import Auroc, CodeMetric, Nll, Probe
from ..data.batches import Batch, Batches
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

    def log_evidence(self, batch: Batch, count: int) -> Tensor:
        """log p(x) of each sample by so many codes, in nats, a lower bound: [B]."""


def closing_figures(metrics: Sequence[CodeMetric], coder: Coder, parts: Parts) -> dict[str, float]:
    """The metrics that are measured at the end, by their labels."""
    found: dict[str, float] = {}
    for metric in metrics:
        if isinstance(metric, Nll):
            found[metric.label] = _nll(metric, coder, parts)
        elif isinstance(metric, Probe):
            found[metric.label] = _probe(metric, coder, parts)
        elif isinstance(metric, Auroc):
            normal = _scores(coder, parts.judged, parts.size)
            other = _scores(coder, parts.other(metric.source), parts.size)
            found[metric.label] = auroc(normal, other)
    return found


def _nll(metric: Nll, coder: Coder, parts: Parts) -> float:
    total, count = 0.0, 0
    for batch in parts.judged.in_order(parts.size):
        total -= float(coder.log_evidence(batch, metric.samples).double().sum())
        count += batch.size
    return total / count


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
    """The codes [N, D] of samples in their order, and their labels [N]."""
    codes, labels, seen = [], [], 0
    for batch in batches.in_order(size):
        codes.append(coder.code_of(batch).flatten(1).cpu())
        labels.append(batch.raw[metric.field].long().cpu())
        seen += batch.size
        if most is not None and seen >= most:
            break
    return torch.cat(codes)[:most].numpy(), torch.cat(labels)[:most].numpy()


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
    """The chance that one of the other samples has the higher score; ties count half."""
    from sklearn.metrics import roc_auc_score

    answers = np.concatenate([np.zeros(len(normal)), np.ones(len(other))])
    return float(roc_auc_score(answers, np.concatenate([normal, other])))
