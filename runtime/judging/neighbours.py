"""Nearest neighbours among features, and what two sets of samples cover of each other.

Distances are squared and in float64: features are centred first, so that those of near twins are
not lost in rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

AT_ONCE = 1 << 23
"""How many distances are taken at once, which bounds the memory: 64 MB."""

RARE = 0.01
"""The share of real samples whose nearest neighbour is as near as that of a twin."""


def squared_distances(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of all pairs: some rows [R, M] of the matrix [N, M] after the other.

    points: [N, D]. others: [M, D]. Returns: which rows each piece has, and the piece.
    """
    center, rows = others.mean(0), max(1, AT_ONCE // len(others))
    there = others - center
    lengths = there.square().sum(1)
    for start in range(0, len(points), rows):
        here = points[start : start + rows] - center
        found = torch.addmm(lengths, here, there.T, alpha=-2)
        found = found.add_(here.square().sum(1, keepdim=True)).clamp_(min=0)
        yield slice(start, start + len(here)), found


def nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The squared distance of each point to the nearest of the others, and which it is: [N]."""
    found = [piece.min(1) for _, piece in squared_distances(points, others)]
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])


@dataclass(frozen=True)
class Manifold:
    """Balls around points [N, D] that reach to each one's k-th nearest neighbour, itself left out.

    Their union stands for where such points are. radii: squared, [N].
    """

    points: Tensor
    radii: Tensor
    k: int


def manifold(points: Tensor, k: int) -> Manifold:
    """1 <= k < N. Source: Kynkäänniemi et al. 2019."""
    radii = []
    for rows, piece in squared_distances(points, points):
        piece.diagonal(rows.start).fill_(torch.inf)
        radii.append(piece.kthvalue(k, 1).values)
    return Manifold(points, torch.cat(radii), k)


def agreement(real: Manifold, made: Manifold) -> dict[str, float]:
    """How well samples that were made agree with real ones.

    precision: the share of made samples within the manifold of the real ones. recall: the share of
    real samples within that of the made ones. density: in how many balls of real samples a made one
    lies, divided by k; 1 is expected of real samples. coverage: the share of real samples in whose
    ball a made sample lies.
    Source: Kynkäänniemi et al. 2019, equation 2; Naeem et al. 2020, equations 3 to 5.
    """
    inside = torch.zeros(len(made.points), dtype=torch.int64, device=made.points.device)
    recalled = covered = 0
    for rows, piece in squared_distances(real.points, made.points):
        of_real = piece < real.radii[rows, None]
        inside += of_real.sum(0)
        covered += int(of_real.any(1).sum())
        recalled += int((piece < made.radii).any(1).sum())
    return {
        "coverage": covered / len(real.points),
        "recall": recalled / len(real.points),
        "precision": float((inside > 0).double().mean()),
        "density": float(inside.double().mean() / real.k),
    }


def twins(distances: Tensor, usual: Tensor) -> float:
    """The share of samples that have as near a neighbour as few real ones have.

    distances: of the samples to their nearest neighbours, [N]. usual: of real samples, [M], of
    which 1% are as near, so that 0.01 is what real samples have.
    """
    return float((distances <= torch.quantile(usual, RARE)).double().mean())


def own_nearest(points: Manifold) -> Tensor:
    """The squared distance of each point to the nearest other one, [N]."""
    return points.radii if points.k == 1 else manifold(points.points, 1).radii
