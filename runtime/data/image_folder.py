"""A folder of images with a subfolder for each class, or one of images alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ...compiler.objectives.fields import Field
from ...compiler.objectives.image_sources import CHANNELS, ImageFolder
from ...compiler.suggest import listing as quoted
from ...compiler.suggest import suggest
from ..images import SUFFIXES
from .columns import ArrayColumn, Column, SubsetColumn
from .errors import gathered, no_folder, unreadable
from .images import NAMED, Form, ImageColumn, listed, no_images
from .raw import RawData
from .room import available_memory
from .spelling import natural

MEMORY_SHARE = 0.25
"""The part of the free memory up to which images are kept there."""


@dataclass(frozen=True)
class _Listing:
    """The images of a folder: their names relative to it, and the class of each.

    others: files that are no images by their names, and were left out.
    """

    root: Path
    names: list[str]
    labels: list[int]
    others: list[str]


def read_image_folder(settings: ImageFolder, fields: Mapping[str, Field], folder: Path) -> RawData:
    """The images of the source's folders, and their labels.

    Raises: NetwrightError: F602: a folder is missing, or a file is no image. F601: the folders are
        not the classes that the field `label` declares; there are no images.
    """
    root = folder / settings.path
    declared = fields["label"].classes if settings.labels == "folders" else None
    classes = declared or (class_names(root) if settings.labels == "folders" else [])
    roots = {"train": root}
    if settings.test_path is not None:
        roots["test"] = folder / settings.test_path
    listings = gathered(
        {part: partial(_list, place, classes, part, settings) for part, place in roots.items()}
    )
    parts = gathered({part: partial(_open, found, settings) for part, found in listings.items()})
    return RawData(
        train=parts["train"][0],
        test=parts["test"][0] if "test" in parts else None,
        classes={} if declared or not classes else {"label": classes},
        notes=tuple(note for _, notes in parts.values() for note in notes),
    )


def class_names(root: Path) -> list[str]:
    """The subfolders of a folder, in natural order. Raises: NetwrightError: F601, F602."""
    names = [entry.name for entry in _entries(root) if entry.is_dir()]
    if names:
        _check_text(root, names)
        return sorted(names, key=natural)
    raise failure(
        Code.F601,
        f"expected a subfolder of `{root}` for each class, found none",
        help="sort the images into folders named like their classes, or set `labels: none`",
    )


def _check_text(root: Path, names: Sequence[str]) -> None:
    """Names of classes go into files and onto screens: they must be text."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise failure(
                Code.F601,
                f"expected the subfolders of `{root}` to have names in UTF-8, found the bytes "
                f"{os.fsencode(name)!r}",
                help="rename the folder, since a class is named like it",
            ) from error


def _entries(root: Path) -> list[os.DirEntry[str]]:
    """What stands in a folder and is not hidden. Raises: NetwrightError: F602."""
    if not root.is_dir():
        raise no_folder(root)
    try:
        with os.scandir(root) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise unreadable(root, error) from error


def _list(root: Path, classes: Sequence[str], part: str, settings: ImageFolder) -> _Listing:
    if settings.labels == "folders":
        listing = _labelled(root, classes, part)
    else:
        names, others = images_below(root)
        listing = _Listing(root, names, [], others)
    if not listing.names:
        raise failure(
            Code.F601,
            f"expected images in `{root}`, found none",
            help=f"images are files whose names end with {', '.join(sorted(SUFFIXES))}",
        )
    return listing


def _labelled(root: Path, classes: Sequence[str], part: str) -> _Listing:
    entries = _entries(root)
    folders = {entry.name for entry in entries if entry.is_dir()}
    others = [entry.name for entry in entries if not entry.is_dir()]
    names: list[str] = []
    labels: list[int] = []
    empty: list[str] = []
    for label, name in enumerate(classes):
        found, rest = images_below(root, name) if name in folders else ([], [])
        names, others = names + found, others + rest
        labels += [label] * len(found)
        empty += [] if found else [name]
    problems = list(_strangers(root, folders, classes))
    if part == "train":
        problems += _empty(root, empty, folders)
    if problems:
        raise NetwrightError(*problems)
    return _Listing(root, names, labels, others)


def _strangers(root: Path, folders: set[str], classes: Sequence[str]) -> Iterator[Diagnostic]:
    """Subfolders that are no class."""
    for name in sorted(folders - set(classes), key=natural):
        yield Diagnostic(
            Code.F601,
            f"expected the subfolders of `{root}` to be classes, found `{name}`",
            help=_stranger_help(name, folders, classes),
        )


def _stranger_help(name: str, folders: set[str], classes: Sequence[str]) -> str:
    """The next step for a folder that is no class: one of them is misspelt, or is not named."""
    close = suggest(name, [label for label in classes if label not in folders])
    if close is not None:
        return f"a class with a similar name exists: `{close}`"
    return f"add `{name}` to `classes`, or move the folder elsewhere"


def _empty(root: Path, classes: Sequence[str], folders: set[str]) -> Iterator[Diagnostic]:
    """Classes without training images."""
    for found, names in (
        ("no such folder", [name for name in classes if name not in folders]),
        ("a folder without any", [name for name in classes if name in folders]),
    ):
        if names:
            yield Diagnostic(
                Code.F601,
                f"expected training images of each class in `{root}`, found {found} for "
                f"{quoted(names)}",
                help="add images, or take the name out of `classes`"
                if found == "no such folder"
                else "add images, or remove the folder",
            )


def images_below(root: Path, below: str = "") -> tuple[list[str], list[str]]:
    """The images below a folder and the other files, relative to the root, in natural order."""
    images: list[str] = []
    others: list[str] = []
    for place, folders, files in os.walk(root / below):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        for name in sorted(files, key=natural):
            if name.startswith("."):
                continue
            known = os.path.splitext(name)[1].lower() in SUFFIXES
            (images if known else others).append(os.path.relpath(os.path.join(place, name), root))
    return images, others


def _open(listing: _Listing, settings: ImageFolder) -> tuple[dict[str, Column], list[str]]:
    """The columns of one part, and what was left out of it."""
    height, width = settings.size
    form = Form(CHANNELS[settings.mode], height, width, settings.fit)
    files = ImageColumn(listing.root, listing.names, form)
    skips = settings.unreadable == "skip"
    image: Column = files
    if files.nbytes <= available_memory() * MEMORY_SHARE:
        image, bad = files.decoded()
    else:
        bad = files.check(whole=skips)
    found = [(files.name(index), reason) for index, reason in bad]
    if found and not skips:
        raise no_images(listing.root, found)
    columns = {"image": image}
    if listing.labels:
        columns["label"] = ArrayColumn(np.array(listing.labels, np.int64))
    notes = list(_notes(listing, found))
    if not found:
        return columns, notes
    kept = np.setdiff1d(np.arange(len(files)), [index for index, _ in bad])
    return {name: SubsetColumn(column, kept) for name, column in columns.items()}, notes


def _notes(listing: _Listing, bad: Sequence[tuple[str, str]]) -> Iterator[str]:
    if bad:
        total = len(listing.names)
        yield f"left out of the {total:,} images in `{listing.root}`: {listed(bad)}"
    if listing.others:
        named = quoted(sorted(listing.others, key=natural), NAMED)
        yield f"left out in `{listing.root}`, as no images by their names: {named}"
