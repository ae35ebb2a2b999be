"""The handwritten digits that scikit-learn ships: real data that needs no download.

Source: E. Alpaydin, C. Kaynak, UCI "Optical Recognition of Handwritten Digits", its test part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_digits(only: Sequence[int] | None = None) -> dict[str, NDArray[Any]]:
    """1,797 images: `image` u8[N, 1, 8, 8] from 0 to 16, `label` i64[N] from 0 to 9.

    only: the labels that are kept; None for all.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    if only is not None:
        kept = np.isin(labels, only)
        images, labels = images[kept], labels[kept]
    return {
        "image": images.reshape(-1, 1, 8, 8).astype(np.uint8),
        "label": labels.astype(np.int64),
    }
