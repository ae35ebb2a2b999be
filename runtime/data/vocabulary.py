"""Characters as numbers: their places in a vocabulary. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ...compiler.objectives.fields import Field
from ...compiler.objectives.text_sources import NEXT, TOKENS, UNKNOWN
from ...compiler.suggest import listing, visible
from .columns import Array
from .errors import gathered

Codes = NDArray[np.uint32]

ROOM = 0x110000
"""How many characters Unicode has room for."""

NOT_KNOWN = -1
NAMED = 5
"""How many of the unknown characters a message names."""

SMALL = 256
"""Up to this size of a vocabulary, a byte holds a token."""

BOM = "\ufeff"
"""What some editors begin a file with. It is no text."""


def numbered(
    fields: Mapping[str, Field],
    takes_unknown: bool,
    files: Mapping[str, Sequence[Path]],
    contents: Mapping[str, Sequence[bytes]],
) -> tuple[list[str], dict[str, Array], tuple[str, ...]]:
    """The text of each part as numbers of characters.

    Args:
        fields: whose `classes`, if they have such, are the vocabulary; else it is made of the
            characters of the part `train`, sorted.
        takes_unknown: whether other characters become 0, rather than a mistake.
        files, contents: part -> its files, and what is in each.
    Returns: the vocabulary; part -> u8[N] or i32[N]; notes of what became unknown.
    Raises: NetwrightError: F602: a file is not in UTF-8. F601: a character is not known, or the
        classes are no vocabulary.
    """
    codes = _decoded(files, contents)
    given = _given(fields, takes_unknown)
    names = given or _vocabulary(codes["train"], takes_unknown)
    table = _table(names)
    found = {part: [table[text] for text in texts] for part, texts in codes.items()}
    told = [
        strange
        for part, paths in files.items()
        for strange in _unknown(paths, codes[part], found[part])
    ]
    if told and not takes_unknown:
        raise NetwrightError(*(_stranger(path, text, given is not None) for path, text in told))
    notes = tuple(f"put `{UNKNOWN}` in place of {text} in `{path}`" for path, text in told)
    return names, {part: _joined(texts, len(names)) for part, texts in found.items()}, notes


def _joined(texts: Sequence[NDArray[np.int32]], count: int) -> Array:
    """Texts one behind the other, those of `count` tokens; what is not known becomes 0."""
    dtype = np.uint8 if count <= SMALL else np.int32
    return np.concatenate([np.maximum(text, 0).astype(dtype) for text in texts])


def _decoded(
    files: Mapping[str, Sequence[Path]], contents: Mapping[str, Sequence[bytes]]
) -> dict[str, list[Codes]]:
    """The characters of each file of a part. Raises: NetwrightError: F602: no UTF-8."""
    codes = gathered(
        {
            str(path): partial(_codes, path, content)
            for part, paths in files.items()
            for path, content in zip(paths, contents[part], strict=True)
        }
    )
    return {part: [codes[str(path)] for path in paths] for part, paths in files.items()}


def _codes(path: Path, content: bytes) -> Codes:
    """The characters of a file as code points, [N]."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise failure(
            Code.F602,
            f"expected text in UTF-8 in `{path}`, found the byte 0x{content[error.start]:02x} at "
            f"offset {error.start:,}",
            help="convert the file: `iconv -f latin1 -t utf-8`, with the encoding that it has; or "
            "read it by bytes: `unit: byte`",
        ) from error
    return np.frombuffer(text.removeprefix(BOM).encode("utf-32-le"), np.dtype("<u4"))


def _given(fields: Mapping[str, Field], takes_unknown: bool) -> list[str] | None:
    """The vocabulary that the fields give, which a spec declares or a network has learnt."""
    known = {name: fields[name].classes for name in (TOKENS, NEXT) if fields[name].classes}
    if not known:
        return None
    name, names = next((name, classes) for name, classes in known.items() if classes)
    if any(other != names for other in known.values()):
        raise failure(
            Code.F601,
            f"expected the same `classes` for `{TOKENS}` and `{NEXT}`, which are parts of one text",
            help=f"give them to `{TOKENS}` alone",
        )
    characters = names[1:] if takes_unknown else names
    if takes_unknown and names[0] != UNKNOWN:
        raise failure(
            Code.F601,
            f"expected `{UNKNOWN}` as the first of the classes of `{name}`, found "
            f"`{visible(names[0])}`",
            help=f'write `classes: ["{UNKNOWN}", ...]`, or remove `unknown: id`',
        )
    long = [other for other in characters if len(other) != 1]
    if long:
        raise failure(
            Code.F601,
            f"expected single characters as the classes of `{name}`, found {listing(long, NAMED)}",
            help="leave `classes` out: the characters of the training text are taken",
        )
    return names


def _vocabulary(texts: Sequence[Codes], takes_unknown: bool) -> list[str]:
    """The characters that occur, sorted; the unknown one before them."""
    occurs = np.zeros(ROOM, bool)
    for codes in texts:
        occurs[codes] = True
    characters = [chr(code) for code in np.flatnonzero(occurs).tolist()]
    return [UNKNOWN, *characters] if takes_unknown else characters


def _table(names: Sequence[str]) -> NDArray[np.int32]:
    """Code point -> its number, or -1."""
    table = np.full(ROOM, NOT_KNOWN, np.int32)
    for index, name in enumerate(names):
        if len(name) == 1:
            table[ord(name)] = index
    return table


def _unknown(
    paths: Sequence[Path], codes: Sequence[Codes], ids: Sequence[NDArray[np.int32]]
) -> Iterator[tuple[Path, str]]:
    """The files with unknown characters, and which: ``3 characters (`x`, first in line 7; ...)``"""
    for path, characters, numbers in zip(paths, codes, ids, strict=True):
        places = np.flatnonzero(numbers == NOT_KNOWN)
        if not len(places):
            continue
        strangers, first = np.unique(characters[places], return_index=True)
        order = np.argsort(first)
        names = [visible(chr(code)) for code in strangers[order].tolist()]
        line = int((characters[: places[0]] == ord("\n")).sum()) + 1
        many = "s" if len(places) > 1 else ""
        shown = ", ".join(f"`{name}`" for name in names[:NAMED])
        more = f" and {len(names) - NAMED:,} others" if len(names) > NAMED else ""
        yield path, f"{len(places):,} character{many} ({shown}{more}; the first in line {line:,})"


def _stranger(path: Path, found: str, learnt: bool) -> Diagnostic:
    known = "the vocabulary" if learnt else "the training files"
    return Diagnostic(
        Code.F601,
        f"expected only characters of {known} in `{path}`, found {found} besides",
        help="take such characters out"
        if learnt
        else "write `unknown: id` in the source `text`, and each of them becomes 0; or add text "
        "that has them to `train`",
    )
