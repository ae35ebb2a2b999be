"""What samples are compared by: their features, and the classes that they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...compiler.objectives.fields import Field
from ..data.preprocess import Preprocess


@dataclass(frozen=True)
class Seen:
    """Some samples as they are compared.

    features: float64 [N, D] on the device. classes: int64 [N] on the CPU; None without a
    classifier.
    """

    features: Tensor
    classes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)


class Sight(Protocol):
    """Looks at samples, some at a time."""

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes that it tells; none where it tells none."""

    def __call__(self, raw: Tensor) -> Seen:
        """raw: samples as data holds them, [N, ...]."""


class Plain:
    """The samples themselves, as networks see them."""

    classes: Sequence[str] = ()

    def __init__(self, field: Field, device: torch.device) -> None:
        self._preprocess, self._device = Preprocess(field, device), device

    def __call__(self, raw: Tensor) -> Seen:
        values = self._preprocess(raw.to(self._device))
        return Seen(values.flatten(1).to(torch.float64))


def joined(pieces: Sequence[Seen]) -> Seen:
    """All samples of some pieces, of which there is one at least."""
    features = torch.cat([piece.features for piece in pieces])
    classes = [piece.classes for piece in pieces if piece.classes is not None]
    return Seen(features, torch.cat(classes) if classes else None)
