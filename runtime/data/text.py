"""Text as windows of tokens: bytes, or the characters of a vocabulary. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ...compiler.diagnostics import Code, failure
from ...compiler.objectives.fields import Field
from ...compiler.objectives.text_sources import NEXT, TOKENS, Package, Text
from .columns import Array, ArrayColumn, Column, MappedColumn
from .errors import gathered, missing, unreadable
from .raw import RawData
from .text_files import text_files
from .vocabulary import numbered

Paths = Mapping[str, Sequence[Path]]
"""Part -> its files."""

Contents = Mapping[str, Sequence[bytes]]
"""Part -> what is in each of its files."""


def read_text(settings: Text, fields: Mapping[str, Field], folder: Path) -> RawData:
    """The windows of a text; see `Text`.

    A file of bytes that is a whole part stays in the file. Other text is in memory once: a byte for
    each token while there are at most 256 of them, else four. Both fields are views of it.

    Raises: NetwrightError: F602: a file or a package is missing, unreadable or another one than the
        spec says, or is no text in UTF-8. F601: there is too little text, or it has characters
        that are not known.
    """
    files = text_files(settings, folder)
    if settings.unit == "byte":
        return _bytes(settings, files)
    contents = _contents(settings.package, files)
    names, ids, notes = numbered(fields, settings.unknown == "id", files, contents)
    columns = gathered(
        {part: partial(_columns, ids[part], settings, part, files[part]) for part in files}
    )
    found = {name: names for name in (TOKENS, NEXT) if not fields[name].classes}
    return RawData(columns["train"], columns.get("test"), found, notes, frozenset(fields))


def text_sha256(settings: Text, folder: Path) -> str:
    """The checksum of a text, as `package` takes it. Raises: NetwrightError: F601, F602."""
    files = text_files(settings, folder)
    return _sha256({part: [_content(path) for path in paths] for part, paths in files.items()})


def _bytes(settings: Text, files: Paths) -> RawData:
    if settings.package is None and all(len(paths) == 1 for paths in files.values()):
        calls = {part: partial(_mapped, paths[0], settings, part) for part, paths in files.items()}
    else:
        contents = _contents(settings.package, files)
        ids = {part: np.frombuffer(b"".join(found), np.uint8) for part, found in contents.items()}
        calls = {part: partial(_columns, ids[part], settings, part, files[part]) for part in files}
    columns = gathered(calls)
    names = frozenset((TOKENS, NEXT))
    return RawData(columns["train"], columns.get("test"), vocabularies=names)


def _mapped(path: Path, settings: Text, part: str) -> dict[str, Column]:
    """The windows of a file of bytes, which stays where it is."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error
    shape = (_count(size, settings, part, [path]), settings.window)
    return {
        name: MappedColumn(path, np.dtype(np.uint8), shape, offset)
        for offset, name in enumerate((TOKENS, NEXT))
    }


def _columns(ids: Array, settings: Text, part: str, files: Sequence[Path]) -> dict[str, Column]:
    """The windows of a sequence of tokens, [N]: views of it."""
    window, count = settings.window, _count(len(ids), settings, part, files)
    name = files[0].name if len(files) == 1 else ""
    return {
        field: ArrayColumn(ids[offset : offset + count * window].reshape(count, window), name)
        for offset, field in enumerate((TOKENS, NEXT))
    }


def _count(size: int, settings: Text, part: str, files: Sequence[Path]) -> int:
    """How many windows a text of this size has. Raises: NetwrightError: F601: none."""
    count = max(0, size - 1) // settings.window
    if count:
        return count
    what = f"`{files[0]}`" if len(files) == 1 else f"the {len(files)} files of `{part}`"
    raise failure(
        Code.F601,
        f"expected at least {settings.window + 1:,} {settings.unit}s in {what}, a window of "
        f"{settings.window:,} and the one after it; found {size:,}",
        help=f"lower `window` to at most {size - 1}, or add text" if size > 1 else "add text",
    )


def _contents(package: Package | None, files: Paths) -> dict[str, list[bytes]]:
    """What is in all files, which is what a pinned package must have."""
    calls = {f"{part} {path}": partial(_content, path) for part in files for path in files[part]}
    found = gathered(calls)
    contents = {part: [found[f"{part} {path}"] for path in files[part]] for part in files}
    if package is not None and package.sha256 is not None:
        _check_sum(package, package.sha256, _sha256(contents))
    return contents


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise missing(path) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _sha256(contents: Contents) -> str:
    digest = hashlib.sha256()
    for part in contents.values():
        for content in part:
            digest.update(content)
    return digest.hexdigest()


def _check_sum(package: Package, wanted: str, found: str) -> None:
    if found != wanted:
        raise failure(
            Code.F602,
            f"expected text with the sha256 {wanted} in the package `{package.name}` "
            f"{package.version}, found {found}",
            help="install it anew: `pip install --force-reinstall --no-deps "
            f"{package.name}=={package.version}`; or write the sha256 that was found, if `train` "
            "or `test` were changed",
        )
