"""The pictures of a run one after the other, as one moving picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .files import write_bytes
from .gallery import all_pictures

if TYPE_CHECKING:
    from PIL.Image import Image

ANIMATED = ("samples", "points")
"""The pictures whose noise is the same at each step, so that they show what becomes of it."""

EACH, LAST = 500, 2500
"""Milliseconds that a picture stands, and the last one of all."""


def animate(run: Path) -> dict[str, str]:
    """Write `samples.gif`, or whatever else a run has drawn at several steps.

    Returns: name -> file in the run's folder.
    Raises: NetwrightError: R903.
    """
    made = {}
    for name in ANIMATED:
        content = _moving(list(all_pictures(run, name)))
        if content is not None:
            write_bytes(run / f"{name}.gif", content)
            made[name] = f"{name}.gif"
    return made


def _moving(files: list[Path]) -> bytes | None:
    """A GIF of pictures of one size, in their order; None of fewer than two."""
    frames = list(_frames(files))
    if len(frames) < 2 or len({frame.size for frame in frames}) > 1:
        return None
    content = io.BytesIO()
    pauses = [EACH] * (len(frames) - 1) + [LAST]
    frames[0].save(
        content, format="GIF", save_all=True, append_images=frames[1:], duration=pauses, loop=0
    )
    return content.getvalue()


def _frames(files: list[Path]) -> Iterator[Image]:
    import PIL.Image

    for file in files:
        with PIL.Image.open(file) as picture:
            yield picture.convert("P" if picture.mode != "L" else "L")
