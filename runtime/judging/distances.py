"""How far two sets of features are apart, as distributions; both in float64.

They are no FID or KID, which are those of one network's features (Inception, on ImageNet): figures
compare with others of the same classifier alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .neighbours import AT_ONCE


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """The Fréchet distance of the normal distributions with the means and covariances of both.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)); features [N, D] and [M, D], N and M at least 2.
    Source: Dowson and Landau 1982; of features of a classifier: Heusel et al. 2017, equation 6.
    """
    first, second = (torch.cov(x.T).reshape(x.shape[1], x.shape[1]) for x in (one, other))
    root = _square_root(first)
    # S1 S2 has the eigenvalues of the symmetric matrix S1^(1/2) S2 S1^(1/2).
    values = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0)
    apart = (one.mean(0) - other.mean(0)).square().sum()
    return float(apart + first.trace() + second.trace() - 2 * values.sqrt().sum())


def _square_root(matrix: Tensor) -> Tensor:
    """Of a symmetric matrix without negative eigenvalues but those of rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def kernel_distance(one: Tensor, other: Tensor) -> float:
    """The squared maximum mean discrepancy by the kernel (x . y / D + 1)^3, without bias.

    About 0 for samples of one distribution, also a little below. Features [N, D] and [M, D].
    Source: Bińkowski et al. 2018, equation 4 and section 4.
    """
    within = sum(_of_others(x) for x in (one, other))
    return within - 2 * _total(one, other) / (len(one) * len(other))


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other.T / one.shape[1] + 1) ** 3


def _total(one: Tensor, other: Tensor) -> float:
    """The kernel's sum over all pairs, some rows at a time."""
    rows = max(1, AT_ONCE // len(other))
    return float(sum(_kernel(piece, other).sum() for piece in torch.split(one, rows)))


def _of_others(x: Tensor) -> float:
    """The mean of the kernel over all pairs of two different samples."""
    alone = float(((x.square().sum(1) / x.shape[1] + 1) ** 3).sum())
    return (_total(x, x) - alone) / (len(x) * (len(x) - 1))
