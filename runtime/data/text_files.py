"""Which files a text is made of: those of a folder, or of an installed package. Torch-free."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from importlib import metadata
from pathlib import Path

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.objectives.text_sources import Package, Text, leaves
from .errors import gathered, missing
from .spelling import natural

Match = Callable[[str], Iterable[str]]
"""The names of the files that a pattern stands for, in any order."""


def text_files(settings: Text, folder: Path) -> dict[str, list[Path]]:
    """The files of `train`, and of `test` if the source has such, in the order of the text.

    Files of both are left out of `train`.

    Raises: NetwrightError: F602: a file or the package is missing, or it is of another version.
        F601: a pattern stands for no file.
    """
    package = settings.package
    root, match = (folder, partial(_in_folder, folder)) if package is None else _installed(package)
    patterns = {"train": settings.train, **({"test": settings.test} if settings.has_test else {})}
    found = gathered(
        {part: partial(_files, root, wanted, match, package) for part, wanted in patterns.items()}
    )
    tests = found.get("test", {})
    kept = {place: path for place, path in found["train"].items() if place not in tests}
    if not kept:
        raise failure(
            Code.F601,
            f"expected training files beside those that test, found all {len(found['train'])} of "
            "`train` in `test`",
            help="name fewer files in `test`, or more in `train`",
        )
    return {part: list(paths.values()) for part, paths in {**found, "train": kept}.items()}


def _files(
    root: Path, patterns: Sequence[str], match: Match, package: Package | None
) -> dict[str, Path]:
    """The files by where they are, so that each comes once, whatever it is called."""
    files: dict[str, Path] = {}
    for pattern in patterns:
        names = sorted(match(pattern), key=lambda name: (natural(name), name))
        if not names:
            raise _no_match(root, pattern, package)
        for name in names:
            files.setdefault(os.path.abspath(root / name), root / name)
    return files


def _no_match(root: Path, pattern: str, package: Package | None) -> NetwrightError:
    if package is not None:
        return failure(
            Code.F601,
            f"expected files of the package `{package.name}` {package.version} that match "
            f"`{pattern}`, found none",
            help=f"`pip show --files {package.name}` lists its files",
        )
    if (root / pattern).is_dir():
        return failure(
            Code.F602,
            f"expected a text file or a pattern of files, found the folder `{root / pattern}`",
            help=f"write `{pattern.rstrip('/')}/*.txt` for the files in it",
        )
    if not glob.has_magic(pattern):
        return missing(root / pattern)
    return failure(
        Code.F601,
        f"expected files that match `{root / pattern}`, found none",
        help="paths are relative to the spec's folder; name another one with `--data-dir`",
    )


def _in_folder(folder: Path, pattern: str) -> Iterator[str]:
    """A file of just this name, or those that match."""
    if (folder / pattern).is_file():
        yield pattern
        return
    for name in glob.iglob(pattern, root_dir=folder, recursive=True):
        if (folder / name).is_file():
            yield Path(name).as_posix()


def _installed(package: Package) -> tuple[Path, Match]:
    """Where a package is installed, and what finds its files; nothing is imported.

    Raises: NetwrightError: F602: it is not installed, or another version is.
    """
    step = f"install it: `pip install {package.name}=={package.version}`"
    try:
        found = metadata.distribution(package.name)
    except metadata.PackageNotFoundError as error:
        raise failure(
            Code.F602,
            f"expected the package `{package.name}` {package.version}, whose files are the data; "
            "found none of this name installed",
            help=step,
        ) from error
    if found.version != package.version:
        raise failure(
            Code.F602,
            f"expected the package `{package.name}` {package.version}, whose files are the data; "
            f"found {found.version} installed",
            help=step,
        )
    names = [file.as_posix() for file in found.files or ()]
    return Path(str(found.locate_file(""))), partial(_listed, [n for n in names if not leaves(n)])


def _listed(names: Sequence[str], pattern: str) -> list[str]:
    """Those of the names that match a pattern, as in a folder."""
    parts = pattern.split("/")
    return [name for name in names if name == pattern or _matches(name.split("/"), parts)]


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a path by its folders matches a pattern by its own, where `**` is any folders."""
    if not patterns:
        return not names
    first, *rest = patterns
    if first == "**":
        ahead = [] if rest[:1] == ["**"] else names  # two of them are as good as one
        return any(_matches(names[index:], rest) for index in range(len(ahead) + 1))
    return bool(names) and fnmatchcase(names[0], first) and _matches(names[1:], rest)
