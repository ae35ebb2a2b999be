"""What a generator makes, as pictures: images in a grid, points on a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...compiler.objectives.density import NOISE
from ..data.batches import Batches
from ..drawing import draw_grid, draw_points
from ..picturing import Painter, in_rows, is_drawable, repeated_to

if TYPE_CHECKING:
    from ..objectives.gan import Gan

DRAWN = 64
"""How many images are drawn."""

POINTS = 1000
"""How many points are drawn of each kind."""

SEED = 7
"""Of the noise, the same at each step, so that pictures can be compared."""


class GanPictures:
    """Draws generated samples, as the program that is exported makes them.

    shown: real samples, whose conditions generated ones get. The networks are in evaluation mode.
    """

    def __init__(self, objective: Gan, shown: Batches) -> None:
        self._objective, self._shown = objective, shown
        self._field = objective.fields[objective.real]

    def all(self) -> dict[str, bytes]:
        """PNG files by name; empty for what is neither images nor points on a plane."""
        with torch.inference_mode():
            if is_drawable(self._field):
                return {"samples": self._images()}
            if (self._field.shape or [])[1:] == [2]:
                return {"points": self._points()}
            return {}

    def _images(self) -> bytes:
        real, made = self._made(DRAWN)
        return draw_grid(in_rows(Painter(self._field, real)(made)))

    def _points(self) -> bytes:
        real, made = (x.cpu().double().numpy() for x in self._made(POINTS))
        labels = np.repeat([0, 1], [len(real), len(made)])
        both = np.concatenate([real, made])
        return draw_points(both, labels, ["real", "generated"], ("x 0", "x 1"))

    def _made(self, count: int) -> tuple[Tensor, Tensor]:
        """Real samples, and so many generated ones, in raw units."""
        batch = next(self._shown.spread(count, count))
        objective, generator = self._objective, torch.Generator().manual_seed(SEED)
        noise = objective.programs.noise("generate", {"B": count}, generator)[NOISE]
        made = objective.drawn(noise, repeated_to(count, batch.values))
        return batch.raw[objective.real], made
