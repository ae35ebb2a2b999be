"""Pictures that networks made while they were trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ...compiler.driver import Compilation
from ..gallery import newest_pictures
from .markup import element
from .pictures import data_uri
from .section import LeftOut, Piece, Section
from .state import after_step
from .subject import Subject

PNG, GIF, LARGEST = b"\x89PNG\r\n\x1a\n", b"GIF89a", 4 << 20
"""What a picture begins with, a moving one too, and how many bytes it may have."""


def pictures(
    subject: Subject, compilation: Compilation, titles: Mapping[str, tuple[str, str]]
) -> Iterator[Piece]:
    """The newest pictures of a run. titles: name of a picture -> title, and a note."""
    found = newest_pictures(subject.folder)
    if found is None:
        yield LeftOut("Pictures", "the run has none, which it makes where it is measured")
        return
    step, files = found
    for name, (title, note) in titles.items():
        if name in files:
            told = f"{note} {_origin(compilation)} The networks are those {after_step(step)}."
            yield picture(title, told, files[name], subject.folder)
            yield from _moving(title, name, subject.folder)


def _origin(compilation: Compilation) -> str:
    """Which samples the pictures begin with."""
    data = compilation.spec.data
    if data and data.split.validation:
        return "Samples are of the validation part."
    return "Samples are those of training, since no validation part is set aside."


def _moving(title: str, name: str, run: Path) -> Iterator[Piece]:
    """The same picture at all steps, where a finished run has put them together."""
    file = run / f"{name}.gif"
    if file.exists():
        yield picture(f"{title} over time", "The same noise from step to step.", file, run)


def picture(title: str, note: str, file: Path, run: Path) -> Piece:
    """A section with a picture in the folder of a run, if it can be read."""
    try:
        content = _drawn(file, run)
    except OSError as error:
        return LeftOut(title, f"`{file.name}` can't be read: {error.strerror or error}")
    kind = "image/gif" if file.suffix == ".gif" else "image/png"
    image = element("img", src=data_uri(content, kind), alt=title)
    return Section(title, element("div", image, class_="made"), note)


def _drawn(file: Path, run: Path) -> bytes:
    """A picture that a run drew.

    Raises: OSError: it is something else, or leads out of the run's folder.
    """
    inside = [run / part for part in (file.relative_to(run), *file.relative_to(run).parents[:-1])]
    if any(path.is_symlink() for path in inside):
        raise OSError("it is a link")
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if not content.startswith((PNG, GIF)) or len(content) > LARGEST:
        raise OSError("it is no picture of a run")
    return content
