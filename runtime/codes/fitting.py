"""Fits the density of a `vae` to the codes of training samples."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...compiler.diagnostics import Code, failure
from ...compiler.ops.gaussian_mixture import FACTORS, MEANS, WEIGHTS

SAMPLES = 10_000
"""How many codes it is fitted to at most."""

SEED = 0

FLOOR = 1e-4
"""What is added to each variance, as a part of that of all codes: no component becomes a point."""


def fit_mixture(module: nn.Module, codes: NDArray[Any]) -> None:
    """Put the mixture that codes are likeliest under into the buffers of a `gaussian_mixture`.

    Args: module: with buffers weights [K], means [K, D] and factors [K, D, D]. codes: [N, D].
    Raises: NetwrightError: R904: they are not finite, or too few.
    Source: expectation maximisation by scikit-learn, with full covariances.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    components = min(len(getattr(module, WEIGHTS)), max(1, len(codes) // 2))
    floor = max(FLOOR * float(codes.var()), np.finfo(np.float32).tiny)
    fitted = GaussianMixture(components, reg_covar=floor, random_state=SEED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # near the maximum is near enough
            fitted.fit(codes.astype(np.float64))
    except ValueError as error:
        raise failure(
            Code.R904,
            f"expected codes that a mixture of {components} can be fitted to, found {len(codes):,} "
            f"for which it fails: {str(error).splitlines()[0]}",
            help="lower the learning rate, or remove `density`",
        ) from error
    found = {
        WEIGHTS: fitted.weights_,
        MEANS: fitted.means_,
        FACTORS: np.linalg.cholesky(fitted.covariances_),
    }
    with torch.no_grad():
        for name, array in found.items():
            getattr(module, name)[:components].copy_(torch.from_numpy(array))
        getattr(module, WEIGHTS)[components:].zero_()
