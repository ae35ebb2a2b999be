"""`pictures/`: what networks make while they are trained, as images for people to look at."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from .files import make_folder, write_bytes, writing
from .runs import PICTURES

if TYPE_CHECKING:
    from .data.batches import Batches
    from .objectives.base import Objective

MOST = 10
"""About how many times a run draws: it takes as long as a hundred steps of a small network."""

STEP = re.compile(r"[0-9]{8,}\Z")


class Gallery:
    """Takes the pictures of one run; an objective without any leaves no folder.

    shown: the samples that they begin with.
    measurements: how often the run measures; of many, some at even distances have pictures.
    """

    def __init__(self, run: Path, objective: Objective, shown: Batches, measurements: int) -> None:
        self._folder, self._objective, self._shown = run / PICTURES, objective, shown
        self._measurements = measurements

    def is_due(self, measurement: int) -> bool:
        """Whether the measurement of this number, from 1, has pictures; the last one has."""
        shares = [MOST * number // self._measurements for number in (measurement - 1, measurement)]
        return self._measurements <= MOST or shares[0] != shares[1]

    def take(self, step: int, weights: AbstractContextManager[None]) -> None:
        """Let the networks make pictures, and write them into a folder of the step.

        weights: within it, the networks hold those that are used.
        Raises: NetwrightError: R903.
        """
        from .measure import evaluating, seeded

        with weights, evaluating(self._objective.networks.values()):
            seeded(self._shown.device)
            drawn = self._objective.pictures(self._shown)
        for name, content in drawn.items():
            folder = make_folder(self._folder / f"{step:08d}")
            write_bytes(folder / f"{name}.png", content)

    def cut(self, step: int) -> None:
        """Delete the pictures of later steps.

        Raises: NetwrightError: R903.
        """
        for later, folder in _folders(self._folder):
            if later > step:
                with writing(folder):
                    shutil.rmtree(folder)


def newest_pictures(run: Path) -> tuple[int, dict[str, Path]] | None:
    """The step and the files, by their names, of the newest pictures of a run. Torch-free."""
    found = _folders(run / PICTURES)
    if not found:
        return None
    step, folder = found[-1]
    return step, {path.stem: path for path in sorted(folder.glob("*.png")) if path.is_file()}


def all_pictures(run: Path, name: str) -> Iterator[Path]:
    """The pictures of a name that a run has drawn, in the order of their steps. Torch-free."""
    for _, folder in _folders(run / PICTURES):
        if (file := folder / f"{name}.png").is_file():
            yield file


def _folders(pictures: Path) -> list[tuple[int, Path]]:
    """The folders of steps, in order."""
    if not pictures.is_dir():
        return []
    named = (path for path in pictures.iterdir() if STEP.match(path.name))
    return sorted((int(path.name), path) for path in named if path.is_dir())
