"""What an encoder and a decoder make, as pictures: reconstructions, samples, codes on a plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.objectives.encoder_decoder import ENDS, FRACTION, coloring_field
from ..data.batches import Batch, Batches
from ..drawing import Images, draw_grid, draw_points
from ..picturing import ACROSS, Painter, in_rows, is_drawable, repeated_to

if TYPE_CHECKING:
    from ..objectives.encoder_decoder import EncoderDecoder

SHOWN = 16
"""How many samples are made again."""

DRAWN = 64
"""How many new samples are drawn."""

PATHS = 6
"""Between how many pairs of samples codes are interpolated."""

POINTS, AT_ONCE = 2000, 256
"""How many codes are drawn on a plane, and made at once."""

SEED = 7
"""Of the codes of new samples, the same ones at each step, so that pictures can be compared."""


class CodePictures:
    """Draws what can be drawn, by the programs that are exported; images are [B, 1 or 3, H, W].

    shown: the samples. The networks are in evaluation mode.
    """

    def __init__(self, objective: EncoderDecoder, shown: Batches) -> None:
        self._objective, self._shown = objective, shown
        self._programs, self._target = objective.programs, objective.target

    def all(self) -> dict[str, bytes]:
        """PNG files by name."""
        with torch.inference_mode():
            batch = next(self._shown.spread(DRAWN, DRAWN))
            found = dict(self._of_images(batch)) if is_drawable(self._objective.field) else {}
            return {**found, **dict(self._of_codes())}

    def _of_images(self, batch: Batch) -> Iterator[tuple[str, bytes]]:
        self._pixels = Painter(self._objective.field, batch.raw[self._target])
        yield "reconstructions", draw_grid(self._reconstructions(batch))
        if "sample" in self._programs:
            yield "samples", draw_grid(in_rows(self._samples(batch)))
        if "interpolate" in self._programs and batch.size > 1:
            yield "interpolations", draw_grid(self._paths(batch))

    def _reconstructions(self, batch: Batch) -> list[Images]:
        """Rows of samples, each above what the decoder makes of it; spoilt ones in between."""
        count = min(SHOWN, batch.size)
        count -= count % ACROSS if count > ACROSS else 0
        raw = {name: x[:count] for name, x in batch.raw.items()}
        read = self._objective.spoilt(batch, count) or raw
        (made,) = self._programs.run("reconstruct", read).values()
        columns = [raw[self._target], made]
        if read is not raw:
            columns.insert(1, read[self._target])
        grids = [in_rows(self._pixels(x)) for x in columns]
        return [row for rows in zip(*grids, strict=True) for row in rows]

    def _samples(self, batch: Batch) -> Images:
        """New samples; conditions are those of real ones, in their order."""
        generator = torch.Generator().manual_seed(SEED)
        sizes = {**self._objective.sizes(batch), "B": DRAWN}
        drawn = self._programs.noise("sample", sizes, generator)
        found = self._programs.run("sample", {**repeated_to(DRAWN, batch.raw), **drawn})
        return self._pixels(found[self._target])

    def _paths(self, batch: Batch) -> list[Images]:
        """Each row goes from one sample to another, whose conditions are the first one's."""
        pairs = min(PATHS, batch.size // 2)
        starts = {name: x[:pairs] for name, x in batch.raw.items()}
        ends = {name: x[pairs : 2 * pairs] for name, x in batch.raw.items()}
        given = {**starts, **_named(ENDS[0], starts), **_named(ENDS[1], ends)}
        columns = []
        for fraction in np.linspace(0, 1, ACROSS).tolist():
            done = torch.full([pairs], fraction, device=self._shown.device)
            found = self._programs.run("interpolate", {**given, FRACTION: done})
            columns.append(self._pixels(found[self._target]))
        return list(np.stack(columns, axis=1))

    def _of_codes(self) -> Iterator[tuple[str, bytes]]:
        """Codes on a plane: as they are where they have two elements, else by PCA."""
        name = coloring_field(self._objective.fields)
        codes, labels = self._codes(name)
        if codes.shape[1] < 2 or len(codes) < 3:
            return
        field = self._objective.fields[name] if name else None
        names = list(field.classes or []) if field else []
        plane, axes = on_plane(codes)
        yield "codes", draw_points(plane, labels, names, axes)

    def _codes(self, label: str | None) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
        codes, labels = [], []
        for batch in self._shown.spread(POINTS, AT_ONCE):
            codes.append(self._objective.code_of(batch).flatten(1).double().cpu())
            if label:
                labels.append(batch.raw[label].long().cpu())
        return torch.cat(codes).numpy(), torch.cat(labels).numpy() if labels else None


def on_plane(codes: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Codes [N, D] as points [N, 2], and what both axes say.

    By principal component analysis: the directions in which the codes vary most.
    """
    if codes.shape[1] == 2:
        return codes, ("z 0", "z 1")
    centred = codes - codes.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    shares = lengths**2 / max(float((lengths**2).sum()), 1e-12)
    plane: NDArray[np.float64] = centred @ directions[:2].T
    told = [f"component {i + 1}: {share:.0%} of the variance" for i, share in enumerate(shares)]
    return plane, (told[0], told[1])


def _named(end: str, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{end}_{name}": x for name, x in raw.items()}
